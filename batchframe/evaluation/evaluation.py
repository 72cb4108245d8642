"""The handle of an evaluation: all of its jobs as one, and what they show. Like a job's it can be lost and had again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from batchframe.errors import InputError, JobPausedError
from batchframe.evaluation import best, checking, measures
from batchframe.evaluation.cell import CellKey, cell_of
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.following import Progress, Total, total
from batchframe.evaluation.judges.judge import Judge
from batchframe.evaluation.measures import Measure, Measures, is_judge
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.evaluation.stages import Stages
from batchframe.evaluation.standing import Standing
from batchframe.evaluation.statistics.comparing import Test
from batchframe.evaluation.submitting import kept_frame
from batchframe.evaluation.views import browser, display, frames, plot, report
from batchframe.frame.functions import RowFunction
from batchframe.frame.job import JobHandle
from batchframe.frame.recipe import Recipe
from batchframe.frame.session import Session
from batchframe.model import Job
from batchframe.store.evaluations import Place, StoredEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure
