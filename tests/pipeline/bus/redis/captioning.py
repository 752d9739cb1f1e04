"""A meeting of whose captions tests hear over Redis."""

from pipeline.bus.redis import keys
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.domain import MeetingId
from pipeline.export.event import Event, Reading
from tests.redis_server import RedisServer

M = MeetingId("m")
LEASE = meeting_lease_key(M)
OURS, THEIRS = "worker-1/a", "worker-2/b"


async def owned(bus: RedisBus, holder: str = OURS, first: int = 1) -> PublishedFeed:
    assert await RedisLeases(bus, holder).acquire(LEASE, 60.0)
    return await PublishedFeed.open(bus, M, holder, first)


def say(feed: PublishedFeed, utterance: str, text: str, *, final: bool = False) -> int:
    event: Event = {"type": "caption", "utterance": utterance, "committed": text, "final": final}
    return feed.publish(event, utterance)


def notice(feed: PublishedFeed, code: str) -> int:
    return feed.publish({"type": "notice", "code": code})


def told(readings: list[Reading]) -> list[object]:
    return [reading.event.get("committed") or reading.event.get("code") for reading in readings]


def numbers(readings: list[Reading]) -> list[int]:
    return [reading.sequence for reading in readings]


def in_stream(server: RedisServer) -> list[int]:
    with server.connect() as client:
        return [int(entry.partition(b"-")[0]) for entry, _ in client.xrange(keys.of_meeting(M, "captions"))]
