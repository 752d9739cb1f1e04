"""Recordings in any container that holds its sound itself, as 16 kHz mono. PyAV's errors are mapped here only.

Playlists and session descriptions (HLS, concat, SDP) make FFmpeg open other files and addresses; they are not read.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from media_gateway.resample import Resampler, to_planes
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import UnreadableMedia

_log = logging.getLogger("greffier.recording")

_LONGEST_HOLE = 600.0
"""Seconds of missing sound that timestamps are believed about."""
_SHORTEST_HOLE = 0.02
"""Seconds; containers round their timestamps by less."""
_LOW_FREQUENCIES = ("LFE", "LFE2")
_RATES = range(2_000, 800_000)
"""Hz. What claims less would become hours of sound for every second of work."""
_CONTAINERS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,"
    "mxf,nut,ogg,rm,tta,voc,w64,wav,webm,wv"
)
_OPEN = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", "max_size": "8192"}
"""``max_size``: bytes of WAV at a time, a quarter of a second; FFmpeg's own 2 KB cost as much each."""
_WHAT_TO_GIVE = "give a recording with sound (wav, mp3, m4a, ogg, flac, webm, mp4 ...)"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that can be decoded; ``duration`` is in seconds, None when the container does not say.

    ``name`` is what errors call it, instead of its path.
    """

    path: Path
    duration: float | None
    name: str = ""

    @classmethod
    def open(cls, path: Path, name: str = "") -> "Recording":
        """Looks into a file without decoding it; raises ``UnreadableMedia``."""
        with _opened(path, name) as (container, stream):
            if stream.duration is not None and stream.time_base is not None:
                return cls(path, float(stream.duration * stream.time_base), name)
            known = container.duration
            return cls(path, None if known is None else known / av.time_base, name)

    @classmethod
    def measure(cls, path: Path, name: str = "") -> "Recording":
        """Reads a file through, without decoding it: its duration is what it holds, whatever its head claims."""
        with _opened(path, name) as (container, stream):
            ticks = 0
            with suppress(av.FFmpegError, OSError):
                for packet in container.demux(stream):
                    ticks += packet.duration or 0
            if not ticks or stream.time_base is None:
                return cls.open(path, name)
            return cls(path, float(ticks * stream.time_base), name)

    def pieces(self, seconds: float = 30.0) -> Iterator[Samples]:
        """The sound in pieces of ``seconds``, the last one shorter; raises ``UnreadableMedia``.

        What cannot be decoded in the middle of a file is silence, as long as the timestamps say; a file that breaks
        off ends there.
        """
        wanted = round(seconds * SAMPLE_RATE)
        held: list[Samples] = []
        count = 0
        for part in _decoded(self.path, self.name):
            held.append(part)
            count += len(part)
            while count >= wanted:
                whole = np.concatenate(held)
                yield whole[:wanted]
                held = [whole[wanted:]]
                count -= wanted
        if count:
            yield np.concatenate(held)


def read_recording(path: Path) -> Samples:
    """A whole recording, 16 kHz mono of shape (n,); raises ``UnreadableMedia``."""
    held = bytearray()  # grows in place: no second copy of six hours
    for piece in Recording(path, None).pieces():
        held += piece.tobytes()
    return np.frombuffer(held, np.int16)


@contextmanager
def _opened(path: Path, name: str = "") -> Iterator[tuple["av.container.InputContainer", "av.AudioStream"]]:
    named = name or str(path)
    try:
        if path.is_dir():
            raise UnreadableMedia(f"{named} is a folder, not a recording; name the files inside it")
        if not path.exists():
            raise UnreadableMedia(f"{named} does not exist")
        if path.is_file() and path.stat().st_size == 0:
            raise UnreadableMedia(f"{named} is empty (0 bytes); {_WHAT_TO_GIVE}")
        container = av.open(str(path), options=_OPEN, metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableMedia(f"{named} cannot be read as a recording: {_reason(error)}; {_WHAT_TO_GIVE}") from error
    with container:
        if not container.streams.audio:
            raise UnreadableMedia(f"{named} holds no audio; {_WHAT_TO_GIVE}")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UnreadableMedia(f"{named} holds audio in a codec that is not known here; {_WHAT_TO_GIVE}")
        yield container, stream


@dataclass(slots=True)
class _Decoding:
    """How far a file is decoded, and what was wrong with it."""

    resampler: Resampler | None = None
    origin: float | None = None
    taken: float = 0.0  # seconds of sound and of holes since the first frame
    sent: int = 0
    damaged: int = 0
    seen: list[str] = field(default_factory=list)

    def note(self, error: Exception) -> None:
        self.damaged += 1
        self.seen = [_reason(error)]


def _decoded(path: Path, name: str) -> Iterator[Samples]:
    state = _Decoding()
    with _opened(path, name) as (container, stream):
        stream.codec_context.thread_type = "NONE"  # one core per file is plenty, and the recogniser needs the others
        for frame in _frames(container, stream, state):
            if frame.sample_rate not in _RATES:
                raise UnreadableMedia(f"{name or path} claims {frame.sample_rate} samples a second; {_WHAT_TO_GIVE}")
            yield from _converted(frame, state)
        yield from _flushed(state)
    if state.sent == 0:
        reason = f" ({state.seen[0]})" if state.seen else ""
        raise UnreadableMedia(f"{name or path} holds no sound that can be decoded{reason}; {_WHAT_TO_GIVE}")
    if state.damaged:
        _log.warning("recording.damaged", extra={"packets": state.damaged, "reason": state.seen[0]})


def _frames(
    container: "av.container.InputContainer", stream: "av.AudioStream", state: _Decoding
) -> Iterator["av.AudioFrame"]:
    """Every frame that can be decoded; broken packets are noted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as error:
            state.note(error)
            return
        try:
            yield from packet.decode()
        except av.EOFError:
            return
        except (av.FFmpegError, ValueError) as error:
            state.note(error)


def _converted(frame: "av.AudioFrame", state: _Decoding) -> Iterator[Samples]:
    decoded = frame.to_ndarray()
    if decoded.dtype == np.int16 and frame.sample_rate == SAMPLE_RATE and len(frame.layout.channels) == 1:
        yield from _hole(frame, state)
        yield from _flushed(state)
        state.taken += decoded.size / SAMPLE_RATE
        yield from _counted(decoded.reshape(-1).astype(np.int16, copy=False), state)  # as the pipeline hears it
        return
    block = to_planes(decoded, len(frame.layout.channels))
    heard = [index for index, channel in enumerate(frame.layout.channels) if channel.name not in _LOW_FREQUENCIES]
    planes = block[heard] if heard and len(heard) < len(block) else block
    yield from _hole(frame, state)
    resampler = state.resampler
    if resampler is None or (resampler.rate, resampler.channels) != (frame.sample_rate, len(planes)):
        yield from _flushed(state)
        resampler = state.resampler = Resampler(frame.sample_rate, len(planes))
    state.taken += planes.shape[1] / frame.sample_rate
    yield from _counted(resampler.push(planes), state)


def _hole(frame: "av.AudioFrame", state: _Decoding) -> Iterator[Samples]:
    """Silence where timestamps say that sound is missing, so that what follows keeps its time."""
    if frame.time is None:
        return
    if state.origin is None:
        state.origin = frame.time
    missing = frame.time - state.origin - state.taken
    if _SHORTEST_HOLE < missing < _LONGEST_HOLE:
        yield from _flushed(state)
        state.taken += missing
        yield from _counted(np.zeros(round(missing * SAMPLE_RATE), np.int16), state)


def _flushed(state: _Decoding) -> Iterator[Samples]:
    if state.resampler is not None:
        yield from _counted(state.resampler.flush(), state)
        state.resampler = None


def _counted(part: Samples, state: _Decoding) -> Iterator[Samples]:
    if len(part):
        state.sent += len(part)
        yield part


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
