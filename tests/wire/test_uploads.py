"""Forms and their parameters, as hostile or careless clients send them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from batchframe.wire.paging import whole_number
from batchframe.wire.parameters import expires_after
from batchframe.wire.refusals import Refusal
from batchframe.wire.uploads import Upload


def receive(upload: Upload, *parts: tuple[str, bytes], chunk: int = 1_000) -> None:
    """Let an upload receive a form; in small pieces, as a network delivers it."""
    body = b"".join(b"--x\r\ncontent-disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), d) for h, d in parts)
    pieces = [(body + b"--x--\r\n")[at : at + chunk] for at in range(0, len(body) + 7, chunk)]

    async def next_piece() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    asyncio.run(upload.receive(Request({"type": "http", "headers": headers}, next_piece)))


def test_of_a_file_beyond_its_limit_no_more_is_written(tmp_path: Path) -> None:
    """It is read to its end, for its client still sends, and it must not fill the disk meanwhile."""
    upload = Upload(tmp_path / "file", keep=2_500)
    receive(upload, ('name="file"; filename="a"', b"y" * 100_000), ('name="purpose"', b"batch"))
    assert upload.size == 100_000
    assert upload.path.read_bytes() == b"y" * 2_500
    assert upload.fields == {"purpose": "batch"}


def test_other_fields_stay_small(tmp_path: Path) -> None:
    """They are held in memory."""
    upload = Upload(tmp_path / "file")
    receive(upload, ('name="purpose"', b"z" * 1_000_000), ('name="file"; filename="a"', b"y" * 5_000))
    assert upload.fields == {"purpose": "z" * 65_536}
    assert upload.path.read_bytes() == b"y" * 5_000


@pytest.mark.parametrize("given", ["²", "9" * 5_000, "-1", "", "1.5"])
def test_a_number_that_is_none_is_refused(given: str) -> None:
    """Python calls some characters digits that it cannot read as numbers."""
    with pytest.raises(Refusal):
        whole_number({"limit": given}, "limit", 10, 100)
    assert expires_after({"expires_after[seconds]": "²"}) == {"seconds": "²"}
