"""The voices of a recording become its participants; where they cannot be told apart, no word is lost."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pipeline import mixed
from pipeline.domain import (
    SAMPLE_RATE,
    Diarization,
    Participant,
    ParticipantId,
    RecordingId,
    Samples,
    SpeakerCount,
    VoiceSpan,
    Word,
)
from pipeline.errors import ModelUnavailable, NotFound
from pipeline.mixed import VoiceSearch, spoken_by
from pipeline.offline import Piece
from pipeline.record.matching import ParticipantSpeech
from pipeline.record.texts import text_of
from tests.pipeline.test_jobs import DONE, RUNNING, Desk, Sound, desk, spoken
from tests.recordings import silence

BOARD = Participant(ParticipantId("recording"), "Board")
ANY = SpeakerCount()
Progress = Callable[[float], None] | None


@dataclass(slots=True)
class Voices:
    """A diarizer that finds what it is told; while its door is shut it tells of its progress and goes on."""

    spans: tuple[VoiceSpan, ...] = ()
    error: Exception | None = None
    heard: list[int] = field(default_factory=list)
    threads: list[tuple[str, int]] = field(default_factory=list)
    door: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.door.set()

    def diarize(self, samples: Samples, speakers: SpeakerCount = ANY, progress: Progress = None) -> Diarization:
        self.heard.append(len(samples))
        priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self.threads.append((threading.current_thread().name, priority))
        done = 0.0
        try:
            while not self.door.wait(0.02):
                done = min(done + 0.02, 1.0)
                if progress is not None:
                    progress(done)
        finally:
            self.ended.set()
        if self.error is not None:
            raise self.error
        return Diarization(self.spans, self.spans)


async def transcribed(
    one: Desk, sound: Sound, people: Sequence[ParticipantSpeech] = ()
) -> tuple[list[str], list[tuple[str, str]]]:
    """The names of its participants, and who said what."""
    recording = await one.uploaded("board", sound, people)
    await one.jobs.start()
    job = await one.state(recording, DONE)
    transcript = await one.store.transcript(job.meeting)
    said = [(segment.participant.name, text_of(segment)[0]) for segment in transcript.segments]
    return [participant.name for participant in transcript.participants], said


def two_of(sound: Sound) -> tuple[VoiceSpan, ...]:
    """A voice for each half."""
    assert sound.duration is not None
    return VoiceSpan(1, 0.0, sound.duration / 2), VoiceSpan(2, sound.duration / 2, sound.duration)


# --- in a job -------------------------------------------------------------------------------------------------


async def test_each_voice_of_a_recording_is_a_participant_and_all_of_its_sound_is_searched(tmp_path: Path) -> None:
    sound = spoken(2)
    voices = Voices(two_of(sound))
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        names, said = await transcribed(one, sound)
    assert names == ["The board (voix 1)", "The board (voix 2)"]
    assert said == [("The board (voix 1)", "board."), ("The board (voix 2)", "board.")]
    assert voices.heard == [round((sound.duration or 0.0) * SAMPLE_RATE)]
    ((name, priority),) = voices.threads
    assert name == "voices_0"
    assert priority >= 10 or sys.platform != "linux"


async def test_a_voice_has_the_name_of_who_spoke_when_it_did_as_uploaded_and_another_its_number(tmp_path: Path) -> None:
    sound = spoken(2)
    people = (ParticipantSpeech("Anne Martin", (((sound.duration or 0.0) / 2, 100.0),)),)
    async with desk(tmp_path, voices=VoiceSearch(lambda: Voices(two_of(sound)))) as one:
        names, said = await transcribed(one, sound, people)
        assert await one.store.speech_in(RecordingId("board")) == ()
    assert names == ["The board (voix 1)", "Anne Martin"]
    assert said == [("The board (voix 1)", "board."), ("Anne Martin", "board.")]


async def test_one_voice_is_the_recording_itself(tmp_path: Path) -> None:
    sound = spoken(2)
    voices = Voices((VoiceSpan(1, 0.0, 60.0),))
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        assert await transcribed(one, sound) == (["The board"], [("The board", "board.")] * 2)


async def test_a_recording_of_silence_has_its_one_participant(tmp_path: Path) -> None:
    async with desk(tmp_path, voices=VoiceSearch(Voices)) as one:
        assert await transcribed(one, Sound(lambda: iter([silence(10.0)]))) == (["The board"], [])


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), ModelUnavailable("no such model"), MemoryError()])
async def test_a_search_that_fails_costs_no_word_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    sound = spoken(2)
    async with desk(tmp_path, voices=VoiceSearch(lambda: Voices(error=error))) as one:
        assert await transcribed(one, sound) == (["The board"], [("The board", "board.")] * 2)
    (logged,) = [record for record in caplog.records if record.msg == "recording.voices_unknown"]
    assert logged.__dict__["recording"] == "board"
    assert "secret" not in str(logged.__dict__["error"])


async def test_a_model_that_is_not_there_costs_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def lacking() -> Voices:
        raise ModelUnavailable("there is no model")

    async with desk(tmp_path, voices=VoiceSearch(lacking)) as one:
        assert (await transcribed(one, spoken()))[1] == [("The board", "board.")]
    assert "recording.voices_unknown" in caplog.messages


@pytest.mark.parametrize("known", [True, False])
async def test_longer_recordings_go_without_voices(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(mixed, "LONGEST", 10.0)
    sound, voices = spoken(2), Voices()
    if not known:
        sound.duration = None
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        assert await transcribed(one, sound) == (["The board"], [("The board", "board.")] * 2)
    assert voices.heard == []
    assert "voices are told apart in 6 hours of sound at most" in {
        each.__dict__.get("error") for each in caplog.records
    }


async def test_progress_goes_on_while_voices_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.jobs._TELL", 0.0)
    sound = spoken(2)
    voices = Voices(two_of(sound))
    voices.door.clear()
    seen = []
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        recording = await one.uploaded("board", sound)
        await one.jobs.start()
        async with asyncio.timeout(20.0):
            while (job := await one.store.recording(recording)).state is not DONE:
                seen.append(job.progress)
                if job.progress > 0.9:
                    voices.door.set()
                await asyncio.sleep(0.01)
    assert seen == sorted(seen)
    assert len({progress for progress in seen if 0.6 < progress < 0.99}) > 3


async def test_a_process_that_stops_ends_the_search_and_leaves_the_recording_to_the_next(tmp_path: Path) -> None:
    sound = spoken(2)
    voices = Voices(two_of(sound))
    voices.door.clear()
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        recording = await one.uploaded("board", sound)
        await one.jobs.start()
        async with asyncio.timeout(20.0):
            while not voices.heard:  # noqa: ASYNC110 - a thread fills it
                await asyncio.sleep(0.02)
        began = time.monotonic()
        await one.jobs.close()
        assert time.monotonic() - began < 3.0
        assert await asyncio.to_thread(voices.ended.wait, 5.0)
        assert (await one.store.recording(recording)).state is RUNNING


async def test_a_recording_deleted_meanwhile_ends_the_search_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.jobs._TELL", 0.0)
    voices = Voices()
    voices.door.clear()
    async with desk(tmp_path, voices=VoiceSearch(lambda: voices)) as one:
        recording = await one.uploaded("board")
        await one.jobs.start()
        job = await one.state(recording, RUNNING)
        async with asyncio.timeout(20.0):
            while not voices.heard:  # noqa: ASYNC110 - a thread fills it
                await asyncio.sleep(0.02)
        await one.store.delete_recording(recording)
        assert await asyncio.to_thread(voices.ended.wait, 5.0)
        with pytest.raises(NotFound):
            await one.store.meeting(job.meeting)


def test_the_diarizer_is_made_once_and_nothing_before_the_first_recording() -> None:
    made: list[Voices] = []

    def new() -> Voices:
        made.append(Voices((VoiceSpan(1, 0.0, 1.0),)))
        return made[-1]

    search = VoiceSearch(new)
    assert made == []
    sound = Sound(lambda: iter([np.zeros(SAMPLE_RATE, np.int16)]))
    for _ in range(2):
        assert search.find(RecordingId("r"), sound, lambda _: None) == (VoiceSpan(1, 0.0, 1.0),)
    assert [one.heard for one in made] == [[SAMPLE_RATE] * 2]


# --- who said what --------------------------------------------------------------------------------------------


def words(*starts: float) -> tuple[Word, ...]:
    return tuple(Word(f" {start:g}", start, start + 0.4) for start in starts)


def test_a_sentence_is_divided_where_the_voice_changes_and_each_caption_names_its_participant() -> None:
    sentences = [Piece(words(0.0, 1.0, 2.0), "en"), Piece(words(5.0), "fr")]
    spans = (VoiceSpan(1, 0.0, 0.9), VoiceSpan(2, 0.9, 2.5), VoiceSpan(1, 5.0, 6.0))
    people, captions = spoken_by(BOARD, sentences, spans)
    assert [(who.id, who.name) for who in people] == [
        ("recording-1", "Board (voix 1)"),
        ("recording-2", "Board (voix 2)"),
    ]
    assert [(each.track, each.utterance, each.language) for each in captions] == [
        ("recording-1", "recording-1.1", "en"),
        ("recording-2", "recording-2.2", "en"),
        ("recording-1", "recording-1.3", "fr"),
    ]
    assert [word for each in captions for word in each.words] == [word for each in sentences for word in each.words]


def test_words_that_no_voice_is_near_stay_with_the_recording() -> None:
    spans = (VoiceSpan(1, 0.0, 0.5), VoiceSpan(2, 1.0, 1.5))
    people, captions = spoken_by(BOARD, [Piece(words(0.0, 1.0, 9.0), "en")], spans)
    assert [who.name for who in people] == ["Board (voix 1)", "Board (voix 2)", "Board"]
    assert captions[-1].track == "recording"


def test_voices_of_one_participant_are_told_apart_and_those_without_a_word_do_not_count() -> None:
    spans = (VoiceSpan(1, 0.0, 0.9), VoiceSpan(2, 1.0, 1.9), VoiceSpan(3, 8.0, 9.0))
    room = ParticipantSpeech("Salle Descartes", ((0.0, 9.0),))
    sentences = [Piece(words(0.0, 1.0), "fr")]
    people, _ = spoken_by(BOARD, sentences, spans, (room,))
    assert [(who.id, who.name) for who in people] == [
        ("recording-1", "Salle Descartes (SPEAKER_00)"),
        ("recording-2", "Salle Descartes (SPEAKER_01)"),
    ]
    people, _ = spoken_by(BOARD, sentences, spans[::2], (room,))
    assert [(who.id, who.name) for who in people] == [("recording-1", "Salle Descartes")]


def test_a_second_voice_without_a_word_is_none() -> None:
    people, captions = spoken_by(BOARD, [Piece(words(0.0), "en")], (VoiceSpan(1, 0.0, 1.0), VoiceSpan(2, 3.0, 4.0)))
    assert (people, [each.track for each in captions]) == ((BOARD,), ["recording"])


def test_six_hours_of_talk_are_attributed_in_a_moment() -> None:
    def talk() -> Iterator[Piece]:
        for start in range(0, 6 * 3600, 4):
            yield Piece(words(*(start + 0.5 * step for step in range(8))), "en")

    spans = tuple(VoiceSpan(1 + place % 3, 2.0 * place, 2.0 * place + 2.0) for place in range(3 * 3600))
    sentences = list(talk())
    began = time.process_time()
    people, captions = spoken_by(BOARD, sentences, spans)
    assert time.process_time() - began < 10.0  # all spans for each word would take minutes
    assert len(people) == 3
    assert sum(len(each.words) for each in captions) == 8 * len(sentences)
