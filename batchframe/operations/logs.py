"""Logs of the worker, as text or as one JSON object a line, by plain `logging` on stderr."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

from batchframe.engine.watching import working_on

Format = Literal["text", "json"]

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line: time, level, logger, message, its extras, and an exception as one field."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields, default=str)


def _name_batch(record: logging.LogRecord) -> bool:
    """Add the batch, and its job, on whose behalf the record was made."""
    batch = working_on.get()
    if batch is not None:
        record.batch = batch.id
        record.job = batch.job_id
    return True


def configure(form: Format, level: int = logging.INFO) -> None:
    """Send all records to stderr in this form."""
    handler = logging.StreamHandler()
    handler.addFilter(_name_batch)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level > logging.DEBUG:
        # One line a request of every poll says nothing that a metric does not say better.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
