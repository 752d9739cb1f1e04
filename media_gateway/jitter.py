"""Opus packets of one RTP stream put in order, decoded, and given meeting time. Pure: fed with packets and arrivals.

::

    packet ─► in order by sequence number ─► hole? ─► decoder ─► frames of 40 ms

A hole in the sequence is a loss: up to 100 ms of it is concealed, from the next packet's in-band copy where it has
one, and a longer one is named as ``AudioLost``. A hole in the timestamps alone is a pause that the sender made (muted,
or DTX, RFC 7587 section 3.1.3) and no loss: the sound goes on with silence for a second, then with nothing.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media_gateway.rtp_clock import TICKS_PER_SECOND, RtpClock, unwrapped
from pipeline.domain import SAMPLE_RATE, AudioFrame, AudioLost, Samples, TrackId

_TICKS_PER_SAMPLE = 3
_MOST_HELD = 64


class Decoder(Protocol):
    """What ``opus.OpusDecoder`` does; shapes (n,), 16 kHz mono."""

    def decode(self, packet: bytes) -> Samples: ...

    def conceal(self, count: int) -> Samples: ...

    def recover(self, following: bytes, count: int) -> Samples: ...

    def length(self, packet: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class JitterSettings:
    """In seconds. reorder: how long a missing packet is waited for; conceal: the longest loss that is made up;
    pause: silence given for a pause of the sender, long enough for speech to end; frame: the sound of one frame;
    slack: how far times may drift before sound is cut or stretched; ahead: how far sound may lie in the future.

    restart: a jump of so many sequence numbers, or a thirtieth of it back, is a new stream (RFC 3550, appendix A.1).
    """

    reorder: float = 0.06
    conceal: float = 0.1
    pause: float = 1.0
    frame: float = 0.04
    slack: float = 0.01
    ahead: float = 0.5
    restart: int = 3000


@dataclass(slots=True)
class Counts:
    """What became of packets and sound: packets, and seconds of sound."""

    packets: int = 0
    late: int = 0
    concealed: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True, slots=True)
class _Packet:
    ticks: int
    payload: bytes
    arrived: float


class JitterBuffer:
    """One track's packets in, its frames and losses out, in order and without overlap."""

    def __init__(self, track: TrackId, decoder: Decoder, settings: JitterSettings | None = None) -> None:
        self._settings = settings or JitterSettings()
        self._track = track
        self._decoder = decoder
        self._held: dict[int, _Packet] = {}  # bounded: _MOST_HELD, and by what ``reorder`` waits for
        self._expected: int | None = None  # unwrapped sequence number
        self._ticks = 0  # unwrapped timestamp where the last sound ended
        self._resumed = True  # nothing is known of what came before
        self._missing = False  # packets before the next sound were lost
        self._clock: RtpClock | None = None
        self._until = 0.0
        self._batch: list[Samples] = []
        self._batched = 0
        self._batch_start = 0.0
        self._frame_samples = round(self._settings.frame * SAMPLE_RATE)
        self.counts = Counts()

    @property
    def until(self) -> float:
        """Meeting time where the sound given so far ends; 0 before the first."""
        return self._until

    def push(self, sequence: int, timestamp: int, payload: bytes, at: float) -> list[AudioFrame | AudioLost]:
        """What can be given now that a packet arrived at meeting time ``at``."""
        self.counts.packets += 1
        given: list[AudioFrame | AudioLost] = []
        number = self._numbered(sequence, given)
        if number < (self._expected or 0) or number in self._held:
            self.counts.late += 1
            return given
        self._held[number] = _Packet(unwrapped(timestamp, self._ticks, 32), payload, at)
        self._play(given, at)
        return given

    def flush(self, at: float) -> list[AudioFrame | AudioLost]:
        """What waited too long by ``at``; call it now and then, for a pause sends nothing that would push it out."""
        given: list[AudioFrame | AudioLost] = []
        if self._held and at - min(packet.arrived for packet in self._held.values()) >= self._settings.reorder:
            self._cross(given)
            self._play(given, at)
        if self._batched and at - self._until > self._settings.frame + self._settings.reorder:
            self._send(given)
        return given

    def finish(self) -> list[AudioFrame | AudioLost]:
        """All that still waited: nothing follows."""
        given: list[AudioFrame | AudioLost] = []
        while self._held:
            self._cross(given)
            self._in_order(given)
        self._send(given)
        return given

    def pass_over(self) -> list[AudioFrame | AudioLost]:
        """Packets come that are not to be heard. The next one that is pushed goes on without a loss."""
        given = self.finish() if self._expected is not None else []
        self._expected = None
        self._resumed = True
        return given

    def restart(self) -> list[AudioFrame | AudioLost]:
        """Another stream takes the track over (a new SSRC): its numbers and timestamps mean something else."""
        given = self.pass_over()
        self._clock = None
        return given

    # --- order ----------------------------------------------------------------------------------------------

    def _numbered(self, sequence: int, given: list[AudioFrame | AudioLost]) -> int:
        if self._expected is not None:
            number = unwrapped(sequence, self._expected, 16)
            ahead = number - self._expected
            if -self._settings.restart // 30 <= ahead < self._settings.restart:
                return number
            given += self.restart()
        self._expected = sequence
        return sequence

    def _play(self, given: list[AudioFrame | AudioLost], at: float) -> None:
        self._in_order(given)
        while self._held and self._overdue(at):
            self._cross(given)
            self._in_order(given)

    def _overdue(self, at: float) -> bool:
        packets = self._held.values()
        waited = at - min(packet.arrived for packet in packets)
        newest = max(packet.ticks for packet in packets)
        ahead = (newest - self._ticks) / (_TICKS_PER_SAMPLE * SAMPLE_RATE)
        patience = self._settings.reorder
        return waited >= patience or (ahead >= patience and len(packets) > 2) or len(packets) > _MOST_HELD

    def _in_order(self, given: list[AudioFrame | AudioLost]) -> None:
        while self._expected is not None and (packet := self._held.pop(self._expected, None)) is not None:
            self._expected += 1
            self._hear(packet, given, lossy=False)

    def _cross(self, given: list[AudioFrame | AudioLost]) -> None:
        """Gives up on what is missing before the next packet that is here."""
        number = min(self._held)
        packet = self._held.pop(number)
        lossy, self._expected = number != self._expected, number + 1
        self._hear(packet, given, lossy=lossy)

    # --- sound ------------------------------------------------------------------------------------------------

    def _hear(self, packet: _Packet, given: list[AudioFrame | AudioLost], *, lossy: bool) -> None:
        lossy = self._missing = self._missing or lossy
        if not packet.payload:
            return  # padding
        self._missing = False
        end = packet.ticks + self._decoder.length(packet.payload) * _TICKS_PER_SAMPLE
        if self._until > packet.arrived + self._settings.ahead:
            self._ticks = end
            self.counts.late += 1
            return  # more sound than time has passed
        hole = (packet.ticks - self._ticks) // _TICKS_PER_SAMPLE
        clock = self._clock
        if clock is None or self._jumped(clock, packet):
            earliest = self._until + (end - packet.ticks) / TICKS_PER_SECOND
            clock = self._clock = RtpClock(end, max(packet.arrived, earliest))
            hole = max(0, round((clock.time(packet.ticks) - self._until) * SAMPLE_RATE))
        else:
            clock.arrived(end, packet.arrived)
        if self._resumed:
            self._send(given)
            self._until = max(self._until, clock.time(packet.ticks))
            self._resumed = False
        elif hole and lossy:
            self._lose(hole, packet, given)
        elif hole:
            self._rest(hole, given)
        self._ticks = end
        self._give(self._decoder.decode(packet.payload), clock.time(packet.ticks), given)

    def _jumped(self, clock: RtpClock, packet: _Packet) -> bool:
        """Timestamps that go back or run ahead of time say nothing of when: the arrival does."""
        return packet.ticks < self._ticks or clock.time(packet.ticks) > packet.arrived + self._settings.ahead

    def _lose(self, hole: int, packet: _Packet, given: list[AudioFrame | AudioLost]) -> None:
        if hole <= round(self._settings.conceal * SAMPLE_RATE):
            last = min(hole, self._decoder.length(packet.payload))
            self._append(self._decoder.conceal(hole - last), given)
            self._append(self._decoder.recover(packet.payload, last), given)
            self.counts.concealed += hole / SAMPLE_RATE
            return
        self._send(given)
        lost = AudioLost(self._track, self._until, self._until + hole / SAMPLE_RATE)
        given.append(lost)
        self._until = lost.end
        self.counts.lost += hole / SAMPLE_RATE

    def _rest(self, hole: int, given: list[AudioFrame | AudioLost]) -> None:
        """The sender paused: silence, as far as it is needed for speech to end, then nothing."""
        silent = min(hole, round(self._settings.pause * SAMPLE_RATE))
        self._append(np.zeros(silent, np.int16), given)
        if silent < hole:
            self._send(given)
            self._until += (hole - silent) / SAMPLE_RATE

    def _give(self, sound: Samples, start: float, given: list[AudioFrame | AudioLost]) -> None:
        """Appends sound that should start at ``start``, following the clock where it drifted from the samples."""
        drift = start - self._until
        if drift > self._settings.conceal:
            self._rest(round(drift * SAMPLE_RATE), given)
        elif drift > self._settings.slack:
            self._append(self._decoder.conceal(round(drift * SAMPLE_RATE)), given)
        elif drift < -self._settings.slack:
            sound = sound[round(min(-drift, 2 * self._settings.slack) * SAMPLE_RATE) :]
        self._append(sound, given)

    def _append(self, sound: Samples, given: list[AudioFrame | AudioLost]) -> None:
        if not len(sound):
            return
        if not self._batched:
            self._batch_start = self._until
        self._batch.append(sound)
        self._batched += len(sound)
        self._until = self._batch_start + self._batched / SAMPLE_RATE
        if self._batched >= self._frame_samples:
            self._send(given)

    def _send(self, given: list[AudioFrame | AudioLost]) -> None:
        if self._batched:
            sound = self._batch[0] if len(self._batch) == 1 else np.concatenate(self._batch)
            given.append(AudioFrame(self._track, self._batch_start, sound))
            self._batch, self._batched = [], 0
