"""Metrics: what an answer is worth, by itself or against the gold."""

from batchframe.evaluation.metrics.confusion import balanced_accuracy, kappa, macro_f1, micro_f1, weighted_f1
from batchframe.evaluation.metrics.exact import accuracy, exact
from batchframe.evaluation.metrics.functions import scored
from batchframe.evaluation.metrics.json_fields import json_fields
from batchframe.evaluation.metrics.metric import Metric
from batchframe.evaluation.metrics.numeric import mae, rmse, spearman
from batchframe.evaluation.metrics.patterns import contains, matches
from batchframe.evaluation.metrics.text import bleu, chrf, edit_similarity, rouge_l

__all__ = [
    "Metric",
    "accuracy",
    "balanced_accuracy",
    "bleu",
    "chrf",
    "contains",
    "edit_similarity",
    "exact",
    "json_fields",
    "kappa",
    "macro_f1",
    "mae",
    "matches",
    "micro_f1",
    "rmse",
    "rouge_l",
    "scored",
    "spearman",
    "weighted_f1",
]
