"""What goes over the HTTP API as JSON, and how it is checked; the names are those of the OpenAPI document."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.names import LONGEST_NAME, LONGEST_TITLE, normalised
from api.parsing import parse_languages
from pipeline.domain import Meeting, Settled

MOST_TERMS = 200
LONGEST_CORRECTION = 10_000
_ID = r"^[A-Za-z0-9_-]{1,64}$"


def _name(text: str) -> str:
    return normalised(text, LONGEST_NAME, "a name")


def _name_or_none(text: str) -> str:
    return _name(text) if text else ""


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
NameOrNone = Annotated[str, AfterValidator(_name_or_none)]
Title = Annotated[str, AfterValidator(_title)]
Terms = Annotated[list[Annotated[str, AfterValidator(_term)]], Field(max_length=MOST_TERMS)]
Languages = Annotated[list[str], Field(max_length=20), AfterValidator(_languages)]


def like(**example: Any) -> ConfigDict:
    """The example of a shape in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"example": example})


class Shape(BaseModel):
    """What is sent to us may say no more than we know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewMeeting(Shape):
    """A meeting to create; everything may be left out."""

    model_config = like(title="Weekly point", languages=["fr", "en"], glossary=["Visio", "La Suite"])

    title: Title = ""
    languages: Languages = Field(
        default=[], description="What may be spoken, preferred first; none means those of the server."
    )
    glossary: Terms = Field(default=[], description="Names and terms that may be said.")
    keep_audio: bool = Field(default=False, description="Keep the sound of each track with the meeting.")


_MEETING = {
    "id": "9mx2c89kz6mq",
    "title": "Weekly point",
    "state": "running",
    "paused": False,
    "languages": ["fr", "en"],
    "keep_audio": False,
    "cut": False,
    "settled": None,
    "created_at": "2026-11-25T17:38:14Z",
    "ended_at": None,
}


class MeetingState(Enum):
    RUNNING = "running"
    ENDED = "ended"


class MeetingShape(Shape):
    model_config = like(**_MEETING)

    id: str
    title: str
    state: MeetingState
    paused: bool
    languages: list[str]
    keep_audio: bool
    cut: bool = Field(description="Its server was stopped in the middle once: something may be missing.")
    settled: Settled | None = Field(
        description="How its transcript was looked through after the meeting: by kept `sound`, by what was kept of its "
        "`voices`, or there was `nothing` to do; null until then."
    )
    created_at: datetime
    ended_at: datetime | None


class MeetingList(Shape):
    """``next``, where it is set, is what ``before`` of the next page is."""

    model_config = like(meetings=[_MEETING], next=None)

    meetings: list[MeetingShape]
    next: float | None


class Mode(Enum):
    READ = "read"
    PUBLISH = "publish"


class NewParticipant(Shape):
    model_config = like(name="Anne", mode="publish", languages=["fr"])

    name: Name
    mode: Mode = Mode.READ
    languages: Languages = Field(
        default=[], description="What this participant may speak; none means those of the meeting."
    )
    shared_room: bool | None = Field(
        default=None,
        description="Whether several people share this microphone, so that their voices are told apart; null where it "
        "is as the settings say, or as it was said before.",
    )
    id: str | None = Field(
        default=None, pattern=_ID, description="The participant's id elsewhere; who joins again with it is the same."
    )


class Changes(Shape):
    """What a participant may change; what is left out stays."""

    model_config = like(name="Anne-Marie")

    name: Name | None = None
    languages: Languages | None = None
    shared_room: bool | None = Field(
        default=None, description="Whether several people share this microphone; null: as the settings say."
    )


class ParticipantShape(Shape):
    model_config = like(participant="3y5d3t9xra", name="Anne", shared_room=None)

    participant: str
    name: str
    shared_room: bool | None = Field(
        description="Whether several people share this microphone; null where nobody said."
    )


class PresenceShape(Shape):
    """In meeting time; ``left`` is null while it lasts."""

    model_config = like(joined=3.2, left=61.75)

    joined: float
    left: float | None


_LISTED = {
    "participant": "3y5d3t9xra",
    "name": "Anne",
    "shared_room": None,
    "enrolled": False,
    "present": [{"joined": 3.2, "left": 61.75}],
}


class ListedParticipant(ParticipantShape):
    model_config = like(**_LISTED)

    enrolled: bool = Field(description="Whether what this participant sounds like is kept, by consent.")
    present: list[PresenceShape] = Field(description="When this participant was there, in order.")


class ParticipantList(Shape):
    model_config = like(participants=[_LISTED])

    participants: list[ListedParticipant]


_ADDRESSES = {
    "websocket": "/api/v1/meetings/9mx2c89kz6mq/captions.ws",
    "sse": "/api/v1/meetings/9mx2c89kz6mq/captions.sse",
    "webvtt": "/api/v1/meetings/9mx2c89kz6mq/captions.vtt",
    "hls": "/api/v1/meetings/9mx2c89kz6mq/hls/master.m3u8",
}


class CaptionAddresses(Shape):
    """Where this meeting is read; all of them take ``?token=`` as well."""

    model_config = like(**_ADDRESSES)

    websocket: str
    sse: str
    webvtt: str
    hls: str


class TokenShape(Shape):
    model_config = like(token="eyJhbGciOi...", expires_at="2026-11-25T18:38:14Z")  # noqa: S106 - an example

    token: str
    expires_at: datetime


class Joined(TokenShape):
    """A participant, a token to act as it, and where to send sound (``whip``, ``audio``) and read captions."""

    model_config = like(
        token="eyJhbGciOi...",  # noqa: S106 - an example
        expires_at="2026-11-25T18:38:14Z",
        participant="3y5d3t9xra",
        name="Anne",
        mode="publish",
        whip="/whip/9mx2c89kz6mq",
        audio="/api/v1/meetings/9mx2c89kz6mq/audio.ws",
        captions=_ADDRESSES,
    )

    participant: str
    name: str
    mode: Mode
    whip: str | None
    audio: str | None
    captions: CaptionAddresses


class Glossary(Shape):
    model_config = like(terms=["Visio", "La Suite", "Éric Joanis"])

    terms: Terms


class LanguageSet(Shape):
    model_config = like(languages=["fr", "en"])

    languages: Annotated[Languages, Field(min_length=1)]


class RoomLanguages(Shape):
    model_config = like(languages=["fr", "en"])

    languages: Languages = Field(
        default=[], description="What may be spoken in this room; none means those of its meeting, or of the server."
    )


_ROOM = {"room": "weekly-point", "meeting": "9mx2c89kz6mq", "state": "captioning", "why": None}


class CaptionedRoomShape(Shape):
    """A room of an SFU and its ``meeting``; ``why`` says how captions ended."""

    model_config = like(**_ROOM)

    room: str
    meeting: str | None
    state: Literal["starting", "captioning", "reconnecting", "encrypted", "left"]
    why: Literal["empty", "evicted", "encrypted", "lost", "left"] | None


class CaptionedRoomList(Shape):
    model_config = like(rooms=[_ROOM])

    rooms: list[CaptionedRoomShape]


class SampleShape(Shape):
    """The voices that were set going, and how long they speak, in seconds."""

    model_config = like(voices=["Éric", "Abbie", "Claire", "John"], seconds=40.1)

    voices: list[str]
    seconds: float


CHANGED: dict[int | str, dict[str, Any]] = {409: {"description": "The segment is not as it was shown; read it again."}}
Count = Annotated[
    int | None,
    Field(
        ge=0,
        le=2**31 - 1,
        description="How many caption words the segment had when it was shown; where it has others, the answer is 409.",
    ),
]


class Correction(Shape):
    model_config = like(text="Je m’appelle Éric Joanis.", count=4)

    text: Annotated[str, Field(max_length=LONGEST_CORRECTION)] | None = Field(
        description="What was really said; null takes the correction back."
    )
    count: Count = None


class NewSession(Shape):
    model_config = like(key="grf_2c6c7c4b_...")

    key: Annotated[str, Field(max_length=200)]


class Health(Shape):
    model_config = like(status="ok")

    status: Literal["ok"]


class Readiness(Shape):
    """``ready`` is whether all that this process needs is there, and it is not ending.

    What it does not need is left out. SFUs that are not there come back by themselves, and change nothing.
    """

    model_config = like(ready=True, engine=True, store=True, livekit=True)

    ready: bool
    engine: bool | None = Field(default=None, description="Whether its recogniser answers.")
    store: bool | None = Field(default=None, description="Whether the database can be written to.")
    redis: bool | None = Field(default=None, description="Whether Redis answers.")
    draining: bool | None = Field(default=None, description="True while a worker hands its meetings over to others.")
    livekit: bool | None = Field(default=None, description="Whether its agents are registered there, where it is set.")
    janus: bool | None = Field(default=None, description="Whether it answers, where it is set.")
    kyutai: list[bool] | None = Field(
        default=None, description="Whether each server of GREFFIER_KYUTAI_URLS is healthy, where some are set."
    )
    degraded: bool | None = Field(
        default=None, description="True while one of those is not: others, or Whisper, do its work."
    )


def meeting_shape(meeting: Meeting, paused: bool) -> MeetingShape:
    return MeetingShape(
        id=meeting.id,
        title=meeting.title,
        state=MeetingState.RUNNING if meeting.ended_at is None else MeetingState.ENDED,
        paused=paused,
        languages=list(meeting.languages),
        keep_audio=meeting.keep_audio,
        cut=meeting.cut,
        settled=meeting.settled,
        created_at=wall_clock(meeting.created_at),
        ended_at=None if meeting.ended_at is None else wall_clock(meeting.ended_at),
    )


def wall_clock(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
