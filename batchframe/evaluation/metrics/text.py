"""Text: how near an answer in words is to the gold.

Values that are no text are taken as `labels.label` writes them. A failed row scores as an empty answer to something.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from batchframe.evaluation.metrics.labels import label
from batchframe.evaluation.metrics.metric import Metric, Spec
from batchframe.evaluation.metrics.paired import Paired
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Floats, Sums

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

_WITHOUT_SPACES = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
"""Hiragana, Katakana and Han, which are written without spaces between words."""


def edit_similarity() -> Metric:
    """1 less the Levenshtein distance (1966) by the length of the longer text, in characters; mean over rows."""
    return Paired("edit_similarity", _edit_similarity)


def rouge_l() -> Metric:
    """ROUGE-L (Lin 2004, section 3.1, equations 2-4, beta 1): F1 of the longest common subsequence; mean over rows.

    The answer is one sequence of words, as in the sentence-level measure and in rouge-score's rougeL: lower case, no
    stemming. Unlike there, words of every script count; a Chinese or Japanese character is a word.
    """
    return Paired("rouge_l", _rouge_l)


def bleu() -> Metric:
    """BLEU (Papineni et al. 2002) of all rows as one corpus, from 0 to 100; equals sacrebleu's corpus_bleu (Post 2018).

    With its defaults: 4-grams, the tokeniser 13a, exponential smoothing. A failed row is an empty answer.
    """
    return CorpusBleu()


def chrf() -> Metric:
    """chrF (Popović 2015) from 0 to 100: sacrebleu's, of each row by itself; mean over rows.

    With its defaults: characters up to 6-grams, no words, beta 2. It is not the chrF of all rows as one corpus.
    """
    return Paired("chrf", _chrf, share=False)


@dataclass(frozen=True)
class CorpusBleu:
    """BLEU, from each row's counts of n-grams."""

    name: ClassVar[str] = "bleu"
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    share: ClassVar[bool] = False
    needs_gold: ClassVar[bool] = True
    spec: ClassVar[Spec] = "bleu"

    def score(self, seen: Observations) -> Sums:
        counted = np.array([gold is not None for gold in seen.golds], dtype=np.bool_)
        stats = np.zeros((len(seen), 11))
        for row in np.flatnonzero(counted).tolist():
            answer = seen.answers[row]
            of_row = _bleu().sentence_score("" if answer is None else label(answer), [label(seen.golds[row])])
            stats[row] = [*of_row.counts, *of_row.totals, of_row.sys_len, of_row.ref_len, 1]
        return Sums(stats, counted, _bleu_of_sums)


def _bleu_of_sums(sums: Floats) -> Floats:
    """BLEU of sums of matching n-grams (4), n-grams of the answers (4), the answers' length, the golds', and rows.

    As sacrebleu's BLEU.compute_bleu, which takes one corpus of whole counts at a time; Papineni et al. 2002, section
    2.3, smoothed as by Chen and Cherry 2014, method 3: the k-th order without a match has 1 / 2^k of one.
    """
    correct, total, said, wanted, rows = sums[..., :4], sums[..., 4:8], sums[..., 8], sums[..., 9], sums[..., 10]
    unmatched = correct == 0
    smoothed = np.where(unmatched, 0.5 ** np.cumsum(unmatched, axis=-1), correct)
    with np.errstate(invalid="ignore", divide="ignore"):
        brevity = np.exp(np.minimum(0.0, 1 - wanted / said))
        score = 100 * brevity * np.exp(np.log(smoothed / total).mean(-1))
    # Nothing in common, or no answer as long as the longest n-gram: no smoothing helps.
    score = np.where(unmatched.all(-1) | (total == 0).any(-1), 0.0, score)
    return np.where(rows > 0, score, np.nan)


@cache
def _bleu() -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    # The effective order changes a sentence's score, which is not used; without it sacrebleu advises it, row by row.
    return BLEU(effective_order=True)


@cache
def _chrf_of_sentences() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _chrf(gold: Any, answer: Any) -> float:
    return float(_chrf_of_sentences().sentence_score(label(answer), [label(gold)]).score)


def _edit_similarity(gold: Any, answer: Any) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(label(gold), label(answer))


def _rouge_l(gold: Any, answer: Any) -> float:
    from rapidfuzz.distance import LCSseq

    golds, answers = _words(label(gold)), _words(label(answer))
    # F1 of precision lcs / answers and recall lcs / golds. Without words there is nothing in common, as in rouge-score.
    return 2 * LCSseq.similarity(golds, answers) / (len(golds) + len(answers)) if golds and answers else 0.0


def _words(text: str) -> list[str]:
    """Runs of letters and digits with their marks, in lower case."""
    # Not \\w+: Python's knows no combining marks and would cut a word of Hindi at every vowel.
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text.lower())
    return _WITHOUT_SPACES.sub(r" \1 ", kept).split()
