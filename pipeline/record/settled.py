"""What a second look after the meeting makes of its voices and texts, and what it must leave as it is."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import (
    Caption,
    Diarization,
    ParticipantId,
    RecordText,
    Settled,
    UtteranceId,
    VoiceRun,
    VoiceSpan,
    Word,
)
from pipeline.record.attribution import by_voice
from pipeline.record.division import settled_voice
from pipeline.record.shares import in_order
from pipeline.speakers import FIRST_MADE, KnownVoice

ALIKE = 0.35
"""Two voices whose centroids are no further apart (cosine distance) were one: measured, docs/diarization.md."""
LATEST = 7 * 24 * 3600.0
"""Seconds after its end in which a meeting is looked at again: whoever turns it on does not begin with all that was."""
_LEAST_SHARE = 0.2
"""Of the words that either of two voices said: with fewer in common they are not the same voice."""

Voice = tuple[ParticipantId, int]
NamedOrMerged = tuple[Voice, bool, int | None]
"""A voice, whether it has a name, and the voice it was merged into."""


def named_or_merged(voices: Iterable[KnownVoice]) -> frozenset[NamedOrMerged]:
    """What a second look goes by of what people did with ``voices``."""
    return frozenset(
        ((voice.participant, voice.voice), bool(voice.name), voice.merged_into)
        for voice in voices
        if voice.name or voice.merged_into is not None
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a second look found: ``runs`` in place of all runs of ``utterances``, how ``voices`` sound, new ``records``.

    ``how`` says by what it was found, ``seen`` what people had named or merged when it was begun (``named_or_merged``).
    """

    how: Settled
    utterances: frozenset[UtteranceId] = frozenset()
    runs: tuple[VoiceRun, ...] = ()
    voices: tuple[KnownVoice, ...] = ()
    records: tuple[RecordText, ...] = ()
    seen: frozenset["NamedOrMerged"] = frozenset()

    def leaving(self, touched: Collection[UtteranceId], records: Sequence[RecordText]) -> "Settlement":
        """Without what it says of utterances that people have ``touched``; ``records`` are those kept before."""
        left = self.utterances - frozenset(touched)
        runs = tuple(run for run in self.runs if run.utterance in left)
        return replace(self, utterances=left, runs=runs, records=_whole(self.records, records, touched))


def _whole(
    new: Sequence[RecordText], old: Iterable[RecordText], touched: Collection[UtteranceId]
) -> tuple[RecordText, ...]:
    """Those of ``new`` that are surer of their words than the ``old`` ones in whose place they come.

    A record text hides whatever is older and shares an utterance with it (``assemble``): it may, where all utterances
    of the older one have a new text.
    """
    old = tuple(old)
    kept = [record for record in new if not set(record.utterances) & set(touched) and _is_surer(record, old)]
    before = [set(record.utterances) for record in old]
    while True:
        covered = {utterance for record in kept for utterance in record.utterances}
        hidden = [utterances for utterances in before if utterances & covered and not utterances <= covered]
        whole = [record for record in kept if not any(utterances & set(record.utterances) for utterances in hidden)]
        if len(whole) == len(kept):
            return tuple(whole)
        kept = whole


def _is_surer(record: RecordText, old: Iterable[RecordText]) -> bool:
    before = [word for each in old if set(each.utterances) & set(record.utterances) for word in each.words]
    return not before or _certainty(record.words) > _certainty(before)


def _certainty(words: Sequence[Word]) -> float:
    return sum(word.confidence for word in words) / max(1, len(words))


# --- voices found in the kept sound ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of the voices of one participant: what it said, and which voices said it as far as is known.

    There may be ``runs`` of other utterances, too, of which nothing new can be said: they stay as they are.
    """

    participant: ParticipantId
    captions: Sequence[Caption]
    runs: Sequence[VoiceRun]
    voices: Sequence[KnownVoice]

    @property
    def known(self) -> dict[Voice, KnownVoice]:
        return {(voice.participant, voice.voice): voice for voice in self.voices}

    def is_named(self, voice: int) -> bool:
        known = self.known.get((self.participant, voice))
        return known is not None and bool(known.name)

    @property
    def again(self) -> frozenset[UtteranceId]:
        """Those of which something new can be said."""
        return frozenset(caption.utterance for caption in self.captions)


def by_sound(heard: Heard, found: Diarization) -> tuple[list[VoiceRun], list[KnownVoice]]:
    """Who said each caption word, and what those voices sound like, under the numbers that were given live.

    A voice that nobody was takes a number that nobody has. Where one voice is found in all there is and none has a
    name, all was said by the participant: no runs.
    """
    runs = list(_runs(heard.captions, found.exclusive))
    numbers = _numbers(heard, runs)
    runs = [replace(run, voice=numbers[run.voice]) for run in runs]
    alone = len(set(numbers.values())) < 2 and heard.again.issuperset(run.utterance for run in heard.runs)
    if alone and not any(voice.name for voice in heard.voices):
        return [], []
    return runs, _sounding(heard, found, numbers)


def _runs(captions: Iterable[Caption], exclusive: Sequence[VoiceSpan]) -> Iterator[VoiceRun]:
    for caption in captions:
        first = 0
        for voice, words in by_voice(in_order(caption.words), exclusive):
            if voice is not None:
                yield VoiceRun(caption.utterance, first, len(words), voice)
            first += len(words)


def _numbers(heard: Heard, found: Sequence[VoiceRun]) -> dict[int, int]:
    """The number of each voice of ``found``: of the voice it was live, by the words that both said."""
    known = heard.known
    again = heard.again
    said_then = _places(run for run in heard.runs if run.utterance in again)
    before = {place: settled_voice(known, heard.participant, voice) for place, voice in said_then if voice}
    now = dict(_places(found))
    both = Counter((now[place], before[place]) for place in now if place in before)
    said, said_live = Counter(now.values()), Counter(before.values())
    numbers: dict[int, int] = {}
    for (voice, live), count in sorted(
        both.items(), key=lambda each: (heard.is_named(each[0][1]), each[1]), reverse=True
    ):
        same = count >= _LEAST_SHARE * max(said[voice], said_live[live])
        if same and voice not in numbers and live not in numbers.values():
            numbers[voice] = live
    taken = {voice for _, voice in known} | {run.voice for run in heard.runs} | set(said_live)
    free = (number for number in range(1, FIRST_MADE) if number not in taken)
    for voice in sorted(said):
        if voice not in numbers:
            numbers[voice] = next(free, FIRST_MADE - 1)
    return numbers


def _places(runs: Iterable[VoiceRun]) -> Iterator[tuple[tuple[UtteranceId, int], int]]:
    """Each word that somebody said, by number, and the voice that said it."""
    for run in runs:
        for word in range(run.first, run.first + run.count):
            yield (run.utterance, word), run.voice


def _sounding(heard: Heard, found: Diarization, numbers: Mapping[int, int]) -> list[KnownVoice]:
    """Centroids of another model than those that are known are worth nothing beside them."""
    sizes = {voice.centroid.shape for voice in heard.voices if voice.centroid is not None}
    return [
        KnownVoice(heard.participant, numbers[voice], centroid=centroid)
        for voice, centroid in zip(found.voices, found.centroids, strict=False)
        if voice in numbers and sizes <= {centroid.shape} and _says_something(centroid)
    ]


# --- voices without their sound -------------------------------------------------------------------------------


def by_centroids(heard: Heard) -> list[VoiceRun]:
    """``runs`` with those voices as one that turn out to sound alike; two that have names stay two."""
    known, numbers = heard.known, {}
    words = Counter[int]()
    for run in heard.runs:
        numbers[run.voice] = settled_voice(known, heard.participant, run.voice)
        words[numbers[run.voice]] += run.count
    merged = _merged(heard, words)
    return [replace(run, voice=merged[numbers[run.voice]]) for run in heard.runs]


def _merged(heard: Heard, words: Mapping[int, int]) -> dict[int, int]:
    """The voice that each of ``words`` becomes: the two nearest ones first, by the mean of what they sound like."""
    sounds = {
        known.voice: _unit(known.centroid)
        for known in heard.voices
        if known.voice in words and known.centroid is not None and _says_something(known.centroid)
    }
    merged = {voice: voice for voice in words}
    weights = dict(words)
    while True:
        pairs = [
            (float(1.0 - sounds[one] @ sounds[other]), one, other)
            for one, other in combinations(sorted(sounds), 2)
            if sounds[one].shape == sounds[other].shape and not (heard.is_named(one) and heard.is_named(other))
        ]
        distance, one, other = min(pairs, default=(float("inf"), 0, 0))
        if distance > ALIKE:
            return merged
        into, gone = (
            (one, other)
            if (heard.is_named(one), weights[one]) >= (heard.is_named(other), weights[other])
            else (other, one)
        )
        sounds[into] = _unit(weights[into] * sounds[into] + weights[gone] * sounds[gone])
        weights[into] += weights[gone]
        merged = {voice: into if number == gone else number for voice, number in merged.items()}
        del sounds[gone]


def _says_something(centroid: NDArray[Any]) -> bool:
    return bool(np.isfinite(centroid).all() and centroid.any())


def _unit(centroid: NDArray[Any]) -> NDArray[np.float64]:
    wide = centroid.astype(np.float64)
    return wide / np.linalg.norm(wide)
