"""Likeness of texts, held against sacrebleu and the papers."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from batchframe.evaluation.metrics import bleu, chrf, edit_similarity, rouge_l
from tests.evaluation.metrics.observing import repeated, value

WORDS = st.lists(
    st.sampled_from(["the", "a", "cat", "dog", "sat", "on", "mat", "with", "hat", "and"]), min_size=0, max_size=12
).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, st.integers(0, 2)), min_size=1, max_size=8))
def test_bleu_is_sacrebleus(pairs: list[tuple[str, str, int]]) -> None:
    """Of the corpus as a whole, also of a resample, though only sums of counts are weighed."""
    times = [n for *_, n in pairs]
    if not any(times):
        times = [1] * len(pairs)
    golds, answers = [gold for gold, *_ in pairs], [answer for _, answer, _ in pairs]
    expected = sacrebleu.corpus_bleu(repeated(answers, times), [repeated(golds, times)]).score
    assert value(bleu(), golds, answers, times) == pytest.approx(expected, abs=1e-9)


def test_chrf_is_the_mean_of_sacrebleus() -> None:
    """Of each row by itself."""
    golds, answers = ["the cat sat", "на столе", "a"], ["the cat sits", "на стуле", None]
    expected = [sacrebleu.sentence_chrf(said or "", [gold]).score for gold, said in zip(golds, answers, strict=True)]
    assert value(chrf(), golds, answers) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize(
    ("answer", "score"),
    [("police kill the gunman", 3 / 4), ("the gunman kill police", 2 / 4), ("the gunman police killed", 2 / 4)],
)
def test_rouge_l_of_lins_examples(answer: str, score: float) -> None:
    """Lin 2004, section 3.1: beside "police killed the gunman"."""
    assert value(rouge_l(), ["police killed the gunman"], [answer]) == score


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ("Кошка спит дома", "кошка спит", 4 / 5),
        ("我爱你", "我爱他", 2 / 3),
        ("नमस्ते दुनिया", "नमस्ते", 2 / 3),
        ("a", "?", 0),
    ],
)
def test_rouge_l_knows_other_scripts(gold: str, answer: str, score: float) -> None:
    """Words are those of the script; a Chinese character is one."""
    assert value(rouge_l(), [gold], [answer]) == pytest.approx(score)


def test_edit_similarity_is_levenshteins() -> None:
    """Levenshtein's kitten and sitting: 3 edits of 7 characters."""
    assert value(edit_similarity(), ["kitten"], ["sitting"]) == pytest.approx(1 - 3 / 7)


@pytest.mark.parametrize("metric", [edit_similarity(), rouge_l(), chrf(), bleu()], ids=lambda one: one.name)
def test_a_failed_row_is_like_nothing(metric: object) -> None:
    """It scores as an empty answer."""
    assert value(metric, ["the cat sat on the mat"], [None]) == 0  # type: ignore[arg-type]
