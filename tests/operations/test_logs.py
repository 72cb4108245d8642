"""Logs as JSON: one line a record, whatever is in it."""

import json
import logging
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest

from batchframe.engine.watching import working_on
from batchframe.model import Batch
from batchframe.operations import logs
from batchframe.operations.logs import JsonFormatter


def formatted(message: str, *arguments: object, **more: object) -> dict[str, object]:
    record = logging.getLogger("batchframe.x").makeRecord(
        "batchframe.x", logging.WARNING, "file", 1, message, arguments, more.pop("exc_info", None), None, more
    )  # type: ignore[arg-type]
    line = JsonFormatter().format(record)
    assert "\n" not in line
    line.encode()
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_a_record_is_one_object() -> None:
    """A store of logs takes lines; one that is cut in two, or is no JSON, is lost there."""
    fields = formatted("two\nlines, %s\ud800", "and \x00", job=7, uid=UUID(int=1))
    assert fields["message"] == "two\nlines, and \x00\ud800"
    assert (fields["level"], fields["logger"], fields["job"]) == ("warning", "batchframe.x", 7)
    assert fields["uid"] == str(UUID(int=1))
    assert datetime.fromisoformat(str(fields["time"])).tzinfo == UTC


def test_an_exception_is_one_field() -> None:
    """Its traceback has twenty lines, which would be twenty records."""
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        fields = formatted("failed", exc_info=sys.exc_info())
    assert fields["message"] == "failed"
    assert str(fields["exception"]).splitlines()[-1] == "ZeroDivisionError: by nought"


@pytest.fixture
def _logging_as_it_was() -> object:
    root = logging.getLogger()
    handlers, level, http = root.handlers[:], root.level, logging.getLogger("httpx2").level
    root.handlers = []
    yield None
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("httpx2").setLevel(http)


@pytest.mark.usefixtures("_logging_as_it_was")
def test_records_of_libraries_name_the_batch_they_were_made_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A connection pool's warning is of use only with the job it concerns; and requests are no news."""
    logs.configure("json")
    unset = dict.fromkeys(Batch.__dataclass_fields__)
    token = working_on.set(Batch(**{**unset, "id": 5, "job_id": 3}))  # type: ignore[arg-type]
    logging.getLogger("httpx2").info("HTTP Request: GET …")
    logging.getLogger("some.pool").warning("full")
    working_on.reset(token)
    logging.getLogger("some.pool").warning("full")
    of_batch, of_none = map(json.loads, capsys.readouterr().err.splitlines())
    assert (of_batch["message"], of_batch["batch"], of_batch["job"]) == ("full", 5, 3)
    assert "batch" not in of_none
