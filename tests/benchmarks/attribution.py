"""Words shown under one participant's name that another one said: with a track for each there are none.

A word that is merely misheard is no such word: three in a row count that were not said on their track, and were said on
another one at that time. Fewer are the same by chance, when several people read at once.
"""

from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.events import caption_words
from tests.benchmarks.latency import TrueWord, true_words
from tests.benchmarks.replay import Replay
from tests.benchmarks.score import align
from tests.benchmarks.truth import truth_of

_ROW = 3
_APART = 2.0
"""Seconds: what is heard from elsewhere comes at about the time when it is said there."""


def attribution_figures(replays: Iterable[Replay]) -> dict[str, float]:
    total = 0
    for replay in replays:
        heard = {name: true_words(caption_words(replay.by_track[name])) for name in replay.tracks}
        total += words_of_others(heard, {name: truth_of(track) for name, track in replay.tracks.items()})
    return {"words_of_others": total}


def words_of_others(heard: Mapping[str, Sequence[TrueWord]], truth: Mapping[str, Sequence[TrueWord]]) -> int:
    """How many of the words ``heard`` on each track are another track's, by what was truly said on each, in order."""
    total = 0
    for name, words in heard.items():
        strange = _strange(words, truth[name])
        others = [said for other, said in truth.items() if other != name]
        total += len({place for said in others for place in _copied(words, strange, said)})
    return total


def _strange(words: Sequence[TrueWord], said: Sequence[TrueWord]) -> set[int]:
    """The places of the words that were not said there."""
    steps = align([word.text for word in said], [word.text for word in words])
    return {place for step in steps if step.kind in {"insert", "substitute"} for place in step.hypothesis}


def _copied(words: Sequence[TrueWord], strange: set[int], said: Sequence[TrueWord]) -> set[int]:
    """The places of those in ``strange`` that are rows of words of ``said``."""
    rows: dict[tuple[str, ...], list[float]] = {}
    for place in range(len(said) - _ROW + 1):
        row = said[place : place + _ROW]
        rows.setdefault(tuple(word.text for word in row), []).append(row[0].start)
    found: set[int] = set()
    for place in range(len(words) - _ROW + 1):
        row = words[place : place + _ROW]
        starts = rows.get(tuple(word.text for word in row), ())
        places = range(place, place + _ROW)
        if strange.issuperset(places) and any(abs(row[0].start - start) <= _APART for start in starts):
            found.update(places)
    return found
