"""What docs/proxy.md shows works as it stands, but for the address and the key."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.proxy.conftest import KEY, Running

DOCS = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text()


def example(client: str, served: Running) -> str:
    """The example of a client, for a proxy of this test's."""
    found = re.search(rf"\*\*{client}\*\*\n\n```\w+\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    return found[1].replace("http://127.0.0.1:8080", served.url).replace("bf-…", KEY)


def test_the_example_in_python_is_answered(served: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """It is what people copy."""
    exec(example("Python", served), {})
    assert "My invoice is wrong." in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_example_with_curl_is_answered(served: Running) -> None:
    """A shell is a client too: it asks, and comes back for the answer."""
    ask, _, fetch = example("curl", served).partition("\n\n")
    environment = {**os.environ, "BATCHFRAME_API_KEY": KEY}

    def run(command: str) -> str:
        return subprocess.run(
            ["sh", "-c", command], check=True, capture_output=True, text=True, timeout=30, env=environment
        ).stdout

    told = run(ask)
    name = re.search(r"req_\w{32}", told)
    assert name is not None
    assert re.sub(r"req_\w{32}", "req_…", told) in ask
    answer = run(fetch.replace("req_…", name[0]).replace("--include", "--include --silent"))
    assert answer.startswith(("HTTP/1.1 200", "HTTP/1.1 202"))
