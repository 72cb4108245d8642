"""The benchmark's "model": a short label, as in real labelling; the same for both clients."""

from batchframe.simulator import Request


def label(request: Request) -> str:
    """Answer with the running number the prompt begins with."""
    return f"section of {request.prompt.partition('.')[0]}"
