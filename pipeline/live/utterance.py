"""Speech between two endpoints, while its caption is being made."""

from dataclasses import dataclass, field

from pipeline.domain import Caption, UtteranceId, Word
from pipeline.live.policies import CommitPolicy


@dataclass(slots=True, eq=False)
class Utterance:
    """``heard`` is the end of the last window recognised for it; ``looked`` says that its language was looked at;
    ``alone`` that its last window left out what was said before; ``apart`` that all do from now on, since it had no
    words beside that; ``resumed`` that another captioner showed it first; ``streamed`` that its words come by
    themselves; ``windows_from`` until when its audio was known as windows took over from that. ``held`` words follow
    ``words`` once it is clear that they are no copy of what another track says; ``copied`` is the end of the last such
    copy."""

    id: UtteranceId
    start: float
    policy: CommitPolicy
    language: str
    end: float | None = None
    heard: float = 0.0
    looked: bool = False
    alone: bool = False
    apart: bool = False
    words: list[Word] = field(default_factory=list)
    held: tuple[Word, ...] = ()
    copied: float = 0.0
    tail: tuple[Word, ...] = ()
    revision: int = 0
    failures: int = 0
    resumed: bool = False
    streamed: bool = False
    windows_from: float = 0.0

    @classmethod
    def shown(cls, caption: Caption, begun: float, policy: CommitPolicy) -> "Utterance":
        """The utterance of a ``caption`` that another captioner sent; without words, it had ``begun`` by then."""
        start = min((word.start for word in (*caption.words, *caption.tail)), default=begun)
        heard = caption.words[-1].end if caption.words else 0.0
        return cls(
            caption.utterance,
            start,
            policy,
            caption.language,
            heard=heard,
            words=list(caption.words),
            tail=caption.tail,
            revision=caption.revision,
            resumed=True,
        )


def number_of(utterance: UtteranceId) -> int:
    """Which of its track it is: ids are ``<track>#<number>``; 0 for others."""
    number = utterance.rpartition("#")[2]
    return int(number) if number.isdecimal() else 0
