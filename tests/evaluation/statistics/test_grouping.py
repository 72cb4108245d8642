"""Grouping: numbers of groups."""

import numpy as np

from batchframe.evaluation.statistics.grouping import independent, numbered


def test_groups_of_counted_observations_are_numbered_without_gaps() -> None:
    """A gap would be a group that can be drawn and holds nothing."""
    groups = np.array([7, 3, 7, 5, 3])
    assert numbered(groups, np.array([True, True, True, False, False])).tolist() == [1, 0, 1, -1, -1]


def test_observations_are_independent_when_those_that_count_have_a_group_each() -> None:
    """Two that do not count are no group together."""
    assert independent(np.array([0, -1, 1, -1]))
    assert not independent(np.array([0, -1, 1, 1]))
