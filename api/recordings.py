"""Recordings: uploaded as a form, transcribed one after the other, each an ended meeting in the end."""

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import PureWindowsPath
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.access import Need, needs
from api.house import House, house_of
from api.names import LONGEST_TITLE, normalised
from api.shapes import Languages, Shape, Title, like, wall_clock
from api.speech_metadata import LONGEST as LONGEST_METADATA
from api.speech_metadata import read_speech
from media_gateway.recording import Recording
from pipeline.domain import MeetingId, RecordingId, RecordingJob, RecordingState
from pipeline.errors import InvalidInput
from pipeline.record.matching import ParticipantSpeech
from pipeline.store.uploads import Upload

router = APIRouter(prefix="/api/v1/recordings", tags=["recordings"], dependencies=[needs(Need.RECORDINGS)])

_FIELDS = {"title": 4_000, "languages": 4_000, "started_at": 4_000, "metadata": LONGEST_METADATA}
"""The bytes that each may have."""
_FORM = 20_000 + LONGEST_METADATA
"""Bytes of a form around its file: boundaries, heads and fields."""
_UNNAMED = "recording"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "title": {"type": "string", "maxLength": LONGEST_TITLE},
                        "languages": {"type": "string", "description": "Codes such as `fr,en`, preferred first."},
                        "started_at": {
                            "type": "string",
                            "format": "date-time",
                            "description": "When the recording began, with its time zone; wanted with `metadata`.",
                        },
                        "metadata": {
                            "type": "string",
                            "format": "binary",
                            "description": "The metadata file of the recording, as Visio's collector writes it.",
                        },
                        "file": {"type": "string", "format": "binary", "description": "Any usual audio or video."},
                    },
                },
                "example": {"title": "Board of May", "languages": "fr", "file": "(board.m4a)"},
            }
        },
    }
}


class _Fields(Shape):
    title: Title = ""
    languages: Languages = Field(default=[])
    started_at: AwareDatetime | None = None


_EXAMPLE = {
    "id": "5f0c1d2e3a4b5c6d",
    "title": "Board of May",
    "state": "running",
    "progress": 0.42,
    "duration": 3605.2,
    "languages": ["fr"],
    "meeting": None,
    "error": None,
    "created_at": "2026-11-25T17:38:14Z",
}


class RecordingShape(Shape):
    """An uploaded recording and how far its transcription is."""

    model_config = like(**_EXAMPLE)

    id: str
    title: str
    state: RecordingState
    progress: float = Field(description="From 0 to 1.")
    duration: float | None = Field(description="Seconds of sound; null until somebody has looked.")
    languages: list[str]
    meeting: str | None = Field(description="The ended meeting that holds the transcript, once it is done.")
    error: str | None = Field(description="What went wrong, in words.")
    created_at: datetime


class RecordingList(Shape):
    model_config = like(recordings=[_EXAMPLE])

    recordings: list[RecordingShape]


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Upload a recording to be transcribed",
    openapi_extra=_BODY,
    max_body_size=sys.maxsize,  # the setting decides, below
)
async def upload(request: Request, response: Response) -> RecordingShape:
    """A form (`multipart/form-data`) with the file, and optionally its title and languages.

    With `metadata` and `started_at` its voices get the names of the participants who spoke when they did.
    Its transcription begins once those uploaded before are done, and never delays live captions.
    """
    house = house_of(request)
    recording = RecordingId(secrets.token_hex(8))
    form = _Form(request.headers.get("content-type", ""))
    uploads = house.files.uploads
    async with uploads.receive(recording, _expected(request, house)) as arriving:
        await _receive(request, form, arriving, house.settings.upload_limit)
    try:
        fields = form.checked()
        house.check_languages(tuple(fields.languages))
        people = await asyncio.to_thread(_people, form.metadata, fields.started_at)
        await asyncio.to_thread(Recording.open, uploads.path(recording), form.file_name or _UNNAMED)
        job = RecordingJob(
            recording,
            fields.title or _title_of(form.file_name),
            time.time(),
            MeetingId(secrets.token_hex(8)),
            tuple(fields.languages),
        )
        await uploads.share(recording)
        await house.store.create_recording(job, people)
    except BaseException:
        await uploads.discard(recording)
        raise
    await house.jobs.send(recording)
    response.headers["Location"] = f"{router.prefix}/{recording}"
    return _shape(job)


@router.get("", summary="List recordings, newest first")
async def find(request: Request) -> RecordingList:
    return RecordingList(recordings=[_shape(job) for job in await house_of(request).store.recordings()])


@router.get("/{recording}", summary="Show a recording and its progress")
async def show(request: Request, recording: str) -> RecordingShape:
    return _shape(await house_of(request).store.recording(RecordingId(recording)))


@router.delete(
    "/{recording}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Stop transcribing a recording, and delete it with its transcript",
)
async def delete(request: Request, recording: str) -> Response:
    house = house_of(request)
    # Whoever transcribes it learns from the store that it is gone.
    await house.store.delete_recording(RecordingId(recording))
    await house.files.uploads.discard(RecordingId(recording))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _shape(job: RecordingJob) -> RecordingShape:
    return RecordingShape(
        id=job.id,
        title=job.title,
        state=job.state,
        progress=round(job.progress, 3),
        duration=job.duration,
        languages=list(job.languages),
        meeting=job.meeting if job.state is RecordingState.DONE else None,
        error=job.error,
        created_at=wall_clock(job.created_at),
    )


# --- a form as it arrives --------------------------------------------------------------------------------------


class _Form:
    """A form (RFC 7578) whose file goes on as it comes; its other fields are small and kept here.

    Raises ``HTTPException`` where the body is no such form.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the recording as the part 'file' of a multipart/form-data body"
            )
        self.file_name: str | None = None
        self._fields: dict[str, bytearray] = {}
        self._file: list[bytes] = []
        self._field: bytearray | None = None  # None: what comes belongs to the file
        self._most = 0
        self._head: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._head.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _broken() from error

    def take(self, chunk: bytes) -> bytes:
        """What of ``chunk`` belongs to the file."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken() from error
        part, self._file = b"".join(self._file), []
        return part

    def finish(self, size: int) -> None:
        """The body has ended after ``size`` bytes of its file. Raises ``InvalidInput`` where that is nothing."""
        if not self._ended:
            raise _broken()
        if self.file_name is None:
            raise InvalidInput("the form has no file: send the recording as its part 'file'")
        if size == 0:
            raise InvalidInput("the file is empty (0 bytes): give a recording with sound")

    @property
    def metadata(self) -> bytearray | None:
        return self._fields.get("metadata")

    def checked(self) -> _Fields:
        """Raises ``RequestValidationError``."""
        given = {name: text.decode(errors="replace") for name, text in self._fields.items() if name != "metadata"}
        codes = [code.strip() for code in given.pop("languages", "").split(",") if code.strip()]
        try:
            return _Fields.model_validate({**given, "languages": codes})
        except ValidationError as error:
            raise RequestValidationError([_in_body(each) for each in error.errors()]) from error

    def _on_header_field(self, text: bytes, start: int, end: int) -> None:
        self._name += text[start:end]

    def _on_header_value(self, text: bytes, start: int, end: int) -> None:
        self._value += text[start:end]

    def _on_header_end(self) -> None:
        self._head[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._head.get(b"content-disposition"))
        name = options.get(b"name", b"").decode(errors="replace")
        if name == "file" and self.file_name is None:
            self.file_name = options.get(b"filename", b"").decode(errors="replace")
            self._field = None
        elif name in _FIELDS and name not in self._fields:
            self._field = self._fields[name] = bytearray()
            self._most = _FIELDS[name]
        else:
            known = ", ".join(_FIELDS)
            raise InvalidInput(f"the form may hold one each of {known} and file, not another {name[:50]!r}")

    def _on_part(self, text: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._file.append(text[start:end])
        elif len(self._field) + end - start > self._most:
            raise InvalidInput(f"a field of the form is longer than {self._most} bytes")
        else:
            self._field += text[start:end]

    def _on_end(self) -> None:
        self._ended = True


async def _receive(request: Request, form: _Form, arriving: Upload, limit: int) -> None:
    """The file of the form to the disk, while it comes."""
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if part := form.take(chunk):
                await arriving.write(part)
            if arriving.size > limit or received > limit + _FORM:
                raise _too_large(limit)
    except ClientDisconnect as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the upload broke off") from error
    form.finish(arriving.size)


def _people(metadata: bytearray | None, started_at: datetime | None) -> tuple[ParticipantSpeech, ...]:
    if metadata is None:
        return ()
    if started_at is None:
        raise InvalidInput("metadata needs started_at, when the recording began: its times are those of a clock")
    return read_speech(metadata, started_at)


def _expected(request: Request, house: House) -> int | None:
    """The bytes that the client says it sends."""
    given = request.headers.get("content-length", "")
    if not given.isascii() or not given.isdecimal():
        return None
    if int(given) > house.settings.upload_limit + _FORM:
        raise _too_large(house.settings.upload_limit)
    return int(given)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a recording may have {limit / 1e6:g} MB (GREFFIER_UPLOAD_LIMIT); give its sound only, or in parts",
    )


def _broken() -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, "the body is no multipart/form-data, or breaks off")


def _in_body(error: Mapping[str, Any]) -> dict[str, Any]:
    return {**error, "loc": ("body", *error["loc"])}


def _title_of(file_name: str | None) -> str:
    """The name of the file without folders and extension."""
    try:
        stem = PureWindowsPath(file_name or "").stem[: 10 * LONGEST_TITLE]
        return normalised(stem, sys.maxsize, "a title")[:LONGEST_TITLE]
    except ValueError:
        return _UNNAMED
