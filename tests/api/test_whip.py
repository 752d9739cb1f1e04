"""WHIP over HTTP: publishing, candidates, leaving, and every request that is wrong (RFC 9725)."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from api.parsing import IceServer
from api.tokens import Can
from pipeline.domain import MeetingId, ParticipantId, TrackId, Word
from tests.api.serving import Serving, serving
from tests.media_gateway.opus_packets import encoded
from tests.media_gateway.whip_client import WhipClient
from tests.recordings import heard

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
MUTE: list[bytes] = []


class Chatter(dict[TrackId, Sequence[Word]]):
    """Three words a second on every track, whatever is heard."""

    def __bool__(self) -> bool:
        return True

    def get(self, key: TrackId, default: Any = ()) -> Any:
        return tuple(Word(f" word{k}", k / 3, k / 3 + 0.3) for k in range(300))


def speech() -> list[bytes]:
    return encoded(heard("en_LJ001-0002.wav"))


@asynccontextmanager
async def page(packets: Sequence[bytes] = (), channels: Sequence[str] = ()) -> AsyncIterator[WhipClient]:
    client = WhipClient(packets, channels=channels)
    try:
        yield client
    finally:
        await client.close()


async def post(server: Serving, meeting: str, body: str | bytes, token: str | None = None, **headers: str) -> Any:
    bearer = {"Authorization": f"Bearer {token or server.token(meeting)}"}
    return await server.http.post(f"/whip/{meeting}", content=body, headers=SDP | bearer | headers)


async def published(server: Serving, meeting: str, client: WhipClient) -> httpx.Response:
    answer = await post(server, meeting, await client.offer())
    assert answer.status_code == 201, answer.text
    await client.answered(answer.text)
    return answer


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


async def test_what_may_be_posted_is_told_to_everybody(served: Serving) -> None:
    async with served.stranger() as stranger:
        answer = await stranger.options("/whip/any")
    assert answer.status_code == 204
    assert answer.headers["accept-post"] == "application/sdp"


async def test_a_page_publishes_and_reads_its_captions_on_the_same_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, Chatter()) as server, page(speech(), ["captions", "webvtt"]) as client:
        meeting = await server.meeting(title="Council")
        answer = await published(server, meeting, client)
        assert re.fullmatch(rf"/whip/{meeting}/[\w-]{{16,}}", answer.headers["location"])
        assert re.fullmatch(r'"[0-9a-f]+"', answer.headers["etag"])
        assert answer.headers["content-type"].startswith("application/sdp")
        assert "link" not in answer.headers
        await client.track.done.wait()
        await until(lambda: any('"final":true' in text for text in client.received["captions"]))
        assert any('"speaker":"anne"' in text and '"type":"caption"' in text for text in client.received["captions"])
        await until(lambda: "<v anne>" in "".join(client.received["webvtt"]))
        gone = await server.http.delete(
            answer.headers["location"], headers={"Authorization": f"Bearer {server.token(meeting)}"}
        )
        assert gone.status_code == 200
        await until(lambda: client.connection.connectionState == "closed")
        running = server.house.meetings.running(meeting)
        assert running is not None
        assert running.tracks == 0


async def test_the_ice_servers_of_the_settings_are_links(tmp_path: Path) -> None:
    servers = (IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9?transport=udp", "user", "secret"))
    async with serving(tmp_path) as server, page() as client:
        server.house.settings = replace(server.house.settings, ice_servers=servers)
        answer = await published(server, await server.meeting(), client)
    stun, turn = answer.headers.get_list("link")
    assert stun == '<stun:127.0.0.1:9>; rel="ice-server"'
    address, *parameters = turn.split("; ")
    assert address == "<turn:127.0.0.1:9?transport=udp>"
    assert parameters == ['rel="ice-server"', 'username="user"', 'credential="secret"', 'credential-type="password"']


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("", 422, "no SDP"),
        ("hello", 422, "no SDP"),
        ("v=0\r\ns=-\r\nt=0 0\r\n", 422, "0 audio tracks"),
        (b"\xff\xfe\x00", 422, "no SDP"),
        ("v=0\r\n" + "a=x\r\n" * 30_000, 422, "longer than"),
        ("v=0\r\n" + "a=x\r\n" * 2_000_000, 413, "larger than"),
    ],
)
async def test_an_offer_that_is_none_is_a_problem(served: Serving, body: str | bytes, status: int, said: str) -> None:
    meeting = await served.meeting()
    assert said in problem(await post(served, meeting, body), status)
    assert len(served.house.peers) == 0
    assert (await served.http.get("/healthz")).status_code == 200


async def test_an_offer_without_audio_or_with_two_tracks_is_a_problem(served: Serving) -> None:
    meeting = await served.meeting()
    async with page(channels=["captions"]) as client:
        offer = await client.offer()
    start, end = offer.index("m=audio"), offer.index("m=application")
    assert "0 audio tracks" in problem(await post(served, meeting, offer[:start] + offer[end:]), 422)
    twice = offer + offer[start:end].replace("a=mid:0", "a=mid:7")
    assert "2 audio tracks" in problem(await post(served, meeting, twice), 422)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/sdpx", ""])
async def test_another_kind_of_body_is_refused_and_told_which(served: Serving, kind: str) -> None:
    meeting = await served.meeting()
    answer = await post(served, meeting, "v=0\r\n", **{"Content-Type": kind})
    assert "application/sdp" in problem(answer, 415)
    assert answer.headers["accept-post"] == "application/sdp"


async def test_only_a_participants_token_of_that_meeting_publishes(served: Serving) -> None:
    meeting, other = await served.meeting(), await served.meeting()
    async with page() as client:
        offer = await client.offer()
        problem(await post(served, meeting, offer, served.token(meeting, can=frozenset({Can.READ}))), 403)
        problem(await post(served, meeting, offer, served.token(other)), 403)
        problem(await post(served, meeting, offer, served.key), 403)
        problem(await post(served, meeting, offer, "nonsense"), 401)
        problem(await post(served, meeting, offer, served.token(meeting, None)), 403)
        problem(await post(served, "nowhere", offer, served.token("nowhere")), 404)
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        assert "over" in problem(await post(served, meeting, offer), 422)
    assert len(served.house.peers) == 0


async def test_the_same_participant_may_publish_twice(served: Serving) -> None:
    meeting = await served.meeting()
    async with page(speech()) as first, page(speech()) as second:
        one, two = await published(served, meeting, first), await published(served, meeting, second)
        assert one.headers["location"] != two.headers["location"]
        running = served.house.meetings.running(MeetingId(meeting))
        assert running is not None
        await until(lambda: running.tracks == 2)
        await first.close()
        await until(lambda: running.tracks == 1)


async def test_who_publishes_four_times_stops_one_session_first(served: Serving) -> None:
    meeting = await served.meeting()
    async with page() as client:
        offer = await client.offer()
        answers = [await post(served, meeting, offer) for _ in range(4)]
        refused = problem(await post(served, meeting, offer), 429)
        assert refused == "this participant publishes four times already: stop one session first"
        assert await served.house.store.next_track(MeetingId(meeting), ParticipantId("anne")) == "anne.5"
        assert (await post(served, meeting, offer, served.token(meeting, "bilal"))).status_code == 201
        mine = {"Authorization": f"Bearer {served.token(meeting)}"}
        assert (await served.http.delete(answers[0].headers["location"], headers=mine)).status_code == 200
        assert (await post(served, meeting, offer)).status_code == 201


async def test_a_meeting_that_ends_or_is_deleted_ends_its_sessions(served: Serving) -> None:
    for leave in ("end", "delete"):
        meeting = await served.meeting()
        async with page(speech()) as client:
            await published(served, meeting, client)
            await until(lambda: client.connection.connectionState == "connected")
            if leave == "end":
                await served.http.post(f"/api/v1/meetings/{meeting}/end")
            else:
                await served.http.delete(f"/api/v1/meetings/{meeting}")
            await until(lambda: len(served.house.peers) == 0)
            await until(lambda: client.connection.connectionState == "closed")


async def test_a_session_is_reached_by_its_own_participant_only(served: Serving) -> None:
    meeting, other = await served.meeting(), await served.meeting()
    async with page() as client:
        where = (await published(served, meeting, client)).headers["location"]
        for address, token in (
            (where, served.token(meeting, "bilal")),
            (where.replace(meeting, other), served.token(other)),
            (f"/whip/{meeting}/unknown", served.token(meeting)),
        ):
            answer = await served.http.delete(address, headers={"Authorization": f"Bearer {token}"})
            assert "no such session" in problem(answer, 404)
        assert len(served.house.peers) == 1
        mine = {"Authorization": f"Bearer {served.token(meeting)}"}
        assert (await served.http.delete(where, headers=mine)).status_code == 200
        problem(await served.http.delete(where, headers=mine), 404)


async def test_candidates_are_patched_with_the_etag_of_the_session(served: Serving) -> None:
    meeting = await served.meeting()
    async with page(speech()) as client:
        lines = (await client.offer()).splitlines(keepends=True)
        late = "".join(line for line in lines if line.startswith(("a=candidate", "a=end-of-candidates")))
        answer = await post(served, meeting, "".join(line for line in lines if line not in late))
        where, etag = answer.headers["location"], answer.headers["etag"]
        mine = FRAGMENT | {"Authorization": f"Bearer {served.token(meeting)}"}

        async def patch(body: str, **headers: str) -> httpx.Response:
            return await served.http.patch(where, content=body, headers=mine | headers)

        assert "If-Match" in problem(await patch(late), 428)
        assert "ETag" in problem(await patch(late, **{"If-Match": '"stale"'}), 412)
        problem(await patch(late, **{"If-Match": etag, "Content-Type": "application/sdp"}), 415)
        problem(await patch("hello", **{"If-Match": etag}), 422)
        restart = "a=ice-ufrag:other\r\na=ice-pwd:" + "p" * 24 + "\r\n"
        assert "publish anew" in problem(await patch(restart, **{"If-Match": "*"}), 422)
        assert (await patch(late, **{"If-Match": etag})).status_code == 204
        await client.answered(answer.text)
        await until(lambda: client.connection.connectionState == "connected")
