"""What was truly said in a track, and when: the manifest's words where present, else the yardstick's."""

from collections.abc import Iterable

from tests.benchmarks import yardstick
from tests.benchmarks.corpus import Clip, Span
from tests.benchmarks.events import TimedWord
from tests.benchmarks.latency import TrueWord, true_words
from tests.benchmarks.mixing import TrackFile, shift


def words_of(clip: Clip) -> list[TimedWord]:
    """Words with their true times."""
    if clip.words:
        return [TimedWord(word.text, word.start, word.end) for word in clip.words]
    return held_in_speech(yardstick.read(clip, vad=False).words, yardstick.speech_of(clip))


def held_in_speech(words: Iterable[TimedWord], speech: Iterable[Span]) -> list[TimedWord]:
    """Words that end with the speech they begin in: Whisper draws a word out into the pause that follows it."""
    spans = list(speech)
    held = []
    for word in words:
        end = next((stop for start, stop in spans if start <= word.start < stop), word.end)
        held.append(TimedWord(word.text, word.start, min(word.end, end)))
    return held


def truth_of(track: TrackFile) -> list[TrueWord]:
    """The true words of a track, in its time and order, of every clip that sounds in it."""
    found = []
    for place in track.placed:
        words = [word for word in words_of(place.clip) if word.end + place.offset <= track.duration]
        found += [TrueWord(word.text, word.start + place.offset, word.end + place.offset) for word in true_words(words)]
    return found


def speech_in(track: TrackFile) -> list[Span]:
    """The voiced spans of a track by the detector, of every clip that sounds in it."""
    spans = [span for place in track.placed for span in shift(yardstick.speech_of(place.clip), place.offset)]
    return [(start, min(end, track.duration)) for start, end in spans if start < track.duration]


def said_in(track: TrackFile) -> list[Span]:
    """The voiced spans of a track, and the words that people found in it by hand: a detector misses an "mm-hmm"."""
    words = [
        (word.start + place.offset, word.end + place.offset)
        for place in track.placed
        for word in place.clip.words
        if word.start + place.offset < track.duration
    ]
    return speech_in(track) + words
