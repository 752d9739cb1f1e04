"""What goes over the HTTP API as JSON, and how it is checked; the names are those of the OpenAPI document."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.names import LONGEST_NAME, LONGEST_TITLE, normalised
from api.settings import parse_languages
from pipeline.domain import Meeting

MOST_TERMS = 200
LONGEST_CORRECTION = 10_000
_ID = r"^[A-Za-z0-9_-]{1,64}$"


def _name(text: str) -> str:
    return normalised(text, LONGEST_NAME, "a name")


def _title(text: str) -> str:
    return normalised(text, LONGEST_TITLE, "a title") if text.strip() else ""


def _term(text: str) -> str:
    return normalised(text, LONGEST_NAME, "a term")


def _languages(codes: list[str]) -> list[str]:
    if not codes:
        return []
    try:
        return list(parse_languages(",".join(codes)))
    except ValueError as error:
        raise ValueError(f"no language that is known here: {error}; give ISO 639 codes such as fr and en") from None


Name = Annotated[str, AfterValidator(_name)]
Title = Annotated[str, AfterValidator(_title)]
Terms = Annotated[list[Annotated[str, AfterValidator(_term)]], Field(max_length=MOST_TERMS)]
Languages = Annotated[list[str], Field(max_length=20), AfterValidator(_languages)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sent(Shape):
    """What is sent to us may say no more than we know."""


class NewMeeting(_Sent):
    """A meeting to create; everything may be left out."""

    title: Title = ""
    languages: Languages = Field(
        default=[], description="What may be spoken, preferred first; none means those of the server."
    )
    glossary: Terms = Field(default=[], description="Names and terms that may be said.")
    keep_audio: bool = Field(default=False, description="Keep the sound of each track with the meeting.")


class MeetingState(Enum):
    RUNNING = "running"
    ENDED = "ended"


class MeetingShape(Shape):
    id: str
    title: str
    state: MeetingState
    paused: bool
    languages: list[str]
    keep_audio: bool
    cut: bool = Field(description="Its server was stopped in the middle once: something may be missing.")
    created_at: datetime
    ended_at: datetime | None


class MeetingList(Shape):
    """``next``, where it is set, is what ``before`` of the next page is."""

    meetings: list[MeetingShape]
    next: float | None


class Mode(Enum):
    READ = "read"
    PUBLISH = "publish"


class NewParticipant(_Sent):
    name: Name
    mode: Mode = Mode.READ
    languages: Languages = Field(
        default=[], description="What this participant may speak; none means those of the meeting."
    )
    id: str | None = Field(
        default=None, pattern=_ID, description="The participant's id elsewhere; who joins again with it is the same."
    )


class Changes(_Sent):
    """What a participant may change; what is left out stays."""

    name: Name | None = None
    languages: Languages | None = None


class ParticipantShape(Shape):
    participant: str
    name: str


class ParticipantList(Shape):
    participants: list[ParticipantShape]


class CaptionAddresses(Shape):
    """Where this meeting is read; all of them take ``?token=`` as well."""

    websocket: str
    sse: str
    webvtt: str
    hls: str


class TokenShape(Shape):
    token: str
    expires_at: datetime


class Joined(TokenShape):
    """A participant, a token to act as it, and where to send sound (``whip``, ``audio``) and read captions."""

    participant: str
    name: str
    mode: Mode
    whip: str | None
    audio: str | None
    captions: CaptionAddresses


class Glossary(_Sent):
    terms: Terms


class LanguageSet(_Sent):
    languages: Annotated[Languages, Field(min_length=1)]


class SampleShape(Shape):
    """The voices that were set going, and how long they speak, in seconds."""

    voices: list[str]
    seconds: float


class Correction(_Sent):
    text: Annotated[str, Field(max_length=LONGEST_CORRECTION)] | None = Field(
        description="What was really said; null takes the correction back."
    )


class NewSession(_Sent):
    key: Annotated[str, Field(max_length=200)]


class Health(Shape):
    status: Literal["ok"]


class Readiness(Shape):
    """``ready`` is whether all of the parts are."""

    ready: bool
    engine: bool
    store: bool


def meeting_shape(meeting: Meeting, paused: bool) -> MeetingShape:
    return MeetingShape(
        id=meeting.id,
        title=meeting.title,
        state=MeetingState.RUNNING if meeting.ended_at is None else MeetingState.ENDED,
        paused=paused,
        languages=list(meeting.languages),
        keep_audio=meeting.keep_audio,
        cut=meeting.cut,
        created_at=wall_clock(meeting.created_at),
        ended_at=None if meeting.ended_at is None else wall_clock(meeting.ended_at),
    )


def wall_clock(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
