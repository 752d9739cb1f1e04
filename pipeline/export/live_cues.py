"""Cues of a meeting that goes on: each phrase once, as soon as its words are committed, never changed after.

A phrase ends by the rules of ``flow`` and ``breaks``, and earlier where a live reader would wait: at the end of a
sentence that stood 5/6 s, and at a comma after half a line. Its cuts depend on the words alone, not on when or in what
portions they were committed: every reader, and whoever reads the final later, gets the same cues.

Where several people share a microphone a cue names the voice that said it, if that is known by then; else the
participant alone, for ever.
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
from pipeline.export.event import Reading, seconds, word_of
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
        self._runs: dict[UtteranceId, Runs] = {}

    def event(self, event: Mapping[str, Any]) -> tuple[LiveCue, ...]:
        """The cues that an event of the feed settles; none unless it is a caption."""
        if event["type"] == "voices":
            self.label(event["utterance"], event["runs"])
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

    def label(self, utterance: UtteranceId, runs: "Runs") -> None:
        """Which voices said words of ``utterance``, as far as it is known: the cues that come now name them."""
        self._runs[utterance] = runs

    def _utterance(self, track: TrackId, utterance: UtteranceId) -> "_Utterance":
        key = track, utterance
        if key not in self._utterances:
            self._utterances[key] = _Utterance(utterance)
        return self._utterances[key]

    def _cues(
        self, utterance: "_Utterance", new: Iterable[Word], language: str, final: bool, speaker: str
    ) -> tuple[LiveCue, ...]:
        if utterance.finished:
            return ()
        utterance.runs = self._runs.get(utterance.id, ())
        found = list(chain.from_iterable(utterance.add(word, language) for word in new))
        if final:
            found += utterance.finish(language)
        return tuple(LiveCue(cue, one_line(voice or speaker) or NOBODY, settled) for cue, settled, voice in found)


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


def labels_first(batch: Iterable[Reading]) -> list[Reading]:
    """In this order ``LiveCues`` know as many voices as they can: a caption may come again after its labels."""
    return sorted(batch, key=lambda reading: reading.event["type"] != "voices")


def moved_to(live: LiveCue, start: float) -> LiveCue:
    """``live`` shown as long as before, from ``start`` on."""
    cue = live.cue
    if start == cue.start:
        return live
    return LiveCue(
        Cue(cue.id, start, seconds(start + cue.end - cue.start), cue.lines, cue.speaker), live.voice, live.settled
    )


Runs = Sequence[Mapping[str, Any]]
"""What a ``voices`` event says of its words: ``first``, ``count`` and the ``speaker`` who said them."""
_Found = tuple[Cue, float, str | None]
"""A cue, the end of the word that settled it, and the name of its voice where that is known."""


class _Utterance:
    """The words of one utterance that stand in no cue yet."""

    def __init__(self, identity: UtteranceId) -> None:
        self.id = identity
        self.runs: Runs = ()
        # A WebVTT cue identifier is one line without "-->" (WebVTT, section 4.1).
        self._name = one_line(identity).replace(">", "") or "cue"
        self._segment = SegmentId(identity)
        self._rest: list[Word] = []
        self._number = 0
        self._end_ms = 0
        self._reached = float("-inf")
        self.seen = 0
        self.finished = False

    def add(self, word: Word, language: str) -> Iterator[_Found]:
        """The cues that one more committed word settles, each with the end of that word."""
        self.seen += 1
        start = max(seconds(word.start), self._reached)
        may_settle = self._may_settle(start)
        self._rest.append(Word(allowed(word.text), start, max(seconds(word.end), start)))
        self._reached = start
        if may_settle:
            yield from self._settle(language)

    def finish(self, language: str) -> Iterator[_Found]:
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

    def _settle(self, language: str) -> Iterator[_Found]:
        while pieces := self._pieces(language):
            count = _settled(pieces)
            if not count:
                return
            yield from self._cues(drafts_of(pieces[:count], "", _never), pieces[count].start)
            self._rest = _after(self._rest, sum(_visible(piece.text) for piece in pieces[:count]))

    def _pieces(self, language: str) -> list[Piece]:
        return list(pieces_of_words(self._rest, self._segment, language))

    def _cues(self, drafts: Sequence[Draft], following: float | None) -> Iterator[_Found]:
        begun = 0
        for draft, after in zip_longest(drafts, drafts[1:]):
            self._number += 1
            start, self._end_ms = shown_ms(draft, self._end_ms, after.start if after else following)
            cue = Cue(f"{self._name}.{self._number}", start / 1000, self._end_ms / 1000, draft.lines)
            length = sum(_visible(piece.text) for piece in draft.pieces)
            yield cue, self._rest[-1].end, self._voice(begun, begun + length)
            begun += length

    def _voice(self, begin: int, end: int) -> str | None:
        """Who said the visible characters ``begin`` to ``end`` of the rest, alone and half of the words at least."""
        if not self.runs:
            return None
        said_by: list[str | None] = []
        place = 0
        for number, word in enumerate(self._rest, self.seen - len(self._rest)):
            length = _visible(word.text)
            if max(place, begin) < min(place + length, end):
                said_by.append(self._speaker(number))
            place += length
        known = set(said_by) - {None}
        return known.pop() if len(known) == 1 and 2 * said_by.count(None) <= len(said_by) else None

    def _speaker(self, number: int) -> str | None:
        for run in self.runs:
            if run["first"] <= number < run["first"] + run["count"]:
                return str(run["speaker"])
        return None


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
