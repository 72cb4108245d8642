"""Frames to ask about."""

import pandas as pd
import pytest


@pytest.fixture
def twenty() -> pd.DataFrame:
    """Twenty rows with texts of their own."""
    return pd.DataFrame({"n": range(20), "text": [f"row number {n}" for n in range(20)]})
