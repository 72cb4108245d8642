"""A response as the Responses API's typed events: each thing is announced empty, filled by deltas, and shown complete.

Items of the model's own (messages, reasoning, calls of the client's tools) are told in full. The others, of tools the
provider ran and of kinds not known here, are announced and shown complete: what they did in between is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchframe.proxy.server_sent import message, pieces

Fields = dict[str, Any]

_ENDS = {"completed": "response.completed", "failed": "response.failed"}
"""The last event by the response's status; any other is a response that was not completed."""

_NOT_YET = ("usage", "error", "incomplete_details", "completed_at")
"""What a response that has only begun cannot say."""

_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
"""Calls of tools: the field that comes in pieces, and what its events are called."""

_PARTS = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
}
"""Parts of a message or of reasoning, likewise."""


def response_events(response: Fields) -> Iterator[bytes]:
    """The events of a response, numbered from 0."""
    for number, event in enumerate(_events(response)):
        yield message({**event, "sequence_number": number}, event["type"])


def _events(response: Fields) -> Iterator[Fields]:
    begun = {**response, "status": "in_progress", "output": [], **{name: None for name in _NOT_YET if name in response}}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for at, item in enumerate(response.get("output") or []):
        yield from _item_events(at, item)
    end = _ENDS.get(response.get("status") or "completed", "response.incomplete")
    yield {"type": end, "response": response}


def _item_events(at: int, item: Any) -> Iterator[Fields]:
    kind = _kind(item)
    begun = item
    filling: Iterator[Fields] = iter(())
    if kind in ("message", "reasoning"):
        begun, filling = _emptied(item, "content", "summary"), _part_events(at, item)
    elif kind in _CALLS:
        begun, filling = _emptied(item, _CALLS[kind][0]), _call_events(at, item)
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    yield from filling
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _call_events(at: int, item: Fields) -> Iterator[Fields]:
    field, name = _CALLS[item["type"]]
    place = {"item_id": item.get("id") or "", "output_index": at}
    text = item.get(field) or ""
    yield from ({"type": f"{name}.delta", **place, "delta": piece} for piece in pieces(text))
    called = {"name": item.get("name", "")} if item["type"] == "function_call" else {}
    yield {"type": f"{name}.done", **place, **called, field: text}


def _part_events(at: int, item: Fields) -> Iterator[Fields]:
    """The summary of reasoning, then the content of a message or of reasoning."""
    place = {"item_id": item.get("id") or "", "output_index": at}
    for index, part in enumerate(item.get("summary") or []):
        yield from _summary_events({**place, "summary_index": index}, part)
    for index, part in enumerate(item.get("content") or []):
        yield from _content_events({**place, "content_index": index}, part)


def _summary_events(place: Fields, part: Fields) -> Iterator[Fields]:
    text = part.get("text") or ""
    yield {"type": "response.reasoning_summary_part.added", **place, "part": _emptied(part, "text")}
    yield from ({"type": "response.reasoning_summary_text.delta", **place, "delta": piece} for piece in pieces(text))
    yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": part}


def _content_events(place: Fields, part: Any) -> Iterator[Fields]:
    kind = _kind(part)
    begun = part
    if kind in _PARTS:
        begun = _emptied(part, _PARTS[kind][0], "annotations", "logprobs")
    yield {"type": "response.content_part.added", **place, "part": begun}
    if kind in _PARTS:
        yield from _text_events(place, part)
    yield {"type": "response.content_part.done", **place, "part": part}


def _text_events(place: Fields, part: Fields) -> Iterator[Fields]:
    field, name = _PARTS[part["type"]]
    text, logprobs = part.get(field) or "", part.get("logprobs") or []
    more = {"logprobs": logprobs} if part["type"] == "output_text" else {}
    # Probabilities belong to tokens, not to pieces, so a text that has them goes whole.
    for piece in [text] if logprobs else pieces(text):
        yield {"type": f"{name}.delta", **place, "delta": piece, **more}
    for index, annotation in enumerate(part.get("annotations") or []):
        added = {"annotation_index": index, "annotation": annotation}
        yield {"type": "response.output_text.annotation.added", **place, **added}
    yield {"type": f"{name}.done", **place, field: text, **more}


def _kind(thing: Any) -> str | None:
    return str(thing.get("type")) if isinstance(thing, dict) else None


def _emptied(thing: Fields, *names: str) -> Fields:
    """An item or a part that has only begun: texts and lists of these names empty, and its status says so."""
    empty = {name: type(thing[name])() for name in names if isinstance(thing.get(name), str | list)}
    begun = {"status": "in_progress"} if thing.get("status") else {}
    return {**thing, **empty, **begun}
