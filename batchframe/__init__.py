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
    InputError,
    JobNotFoundError,
    NameInUseError,
    ParameterError,
    ProviderError,
    RequestTooLargeError,
    SchemaError,
    TemplateError,
)
from batchframe.frame.accessor import register as _register
from batchframe.frame.job import JobHandle, JobUsage
from batchframe.frame.progress import Progress
from batchframe.frame.registry import job, jobs
from batchframe.frame.session import Session, connect

__version__ = "0.1.0"

__all__ = [
    "BatchframeError",
    "ColumnExistsError",
    "ConfigurationError",
    "DatabaseError",
    "InputError",
    "JobHandle",
    "JobNotFoundError",
    "JobUsage",
    "NameInUseError",
    "ParameterError",
    "Progress",
    "ProviderError",
    "RequestTooLargeError",
    "SchemaError",
    "Session",
    "TemplateError",
    "connect",
    "job",
    "jobs",
]

_register()
