"""One track's RTP packets, as the seam gives them, made into a source of sound."""

from collections.abc import Callable

from media_gateway.jitter import JitterBuffer
from media_gateway.opus import OpusDecoder
from media_gateway.outlet import Outlet
from pipeline.domain import Track
from pipeline.ports import AudioSource


class Hearing:
    """Fed with packets and ticks; ``source`` gives their sound in meeting time ``now`` and ends with ``close``.

    While ``listening()`` is False packets are passed over undecoded, which is no loss.
    """

    def __init__(self, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> None:
        self._now = now
        self._listening = listening
        self._jitter = JitterBuffer(track.id, OpusDecoder())
        self._outlet = Outlet(track, now)
        self._ssrc: int | None = None
        self._deaf = False

    @property
    def source(self) -> AudioSource:
        return self._outlet

    @property
    def closed(self) -> bool:
        return self._outlet.closed

    def packet(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Takes a packet that arrives now; another ``ssrc`` is another stream, with numbers of its own."""
        if self.closed:
            return
        if not self._listening():
            if not self._deaf:
                self._deaf = True
                self._outlet.put(self._jitter.pass_over())
            return
        self._deaf = False
        if ssrc != self._ssrc:
            if self._ssrc is not None:
                self._outlet.put(self._jitter.restart())
            self._ssrc = ssrc
        self._outlet.put(self._jitter.push(sequence, timestamp, payload, self._now()))

    def tick(self) -> None:
        """Several times a second: gives what waits for packets that do not come."""
        if self._ssrc is not None and not self.closed:
            self._outlet.put(self._jitter.flush(self._now()))

    def close(self) -> None:
        """Gives all that still waited; nothing follows. Does nothing the second time."""
        if not self.closed:
            self._outlet.put(self._jitter.finish())
            self._outlet.close()

    def totals(self) -> dict[str, float]:
        """What became of the packets, for logs."""
        counts = self._jitter.counts
        return {
            "packets": counts.packets,
            "late": counts.late,
            "concealed_seconds": round(counts.concealed, 2),
            "lost_seconds": round(counts.lost, 2),
        }
