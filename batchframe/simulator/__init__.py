"""A local OpenAI-compatible provider, with faults to order and a ledger of what it would have billed.

Run prompts against it for free, or test whatever speaks to a batch API: `with Simulator() as sim: …`.
"""

from batchframe.simulator.ledger import request_digest
from batchframe.simulator.responders import Answer, Failure, Request, Responder, ToolCall
from batchframe.simulator.simulator import Simulator, simulate

__all__ = ["Answer", "Failure", "Request", "Responder", "Simulator", "ToolCall", "request_digest", "simulate"]
