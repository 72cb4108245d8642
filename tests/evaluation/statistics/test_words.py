"""Words: the sentence of a comparison."""

# ruff: noqa: RUF001 (sentences have a real minus sign)

from typing import Literal

import numpy as np
import pytest

from batchframe.evaluation.statistics.comparing import Compared, Needs
from batchframe.evaluation.statistics.intervals import Interval
from batchframe.evaluation.statistics.words import sentence, verdict

SHARES = Needs(spread=None, discordant=0.1, design_effect=1.0, per_row=1)
SCORES = Needs(spread=0.5, discordant=None, design_effect=1.0, per_row=1)


def compared(
    difference: float,
    interval: tuple[float, float] | None,
    needs: Needs = SHARES,
    n: int = 400,
    level: float = 0.95,
) -> Compared:
    found = None if interval is None else Interval(*interval, level, "some")
    return Compared(
        before=0.5,
        after=0.5 + difference,
        difference=difference,
        interval=found,
        p=0.5,
        test="some",
        n=n,
        discordant=None,
        rows_needed=None,
        needs=needs,
        level=level,
        power=0.8,
    )


def test_a_share_that_is_better_is_told_in_points() -> None:
    """The sentence of the README."""
    found = compared(0.062, (0.031, 0.094))
    said = sentence(found, 0.0004, better="higher", share=True)
    assert said == "better: +6.2 points, 95 % from +3.1 to +9.4 (p = 0.0004)"


@pytest.mark.parametrize(
    ("difference", "better", "said"),
    [(0.062, "higher", "better"), (-0.062, "higher", "worse"), (0.062, "lower", "worse"), (-0.062, "lower", "better")],
)
def test_the_direction_is_the_metrics(difference: float, better: Literal["higher", "lower"], said: str) -> None:
    """An error that falls is better."""
    found = compared(difference, (difference - 0.01, difference + 0.01))
    assert verdict(found, 0.01, better=better, share=True) == said


def test_the_adjusted_p_decides_not_the_interval() -> None:
    """Of ten prompts one is better by chance; its interval knows nothing of the others. 0.05 is not under 0.05."""
    found = compared(0.062, (0.031, 0.094))
    assert verdict(found, 0.049, better="higher", share=True) == "better"
    assert verdict(found, 0.05, better="higher", share=True) == "not told apart"
    assert verdict(compared(0.062, (0.031, 0.094), level=0.99), 0.049, better="higher", share=True) == "not told apart"


def test_a_wide_interval_is_no_tie_and_says_what_would_tell() -> None:
    """Too few rows are not the same as no difference. 869.7 by Connor's formula, upwards in two figures."""
    found = compared(0.013, (-0.019, 0.045))
    said = sentence(found, 0.4, better="higher", share=True)
    assert said == "not told apart: +1.3 points, 95 % from −1.9 to +4.5; about 870 rows would show 3 points"


def test_a_narrow_interval_is_a_tie() -> None:
    """Any difference that is left is too small to matter; what matters is the user's to say."""
    found = compared(-0.001, (-0.021, 0.019), n=4_000)
    assert sentence(found, 0.9, better="higher", share=True) == "tied: −0.1 points, 95 % from −2.1 to +1.9"
    said = sentence(found, 0.9, better="higher", share=True, by=0.01)
    assert said == "not told apart: −0.1 points, 95 % from −2.1 to +1.9; about 7,900 rows would show 1 point"


def test_rows_that_are_there_already_are_not_asked_for() -> None:
    """870 rows are fewer than a thousand, whether samples count or rows."""
    found = compared(0.013, (-0.019, 0.045), n=1_000)
    assert sentence(found, 0.4, better="higher", share=True).endswith("to +4.5")
    thrice = Needs(spread=None, discordant=0.1, design_effect=3.0, per_row=3)
    found = compared(0.013, (-0.019, 0.045), needs=thrice, n=2_500)
    assert sentence(found, 0.4, better="higher", share=True).endswith("about 870 rows would show 3 points")


def test_other_metrics_keep_their_unit_and_take_the_difference_seen() -> None:
    """As many decimals as the interval is worth, and no exponents: 0.12 with a spread of 0.5 takes 137 rows."""
    found = compared(-0.12, (-0.31, 0.07), needs=SCORES, n=100)
    said = sentence(found, 0.2, better="lower", share=False)
    assert said == "not told apart: −0.12, 95 % from −0.31 to +0.07; about 140 rows would show 0.12"
    tiny = compared(0.0000123, (0.0000101, 0.0000145), needs=SCORES)
    said = sentence(tiny, 0.00000002, better="higher", share=False)
    assert said == "better: +0.0000123, 95 % from +0.0000101 to +0.0000145 (p < 0.0001)"
    large = compared(12345.6, (-2000, 26000), needs=Needs(1e5, None, 1.0, 1), n=100)
    said = sentence(large, 0.2, better="higher", share=False)
    assert said == "not told apart: +12,346, 95 % from −2,000 to +26,000; about 520 rows would show 12,346"
    assert verdict(found, 0.2, better="lower", share=False, by=0.4) == "tied"


@pytest.mark.parametrize(
    ("p", "shown"), [(0.0412, "p = 0.041"), (0.00042, "p = 0.0004"), (0.00009, "p < 0.0001"), (0.0301, "p = 0.03")]
)
def test_p_values_have_two_figures_and_no_exponent(p: float, shown: str) -> None:
    """No more than they are worth."""
    assert sentence(compared(0.1, (0.05, 0.15)), p, better="higher", share=True).endswith(f"({shown})")


def test_nothing_is_said_where_nothing_is_known() -> None:
    """No pairs, no value, or one group only."""
    nothing = compared(np.nan, None, n=0)
    assert sentence(nothing, np.nan, better="higher", share=True) == "not told apart: there is nothing to compare"
    undefined = compared(np.nan, None)
    assert sentence(undefined, np.nan, better="higher", share=True) == "not told apart: no value to compare"
    said = sentence(compared(0.013, None, n=5), 1.0, better="higher", share=True)
    assert said == "not told apart: +1.3 points, how sure cannot be said; about 870 rows would show 3 points"


def test_no_difference_has_no_sign() -> None:
    """Neither plus nor minus."""
    found = compared(0.0, (-0.0001, 0.0001))
    assert sentence(found, 1.0, better="higher", share=True) == "tied: 0.0 points, 95 % from 0.0 to 0.0"
    assert verdict(found, 0.0, better="higher", share=True) == "tied"
