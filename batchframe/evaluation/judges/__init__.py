"""Judges: models that grade answers, or choose between two, asked through the same batches as the answers."""

from batchframe.evaluation.judges.graded import Graded, graded
from batchframe.evaluation.judges.pairwise import Pairwise, pairwise

__all__ = ["Graded", "Pairwise", "graded", "pairwise"]
