"""Cues of a meeting that goes on: each phrase once, as soon as its words are committed, never changed after.

A phrase ends by the rules of ``flow`` and ``breaks``, and earlier where a live reader would wait: at the end of a
sentence that stood 5/6 s, and at a comma after half a line. Its cuts depend on the words alone, not on when or in what
portions they were committed: every reader, and whoever reads the final later, gets the same cues.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from typing import Any

from pipeline.domain import Caption, SegmentId, TrackId, UtteranceId, Word
from pipeline.export.breaks import CLAUSE_END, SENTENCE_END
from pipeline.export.characters import allowed, one_line
from pipeline.export.clock import exact
from pipeline.export.cue import Cue
from pipeline.export.cues import shown_ms
from pipeline.export.event import seconds, word_of
from pipeline.export.flow import LONGEST_S, SHORTEST_S, SILENCE_S, Draft, drafts_of
from pipeline.export.layout import break_costs
from pipeline.export.names import NOBODY
from pipeline.export.pieces import LINE_CHARACTERS, Piece, joined, pieces_of_words
from pipeline.export.webvtt import escaped

HEADER = "WEBVTT\n\n"
"""What a document of cue blocks begins with (WebVTT, section 4.1)."""

CLAUSE_CHARACTERS = LINE_CHARACTERS // 2
"""A phrase of this length may end at a comma."""


@dataclass(frozen=True, slots=True)
class LiveCue:
    """A phrase with its voice; ``settled`` is the end of the word that settled it, in seconds of meeting time."""

    cue: Cue
    voice: str
    settled: float

    @property
    def text(self) -> str:
        """The cue as a block of a WebVTT document, the blank line after it included."""
        first, *more = (escaped(line) for line in self.cue.lines)
        times = f"{exact(self.cue.start)} --> {exact(self.cue.end)}"
        # The end tag of a voice span may be left out where the span is the whole cue (WebVTT, section 4.2.2).
        lines = (self.cue.id, times, f"<v {escaped(self.voice)}>{first}", *more)
        return "".join(f"{line}\n" for line in lines) + "\n"


class LiveCues:
    """Turns the captions of one meeting into cues; states may come twice, late, or only the last of them."""

    def __init__(self) -> None:
        self._utterances: dict[tuple[TrackId, UtteranceId], _Utterance] = {}

    def event(self, event: Mapping[str, Any]) -> tuple[LiveCue, ...]:
        """The cues that an event of the feed settles; none unless it is a caption."""
        if event["type"] != "caption":
            return ()
        utterance = self._utterance(event["track"], event["utterance"])
        # An event holds all words of its utterance, and readers are many: only the new ones are looked at.
        new = map(word_of, event["words"][utterance.seen :])
        return self._cues(utterance, new, event["language"], event["final"], event["speaker"])

    def caption(self, caption: Caption, speaker: str) -> tuple[LiveCue, ...]:
        """The phrases that ``caption`` settles, in order of their text; a final settles all that is left."""
        utterance = self._utterance(caption.track, caption.utterance)
        return self._cues(utterance, caption.words[utterance.seen :], caption.language, caption.final, speaker)

    def _utterance(self, track: TrackId, utterance: UtteranceId) -> "_Utterance":
        key = track, utterance
        if key not in self._utterances:
            self._utterances[key] = _Utterance(utterance)
        return self._utterances[key]

    @staticmethod
    def _cues(
        utterance: "_Utterance", new: Iterable[Word], language: str, final: bool, speaker: str
    ) -> tuple[LiveCue, ...]:
        if utterance.finished:
            return ()
        found = list(chain.from_iterable(utterance.add(word, language) for word in new))
        if final:
            found += utterance.finish(language)
        voice = one_line(speaker) or NOBODY
        return tuple(LiveCue(cue, voice, settled) for cue, settled in found)


class GrowingDocument:
    """A WebVTT document that is written while the meeting goes on: cues by start, as section 4.1 asks.

    A phrase that is settled after one that begins later is shown from the beginning of that one on.
    """

    def __init__(self) -> None:
        self._cues = LiveCues()
        self._reached = 0.0

    def event(self, event: Mapping[str, Any]) -> str:
        """The blocks that an event of the feed adds after ``HEADER``, possibly none."""
        return "".join(self._block(cue) for cue in self._cues.event(event))

    def _block(self, live: LiveCue) -> str:
        moved = moved_to(live, max(live.cue.start, self._reached))
        self._reached = moved.cue.start
        return moved.text


def moved_to(live: LiveCue, start: float) -> LiveCue:
    """``live`` shown as long as before, from ``start`` on."""
    cue = live.cue
    if start == cue.start:
        return live
    return LiveCue(
        Cue(cue.id, start, seconds(start + cue.end - cue.start), cue.lines, cue.speaker), live.voice, live.settled
    )


class _Utterance:
    """The words of one utterance that stand in no cue yet."""

    def __init__(self, identity: UtteranceId) -> None:
        # A WebVTT cue identifier is one line without "-->" (WebVTT, section 4.1).
        self._name = one_line(identity).replace(">", "") or "cue"
        self._segment = SegmentId(identity)
        self._rest: list[Word] = []
        self._number = 0
        self._end_ms = 0
        self._reached = float("-inf")
        self.seen = 0
        self.finished = False

    def add(self, word: Word, language: str) -> Iterator[tuple[Cue, float]]:
        """The cues that one more committed word settles, each with the end of that word."""
        self.seen += 1
        start = max(seconds(word.start), self._reached)
        may_settle = self._may_settle(start)
        self._rest.append(Word(allowed(word.text), start, max(seconds(word.end), start)))
        self._reached = start
        if may_settle:
            yield from self._settle(language)

    def finish(self, language: str) -> Iterator[tuple[Cue, float]]:
        """All that is left, settled by the last word."""
        yield from self._cues(drafts_of(self._pieces(language), "", _never), None)
        self.finished = True
        self._rest.clear()

    def _may_settle(self, start: float) -> bool:
        """Whether a word that begins at ``start`` can settle anything: a cheap look before the careful one."""
        if not self._rest:
            return False
        before = self._rest[-1]
        over = start - self._rest[0].start > LONGEST_S or start - before.end > SILENCE_S
        long = sum(len(word.text) for word in self._rest) > 2 * LINE_CHARACTERS
        return over or long or not _MARKS.isdisjoint(before.text)

    def _settle(self, language: str) -> Iterator[tuple[Cue, float]]:
        while pieces := self._pieces(language):
            count = _settled(pieces)
            if not count:
                return
            yield from self._cues(drafts_of(pieces[:count], "", _never), pieces[count].start)
            self._rest = _after(self._rest, sum(_visible(piece.text) for piece in pieces[:count]))

    def _pieces(self, language: str) -> list[Piece]:
        return list(pieces_of_words(self._rest, self._segment, language))

    def _cues(self, drafts: Sequence[Draft], following: float | None) -> Iterator[tuple[Cue, float]]:
        for draft, after in zip_longest(drafts, drafts[1:]):
            self._number += 1
            start, self._end_ms = shown_ms(draft, self._end_ms, after.start if after else following)
            cue = Cue(f"{self._name}.{self._number}", start / 1000, self._end_ms / 1000, draft.lines)
            yield cue, self._rest[-1].end


_MARKS = frozenset('.?!…。？！,;:–—、，；："”»)]}」』）')
"""What a phrase can end with, or after."""


def _settled(pieces: Sequence[Piece]) -> int:
    """How many of ``pieces`` make phrases that are over; never the last piece, which may go on."""
    costs = break_costs(pieces)
    for count in range(len(pieces) - 1, 0, -1):
        stood = pieces[count].start - pieces[0].start >= SHORTEST_S
        if stood and costs[count - 1] == SENTENCE_END:
            return count
        if stood and costs[count - 1] == CLAUSE_END and len(joined(pieces[:count])) >= CLAUSE_CHARACTERS:
            return count
    first, *more = drafts_of(pieces, "", _never) if _is_over(pieces) else (None,)
    return len(first.pieces) if first and more else 0


def _is_over(pieces: Sequence[Piece]) -> bool:
    """Whether no single cue holds all ``pieces``; drafts of fewer may be two and are better left to go on."""
    too_long = pieces[-1].start - pieces[0].start > LONGEST_S or len(joined(pieces)) > 2 * LINE_CHARACTERS
    return too_long or any(after.start - before.end > SILENCE_S for before, after in pairwise(pieces))


def _never(after: float, until: float) -> bool:
    return False


def _visible(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _after(words: Sequence[Word], count: int) -> list[Word]:
    """``words`` without their first ``count`` visible characters; the rest of a word keeps its share of the time."""
    place = 0
    while count >= (length := _visible(words[place].text)):
        count -= length
        place += 1
    return [_rest_of(words[place], count), *words[place + 1 :]] if count else list(words[place:])


def _rest_of(word: Word, count: int) -> Word:
    places = [place for place, character in enumerate(word.text) if not character.isspace()]
    share = count / len(places)
    return Word(word.text[places[count] :], seconds(word.start + (word.end - word.start) * share), word.end)
