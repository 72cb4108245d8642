"""The objects of OpenAI's wire format that carry answers, as structs: declared once, encoded in one pass.

Field order and defaults are those of the published schema. Structs that never differ (a zero count of cached tokens)
are shared, so a line of an output file costs a handful of small allocations. Sources: facts §2.3, openai 3.54.0 types.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

# --- chat completions -------------------------------------------------------------------------------------------------


class Function(Struct):
    name: str
    arguments: str


class ChatToolCall(Struct):
    id: str
    function: Function
    type: str = "function"


class ChatMessage(Struct):
    content: str | None
    refusal: str | None = None
    role: str = "assistant"
    annotations: list[Any] = msgspec.field(default_factory=list)
    tool_calls: list[ChatToolCall] | UnsetType = UNSET


class Choice(Struct):
    message: ChatMessage
    finish_reason: str
    index: int = 0
    logprobs: None = None


class PromptTokensDetails(Struct, frozen=True):
    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(Struct, frozen=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


_PROMPT_DETAILS = PromptTokensDetails()
_COMPLETION_DETAILS = CompletionTokensDetails()


class ChatUsage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = _PROMPT_DETAILS
    completion_tokens_details: CompletionTokensDetails = _COMPLETION_DETAILS


class ChatCompletion(Struct):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    object: str = "chat.completion"
    service_tier: str = "default"
    system_fingerprint: str | None = None


# --- completions ------------------------------------------------------------------------------------------------------


class CompletionChoice(Struct):
    text: str
    finish_reason: str
    index: int = 0
    logprobs: None = None


class Completion(Struct):
    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChatUsage
    object: str = "text_completion"


# --- responses --------------------------------------------------------------------------------------------------------


class OutputText(Struct):
    text: str
    type: str = "output_text"
    annotations: list[Any] = msgspec.field(default_factory=list)
    logprobs: list[Any] = msgspec.field(default_factory=list)


class OutputRefusal(Struct):
    refusal: str
    type: str = "refusal"


class OutputMessage(Struct):
    id: str
    content: list[OutputText | OutputRefusal]
    status: str = "completed"
    type: str = "message"
    role: str = "assistant"


class FunctionToolCall(Struct):
    id: str
    call_id: str
    name: str
    arguments: str
    type: str = "function_call"
    status: str = "completed"


class InputTokensDetails(Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct, frozen=True):
    reasoning_tokens: int = 0


_INPUT_DETAILS = InputTokensDetails()
_OUTPUT_DETAILS = OutputTokensDetails()


class ResponseUsage(Struct):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails = _INPUT_DETAILS
    output_tokens_details: OutputTokensDetails = _OUTPUT_DETAILS


class ResponseObject(Struct):
    """What `/v1/responses` answers; the parameters that shaped the answer are echoed."""

    id: str
    created_at: int
    model: str
    output: list[OutputMessage | FunctionToolCall]
    usage: ResponseUsage
    status: str = "completed"
    incomplete_details: dict[str, str] | None = None
    instructions: Any = None
    metadata: Any = None
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    tools: list[Any] = msgspec.field(default_factory=list)
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    text: Any = msgspec.field(default_factory=lambda: {"format": {"type": "text"}})
    reasoning: Any = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    object: str = "response"
    error: None = None
    background: bool = False
    service_tier: str = "default"
    truncation: str = "disabled"


# --- embeddings -------------------------------------------------------------------------------------------------------


class Embedding(Struct):
    index: int
    embedding: list[float] | str
    object: str = "embedding"


class EmbeddingUsage(Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage
    object: str = "list"


# --- lines of output and error files ----------------------------------------------------------------------------------


class LineResponse(Struct):
    status_code: int
    request_id: str
    body: Any


class LineError(Struct):
    code: str
    message: str


class OutputLine(Struct):
    id: str
    custom_id: str
    response: LineResponse | None
    error: LineError | None = None
