"""How closely the speech detector listens to what passes the energy gate: a kitchen passes it, and nobody speaks there.

The detector hears everything until it has heard nothing but noise for a while. Then it glances now and then, until a
glance finds speech likely, or a sound is much louder than the noise was. What it skipped it hears then, as far as the
pre-roll reaches. Glances leave its state as it was: one that has heard pieces takes noise for speech.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """boredom: seconds of noise after which the detector glances only, every ``every`` seconds, at ``glance`` seconds.

    likely: a probability of speech that wakes it.
    louder_db: how far above the noise a sound wakes it.
    """

    boredom: float = 5.0
    every: float = 1.0
    glance: float = 0.128
    likely: float = 0.3
    louder_db: float = 8.0


class Listening(Enum):
    NOT = "not"
    GLANCE = "glance"
    ALL = "all"


class Attention:
    """Told of every block of one track in order, and of what the detector makes of those that it hears."""

    def __init__(self, block_seconds: float, settings: AttentionSettings | None = None) -> None:
        settings = settings or AttentionSettings()
        self.glance_blocks = max(1, round(settings.glance / block_seconds))
        self._every_blocks = round(settings.every / block_seconds)
        self._boredom_blocks = round(settings.boredom / block_seconds)
        self._likely = settings.likely
        self._louder = 10.0 ** (settings.louder_db / 10.0)
        self._bored = 0  # blocks of noise heard in a row
        self._since_glance = 0
        self._noise = 0.0  # mean power of what passed the gate

    def held_back(self) -> None:
        """The gate held a block back: the first sound after a silence is glanced at."""
        self._since_glance += 1

    def passed(self, power: float) -> Listening:
        """The gate let a block of this ``power`` pass: what the detector should hear of it."""
        woken = power > self._noise * self._louder
        self._noise += (power - self._noise) / (1 + min(self._bored, self._boredom_blocks))
        if self._bored < self._boredom_blocks or woken:
            return Listening.ALL
        self._since_glance += 1
        if self._since_glance < self._every_blocks:
            return Listening.NOT
        self._since_glance = 0
        return Listening.GLANCE

    def judged(self, probability: float) -> None:
        """The detector gave a block, or a glance, this probability of speech."""
        self._bored = 0 if probability >= self._likely else min(self._bored + 1, self._boredom_blocks)
