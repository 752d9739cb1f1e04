"""Sound goes to moshi-server at the rate and in the pieces that it steps by, where it belongs and nearly at once."""

import numpy as np
import pytest
import soxr

from models.kyutai.messages import FRAME, RATE
from models.kyutai.sound import LATER, Frames
from pipeline.domain import SAMPLE_RATE
from tests.recordings import beep, silence


def test_sound_in_pieces_of_any_length_is_the_sound_resampled_as_a_whole() -> None:
    sound, frames = beep(1.0), Frames()
    pieces = [sound[begin : begin + 333] for begin in range(0, len(sound), 333)]
    heard = [frame for piece in pieces for frame in frames.push(piece)] + frames.finish()
    assert {len(frame) for frame in heard} == {FRAME}
    whole = soxr.resample(sound.astype(np.float32) / 32768, SAMPLE_RATE, RATE)
    padded = np.concatenate([np.zeros(LATER), whole, np.zeros(len(heard) * FRAME - len(whole) - LATER)])
    assert np.concatenate(heard) == pytest.approx(padded, abs=0.03)  # they differ where it breaks off


@pytest.mark.parametrize("block", [160, 320, 333, 1_280])
def test_a_frame_is_full_as_soon_as_its_sound_was_given(block: int) -> None:
    sound, frames, full = beep(2.0), Frames(), 0
    for begin in range(0, len(sound) - block, block):
        full += len(frames.push(sound[begin : begin + block]))
        assert full == (begin + block) * RATE // SAMPLE_RATE // FRAME


def test_after_an_end_sound_begins_anew_at_its_place() -> None:
    frames = Frames()
    frames.push(beep(0.5))
    frames.finish()
    click = silence(1.0)
    click[8_000] = 30_000
    heard = np.concatenate(frames.push(click) + frames.finish())
    assert int(np.argmax(heard)) == pytest.approx(12_000 + LATER, abs=1)
