"""Small meetings for the tests of record and export."""

from hypothesis import strategies as st

from pipeline.domain import (
    Caption,
    Gap,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    RecordText,
    Segment,
    SegmentId,
    TrackId,
    Transcript,
    UtteranceId,
    Word,
)

ANNE = Participant(ParticipantId("anne"), "Anne")
BILAL = Participant(ParticipantId("bilal"), "Bilal")
OTHER_ANNE = Participant(ParticipantId("anne-2"), "Anne")
MEETING = MeetingId("meeting")


def track_of(participant: Participant) -> TrackId:
    return TrackId(f"track-{participant.id}")


TRACKS = {track_of(participant): participant for participant in (ANNE, BILAL, OTHER_ANNE)}


def words(text: str, start: float, end: float) -> tuple[Word, ...]:
    """The words of ``text`` sharing the time evenly."""
    texts = text.split()
    step = (end - start) / max(1, len(texts))
    return tuple(Word(f" {each}", start + k * step, start + (k + 1) * step, 0.5) for k, each in enumerate(texts))


def final(
    utterance: str, text: str, start: float, end: float, participant: Participant = ANNE, revision: int = 1
) -> Caption:
    heard = words(text, start, end)
    return Caption(track_of(participant), UtteranceId(utterance), revision, True, "fr", heard)


def record(
    utterances: str, text: str, start: float, end: float, participant: Participant = ANNE, language: str = "fr"
) -> RecordText:
    named = tuple(UtteranceId(utterance) for utterance in utterances.split())
    return RecordText(track_of(participant), named, language, words(text, start, end))


def gap(start: float, end: float, participant: Participant = ANNE, reason: str = "overload") -> Gap:
    return Gap(track_of(participant), participant, start, end, reason)


def segment(
    identity: str,
    text: str,
    start: float,
    end: float,
    participant: Participant = ANNE,
    language: str = "fr",
    record: tuple[Word, ...] = (),
    correction: str | None = None,
) -> Segment:
    heard = words(text, start, end)
    return Segment(
        SegmentId(identity), track_of(participant), participant, start, end, language, heard, record, correction
    )


def transcript(
    *segments: Segment, gaps: tuple[Gap, ...] = (), title: str = "", pauses: tuple[Pause, ...] = (), cut: bool = False
) -> Transcript:
    return Transcript(
        MEETING, tuple(sorted(segments, key=lambda each: each.start)), gaps, title, pauses=pauses, cut=cut
    )


HARD_TEXT = st.text(
    st.sampled_from("aeé .,?!:'-<>&*_#[]\"\\/\n\t\x00\x1b\x85\u00a0\u202f\u200f\u202e\u2028\u0301今天。「」🎉"),
    max_size=40,
)
EASY_TEXT = st.lists(
    st.sampled_from("le la de une réunion budget et que nous avons commencé. Bonjour, merci ! http://a.fr/".split()),
    max_size=40,
).map(" ".join)
TEXT = st.one_of(
    EASY_TEXT, HARD_TEXT, st.integers(43, 130).map(lambda length: "x" * length), st.just("今天天气很好。" * 7)
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Meetings of three participants, two of one name, with any text, overlap, gap and pause."""
    segments = []
    for number in range(draw(st.integers(0, 5))):
        start = draw(st.floats(0, 40, width=32))
        end = start + draw(st.sampled_from([0.0, 0.1, 1.0, 5.0, 20.0]))
        heard = draw(TEXT)
        correction = draw(st.one_of(st.none(), st.none(), TEXT))
        participant = draw(st.sampled_from([ANNE, BILAL, OTHER_ANNE]))
        language = draw(st.sampled_from(["fr", "en", "zh"]))
        segments.append(segment(f"u{number}", heard, start, end, participant, language, correction=correction))
    gaps = [
        gap(start, start + draw(st.sampled_from([0.02, 2.0, 60.0])), draw(st.sampled_from([ANNE, BILAL])))
        for start in draw(st.lists(st.floats(0, 40, width=32), max_size=2))
    ]
    pauses = [
        Pause(start, draw(st.sampled_from([None, start + 3.0])))
        for start in draw(st.lists(st.floats(0, 40), max_size=2))
    ]
    return transcript(*segments, gaps=tuple(gaps), title=draw(HARD_TEXT), pauses=tuple(pauses), cut=draw(st.booleans()))
