"""Columns of images: URLs, files and bytes become what the endpoint wants, checked before anything is stored."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import batchframe as bf
from batchframe.core.images import TOKENS_ELSE
from batchframe.core.spec import JobSpec
from batchframe.frame.requests import Asked, ask
from batchframe.model import CHAT, Route
from batchframe.simulator import Simulator

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2_000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


def url_of(kind: str, image: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def asked(frame: pd.DataFrame, **fields: Any) -> Asked:
    spec = JobSpec(**{"prompt": "{text}", "into": "x", "images": {"photo": "auto"}, **fields})
    return ask(frame, spec, Route("p", CHAT, "m"), 10**8)


def urls(body: bytes) -> list[str]:
    """The images of a chat request, and that they come after the text."""
    text, *images = json.loads(body)["messages"][-1]["content"]
    assert text["type"] == "text"
    return [image["image_url"]["url"] for image in images]


def test_a_value_is_a_url_a_path_bytes_or_several(tmp_path: Path) -> None:
    """Whatever a user's column holds; the type is told by the bytes, not by the name."""
    (tmp_path / "really.png").write_bytes(JPEG)
    values = [
        "https://host/x.png",
        str(tmp_path / "really.png"),
        tmp_path / "really.png",
        PNG,
        [PNG, None, "http://h/y"],
        [],
    ]
    bodies = list(
        asked(pd.DataFrame({"text": list("abcdef"), "photo": pd.Series(values, dtype=object)})).bodies.values()
    )
    jpeg, png = url_of("jpeg", JPEG), url_of("png", PNG)
    assert [urls(body) for body in bodies] == [["https://host/x.png"], [jpeg], [jpeg], [png], [png, "http://h/y"], []]


def test_a_row_without_an_image_follows_missing() -> None:
    """As a row without a text does."""
    frame = pd.DataFrame({"text": ["a", "b"], "photo": [PNG, None]})
    assert asked(frame).skipped == [None, "photo"]
    with pytest.raises(bf.TemplateError, match=r"'photo' has no value in row 1"):
        asked(frame, missing="raise")
    assert [urls(body) for body in asked(frame, missing="render").bodies.values()] == [[url_of("png", PNG)], []]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("nowhere.png", r"Column 'photo', row 'second': the image 'nowhere.png' is not there \(looked for in"),
        ("ftp://host/x", "'ftp://host/x' is a URL no provider can open"),
        (b"no image", "row 'second': the image is not a PNG"),
        (5, "holds a value of type int in row 'second'"),
        ("/dev/zero", "is no file"),
        (["http://h/x"] * 501, "Row 'second' has 501 images"),
    ],
)
def test_what_is_no_image_is_named_by_row_and_column(
    session: bf.Session, simulator: Simulator, value: object, says: str
) -> None:
    """Before anything is stored or sent; what a file holds is not told."""
    frame = pd.DataFrame({"photo": pd.Series([PNG, value], ["first", "second"], dtype=object)})
    with pytest.raises(bf.TemplateError, match=says):
        frame.llm.batch("What is it?", model="m", images="photo")
    assert len(bf.jobs()) == 0
    assert not simulator.ledger.calls


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"images": "foto"}, bf.TemplateError, "images='foto', which is no column. Did you mean images='photo'"),
        ({"images": []}, bf.ParameterError, "name of a column"),
        ({"images": {"photo": "huge"}}, bf.ParameterError, "auto, low, high"),
        ({"images": {"photo": "original"}}, bf.ParameterError, "auto, low, high"),
        ({"images": "photo", "endpoint": "embeddings"}, bf.ParameterError, "Embeddings have no images"),
        ({"template": [{"role": "system", "content": "x"}], "images": "photo"}, bf.ParameterError, "role 'user'"),
    ],
)
def test_images_that_have_no_place_are_refused(
    session: bf.Session, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    """At once, with the way out."""
    with pytest.raises(error, match=says):
        pd.DataFrame({"photo": [PNG]}).llm.batch(**{"template": "x", "model": "m", **arguments})


def test_the_tokens_of_an_image_are_not_those_of_its_base64() -> None:
    """Else a few photos would fill the limit of enqueued tokens, and a budget would stop a job it has room for."""
    (request,) = asked(pd.DataFrame({"text": ["a"], "photo": [PNG]})).requests()
    assert TOKENS_ELSE < request.tokens < TOKENS_ELSE + 50 < len(request.body) // 4 + TOKENS_ELSE


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_answers_come_back_and_the_kept_frame_has_the_images(
    connect: Callable[..., bf.Session], simulator: Simulator, tmp_path: Path, endpoint: str
) -> None:
    """Through the provider and back; after a restart with the columns as they were; a changed file is another row."""
    connect()
    paths = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"]
    for number, path in enumerate(paths):
        path.write_bytes(PNG + bytes([number]))
    frame = pd.DataFrame({"text": list("abc"), "file": list(map(str, paths)), "raw": [PNG, JPEG, PNG]})
    job = frame.llm.batch("{text}", model="m", images=["file", "raw"], endpoint=endpoint, name="photos")
    assert job.wait(30, progress=False)["response"].tolist() == list("abc")
    paths[1].unlink()
    paths[2].write_bytes(JPEG)

    connect()
    again = bf.job("photos")
    pd.testing.assert_frame_equal(again.frame()[frame.columns], frame)
    with pytest.warns(UserWarning, match="2 of 3 rows ask something"):
        filled = again.fill(frame)
    assert filled["response"].tolist() == ["a", pd.NA, pd.NA]
