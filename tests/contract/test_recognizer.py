"""What every ``Recognizer`` keeps to, whatever its engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from api.settings import read_settings
from models.batching import Batcher, BatchSettings
from models.faster_whisper import EngineSettings, WhisperEngine
from models.scripted import ScriptedEngine
from models.weights import locate
from pipeline.domain import SAMPLE_RATE, Hypothesis, Samples, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.ports import Recognizer
from tests.recordings import heard as recording

SPOKEN, SILENT = TrackId("spoken"), TrackId("silent")
SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A recogniser and four seconds of speech that it can hear, in English."""

    open: Callable[[], AbstractAsyncContextManager[Recognizer]]
    speech: Samples


def scripted() -> Subject:
    script = {SPOKEN: [Word(f" word{k}", 10.0 + k * 0.5, 10.4 + k * 0.5) for k in range(8)]}
    return Subject(lambda: Batcher(ScriptedEngine(script), BatchSettings(gather=0.001)), silence())


def silence() -> Samples:
    return np.zeros(round(SECONDS * SAMPLE_RATE), np.int16)


def whisper() -> Subject:
    """The real model, which forces each word of a prefix here, however few."""
    return Subject(
        lambda: Batcher(whisper_engine(), BatchSettings(gather=0.001)), recording("en_jfk.flac")[: len(silence())]
    )


@cache
def whisper_engine() -> WhisperEngine:
    folder = locate("whisper-base", read_settings().cache)
    return WhisperEngine(folder, EngineSettings(device="cpu", compute_type="int8", forced=1))


SUBJECTS = [scripted, whisper]
"""One function per recogniser; those with real models join here."""


@pytest.fixture(params=SUBJECTS, ids=lambda make: make.__name__)
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.param()
    return made


@pytest.fixture
async def recognizer(subject: Subject) -> AsyncIterator[Recognizer]:
    async with subject.open() as opened:
        yield opened


@dataclass(slots=True)
class Wish:
    window: Window
    samples: Samples
    wanted: bool = True

    @property
    def kind(self) -> WindowKind:
        return self.window.kind

    def cut(self) -> tuple[Window, Samples] | None:
        return (self.window, self.samples) if self.wanted else None


def window(
    track: TrackId = SPOKEN, kind: WindowKind = WindowKind.LIVE, language: str | None = "en", **more: object
) -> Window:
    languages = ("en",) if language else ("fr", "en")
    described = Window(track, UtteranceId(f"{track}#1"), kind, 10.0, 10.0 + SECONDS, languages, language)
    return Window(**{name: getattr(described, name) for name in Window.__slots__} | more)


async def heard(recognizer: Recognizer, wish: Wish) -> Hypothesis:
    answer = await recognizer.recognize(wish)
    assert answer is not None
    assert answer[0] == wish.window
    return answer[1]


@pytest.mark.parametrize("kind", list(WindowKind))
async def test_speech_gives_words_in_meeting_time(recognizer: Recognizer, subject: Subject, kind: WindowKind) -> None:
    hypothesis = await heard(recognizer, Wish(window(kind=kind), subject.speech))
    assert hypothesis.language == "en"
    assert hypothesis.words
    moment = 10.0
    for word in hypothesis.words:
        assert moment - 1e-6 <= word.start <= word.end <= 10.0 + SECONDS + 1e-6
        assert word.text.startswith(" ")
        assert 0.0 <= word.confidence <= 1.0
        moment = word.start


async def test_silence_gives_no_words(recognizer: Recognizer) -> None:
    assert (await heard(recognizer, Wish(window(SILENT), silence()))).words == ()


async def test_no_audio_gives_no_words(recognizer: Recognizer) -> None:
    empty = window(SILENT, end=10.0)
    assert (await heard(recognizer, Wish(empty, silence()[:0]))).words == ()


async def test_the_words_of_the_prefix_are_not_said_again(recognizer: Recognizer, subject: Subject) -> None:
    whole = await heard(recognizer, Wish(window(), subject.speech))
    prefix = whole.words[:4]
    rest = await heard(recognizer, Wish(window(prefix=prefix), subject.speech))
    assert len(rest.words) <= len(whole.words) - 2


async def test_an_unknown_language_is_one_of_those_declared_and_scored(
    recognizer: Recognizer, subject: Subject
) -> None:
    hypothesis = await heard(recognizer, Wish(window(language=None, detect_language=True), subject.speech))
    assert hypothesis.language == "en"
    assert [name for name, _ in hypothesis.language_scores] == ["fr", "en"]
    assert dict(hypothesis.language_scores)["en"] > 0.5


async def test_what_is_no_longer_wanted_is_answered_with_nothing(recognizer: Recognizer, subject: Subject) -> None:
    assert await recognizer.recognize(Wish(window(), subject.speech, wanted=False)) is None


async def test_windows_recognised_together_get_each_their_own_words(recognizer: Recognizer, subject: Subject) -> None:
    wishes = [
        Wish(window(), subject.speech),
        Wish(window(SILENT), silence()),
        Wish(window(kind=WindowKind.FINAL), subject.speech),
        Wish(window(kind=WindowKind.RECORD), subject.speech),
    ]
    spoken, silent, final, record = await asyncio.gather(*(heard(recognizer, wish) for wish in wishes))
    assert spoken.words
    assert final.words
    assert record.words
    assert not silent.words
