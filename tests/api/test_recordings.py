"""Recordings over HTTP: uploaded, heard by the real model, read as a transcript; what is no recording is refused."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import pytest

from api.settings import read_settings
from api.wiring import Recognition
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.recordings import described, heard, recorded, silence, write_sound
from tests.serving import WITHOUT_VOICES, Process, Served, process, serving

JFK = "en_jfk.flac"
RECORDINGS = "/api/v1/recordings"
Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(loaded: Recognition, tmp_path: Path) -> Serve:
    """Opens a server on the test's own folder; again, on the same folder."""

    @asynccontextmanager
    async def opened(**changed: Any) -> AsyncIterator[Served]:
        home = tmp_path / "home"
        settings = replace(read_settings(WITHOUT_VOICES), home=home, database_url=f"sqlite:///{home}/greffier.db")
        async with serving(loaded, replace(settings, **changed)) as served:
            yield served

    return opened


async def uploaded(served: Served, path: Path, name: str | None = None, **fields: str) -> httpx2.Response:
    with path.open("rb") as file:
        return await served.client.post(RECORDINGS, data=fields, files={"file": (name or path.name, file)})


async def finished(served: Served, answer: httpx2.Response) -> dict[str, Any]:
    """The recording once nothing more becomes of it."""
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(60.0):
        while True:
            recording = (await served.client.get(answer.headers["Location"])).json()
            if recording["state"] in {"done", "failed"}:
                return dict(recording)
            await asyncio.sleep(0.05)


def left(served: Served) -> list[str]:
    return [path.name for path in (served.house.settings.home / "uploads").glob("*")]


async def nothing_left(served: Served) -> None:
    """The upload goes once its outcome is kept."""
    async with asyncio.timeout(5.0):
        while left(served):  # noqa: ASYNC110 - the disk tells nobody
            await asyncio.sleep(0.01)


def problem(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.json()["detail"])


# --- from the upload to the transcript ----------------------------------------------------------------------------


async def test_an_uploaded_recording_becomes_a_transcript_that_says_what_was_said(serve: Serve) -> None:
    async with serve() as served:
        answer = await uploaded(served, recorded(JFK), title="Inaugural <b>address</b>", languages="en")
        waiting = answer.json()
        assert (waiting["state"], waiting["progress"], waiting["meeting"]) == ("waiting", 0.0, None)
        done = await finished(served, answer)
        assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
        assert (done["title"], done["duration"]) == ("Inaugural <b>address</b>", pytest.approx(11.0, abs=0.1))
        meeting = f"/api/v1/meetings/{done['meeting']}"
        shown = (await served.client.get(meeting)).json()
        text = (await served.client.get(f"{meeting}/transcript.txt")).text
        vtt = (await served.client.get(f"{meeting}/transcript.vtt")).text
        whole = (await served.client.get(f"{meeting}/transcript.json")).json()
        found = (await served.client.get("/api/v1/meetings", params={"q": "fellow americans"})).json()["meetings"]
        assert left(served) == []
    assert (shown["title"], shown["state"], shown["cut"]) == ("Inaugural <b>address</b>", "ended", False)
    said = " ".join(segment["text"] for segment in whole["segments"])
    reference = str(described(JFK)["ref_text"])
    assert count_errors(normalise(reference, "en"), normalise(said, "en")).rate < 0.05
    assert "ask not what your country can do for you" in " ".join(text.split())
    assert "<v Inaugural &lt;b&gt;address&lt;/b&gt;>" in vtt
    assert [each["id"] for each in found] == [done["meeting"]]


async def test_the_languages_of_the_server_are_heard_where_none_is_named_and_the_file_names_the_recording(
    serve: Serve,
) -> None:
    async with serve() as served:
        name = "fr_pv_leopard.wav"
        done = await finished(served, await uploaded(served, recorded(name), "C:\\réunions\\conseil de mai.wav"))
        whole = (await served.client.get(f"/api/v1/meetings/{done['meeting']}/transcript.json")).json()
    assert done["title"] == "conseil de mai"
    assert {segment["language"] for segment in whole["segments"]} == {"fr"}


async def test_two_uploads_at_once_are_both_transcribed_and_listed_newest_first(serve: Serve) -> None:
    async with serve() as served:
        answers = await asyncio.gather(
            uploaded(served, recorded(JFK), "one.flac", languages="en"),
            uploaded(served, recorded(JFK), "two.flac", languages="en"),
        )
        done = [await finished(served, answer) for answer in answers]
        listed = (await served.client.get(RECORDINGS)).json()["recordings"]
    assert [each["state"] for each in done] == ["done", "done"]
    assert listed == sorted(done, key=lambda each: each["created_at"], reverse=True)


async def test_a_recording_is_deleted_with_its_transcript(serve: Serve) -> None:
    async with serve() as served:
        answer = await uploaded(served, recorded(JFK), languages="en")
        done = await finished(served, answer)
        place = answer.headers["Location"]
        assert (await served.client.delete(place)).status_code == 204
        assert "no recording" in problem(await served.client.get(place), 404)
        assert "no recording" in problem(await served.client.delete(place), 404)
        problem(await served.client.get(f"/api/v1/meetings/{done['meeting']}"), 404)
        assert (await served.client.get(RECORDINGS)).json() == {"recordings": []}


async def test_a_recording_is_deleted_while_it_waits_or_is_heard(serve: Serve, tmp_path: Path) -> None:
    async with serve() as served:
        for _ in range(2):
            answer = await uploaded(served, recorded(JFK))
            assert (await served.client.delete(answer.headers["Location"])).status_code == 204
        last = await finished(served, await uploaded(served, recorded(JFK), "last.flac", languages="en"))
        meetings = (await served.client.get("/api/v1/meetings")).json()["meetings"]
        assert left(served) == []
    assert [meeting["id"] for meeting in meetings] == [last["meeting"]]


def test_a_killed_process_takes_its_recordings_up_again_and_removes_what_did_not_arrive(tmp_path: Path) -> None:
    def all_of(server: Process) -> list[dict[str, Any]]:
        return list(server.ask("GET", RECORDINGS).json()["recordings"])

    long = write_sound(tmp_path / "long.wav", spoken(2), 16_000, "mono")
    with process(tmp_path / "home", GREFFIER_LANGUAGES="en") as server:
        for name in ("long.wav", "second.wav"):
            with long.open("rb") as file:
                assert server.ask("POST", RECORDINGS, files={"file": (name, file)}).status_code == 202
        (tmp_path / "home" / "uploads" / "0123.part").write_bytes(b"half")
        assert [each["state"] for each in all_of(server)][-1] in {"waiting", "running"}
        server.kill()
        server.start()
        assert not (tmp_path / "home" / "uploads" / "0123.part").exists()
        for _ in range(400):
            if {each["state"] for each in all_of(server)} == {"done"}:
                break
            time.sleep(0.25)
        meetings = server.ask("GET", "/api/v1/meetings").json()["meetings"]
        assert sorted(each["title"] for each in meetings) == ["long", "second"]
        text = server.ask("GET", f"/api/v1/meetings/{meetings[0]['id']}/transcript.txt").text
        assert server.stop() == 0
    assert text.lower().count("fellow americans") == 2


def spoken(times: int) -> Any:
    part = np.concatenate([heard(JFK), silence(1.0)])
    return (np.tile(part, times).astype(np.float32) / 32768)[None]


# --- what is no recording ------------------------------------------------------------------------------------------


async def test_an_upload_of_nothing_is_refused(serve: Serve, tmp_path: Path) -> None:
    async with serve() as served:
        (tmp_path / "empty.wav").touch()
        assert "is empty (0 bytes)" in problem(await uploaded(served, tmp_path / "empty.wav"), 422)
        assert "has no file" in problem(await served.client.post(RECORDINGS, files={"title": (None, "x")}), 422)
        assert "part 'file'" in problem(await served.client.post(RECORDINGS), 415)
        assert "part 'file'" in problem(await served.client.post(RECORDINGS, json={"file": "x"}), 415)
        assert (left(served), (await served.client.get(RECORDINGS)).json()) == ([], {"recordings": []})


async def test_what_holds_no_sound_is_refused_without_naming_a_path(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("These are the notes of the meeting.\n" * 200)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:2,\n/etc/passwd\n")
    async with serve() as served:
        for name in ("notes.mp3", "list.m3u8"):
            detail = problem(await uploaded(served, tmp_path / name), 422)
            assert detail.startswith(f"{name} cannot be read as a recording")
            assert str(tmp_path) not in detail
        assert left(served) == []


async def test_a_head_without_sound_fails_in_words(serve: Serve, tmp_path: Path) -> None:
    whole = recorded(JFK).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[:9_000])
    async with serve() as served:
        failed = await finished(served, await uploaded(served, tmp_path / "cut.flac"))
        assert failed["state"] == "failed"
        assert "the recording holds no sound that can be decoded" in failed["error"]
        await nothing_left(served)


async def test_a_bomb_is_refused_before_it_is_decoded(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.jobs.LONGEST", 3600.0)  # half of what would take long to write here
    async with serve() as served:
        answer = await uploaded(served, bomb(tmp_path / "silence.ogg", hours=2))
        failed = await finished(served, answer)
        await nothing_left(served)
    assert failed["state"] == "failed"
    assert failed["error"] == "the recording holds more than 12 hours of sound; divide it and upload the parts"


def bomb(path: Path, hours: float) -> Path:
    """Hours of silence in a small file: one packet of Opus again and again, each said to be 60 ms."""
    with av.open(str(path), "w", options={"page_duration": "1000000000"}) as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono", options={"frame_duration": "60"})
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2880), np.int16), format="s16", layout="mono")
        frame.rate = 48_000
        packet = next(iter(stream.encode(frame)))
        content = bytes(packet)
        for number in range(round(hours * 3600 / 0.06)):
            again = av.Packet(content)
            again.stream, again.time_base = stream, Fraction(1, 48_000)
            again.pts = again.dts = number * 2880
            again.duration = 2880
            container.mux(again)
    assert path.stat().st_size < hours * 1_000_000
    return path


async def test_an_upload_over_the_limit_is_refused_by_its_head_and_by_its_length(serve: Serve) -> None:
    async with serve(upload_limit=1_000_000) as served:
        whole = {"file": ("long.wav", bytes(2_000_000))}
        assert "1 MB (GREFFIER_UPLOAD_LIMIT)" in problem(await served.client.post(RECORDINGS, files=whole), 413)

        async def endless() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
            for _ in range(200):
                yield bytes(10_000)

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await served.client.post(RECORDINGS, content=endless(), headers=headers)
        assert "1 MB (GREFFIER_UPLOAD_LIMIT)" in problem(answer, 413)
        assert left(served) == []


async def test_2_gb_are_refused_before_they_are_sent(serve: Serve) -> None:
    async with serve(upload_limit=1_000_000) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {RECORDINGS} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {served.key}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 2147483648\r\n\r\n"
        writer.write(head.encode())
        status = await asyncio.wait_for(reader.readline(), 5.0)
        writer.close()
        assert b" 413 " in status
        assert left(served) == []


async def test_an_upload_that_breaks_off_leaves_nothing(serve: Serve) -> None:
    async with serve() as served:
        host, port = served.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {RECORDINGS} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {served.key}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n' + bytes(100_000)
        writer.write(head.encode() + form)
        await writer.drain()
        async with asyncio.timeout(5.0):
            while not left(served):  # noqa: ASYNC110 - the disk tells nobody
                await asyncio.sleep(0.01)
            writer.close()
            while left(served):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert (await served.client.get(RECORDINGS)).json() == {"recordings": []}


async def test_a_form_that_is_none_says_so(serve: Serve) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    async with serve() as served:
        for body in (b"no form at all", file + b"never ends", b"--b\r\nno head"):
            answer = await served.client.post(RECORDINGS, content=body, headers=headers)
            assert "no multipart/form-data, or breaks off" in problem(answer, 400)
        two = file + b"1\r\n" + file + b"2\r\n--b--\r\n"
        assert "one each of" in problem(await served.client.post(RECORDINGS, content=two, headers=headers), 422)
        other = {"file": ("x.wav", b"1"), "colour": (None, "red")}
        assert "not another 'colour'" in problem(await served.client.post(RECORDINGS, files=other), 422)
        long = {"file": ("x.wav", b"1"), "title": (None, "x" * 5_000)}
        assert "longer than 4000 bytes" in problem(await served.client.post(RECORDINGS, files=long), 422)
        assert left(served) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": "x" * 201}, "title: a title has 201 characters; 200 are the most"),
        ({"languages": "fr,klingon"}, "languages: no language that is known here: klingon"),
    ],
)
async def test_fields_that_cannot_be_used_are_named(serve: Serve, fields: dict[str, str], said: str) -> None:
    async with serve() as served:
        assert said in problem(await uploaded(served, recorded(JFK), **fields), 422)
        assert left(served) == []


async def test_a_full_disk_is_said_and_leaves_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as served:
        home = served.house.settings.home
        (home / "uploads").mkdir(parents=True, exist_ok=True)
        real = Path.open

        def full(path: Path, *given: Any, **named: Any) -> Any:
            return real(Path("/dev/full"), "wb", buffering=0) if path.suffix == ".part" else real(path, *given, **named)

        monkeypatch.setattr(Path, "open", full)
        assert "no room left" in problem(await uploaded(served, recorded(JFK)), 507)
        monkeypatch.undo()
        assert left(served) == []
        assert (await finished(served, await uploaded(served, recorded(JFK))))["state"] == "done"


async def test_more_than_the_disk_has_room_for_is_refused_at_once(serve: Serve) -> None:
    async with serve(upload_limit=10**18) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {RECORDINGS} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {served.key}\r\n"
        head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {10**17}\r\n\r\n"
        writer.write(head.encode())
        assert b" 507 " in await asyncio.wait_for(reader.readline(), 5.0)
        writer.close()


async def test_only_keys_for_recordings_may_upload(serve: Serve) -> None:
    async with serve() as served:
        without = {"Authorization": ""}
        for method, place in (("POST", ""), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
            problem(await served.client.request(method, RECORDINGS + place, headers=without), 401)
