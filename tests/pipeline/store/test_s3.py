"""What is of S3 alone: how it is spoken to, and what is said when it refuses, lacks room or is away."""

import asyncio
import io
import ipaddress
import os
import ssl
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.errors import GreffierError, NotFound, StorageFailed, StorageFull
from pipeline.store import s3
from pipeline.store.s3 import S3Objects
from tests.s3_server import KEY, REGION, S3, SECRET, running_s3

FILE = "metadata/0a1b-metadata.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[S3]:
    """May be killed, paused and started again."""
    with running_s3(tmp_path / "s3") as server:
        yield server


@dataclass
class Scripted:
    """Answers every request the same, and notes what was asked: method, path and headers."""

    status: int = 200
    body: str = ""
    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def objects(self) -> S3Objects:
        return S3Objects(self.url, "b", KEY, SECRET, REGION)


@contextmanager
def scripted(script: Scripted, certificate: Path | None = None) -> Iterator[Scripted]:
    """Served by https where there is a certificate, a file that holds its key, too."""

    class Answers(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers)))
            self.send_response(script.status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(script.body)))
            self.end_headers()
            self.wfile.write(script.body.encode())

        do_PUT = do_GET = do_HEAD = do_DELETE = answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        script.url = f"http{'s' if certificate else ''}://127.0.0.1:{http.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield script
        finally:
            http.shutdown()


async def attempts(objects: S3Objects) -> AsyncIterator[GreffierError]:
    """The error of each thing that may be asked."""
    big = io.BytesIO(b"x" * (s3._PART + 1))
    for attempt in (
        objects.put(FILE, b"{}"),
        objects.put("m/big.ogg", big),
        objects.open(FILE),
        objects.delete_prefix("m"),
    ):
        with pytest.raises(GreffierError) as refused:
            await attempt
        yield refused.value


async def test_an_object_lies_under_its_key_in_the_bucket_with_its_type(server: S3) -> None:
    await server.objects().put(FILE, b"{}")
    assert server.path(FILE).read_bytes() == b"{}"
    with scripted(Scripted()) as script:
        objects = script.objects()
        for key in (FILE, "m/anne%20m.1.ogg", "m/notes"):
            await objects.put(key, b"x")
    assert [path for _, path, _ in script.asked] == [f"/b/{FILE}", "/b/m/anne%2520m.1.ogg", "/b/m/notes"]
    kinds = [headers["content-type"] for _, _, headers in script.asked]
    assert kinds == ["application/json", "audio/ogg", "application/octet-stream"]
    assert all(f"{KEY}/" in headers["authorization"] for _, _, headers in script.asked)
    assert all(f"/{REGION}/s3/" in headers["authorization"] for _, _, headers in script.asked)


async def test_a_link_lets_anybody_read_one_object_for_a_while(server: S3) -> None:
    objects = server.objects(public_url=server.url)
    await objects.put(FILE, b"{}")
    link = await objects.link(FILE, 60.0)
    assert link is not None
    assert await asyncio.to_thread(fetched, link) == (200, b"{}")
    assert (await asyncio.to_thread(fetched, link.replace("0a1b", "0a1c")))[0] == 403
    short = await objects.link(FILE, 1.0)
    assert short is not None
    until = time.monotonic() + 30.0
    while (await asyncio.to_thread(fetched, short))[0] == 200 and time.monotonic() < until:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.2)
    assert (await asyncio.to_thread(fetched, short))[0] == 403
    with pytest.raises(NotFound):
        await objects.link("metadata/never", 60.0)


async def test_there_are_no_links_where_s3_is_not_reached_from_outside(server: S3) -> None:
    await server.objects().put(FILE, b"{}")
    assert await server.objects().link(FILE, 60.0) is None
    with scripted(Scripted()) as script:
        objects = S3Objects(script.url, "b", KEY, SECRET, REGION, public_url="https://files.example")
        link = await objects.link(FILE, 60.0)
    assert link is not None
    assert link.startswith(f"https://files.example/b/{FILE}?X-Amz-")
    assert SECRET not in link


async def test_the_bucket_may_stand_before_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(Scripted()) as script:
        monkeypatch.setenv("http_proxy", script.url)  # which is told the whole URL, and no name is looked up
        objects = S3Objects("http://s3.test", "b", KEY, SECRET, path_style=False, public_url="https://files.test")
        await objects.put(FILE, b"{}")
        link = await objects.link(FILE, 60.0)
    assert {path for _, path, _ in script.asked} == {f"http://b.s3.test/{FILE}"}
    assert link is not None
    assert link.startswith(f"https://b.files.test/{FILE}?X-Amz-")


def fetched(url: str) -> tuple[int, bytes]:
    """Without a key."""
    try:
        with urllib.request.urlopen(url, timeout=30.0) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, b""


async def test_variables_of_other_tools_change_nothing(server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_REGION": "other",
        "AWS_DEFAULT_REGION": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, text)
    await server.objects().put(FILE, b"ours")
    with await server.objects().open(FILE) as file:
        assert file.read() == b"ours"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"secret": "another"}, "refuses .SignatureDoesNotMatch.: see GREFFIER_S3_ACCESS_KEY_ID"),
        ({"key": "nobody"}, "refuses .InvalidAccessKeyId.: see GREFFIER_S3_ACCESS_KEY_ID"),
        ({"bucket": "elsewhere"}, "http://127.0.0.1:.* has no bucket elsewhere.*GREFFIER_S3_BUCKET"),
        ({"region": "us-east-1"}, "another region .AuthorizationHeaderMalformed.: see GREFFIER_S3_REGION"),
    ],
    ids=["secret", "key", "bucket", "region"],
)
async def test_what_is_wrong_is_said_with_the_setting_to_look_at(server: S3, wrong: dict[str, str], named: str) -> None:
    async for refused in attempts(server.objects(**wrong)):
        with pytest.raises(StorageFailed, match=named):
            raise refused
        assert SECRET not in "".join(traceback.format_exception(refused))
        assert "AWS4-HMAC" not in "".join(traceback.format_exception(refused)), "no part of a signature is shown"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (507, "", StorageFull, "no room left in the bucket b"),
        (403, "<Error><Code>QuotaExceeded</Code></Error>", StorageFull, "QuotaExceeded"),
        (400, "<Error><Code>XMinioStorageFull</Code></Error>", StorageFull, "XMinioStorageFull"),
        (403, "", StorageFailed, "refuses .403."),
        (301, "<Error><Code>PermanentRedirect</Code></Error>", StorageFailed, "another region"),
        (400, "what?", StorageFailed, "does not do what it is asked .400."),
        (503, "<Error><Code>SlowDown</Code></Error>", StorageFailed, "does not do what it is asked .SlowDown."),
    ],
)
async def test_an_answer_that_is_no_yes_says_what_it_means(
    status: int, body: str, kind: type[StorageFailed], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PATIENCE", timedelta(seconds=0.3))
    with scripted(Scripted(status, body)) as script:
        with pytest.raises(kind, match=said) as refused:
            await script.objects().put(FILE, b"{}")
        assert type(refused.value) is kind


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of this machine, by nobody but itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of tests")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.add_extension(here, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return path


async def test_a_certificate_must_be_trusted_and_may_be_of_an_authority_of_ones_own(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PATIENCE", timedelta(seconds=0.3))
    with scripted(Scripted(), certificate) as script:
        with pytest.raises(StorageFailed, match="not trusted: SSL_CERT_FILE"):
            await script.objects().put(FILE, b"{}")
        assert script.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await script.objects().put(FILE, b"{}")
        assert len(script.asked) == 1


async def test_a_server_that_is_away_is_said_so_and_is_used_again_when_it_is_back(
    own_server: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PATIENCE", timedelta(seconds=0.5))
    objects = own_server.objects()
    await objects.put(FILE, b"before")
    own_server.kill()
    began = time.monotonic()
    async for refused in attempts(objects):
        with pytest.raises(StorageFailed, match=r"cannot be reached.*: see GREFFIER_S3_ENDPOINT_URL"):
            raise refused
    assert time.monotonic() - began < 20.0
    await asyncio.to_thread(own_server.start)
    with await objects.open(FILE) as file:
        assert file.read() == b"before"
    await objects.put(FILE, b"after")
    assert own_server.path(FILE).read_bytes() == b"after"


async def test_a_server_that_is_away_for_a_moment_is_waited_for(own_server: S3) -> None:
    objects = own_server.objects()
    await objects.put(FILE, b"before")
    own_server.kill()
    waiting = asyncio.create_task(objects.put(FILE, b"after"))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_server.start)
    await waiting
    assert own_server.path(FILE).read_bytes() == b"after"


async def test_a_server_that_says_nothing_holds_up_nobody_else_and_not_for_ever(
    own_server: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PATIENCE", timedelta(seconds=0.1))
    monkeypatch.setattr(s3, "_SILENCE", timedelta(seconds=0.5))
    objects = own_server.objects()
    own_server.pause()
    try:
        asking = asyncio.create_task(objects.put(FILE, b"{}"))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10, "the loop was free meanwhile"
        with pytest.raises(StorageFailed, match="cannot be reached"):
            await asking
    finally:
        own_server.resume()


async def test_parts_of_a_file_that_never_came_whole_are_removed(server: S3) -> None:
    def parts() -> list[Path]:
        return [path for path in server.path("").rglob("*") if path.is_file() and path.stat().st_size >= s3._PART]

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if piece := super().read(size):
                return piece
            until = time.monotonic() + 30.0
            while len(parts()) < 3 and time.monotonic() < until:  # none is under way any more
                time.sleep(0.01)
            raise OSError(5, "gone")

    with pytest.raises(StorageFailed, match="on its way to S3"):
        await server.objects().put("m/big.ogg", Broken(b"x" * (3 * s3._PART)))
    with pytest.raises(NotFound):
        await server.objects().open("m/big.ogg")
    assert parts() == []


async def test_a_file_of_several_parts_is_sent_whole(server: S3, tmp_path: Path) -> None:
    size = 12 * s3._PART + 7
    with (tmp_path / "big").open("wb") as file:
        for _ in range(size // 7 + 1):
            file.write(b"seventy")
        file.truncate(size)
    with (tmp_path / "big").open("rb") as file:
        await server.objects().put("m/big.ogg", file)
    with await server.objects().open("m/big.ogg") as kept, (tmp_path / "big").open("rb") as file:
        assert os.fstat(kept.fileno()).st_size == size
        while piece := file.read(2**20):
            assert kept.read(2**20) == piece


async def test_a_disk_that_is_full_while_a_file_is_fetched_is_said(server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    await server.objects().put(FILE, b"{}")

    def full() -> io.BytesIO:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(StorageFull, match="TMPDIR"):
        await server.objects().open(FILE)
