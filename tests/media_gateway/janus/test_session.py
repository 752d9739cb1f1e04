"""A session with a Janus that a test plays: what is asked, answered, and what goes wrong."""

import asyncio
from typing import Any

import pytest

from media_gateway.janus import JanusServer, session
from media_gateway.janus.messages import Refused, Said
from media_gateway.janus.session import JanusSession
from pipeline.errors import GatewayFailed
from tests.media_gateway.janus.janus_script import scripted_janus, until


async def test_a_request_is_answered_by_its_event_and_not_by_its_acknowledgement() -> None:
    async with scripted_janus(lambda body: {"heard": body["request"]}) as janus:
        opened = await JanusSession.open(janus.server)
        told: list[Said] = []
        handle = await opened.attach(told.append)
        answer = await handle.ask({"request": "join"}, {"type": "offer", "sdp": "v=0"})
        assert answer.content == {"heard": "join"}
        assert told == [answer]  # in order with what is told unasked
        assert janus.asked[-1]["jsep"] == {"type": "offer", "sdp": "v=0", "trickle": False}
        await opened.close()


async def test_what_is_said_to_a_handle_reaches_it_until_it_is_detached() -> None:
    async with scripted_janus() as janus:
        opened = await JanusSession.open(janus.server)
        told: list[Said] = []
        handle = await opened.attach(told.append)
        await janus.tell(janus="webrtcup", sender=5)
        await janus.tell(janus="webrtcup", sender=6)
        await until(lambda: told)
        await handle.detach()
        await janus.tell(janus="hangup", sender=5)
        await handle.ask({})
        assert [each.kind for each in told] == ["webrtcup"]
        await opened.close()


async def test_every_request_carries_what_opens_the_api() -> None:
    async with scripted_janus() as janus:
        opened = await JanusSession.open(JanusServer(janus.server.url, secret="s", token="t"))
        await opened.attach(lambda _: None)
        assert all((each["apisecret"], each["token"]) == ("s", "t") for each in janus.asked)
        await opened.close()


async def test_a_name_of_megabytes_ends_no_session() -> None:
    async with scripted_janus(lambda _: {"participants": [{"id": 11, "display": "x" * 4 * 2**20}]}) as janus:
        opened = await JanusSession.open(janus.server)
        handle = await opened.attach(lambda _: None)
        answer = await handle.ask({"request": "listparticipants"})
        assert len(answer.content["participants"][0]["display"]) == 4 * 2**20
        await opened.close()


async def test_a_refusal_is_raised_with_its_number() -> None:
    async with scripted_janus(lambda body: {"error_code": 426, "error": "No such room"}) as janus:
        opened = await JanusSession.open(janus.server)
        handle = await opened.attach(lambda _: None)
        with pytest.raises(Refused, match="No such room") as refused:
            await handle.ask({})
        assert refused.value.code == 426
        await opened.close()


async def test_a_session_that_is_refused_is_not_opened() -> None:
    async with scripted_janus() as janus:
        janus.core = lambda message: {"janus": "error", "error": {"code": 403, "reason": "Unauthorized"}}
        with pytest.raises(Refused, match="GREFFIER_JANUS_SECRET"):
            await JanusSession.open(janus.server)


async def test_what_answers_otherwise_is_no_janus() -> None:
    async with scripted_janus() as janus:
        janus.core = lambda message: {"janus": "success"}
        with pytest.raises(GatewayFailed, match="no Janus"):
            await JanusSession.open(janus.server)
        janus.core = lambda message: {"janus": "success", "data": {"id": 1 if message["janus"] == "create" else "x"}}
        opened = await JanusSession.open(janus.server)
        with pytest.raises(GatewayFailed, match="no handle"):
            await opened.attach(lambda _: None)
        await opened.close()


async def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(GatewayFailed, match="cannot be reached"):
        await JanusSession.open(JanusServer("ws://127.0.0.1:9"))


async def test_no_answer_is_a_failure_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_janus(lambda body: None) as janus:
        opened = await JanusSession.open(janus.server)
        handle = await opened.attach(lambda _: None)
        monkeypatch.setattr(session, "ANSWER_SECONDS", 0.1)
        with pytest.raises(GatewayFailed, match="does not answer"):
            await handle.ask({})
        await opened.close()


async def test_a_connection_that_breaks_fails_what_waits_and_all_that_is_asked_then() -> None:
    async with scripted_janus(lambda body: None) as janus:
        opened = await JanusSession.open(janus.server)
        handle = await opened.attach(lambda _: None)
        waiting = asyncio.create_task(handle.ask({}))
        await until(lambda: janus.count("message"))
        janus.sockets[0].transport.abort()
        with pytest.raises(GatewayFailed, match="was lost"):
            await waiting
        await asyncio.wait([opened.over])
        with pytest.raises(GatewayFailed, match="was lost"):
            await handle.ask({})
        await handle.detach()  # nothing is raised
        await opened.close()
        await opened.close()


@pytest.mark.parametrize("said", [{"janus": "timeout", "session_id": 1}])
async def test_a_session_that_janus_ends_is_over(said: dict[str, Any]) -> None:
    async with scripted_janus() as janus:
        opened = await JanusSession.open(janus.server)
        await janus.tell(**said)
        await asyncio.wait_for(asyncio.wait([opened.over]), 30)
        assert not opened.over.cancelled()


async def test_a_silent_session_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_KEEPALIVE_SECONDS", 0.05)
    async with scripted_janus() as janus:
        opened = await JanusSession.open(janus.server)
        await until(lambda: janus.count("keepalive") >= 3)
        assert janus.asked[-1]["session_id"] == 1
        await opened.close()
