"""The proxy against its own description: whatever `/openapi.json` allows, and a good deal it does not, is answered."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.serving import KEY, Served

EXAMPLES = 25
"""Generated calls of each operation and kind, valid and invalid."""

CALL_SECONDS = 60.0


def test_no_generated_call_is_a_server_error(environment: dict[str, str]) -> None:
    """A 500 is a defect by definition; so is a description that names nothing."""
    with Served({**environment, "BATCHFRAME_WINDOW_SECONDS": "0.05"}) as served:
        description = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
        operations = [found.ok() for found in description.get_all_operations()]
        assert len(operations) >= 10
        faults: list[str] = []
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _call(operation, mode, faults)
        assert not faults, "\n".join(faults)


def _call(operation: schemathesis.APIOperation, mode: GenerationMode, faults: list[str]) -> None:  # type: ignore[type-arg]
    """Make the same calls in every run; nobody waits for answers, for what is asked is not the point."""

    @seeded(0)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Prefer": "respond-async"}
        response = case.call(headers=headers, timeout=CALL_SECONDS)
        if response.status_code >= 500:
            faults.append(f"{response.status_code} {response.text[:200]!r}: {case.as_curl_command(headers)}")

    try:
        check()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only a call without parameters cannot be made wrong"
