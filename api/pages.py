"""The pages: home, live meeting, transcript, recordings, sign-in. Rendered here, brought to life by ``web/static``.

What a page does, it asks of the HTTP API with the session that came with it (``Need.PAGE``); what it shows here is
looked at with the same scopes that the API asks for.
"""

import time
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from jinja2 import Environment, FileSystemLoader
from starlette.responses import RedirectResponse
from starlette.templating import Jinja2Templates

from api.access import Grant, Need, needs
from api.denials import NotAllowed
from api.house import house_of
from api.known_voices import known_voices, largest_clip
from api.minutes import minutes_of
from api.page_words import LANGUAGE_COOKIE, Words, catalogues, language_of
from api.parsing import IceServer
from api.settings import DiarizeRecordings, Settle
from api.speakers import voices_in
from api.speech_metadata import LONGEST
from api.transcript_page import choices_of, clock, entries_of, initials, iso, rows_of, voices_of
from pipeline.domain import Meeting, MeetingId, Settled, Transcript
from pipeline.export.minutes import LABELS, named, percent
from pipeline.export.names import speaker_names
from pipeline.export.timeline import timeline
from pipeline.record.left_out import left_out
from pipeline.record.settled import LATEST
from pipeline.record.turns import turns

WEB = Path(__file__).parent / "web"
_TOKENS = WEB / "static" / "vendor" / "cunningham-tokens.css"
_LIST = 50
_YEAR_SECONDS = 365 * 24 * 3600
_FORMATS = ("vtt", "srt", "txt", "md", "json")
_SETTLED = {
    Settled.SOUND: "settled.sound",
    Settled.VOICES: "settled.voices",
    Settled.FAILED: "settled.failed",
}


@cache
def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(WEB / "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    icons: Any = environment.get_template("icons.html").module
    environment.globals.update(icon=icons.icon, clock=clock, iso=iso, initials=initials)
    return Jinja2Templates(env=environment)


router = APIRouter(include_in_schema=False)
Visitor = Annotated[Grant, needs(Need.PAGE)]
Search = Annotated[str, Query(max_length=200)]


@router.get("/")
async def home(request: Request, grant: Visitor, q: Search = "", before: float | None = None) -> Response:
    """Create or open a meeting; those there are, newest first, or those in which ``q`` is found."""
    may_meet = _may(request, grant, Need.MEETINGS)
    found = await house_of(request).store.meetings(q, before, _LIST) if may_meet else []
    older = None
    if len(found) == _LIST:
        older = _here(request, before=repr(found[-1].created_at))
    return _page(request, grant, "home.html", query=q, meetings=found, older=older)


@router.get("/meetings/{meeting}")
async def live(request: Request, meeting: str, grant: Visitor) -> Response:
    """A meeting while it goes on; the transcript of one that is over."""
    _must(request, grant, Need.READ)
    kept = await house_of(request).store.meeting(MeetingId(meeting))
    if kept.ended_at is not None:
        return RedirectResponse(f"/meetings/{kept.id}/transcript", HTTPStatus.SEE_OTHER)
    ice = [_ice_server(server) for server in house_of(request).settings.ice_servers]
    largest = largest_clip(house_of(request))
    return _page(request, grant, "live.html", meeting=kept, title=kept.title, ice=ice, largest=largest)


@router.get("/meetings/{meeting}/transcript")
async def transcript(request: Request, meeting: str, grant: Visitor, q: Search = "") -> Response:
    """The transcript so far, or whole, with its downloads; ``q`` is looked for in it."""
    _must(request, grant, Need.READ)
    store = house_of(request).store
    kept = await store.meeting(MeetingId(meeting))
    record = await store.transcript(kept.id)
    names = speaker_names(record)
    words = _words(request)
    people = await store.participants(kept.id)
    voices = await store.voices(kept.id)
    speakers = voices_in(kept, record, people, voices)
    asides = left_out(record)
    return _page(
        request,
        grant,
        "transcript.html",
        meeting=kept,
        title=kept.title,
        people=list(names.values()),
        entries=entries_of(record, turns(record), names, words, voices_of(speakers), asides),
        left_out=len(asides),
        rows=rows_of(kept, record, people, speakers, names),
        choices=choices_of(people, speakers, names),
        known=await known_voices(house_of(request), kept, people, voices),
        formats=[(each, words.say(f"format.{each}")) for each in _FORMATS],
        query=q,
        settled=_settled(request, kept),
        **await _minutes(request, kept, record, words),
    )


async def _minutes(request: Request, kept: Meeting, record: Transcript, words: Words) -> dict[str, object]:
    found = await minutes_of(house_of(request), kept, record)
    return {
        "minutes": named(found),
        "shares": {each.participant.id: percent(found, each) for each in found.attendees},
        "picture": timeline(found, LABELS[words.language], alone=False),
    }


def _settled(request: Request, kept: Meeting) -> str | None:
    """What is said of how the transcript was settled, or is still to be."""
    settles = house_of(request).settings.settle is Settle.AUTO
    if kept.settled is None and kept.ended_at is not None and settles and kept.ended_at > time.time() - LATEST:
        return "settled.waiting"
    return None if kept.settled is None else _SETTLED.get(kept.settled)


@router.get("/recordings")
async def recordings(request: Request, grant: Visitor) -> Response:
    """Upload recordings, see how far their transcription is."""
    _must(request, grant, Need.RECORDINGS)
    settings = house_of(request).settings
    return _page(
        request,
        grant,
        "recordings.html",
        limit=_size(settings.upload_limit),
        # Where voices are not told apart there are none to be named.
        metadata_longest=0 if settings.diarize_recordings is DiarizeRecordings.NEVER else LONGEST,
    )


@router.get("/sign-in")
async def sign_in(request: Request) -> Response:
    """Asks for an API key; open to everybody."""
    return _page(request, None, "sign_in.html")


def _page(request: Request, grant: Grant | None, template: str, **values: object) -> Response:
    words = _words(request)
    if not values.get("title", True):
        values["title"] = words.say("meeting.untitled")
    shown = {
        "t": words.say,
        "words": words.of_scripts(),
        "language": words.language,
        "languages": [(code, each["name"]) for code, each in catalogues().items()],
        "same_page": lambda code: _here(request, language=code),
        "tokens": _TOKENS.is_file(),
        "csrf": grant.csrf if grant else "",
        "may_meet": grant is not None and _may(request, grant, Need.MEETINGS),
        "may_record": grant is not None and _may(request, grant, Need.RECORDINGS),
    }
    response: Response = _templates().TemplateResponse(request, template, shown | values)
    response.headers["Content-Language"] = words.language
    if request.query_params.get("language") == words.language:
        secure = request.url.scheme == "https"
        response.set_cookie(
            LANGUAGE_COOKIE, words.language, _YEAR_SECONDS, samesite="lax", httponly=True, secure=secure
        )
    return response


def _ice_server(server: IceServer) -> dict[str, str]:
    """An ``RTCIceServer`` of WebRTC."""
    given = {"urls": server.url, "username": server.username, "credential": server.credential}
    return {name: value for name, value in given.items() if value is not None}


def error_page(request: Request, status: HTTPStatus) -> Response:
    """Says to a person what a problem document says to a program."""
    response = _page(request, None, "error.html", status=int(status))
    response.status_code = status
    return response


def _words(request: Request) -> Words:
    return Words(language_of(request))


def _may(request: Request, grant: Grant, need: Need) -> bool:
    try:
        _must(request, grant, need)
    except NotAllowed:
        return False
    return True


def _must(request: Request, grant: Grant, need: Need) -> None:
    house_of(request).access.check(grant, need, request.path_params)


def _here(request: Request, **changed: str) -> str:
    """The address of this page with parts of its query changed."""
    address = request.url.include_query_params(**changed)
    return f"{address.path}?{address.query}"


def _size(limit: int) -> str:
    """Bytes as people say them, in binary units under their usual names."""
    value, units = float(limit), ["B", "KB", "MB", "GB", "TB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.3g} {units[0]}"
