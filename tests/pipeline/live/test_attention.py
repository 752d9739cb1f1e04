"""The detector hears all until it is bored by noise; then it glances, and listens again where that is worth it."""

from pipeline.live.attention import Attention, AttentionSettings, Listening

BLOCK = 0.032
SETTINGS = AttentionSettings(boredom=0.32, every=0.16, glance=0.064, likely=0.3, louder_db=6.0)
"""Bored after 10 blocks, glances at every fifth, at 2 blocks."""


def bored() -> Attention:
    attention = Attention(BLOCK, SETTINGS)
    for _ in range(10):
        assert attention.passed(100.0) is Listening.ALL
        attention.judged(0.1)
    return attention


def listening(attention: Attention, blocks: int, power: float = 100.0) -> list[Listening]:
    return [attention.passed(power) for _ in range(blocks)]


def test_everything_is_heard_until_nothing_but_noise_was() -> None:
    attention = bored()
    assert listening(attention, 10) == 2 * [*4 * [Listening.NOT], Listening.GLANCE]
    assert attention.glance_blocks == 2


def test_a_likely_block_keeps_it_awake() -> None:
    attention = Attention(BLOCK, SETTINGS)
    for number in range(30):
        assert attention.passed(100.0) is Listening.ALL
        attention.judged(0.4 if number % 9 == 0 else 0.0)


def test_a_glance_at_speech_wakes_it() -> None:
    attention = bored()
    listening(attention, 5)
    attention.judged(0.29)
    assert listening(attention, 4) == 4 * [Listening.NOT]
    assert listening(attention, 1) == [Listening.GLANCE]
    attention.judged(0.3)
    assert listening(attention, 1) == [Listening.ALL]


def test_what_is_much_louder_than_the_noise_is_heard_at_once() -> None:
    attention = bored()
    assert listening(attention, 1, 390.0) == [Listening.NOT]
    assert listening(attention, 1, 600.0) == [Listening.ALL]


def test_a_room_that_grows_louder_is_listened_to_until_that_is_known_to_be_noise() -> None:
    attention = bored()
    heard = listening(attention, 40, 1000.0)
    assert heard[0] is Listening.ALL
    assert Listening.ALL not in heard[10:]


def test_the_first_sound_after_a_silence_is_glanced_at() -> None:
    attention = bored()
    for _ in range(5):
        attention.held_back()
    assert listening(attention, 2) == [Listening.GLANCE, Listening.NOT]
