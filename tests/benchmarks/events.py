"""Reads what ``greffier caption`` wrote: the event log and the transcript."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its leading space, in the time of its track's file."""

    text: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True)
class Event:
    sent_at: float
    track: str
    utterance: str
    revision: int
    final: bool
    language: str
    committed: str
    tail: str
    words: tuple[TimedWord, ...]
    lag: float = 0.0

    @property
    def shown(self) -> str:
        return self.committed + self.tail


Utterance = Sequence[Event]


@dataclass(frozen=True, slots=True)
class Text:
    """One text of one segment of a transcript."""

    track: str
    start: float
    end: float
    language: str
    words: tuple[TimedWord, ...]


def read_events(path: Path) -> list[Event]:
    """The captions; other events have a ``type``."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [event_of(row) for row in rows if "type" not in row]


def event_of(row: dict) -> Event:
    words = tuple(TimedWord(word["text"], word["start"], word["end"]) for word in row["words"])
    kept = {name: row[name] for name in Event.__slots__ if name in row and name != "words"}
    return Event(words=words, **kept)


def by_track(events: Iterable[Event]) -> dict[str, list[Event]]:
    tracks = defaultdict(list)
    for event in events:
        tracks[event.track].append(event)
    return dict(tracks)


def by_utterance(events: Iterable[Event]) -> dict[tuple[str, str], list[Event]]:
    """The events of each utterance in the order they were sent."""
    utterances = defaultdict(list)
    for event in events:
        utterances[event.track, event.utterance].append(event)
    return dict(utterances)


def caption_words(events: Iterable[Event]) -> list[TimedWord]:
    """The committed words at the end of the log, in order of their time."""
    last = [utterance[-1].words for utterance in by_utterance(events).values()]
    return sorted(chain.from_iterable(last), key=lambda word: word.start)


def read_texts(path: Path) -> list[Text]:
    """The text that stands for each segment of a transcript."""
    texts = []
    for segment in _transcript(path)["segments"]:
        chosen = next(
            (text for text in segment["texts"] if text["origin"] == segment["origin"] and text["words"]), None
        )
        if chosen:
            words = tuple(TimedWord(word["text"], word["start"], word["end"]) for word in chosen["words"])
            texts.append(Text(segment["track"], segment["start"], segment["end"], segment["language"], words))
    return texts


def count_gaps(path: Path) -> tuple[int, float]:
    """How many gaps a transcript marks, and their seconds in all."""
    gaps = _transcript(path)["gaps"]
    return len(gaps), sum(gap["end"] - gap["start"] for gap in gaps)


def _transcript(path: Path) -> dict:
    transcript: dict = json.loads(path.read_text(encoding="utf-8"))
    return transcript


def text_words(texts: Iterable[Text]) -> list[TimedWord]:
    return sorted(chain.from_iterable(text.words for text in texts), key=lambda word: word.start)
