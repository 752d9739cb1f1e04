"""Browsers, as aiortc plays them on this machine, publish by WHIP: what they say comes out as 16 kHz frames.

More than 400 lines, because it mirrors one source file, a short test for each thing that befalls a session.
"""

import asyncio
import gc
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from media_gateway.webrtc import PeerHooks, WhipPeer, WhipPeers, peers
from media_gateway.webrtc.seam import transport_of
from pipeline.bus.feed import CaptionFeed
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    MeetingId,
    Participant,
    ParticipantId,
    Samples,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from pipeline.errors import InvalidInput, InvalidSetting, TooMany
from tests.media_gateway.opus_packets import PACKET_SECONDS, encoded, likeness
from tests.media_gateway.whip_client import Network, WhipClient
from tests.recordings import heard, joined, tone


@dataclass
class Meeting:
    """The meeting's side: a clock, a feed, and what each track gave with the time at which it came."""

    began: float = field(default_factory=time.monotonic)
    feed: CaptionFeed = field(default_factory=CaptionFeed)
    listening: bool = True
    came: dict[str, list[tuple[float, TrackEvent]]] = field(default_factory=dict)

    def now(self) -> float:
        return time.monotonic() - self.began

    def hooks(self, name: str = "anne") -> PeerHooks:
        track = Track(TrackId(f"{name}.1"), Participant(ParticipantId(name), name))
        return PeerHooks(MeetingId("m"), track, self.now, lambda: self.listening, self.feed.read)

    async def take(self, peer: WhipPeer) -> None:
        came = self.came.setdefault(peer.hooks.track.participant.id, [])
        async for event in peer.source.events():
            came.append((self.now(), event))

    def events(self, name: str = "anne") -> list[TrackEvent]:
        return [event for _, event in self.came[name]]

    def frames(self, name: str = "anne") -> list[AudioFrame]:
        return [event for event in self.events(name) if isinstance(event, AudioFrame)]


@dataclass
class Stage:
    meeting: Meeting
    peers: WhipPeers
    clients: list[WhipClient] = field(default_factory=list)

    async def publish(
        self, packets: Sequence[bytes | None], name: str = "anne", network: Network | None = None, *channels: str
    ) -> tuple[WhipClient, WhipPeer]:
        client = WhipClient(packets, network=network, channels=channels)
        self.clients.append(client)
        peer = await self.peers.offer(await client.offer(), self.meeting.hooks(name))
        peer.take(self.meeting.take(peer))
        await client.answered(peer.answer)
        return client, peer


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage(Meeting(), WhipPeers(loopback=True))
    yield made
    await asyncio.gather(*(client.close() for client in made.clients))
    await made.peers.close_all()


@pytest.fixture(scope="module")
def speech() -> Samples:
    return heard("en_LJ001-0002.wav")


async def until(condition: object, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def unmarked(events: Sequence[TrackEvent]) -> list[tuple[float, float]]:
    """Holes between frames that no loss names."""
    heard_or_lost = [event for event in events if isinstance(event, AudioFrame | AudioLost)]
    return [(a.end, b.start) for a, b in pairwise(heard_or_lost) if abs(b.start - a.end) > 1e-3]


async def test_what_is_said_is_heard_in_time(stage: Stage, speech: Samples) -> None:
    client, peer = await stage.publish(encoded(speech))
    await client.track.done.wait()
    await asyncio.sleep(0.3)
    await stage.peers.close(peer.id)
    events, frames = stage.meeting.events(), stage.meeting.frames()
    assert isinstance(events[0], TrackOpened)
    assert isinstance(events[-1], TrackClosed)
    assert likeness(speech, joined(frames)) > 0.95
    assert len(joined(frames)) / SAMPLE_RATE == pytest.approx(len(speech) / SAMPLE_RATE, abs=0.05)
    assert unmarked(events) == []
    assert {len(frame.samples) for frame in frames[:-1]} == {640}
    delays = sorted(at - event.end for at, event in stage.meeting.came["anne"] if isinstance(event, AudioFrame))
    assert delays[len(delays) // 2] < 0.1


async def test_a_tenth_of_the_packets_lost_doubled_and_swapped_leaves_no_hole_without_a_mark(
    stage: Stage, speech: Samples
) -> None:
    network = Network(drop=0.1, double=0.1, swap=0.1, seed=3)
    client, peer = await stage.publish(encoded(speech), "anne", network)
    await client.track.done.wait()
    await asyncio.sleep(0.3)
    await stage.peers.close(peer.id)
    assert network.dropped >= 3
    assert unmarked(stage.meeting.events()) == []
    assert likeness(speech, joined(stage.meeting.frames())) > 0.85


async def test_a_network_that_is_gone_for_a_while_is_marked(stage: Stage, speech: Samples) -> None:
    network = Network()
    client, peer = await stage.publish(encoded(speech), "anne", network)
    await until(lambda: len(stage.meeting.came.get("anne", [])) > 10)
    network.drop = 1.0
    await asyncio.sleep(0.5)
    network.drop = 0.0
    await client.track.done.wait()
    await asyncio.sleep(0.3)
    await stage.peers.close(peer.id)
    lost = [event for event in stage.meeting.events() if isinstance(event, AudioLost)]
    assert sum(event.end - event.start for event in lost) == pytest.approx(0.5, abs=0.1)
    assert unmarked(stage.meeting.events()) == []


async def test_a_muted_microphone_is_no_loss(stage: Stage) -> None:
    sound = encoded((tone(1.0) * 32767).astype("int16"))
    client, peer = await stage.publish([*sound, *[None] * 100, *sound])
    await client.track.done.wait()
    await asyncio.sleep(0.3)
    await stage.peers.close(peer.id)
    assert not [event for event in stage.meeting.events() if isinstance(event, AudioLost)]
    frames = stage.meeting.frames()
    assert frames[-1].end - frames[0].start == pytest.approx(2 * len(sound) * PACKET_SECONDS + 2.0, abs=0.1)


async def test_while_nobody_listens_nothing_is_decoded(stage: Stage, speech: Samples) -> None:
    stage.meeting.listening = False
    client, peer = await stage.publish(encoded(speech))
    await until(lambda: peer.connected)
    await asyncio.sleep(0.5)
    assert stage.meeting.frames() == []
    stage.meeting.listening = True
    await client.track.done.wait()
    await asyncio.sleep(0.3)
    await stage.peers.close(peer.id)
    assert 0.2 < len(joined(stage.meeting.frames())) / SAMPLE_RATE < 1.6
    assert not [event for event in stage.meeting.events() if isinstance(event, AudioLost)]


async def test_the_feed_comes_back_on_the_channels_the_page_opens(stage: Stage, speech: Samples) -> None:
    stage.meeting.feed.publish({"type": "meeting", "state": "running"})
    client, _ = await stage.publish(encoded(speech), "anne", None, "captions", "webvtt", "other")
    await until(lambda: client.received["captions"] and client.received["webvtt"])
    stage.meeting.feed.publish({"type": "notice", "code": "paused"})
    await until(lambda: len(client.received["captions"]) == 2)
    assert '"code":"paused"' in client.received["captions"][1]
    assert client.received["webvtt"] == ["WEBVTT\n\n"]
    assert client.received["other"] == []


async def test_a_page_that_says_goodbye_ends_its_session(stage: Stage, speech: Samples) -> None:
    client, peer = await stage.publish(encoded(speech))
    await until(lambda: stage.meeting.came.get("anne", [])[5:])
    await client.close()
    await until(lambda: peer.ended and len(stage.peers) == 0)
    assert isinstance(stage.meeting.events()[-1], TrackClosed)
    assert stage.peers.get(peer.id) is None


async def test_a_page_that_vanishes_ends_its_session_when_ice_gives_up(
    stage: Stage, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.3)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 2)
    client, peer = await stage.publish(encoded(speech))
    await until(lambda: stage.meeting.came.get("anne", [])[5:])
    await client.vanish()
    await until(lambda: peer.ended and len(stage.peers) == 0)
    assert isinstance(stage.meeting.events()[-1], TrackClosed)


async def test_an_offer_that_nobody_follows_up_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CONNECT_SECONDS", 0.3)
    client = WhipClient([])
    stage.clients.append(client)
    peer = await stage.peers.offer(await client.offer(), stage.meeting.hooks())
    peer.take(stage.meeting.take(peer))
    await until(lambda: len(stage.peers) == 0 and peer.ended)


async def test_when_what_takes_the_sound_ends_the_session_ends(stage: Stage, speech: Samples) -> None:
    client = WhipClient(encoded(speech))
    stage.clients.append(client)
    peer = await stage.peers.offer(await client.offer(), stage.meeting.hooks())
    over = asyncio.Event()

    async def meeting_that_ends() -> None:
        await over.wait()

    peer.take(meeting_that_ends())
    await client.answered(peer.answer)
    await until(lambda: peer.connected)
    over.set()
    await until(lambda: peer.ended and client.connection.connectionState == "closed")


async def test_the_answer_is_passive_offers_loopback_and_asks_for_copies(stage: Stage) -> None:
    client = WhipClient([], channels=["captions"])
    stage.clients.append(client)
    peer = await stage.peers.offer(await client.offer(), stage.meeting.hooks())
    assert "a=setup:passive" in peer.answer
    assert " 127.0.0.1 " in peer.answer
    assert "useinbandfec=1" in peer.answer
    assert peer.answer.count("a=rtpmap:") == 1
    assert "a=recvonly" in peer.answer


async def test_candidates_may_come_after_the_offer(stage: Stage, speech: Samples) -> None:
    client = WhipClient(encoded(speech))
    stage.clients.append(client)
    offer = await client.offer()
    lines = offer.splitlines(keepends=True)
    late = [line for line in lines if line.startswith(("a=candidate", "a=end-of-candidates"))]
    peer = await stage.peers.offer("".join(line for line in lines if line not in late), stage.meeting.hooks())
    peer.take(stage.meeting.take(peer))
    await peer.trickle("".join(late))
    await client.answered(peer.answer)
    await until(lambda: stage.meeting.came.get("anne", [])[5:])


async def test_an_ice_restart_is_refused(stage: Stage) -> None:
    client = WhipClient([])
    stage.clients.append(client)
    peer = await stage.peers.offer(await client.offer(), stage.meeting.hooks())
    with pytest.raises(InvalidInput, match="publish anew"):
        await peer.trickle("a=ice-ufrag:other\r\na=ice-pwd:" + "p" * 24 + "\r\n")


async def test_a_page_that_opens_a_channel_twice_is_served_once(stage: Stage, speech: Samples) -> None:
    stage.meeting.feed.publish({"type": "meeting", "state": "running"})
    client, _ = await stage.publish(encoded(speech), "anne", None, "captions")
    again: list[str] = []
    client.connection.createDataChannel("captions").on("message", again.append)
    await until(lambda: client.received["captions"] or again)
    await asyncio.sleep(0.3)
    assert len(client.received["captions"]) + len(again) == 1


async def test_what_takes_the_sound_may_fail(stage: Stage) -> None:
    client = WhipClient([])
    stage.clients.append(client)
    peer = await stage.peers.offer(await client.offer(), stage.meeting.hooks())

    async def meeting_that_is_over() -> None:
        raise InvalidInput("the meeting is over")

    peer.take(meeting_that_is_over())
    await until(lambda: peer.ended and len(stage.peers) == 0)


async def test_a_session_that_breaks_ends_and_the_others_go_on(
    stage: Stage, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, good = await stage.publish(encoded(speech), "anne")
    _, bad = await stage.publish(encoded(speech), "bilal")

    async def broken(*, report: bool) -> None:
        raise RuntimeError

    monkeypatch.setattr(bad, "tick", broken)
    await until(lambda: bad.ended and len(stage.peers) == 1)
    await until(lambda: stage.meeting.came.get("anne", [])[10:])
    assert not good.ended


@dataclass
class Address:
    url: str
    username: str | None = None
    credential: str | None = None


@pytest.mark.parametrize("url", ["", "http://here", "stun:", "stun:host:port", "turn"])
async def test_the_address_of_an_ice_server_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(InvalidSetting, match="stun:host:port"):
        WhipPeers([Address(url)])


async def test_an_ice_server_that_is_not_there_hinders_nobody(speech: Samples) -> None:
    stage = Stage(Meeting(), WhipPeers([Address("stun:nowhere.invalid:3478")], loopback=True))
    client, _ = await stage.publish(encoded(speech))
    await until(lambda: stage.meeting.came.get("anne", [])[5:])
    await client.close()
    await stage.peers.close_all()


@pytest.mark.parametrize("sdp", ["", "v=0\r\n", "hello"])
async def test_an_offer_that_is_none_leaves_nothing_behind(stage: Stage, sdp: str) -> None:
    with pytest.raises(InvalidInput):
        await stage.peers.offer(sdp, stage.meeting.hooks())
    assert len(stage.peers) == 0


async def test_mangled_offers_are_answered_or_refused_and_leave_nothing_behind(stage: Stage) -> None:
    client = WhipClient([], channels=["captions"])
    stage.clients.append(client)
    offer = (await client.offer()).splitlines(keepends=True)
    chance = random.Random(0)
    for _ in range(60):
        mangled = list(offer)
        place = chance.randrange(1, len(mangled))
        mangled[place] = chance.choice(["", mangled[place] * 2, mangled[place][: len(mangled[place]) // 2] + "\r\n"])
        try:
            peer = await stage.peers.offer("".join(mangled), stage.meeting.hooks())
        except InvalidInput:
            continue
        await stage.peers.close(peer.id)
    assert len(stage.peers) == 0


async def test_the_sender_is_told_what_was_lost(stage: Stage, speech: Samples) -> None:
    client, _ = await stage.publish([*encoded(speech), *encoded(speech)], "anne", Network(drop=0.2, seed=1))
    sender = client.connection.getSenders()[0]

    async def lost() -> int:
        stats = await sender.getStats()
        reports = [report for report in stats.values() if report.type == "remote-inbound-rtp"]
        return int(reports[0].packetsLost) if reports else 0

    async with asyncio.timeout(8.0):
        while await lost() < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def test_a_session_that_ended_leaves_nothing_behind(stage: Stage, speech: Samples) -> None:
    before = asyncio.all_tasks()
    client, peer = await stage.publish(encoded(speech), "anne", None, "captions")
    await until(lambda: client.received["captions"] is not None and stage.meeting.came.get("anne", [])[5:])
    gone = weakref.ref(peer)
    await stage.peers.close(peer.id)
    del peer
    await client.close()
    await asyncio.sleep(0.3)  # the timer of all sessions ends with the last
    gc.collect()
    assert gone() is None
    assert asyncio.all_tasks() <= before
    assert not [thread.name for thread in threading.enumerate() if "decoder" in thread.name]


async def test_one_participant_has_four_sessions_in_a_meeting_at_most_also_where_offers_come_at_once(
    stage: Stage,
) -> None:
    client = WhipClient([])
    stage.clients.append(client)
    offer, anne = await client.offer(), stage.meeting.hooks("anne")
    answers = await asyncio.gather(*(stage.peers.offer(offer, anne) for _ in range(6)), return_exceptions=True)
    good = [answer for answer in answers if isinstance(answer, WhipPeer)]
    assert [type(answer) for answer in answers if answer not in good] == [TooMany] * 2
    participant = anne.track.participant.id
    assert (stage.peers.of(anne.meeting, participant), len(stage.peers)) == (len(good), 4)
    await stage.peers.offer(offer, stage.meeting.hooks("bilal"))
    await stage.peers.offer(offer, replace(anne, meeting=MeetingId("another")))
    with pytest.raises(TooMany, match="stop one session first"):
        await stage.peers.offer(offer, anne)
    await stage.peers.close(good[0].id)
    assert stage.peers.of(anne.meeting, participant) == 3
    with pytest.raises(InvalidInput):
        await stage.peers.offer("v=0", anne)
    await stage.peers.offer(offer, anne)


async def test_twenty_at_once_are_all_heard_and_all_end(stage: Stage, speech: Samples) -> None:
    packets = encoded(speech)
    names = [f"p{number}" for number in range(20)]
    together = [await stage.publish(packets, name) for name in names]
    await asyncio.gather(*(client.track.done.wait() for client, _ in together))
    await asyncio.sleep(0.5)
    assert len(stage.peers) == 20
    await stage.peers.close_all()
    for name in names:
        assert unmarked(stage.meeting.events(name)) == []
        assert len(joined(stage.meeting.frames(name))) / SAMPLE_RATE == pytest.approx(
            len(speech) / SAMPLE_RATE, abs=0.1
        )
    await asyncio.sleep(0.1)
    assert all(transport_of(client.connection).state == "closed" for client, _ in together)
