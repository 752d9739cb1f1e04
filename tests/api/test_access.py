"""Who may do what: every route of the application refuses whoever has no right to it, and says why."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import websockets
from fastapi.routing import RouteContext, iter_route_contexts

from api.access import COOKIE, Access, Grant, Need, is_loopback
from api.app import create_app
from api.denials import NotAllowed, NotSignedIn
from api.keys import new_key
from api.schema import needs_of
from api.tokens import Can, Signer, Token
from pipeline.access import ApiKey, Scope
from pipeline.domain import MeetingId, ParticipantId
from tests.api.serving import Serving, serving

OPEN = {
    "/healthz",
    "/readyz",
    "/api/v1/openapi.json",
    # As in moshi-server.
    "/api/build_info",
    "/static",
    "/sign-in",
    # Signing in is how one gets in.
    "POST /api/v1/session",
    # RFC 9725, section 4.5: what may be posted, the same for all.
    "OPTIONS /whip/{meeting}",
    # Takes its token in its first message; test_a_socket_for_sound_refuses_them_too.
    "/api/v1/meetings/{meeting}/audio.ws",
}
"""What may be reached by everybody; anything else must need something."""


@dataclass(frozen=True, slots=True)
class Door:
    """One method of one route, with an address in a meeting."""

    method: str
    route: str
    address: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.route}"


def doors(routes: Iterator[RouteContext], meeting: str) -> Iterator[tuple[Door, RouteContext]]:
    values = {"meeting": meeting, "participant": "anne", "peer": "p", "format": "vtt", "segment": "s", "kind": "audio"}
    for route in routes:
        path = route.path or ""
        address = re.sub(r"{(\w+)(:\w+)?}", lambda found: values.get(found[1], "0"), path)
        for method in sorted(route.methods or {"SOCKET"}) if route.methods is not None else ["SOCKET"]:
            if method != "HEAD" and path != "/static":
                yield Door(method, path, address), route


def is_open(door: Door) -> bool:
    return door.route in OPEN or door.name in OPEN


async def answer(served: Serving, door: Door, token: str | None) -> tuple[int, str, str]:
    """The status of a door opened with a token, the challenge and the problem."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if door.method == "SOCKET":
        try:
            async with websockets.connect(served.sockets + door.address, additional_headers=headers):
                return 101, "", ""
        except websockets.InvalidStatus as refused:
            response = refused.response
            return response.status_code, response.headers.get("WWW-Authenticate", ""), response.body.decode()
    async with served.stranger(**headers) as http, http.stream(door.method, door.address) as response:
        if response.status_code >= 400:
            await response.aread()
            return response.status_code, response.headers.get("www-authenticate", ""), response.text
        return response.status_code, "", ""


async def test_every_route_refuses_whoever_has_no_right_to_it(served: Serving) -> None:
    meeting, other = await served.meeting(), await served.meeting()
    long_ago = Signer(served.house.access.signer._secret, 60.0, now=lambda: 1e9)
    token = Token(MeetingId(meeting), frozenset(Can), ParticipantId("anne"))
    wrong = Signer(b"another secret, as long as it has to be: 64 bytes", 60.0).token(token)[0]
    expired = long_ago.token(token)[0]
    elsewhere = served.token(other)
    seen = 0
    for door, route in doors(iter_route_contexts(create_app(served.house).routes), meeting):
        if is_open(door):
            assert not needs_of(route), door.name
            continue
        seen += 1
        assert needs_of(route), f"{door.name} declares no need"
        if needs_of(route) != {Need.PAGE}:  # on this machine, pages sign themselves in
            status, challenge, _ = await answer(served, door, None)
            assert (status, challenge) == (401, 'Bearer realm="greffier"'), door.name
        for bad in (wrong, "grf_00000000_" + "x" * 43, "nonsense"):
            status, challenge, _ = await answer(served, door, bad)
            assert status == 401, door.name
            assert 'error="invalid_token"' in challenge, door.name
        status, challenge, problem = await answer(served, door, expired)
        assert status == 401, door.name
        assert "expired" in challenge, door.name
        assert "expired" in problem, door.name
        status, _, problem = await answer(served, door, elsewhere)
        assert status == 403, door.name
    assert seen > 35


async def test_what_is_open_to_everybody_is_there(served: Serving) -> None:
    async with served.stranger() as http:
        for path in ("/healthz", "/readyz", "/api/v1/openapi.json", "/sign-in"):
            assert (await http.get(path)).status_code == 200, path


async def test_a_socket_for_sound_refuses_them_too(served: Serving) -> None:
    meeting, other = await served.meeting(), await served.meeting()
    long_ago = Signer(served.house.access.signer._secret, 60.0, now=lambda: 1e9)
    expired = long_ago.token(Token(MeetingId(meeting), frozenset(Can), ParticipantId("anne")))[0]
    for token in ("nonsense", expired, served.token(other), served.token(meeting, can=frozenset({Can.READ}))):
        address = f"{served.sockets}/api/v1/meetings/{meeting}/audio.ws"
        async with websockets.connect(address) as socket:
            await socket.send(f'{{"token": "{token}", "codec": "pcm16", "sample_rate": 16000}}')
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008


class TestTokens:
    async def test_a_token_in_an_address_reads(self, served: Serving) -> None:
        meeting = await served.meeting()
        token = served.token(meeting, None, frozenset({Can.READ}))
        async with served.stranger() as http:
            answer = await http.get(f"/api/v1/meetings/{meeting}/transcript.txt?token={token}")
            assert answer.status_code == 200
            async with websockets.connect(
                f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws?token={token}"
            ) as it:
                assert '"snapshot"' in str(await it.recv())

    async def test_a_token_in_an_address_changes_nothing(self, served: Serving) -> None:
        meeting = await served.meeting()
        async with served.stranger() as http:
            address = f"/api/v1/meetings/{meeting}/participants/anne?token={served.token(meeting)}"
            assert (await http.patch(address, json={"name": "Eve"})).status_code == 401

    async def test_an_api_key_does_not_belong_in_an_address(self, served: Serving) -> None:
        meeting = await served.meeting()
        async with served.stranger() as http:
            answer = await http.get(f"/api/v1/meetings/{meeting}?token={served.key}")
        assert answer.status_code == 401
        assert "does not belong" in answer.json()["detail"]

    async def test_a_reader_may_not_publish(self, served: Serving) -> None:
        meeting = await served.meeting()
        token = served.token(meeting, can=frozenset({Can.READ}))
        async with served.stranger(Authorization=f"Bearer {token}") as http:
            assert (await http.post(f"/whip/{meeting}", content="v=0")).status_code == 403

    async def test_a_participant_changes_its_own_name_only(self, served: Serving) -> None:
        meeting = await served.meeting()
        for name in ("anne", "bob"):
            await served.http.post(
                f"/api/v1/meetings/{meeting}/participants", json={"name": name, "id": name, "mode": "publish"}
            )
        async with served.stranger(Authorization=f"Bearer {served.token(meeting, 'anne')}") as http:
            own = await http.patch(f"/api/v1/meetings/{meeting}/participants/anne", json={"name": "Anne"})
            other = await http.patch(f"/api/v1/meetings/{meeting}/participants/bob", json={"name": "Bobby"})
        assert (own.status_code, other.status_code) == (200, 403)

    async def test_a_session_of_a_page_is_no_token(self, served: Serving) -> None:
        meeting = await served.meeting()
        cookie = served.house.access.signer.new_session(frozenset({Scope.MEETINGS}), None)
        async with served.stranger(Authorization=f"Bearer {cookie}") as http:
            assert (await http.get(f"/api/v1/meetings/{meeting}")).status_code == 401


class TestKeys:
    async def test_a_key_does_what_its_scopes_say_and_no_more(self, served: Serving) -> None:
        meeting = await served.meeting()
        key, text = new_key("reader", {Scope.READ}, 0.0)
        await served.house.store.add_key(key)
        async with served.stranger(Authorization=f"Bearer {text}") as http:
            assert (await http.get(f"/api/v1/meetings/{meeting}")).status_code == 200
            refused = await http.delete(f"/api/v1/meetings/{meeting}")
            assert refused.status_code == 403
            assert "meetings" in refused.json()["detail"]
            assert (await http.get("/metrics")).status_code == 403

    async def test_a_removed_key_is_refused_at_once(self, served: Serving) -> None:
        key, text = new_key("gone", {Scope.ADMIN}, 0.0)
        await served.house.store.add_key(key)
        async with served.stranger(Authorization=f"Bearer {text}") as http:
            assert (await http.get("/api/v1/meetings")).status_code == 200
            await served.house.store.remove_key(key.id)
            assert (await http.get("/api/v1/meetings")).status_code == 401

    async def test_the_first_run_makes_one_key_and_the_second_none(self, served: Serving) -> None:
        assert await served.house.access.first_key() is None
        (kept,) = await served.house.store.keys()
        assert kept.scopes == {Scope.ADMIN}
        assert served.key not in repr(kept)

    async def test_a_key_is_no_participant(self, served: Serving) -> None:
        meeting = await served.meeting()
        assert (await served.http.post(f"/whip/{meeting}", content="v=0")).status_code == 403


class TestPages:
    async def test_on_this_machine_a_page_signs_itself_in(self, served: Serving) -> None:
        async with served.stranger() as http:
            answer = await http.get("/")
            assert answer.status_code == 200
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert (await http.get("/api/v1/meetings")).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"X-Forwarded-For": "192.0.2.7"},
            {"Forwarded": "for=192.0.2.7"},
            {"X-Forwarded-Proto": "https"},
            {"Via": "1.1 proxy"},
        ],
    )
    async def test_who_comes_under_a_foreign_name_or_by_a_proxy_is_not_at_home(
        self, served: Serving, headers: dict[str, str]
    ) -> None:
        async with served.stranger(Accept="text/html", **headers) as http:
            answer = await http.get("/")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2F"
        assert "set-cookie" not in answer.headers

    async def test_who_comes_as_nginx_passes_requests_on_is_not_at_home(self, served: Serving) -> None:
        port = int(served.address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET / HTTP/1.0\r\nHost: localhost:{port}\r\nAccept: text/html\r\n\r\n".encode())
        answer = (await asyncio.wait_for(reader.read(), 5)).decode()
        writer.close()
        assert answer.split()[1] == "303"
        assert "set-cookie" not in answer.lower()

    async def test_a_server_that_others_reach_asks_everybody_for_a_key(self, tmp_path: Path) -> None:
        async with serving(tmp_path, host="0.0.0.0") as served, served.stranger(Accept="text/html") as http:
            assert (await http.get("/")).status_code == 303
            assert (await http.post("/api/v1/session", json={"key": served.key})).status_code == 204
            assert (await http.get("/")).status_code == 200

    async def test_a_session_made_at_home_is_worth_nothing_under_a_foreign_name(self, served: Serving) -> None:
        cookie = served.house.access.signer.new_session(frozenset({Scope.MEETINGS}), None)
        async with served.stranger(Cookie=f"{COOKIE}={cookie}", Host="evil.example") as http:
            assert (await http.get("/api/v1/meetings")).status_code == 401

    async def test_changes_need_the_csrf_token_of_the_page(self, served: Serving) -> None:
        access = served.house.access
        cookie = access.signer.new_session(frozenset({Scope.MEETINGS}), None)
        csrf = access.signer.read_session(cookie).csrf
        async with served.stranger(Cookie=f"{COOKIE}={cookie}") as http:
            for headers in ({}, {b"X-CSRF-Token": b"guess"}, {b"X-CSRF-Token": "é".encode()}):
                refused = await http.post("/api/v1/meetings", json={}, headers=headers)
                assert refused.status_code == 403
            assert (await http.post("/api/v1/meetings", json={}, headers={"X-CSRF-Token": csrf})).status_code == 201

    async def test_a_socket_with_a_cookie_comes_from_our_own_page(self, served: Serving) -> None:
        meeting = await served.meeting()
        cookie = served.house.access.signer.new_session(frozenset({Scope.READ}), None)
        address = f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws"
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        async with websockets.connect(address, additional_headers=headers, origin=served.address):  # type: ignore[arg-type]
            pass
        for origin in ("http://localhost:1", "https://evil.example", None):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(address, additional_headers=headers, origin=origin)  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403

    async def test_signing_in_by_a_key_gives_what_the_key_may_do(self, served: Serving) -> None:
        key, text = new_key("page", {Scope.READ}, 0.0)
        await served.house.store.add_key(key)
        async with served.stranger() as http:
            assert (await http.post("/api/v1/session", json={"key": "grf_wrong"})).status_code == 401
            assert (await http.post("/api/v1/session", json={"key": text})).status_code == 204
            assert (await http.get("/api/v1/meetings")).status_code == 403
            meeting = await served.meeting()
            assert (await http.get(f"/api/v1/meetings/{meeting}")).status_code == 200
            await served.house.store.remove_key(key.id)
            assert (await http.get(f"/api/v1/meetings/{meeting}")).status_code == 401

    async def test_signing_out_ends_the_session(self, served: Serving) -> None:
        async with served.stranger() as http:
            await http.get("/")
            cookie = http.cookies[COOKIE]
            csrf = served.house.access.signer.read_session(cookie).csrf
            assert (await http.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})).status_code == 204
            assert COOKIE not in http.cookies


@pytest.mark.parametrize("host", ["localhost", "localhost:8642", "127.0.0.1:80", "127.8.8.8", "[::1]:8642", "::1"])
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost.evil.example", "127.0.0.1.evil", "evil:80", "[::2]:80"])
def test_names_that_only_look_like_it(host: str) -> None:
    assert not is_loopback(host)


class Keys:
    def __init__(self) -> None:
        self.kept: list[ApiKey] = []

    async def keys(self) -> list[ApiKey]:
        return self.kept

    async def add_key(self, key: ApiKey) -> None:
        self.kept.append(key)


def test_nothing_of_a_grant_that_is_secret_is_shown() -> None:
    access = Access(Keys(), Signer(b"x" * 64, 60.0), loopback=True)
    token = Token(MeetingId("m"), frozenset(Can), ParticipantId("p"), "Anne Secret")
    grant = access.judge_token(access.issue(token)[0], Need.PUBLISH, MeetingId("m"))
    assert isinstance(grant, Grant)
    assert "Anne" not in repr(grant)
    with pytest.raises(NotAllowed):
        access.judge_token(access.issue(replace(token, can=frozenset({Can.READ})))[0], Need.PUBLISH, MeetingId("m"))
    with pytest.raises(NotSignedIn):
        access.judge_token("x", Need.PUBLISH, MeetingId("m"))
