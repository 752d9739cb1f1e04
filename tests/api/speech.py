"""What is said in meetings of tests: captions put where a session would put them."""

from pipeline.domain import Caption, MeetingId, Participant, ParticipantId, TrackId, UtteranceId, Word
from tests.api.serving import Serving


def caption(text: str, *, number: int = 1, start: float = 0.0, final: bool = True, track: str = "anne.1") -> Caption:
    """``text`` as one committed word a quarter second."""
    words = tuple(
        Word(f" {word}", start + place / 4, start + place / 4 + 0.2) for place, word in enumerate(text.split())
    )
    return Caption(TrackId(track), UtteranceId(f"{track}#{number}"), number, final, "en", words, lag=0.2)


async def say(served: Serving, meeting: MeetingId, *captions: Caption) -> None:
    """Keeps what is final, then shows it, as a session does."""
    running = await served.house.meetings.of(meeting)
    await running.join(Participant(ParticipantId("anne"), "Anne"))
    for each in captions:
        if each.final:
            await served.house.store.for_meeting(meeting).keep_final(each)
        await running.send(each)
