"""Tokens for a LiveKit server, and its refusals in words of ours."""

import asyncio
import ssl

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from livekit import api, rtc

from media_gateway.livekit import LiveKitServer, agent_identity
from media_gateway.livekit.access import failures_mapped
from pipeline.errors import GatewayFailed, NotFound

_SECRET = "a secret of tests, of 32 characters and more"


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ("ws://sfu:7880", "ws://sfu:7880"),
        ("http://sfu:7880/", "ws://sfu:7880"),
        ("https://sfu.example.org/livekit", "wss://sfu.example.org/livekit"),
    ],
)
def test_the_address_may_be_given_as_any_tool_takes_it(given: str, joined: str) -> None:
    assert LiveKitServer(given, "key", _SECRET).url == joined


def test_a_token_to_join_lets_a_hidden_agent_listen_and_send_data_in_one_room() -> None:
    token = LiveKitServer("ws://sfu", "key", _SECRET).join_token("room", "greffier-room")
    claims = api.TokenVerifier("key", _SECRET).verify(token)
    assert claims.identity == "greffier-room"
    assert claims.kind == "agent"
    assert claims.video is not None
    assert (claims.video.room, claims.video.room_join, claims.video.hidden) == ("room", True, True)
    assert claims.video.can_subscribe
    assert claims.video.can_publish_data
    assert not claims.video.can_publish
    assert not claims.video.can_update_own_metadata
    assert not claims.video.room_admin


def test_a_token_of_who_shows_nothing_sends_nothing() -> None:
    token = LiveKitServer("ws://sfu", "key", _SECRET).join_token("room", "collector-room", shows=False)
    claims = api.TokenVerifier("key", _SECRET).verify(token)
    assert claims.video is not None
    assert claims.video.can_subscribe
    assert not claims.video.can_publish_data


def test_a_worker_s_token_joins_nothing() -> None:
    claims = api.TokenVerifier("key", _SECRET).verify(LiveKitServer("ws://sfu", "key", _SECRET).worker_token())
    assert claims.video is not None
    assert claims.video.agent
    assert not claims.video.room_join


def test_an_agent_is_called_by_its_name_and_the_room() -> None:
    assert agent_identity("multi-user-transcriber", "4c7b") == "multi-user-transcriber-4c7b"


@pytest.mark.parametrize(
    ("failure", "becomes", "says"),
    [
        (api.ServerError("not_found", "no such room", status=404), NotFound, "no such room"),
        (api.ServerError("unauthenticated", "invalid token", status=401), GatewayFailed, "LIVEKIT_API_KEY"),
        (api.ServerError("internal", "broken", status=500), GatewayFailed, "broken"),
        (rtc.ConnectError("engine: signal failure"), GatewayFailed, "signal failure"),
        (aiohttp.ClientConnectionError(), GatewayFailed, "cannot be reached"),
        (TimeoutError(), GatewayFailed, "cannot be reached"),
        (ConnectionRefusedError(), GatewayFailed, "cannot be reached"),
    ],
)
def test_failures_of_its_packages_are_ours(failure: Exception, becomes: type[Exception], says: str) -> None:
    with pytest.raises(becomes, match=says), failures_mapped("ws://sfu"):
        raise failure


def test_what_is_cancelled_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError), failures_mapped("ws://sfu"):
        raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"\xff\xff\xff no protobuf"), (403, b'["no object"]'), (502, b"<html>"), (400, b"{no JSON")],
)
async def test_whatever_else_answers_in_its_place_is_a_gateway_that_failed(status: int, content: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=content, content_type="application/json")

    application = web.Application()
    application.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = LiveKitServer(f"http://{runner.addresses[0][0]}:{runner.addresses[0][1]}", "key", _SECRET)
    try:
        with pytest.raises(GatewayFailed):
            await server.rooms()
    finally:
        await server.close()
        await runner.cleanup()


async def test_a_certificate_that_is_not_trusted_is_named_as_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        key = ConnectionKey("sfu", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
        raise aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    server = LiveKitServer("wss://sfu", "key", _SECRET)
    try:
        with pytest.raises(GatewayFailed, match="Certificate"):
            await server.rooms()
    finally:
        await server.close()
