"""batchframe: label a DataFrame through the providers' half-price Batch APIs, kept in Postgres, paid for once.

import batchframe as bf
job = df.llm.batch("Team for this ticket?\\n{subject}\\n{body}", model="gpt-5-mini", into="team")
df = job.wait()
"""

from batchframe.errors import (
    BatchframeError,
    ColumnExistsError,
    ConfigurationError,
    DatabaseError,
    EvaluationNotFoundError,
    InputError,
    JobEndedError,
    JobNotFoundError,
    JobPausedError,
    NameInUseError,
    ParameterError,
    ProviderError,
    RequestTooLargeError,
    SchemaError,
    TemplateError,
)
from batchframe.evaluation import metrics
from batchframe.evaluation.accessor import register as _register
from batchframe.evaluation.evaluation import Evaluation
from batchframe.evaluation.judges import graded, pairwise
from batchframe.evaluation.plan import EvaluationPlan
from batchframe.evaluation.registry import evaluation, evaluations
from batchframe.frame.accessor import batch
from batchframe.frame.budgets import budgets, set_budget
from batchframe.frame.dataset import Dataset, read_parquet
from batchframe.frame.job import JobHandle
from batchframe.frame.plan import Plan
from batchframe.frame.progress import Progress
from batchframe.frame.prompts import jinja
from batchframe.frame.recipe import Recipe
from batchframe.frame.registry import job, jobs
from batchframe.frame.session import Session, connect
from batchframe.frame.usage import JobUsage

__version__ = "0.1.0"

__all__ = [
    "BatchframeError",
    "ColumnExistsError",
    "ConfigurationError",
    "DatabaseError",
    "Dataset",
    "Evaluation",
    "EvaluationNotFoundError",
    "EvaluationPlan",
    "InputError",
    "JobEndedError",
    "JobHandle",
    "JobNotFoundError",
    "JobPausedError",
    "JobUsage",
    "NameInUseError",
    "ParameterError",
    "Plan",
    "Progress",
    "ProviderError",
    "Recipe",
    "RequestTooLargeError",
    "SchemaError",
    "Session",
    "TemplateError",
    "batch",
    "budgets",
    "connect",
    "evaluation",
    "evaluations",
    "graded",
    "jinja",
    "job",
    "jobs",
    "metrics",
    "pairwise",
    "read_parquet",
    "set_budget",
]

_register()
