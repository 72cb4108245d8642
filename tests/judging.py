"""The judge: what the simulator's ledger says was paid for."""

from batchframe.simulator import Simulator


def paid_once(simulator: Simulator, distinct: int) -> bool:
    """Whether the ledger holds exactly this many distinct requests, each billed once."""
    billed = simulator.ledger.billed()
    return len(billed) == distinct and set(billed.values()) <= {1}
