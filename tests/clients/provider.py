"""Who answers the clients' suites: an echo that calls a tool when it is given one, and fails rows that ask for it."""

from __future__ import annotations

from batchframe.simulator import Answer, Failure, Request, ToolCall
from batchframe.simulator.responders import Reply

MODELS = frozenset(
    {"gpt-5-mini", "gpt-3.5-turbo-instruct", "omni-moderation-latest", "text-embedding-3-small"}
)  # fmt: skip
"""What the account may use; any other model is unknown to it."""


def respond(request: Request) -> Reply:
    """Echo the prompt; but `fail …` fails as OpenAI fails a prompt that is too long."""
    prompt = request.prompt
    if prompt.startswith("fail"):
        return Failure(400, "context_length_exceeded", f"This prompt is too long: {prompt}")
    if request.body.get("tools"):
        return Answer(tool_calls=[ToolCall("note", {"said": prompt})])
    return prompt
