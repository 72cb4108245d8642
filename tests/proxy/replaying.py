"""A server that answers every call with a given event stream, and the reading of such a stream without an SDK."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import openai


@contextmanager
def replay(stream: bytes) -> Iterator[openai.OpenAI]:
    """OpenAI's own client of a server that sends this stream, whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(stream)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/v1"
            with openai.OpenAI(base_url=address, api_key="any", max_retries=0, timeout=20) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def read(stream: bytes) -> list[dict[str, Any]]:
    """The objects of a stream, read by the least careful of clients: by lines as `str.splitlines` sees them."""
    texts = [line.removeprefix("data: ") for line in stream.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(text) for text in texts if text != "[DONE]"]


def covers(whole: Any, part: Any) -> bool:
    """Whether everything a value says is said by another, which may say more; nothing is said by null and `[]`."""
    if isinstance(part, dict):
        told = {name: value for name, value in part.items() if value not in (None, [])}
        return all(name in whole and covers(whole[name], value) for name, value in told.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(covers, whole, part))
    return bool(whole == part)
