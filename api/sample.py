"""The sample conversation, replayed as participants of a meeting: for somebody who has no microphone at hand."""

import asyncio
import json
import logging
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from media_gateway.files import FileTap, Recording, read_recording
from pipeline.domain import SAMPLE_RATE, MeetingId, Participant, ParticipantId, Samples, Track
from pipeline.errors import GreffierError, NotFound
from pipeline.running import LiveMeeting

_log = logging.getLogger("greffier.sample")

_FOLDER = Path(__file__).parent / "sample_meeting"
"""A link to ``sample`` in a checkout, so that a wheel holds what stands there."""


@dataclass(frozen=True, slots=True)
class SampleVoice:
    """One recording, spoken by ``name`` from ``start`` seconds on."""

    name: str
    path: Path
    start: float
    language: str


@dataclass(frozen=True, slots=True)
class Script:
    title: str
    voices: tuple[SampleVoice, ...]
    seconds: float


def sample_folder() -> Path:
    """Raises ``NotFound`` where it is not installed."""
    if (_FOLDER / "meeting.json").is_file():
        return _FOLDER
    raise NotFound("the sample conversation is not installed with this Greffier; its source has it in sample/")


def read_script() -> Script:
    folder = sample_folder()
    script = json.loads((folder / "meeting.json").read_text(encoding="utf-8"))
    voices = tuple(
        SampleVoice(turn["participant"], folder / turn["file"], turn["start"], turn["language"])
        for turn in script["tracks"]
    )
    seconds = max(voice.start + (Recording.open(voice.path).duration or 0.0) for voice in voices)
    return Script(script["title"], voices, seconds)


def mixed(script: Script) -> Samples:
    """Everybody of it as one microphone in their room hears them: (n,) at 16 kHz."""
    said = [(round(voice.start * SAMPLE_RATE), read_recording(voice.path)) for voice in script.voices]
    room = np.zeros(max(start + len(sound) for start, sound in said), np.int32)
    for start, sound in said:
        room[start : start + len(sound)] += sound
    return np.clip(room, -32768, 32767).astype(np.int16)


def write_mixed(script: Script, folder: Path) -> Path:
    """``mixed`` as a WAV file in ``folder``."""
    path = folder / "room.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(mixed(script).astype("<i2").tobytes())
    return path


@dataclass(slots=True)
class Sample:
    """Plays it in any number of meetings, in each once at a time: at most four tasks per meeting."""

    _playing: dict[MeetingId, "asyncio.Task[None]"] = field(default_factory=dict)

    async def play(self, meeting: LiveMeeting) -> Script:
        """Sets the voices going and returns at once. Raises ``NotFound`` where there is no sample."""
        script = await asyncio.to_thread(read_script)
        name = meeting.meeting.id
        if name not in self._playing:
            self._playing[name] = playing = asyncio.create_task(self._play(meeting, script))
            playing.add_done_callback(lambda _: self._playing.pop(name, None))
        return script

    async def close(self) -> None:
        playing = [*self._playing.values()]
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    @staticmethod
    async def _play(meeting: LiveMeeting, script: Script) -> None:
        began = meeting.now()
        try:
            taps = [await _joined(meeting, number, voice, began) for number, voice in enumerate(script.voices, 1)]
            async with asyncio.TaskGroup() as group:
                for tap, track in taps:
                    group.create_task(meeting.publish(tap, track))
        except* GreffierError as failures:  # such as: the meeting is over
            _log.info("sample.stopped", extra={"errors": [type(each).__name__ for each in failures.exceptions]})


async def _joined(meeting: LiveMeeting, number: int, voice: SampleVoice, began: float) -> tuple[FileTap, Track]:
    participant = Participant(ParticipantId(f"sample-{number}"), voice.name)
    track = await meeting.join(participant, (voice.language,))
    return FileTap(voice.path, track, meeting, start=began + voice.start), track
