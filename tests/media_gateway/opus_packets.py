"""Sound as Opus packets, and what tests compare decoded sound by."""

import av
import numpy as np

from pipeline.domain import SAMPLE_RATE, Samples

PACKET_SECONDS = 0.02
PACKET_SAMPLES = round(PACKET_SECONDS * SAMPLE_RATE)


def encoded(sound: Samples, *, bit_rate: int = 32_000, expected_loss: int = 10) -> list[bytes]:
    """Sound of 16 kHz as packets of 20 ms with in-band copies, as a browser sends a microphone."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"  # type: ignore[assignment]
    encoder.bit_rate = bit_rate
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": str(expected_loss)}
    packets = []
    for begin in range(0, len(sound) - PACKET_SAMPLES + 1, PACKET_SAMPLES):
        frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + PACKET_SAMPLES], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, begin
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def likeness(first: Samples, second: Samples, most_shift: float = 0.05) -> float:
    """The highest correlation of two sounds at any shift of up to ``most_shift`` seconds; 1 is the same sound."""
    shifts = range(-round(most_shift * SAMPLE_RATE), round(most_shift * SAMPLE_RATE) + 1, 4)
    return max(_correlation(first[max(0, shift) :], second[max(0, -shift) :]) for shift in shifts)


def _correlation(first: Samples, second: Samples) -> float:
    count = min(len(first), len(second))
    a, b = first[:count].astype(np.float64), second[:count].astype(np.float64)
    return float(a @ b / np.sqrt(max((a @ a) * (b @ b), 1.0)))
