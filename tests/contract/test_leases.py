"""Every kind of ``Leases`` keeps others out until it is let go of or its time is over."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from pipeline.bus.leases import Board, MemoryLeases
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, holder_of, holders_of, meeting_lease_key
from pipeline.domain import MeetingId
from pipeline.ports import Leases
from tests.redis_server import RedisServer


@dataclass
class Two:
    """Two holders of one kind, and what lets time pass."""

    ours: Leases
    theirs: Leases
    wait: Callable[[float], None]


def in_memory() -> Two:
    board: Board = {}
    at = [100.0]

    def wait(seconds: float) -> None:
        at[0] += seconds

    return Two(MemoryLeases(board, lambda: at[0]), MemoryLeases(board, lambda: at[0]), wait)


@pytest.fixture
async def in_redis(redis_server: RedisServer) -> AsyncIterator[Two]:
    bus = await RedisBus.open(redis_server.url, "worker-1")

    def wait(seconds: float) -> None:
        """Every lease is that much older."""
        with redis_server.connect() as client:
            for key in client.scan_iter():
                left = client.pttl(key)
                if left > 0:
                    client.pexpire(key, max(0, round(left - seconds * 1000)))

    yield Two(RedisLeases(bus, "worker-1/a"), RedisLeases(bus, "worker-2/b"), wait)
    await bus.close()


@pytest.fixture(params=["memory", "redis"])
def two(request: pytest.FixtureRequest) -> Two:
    if request.param == "memory":
        return in_memory()
    found: Two = request.getfixturevalue("in_redis")
    return found


async def test_one_holder_at_a_time(two: Two) -> None:
    assert await two.ours.acquire("room", 10.0)
    assert not await two.theirs.acquire("room", 10.0)
    assert await two.theirs.acquire("another room", 10.0)


async def test_the_same_holder_may_take_it_again(two: Two) -> None:
    assert await two.ours.acquire("room", 10.0)
    two.wait(9.0)
    assert await two.ours.acquire("room", 10.0)
    two.wait(9.0)
    assert not await two.theirs.acquire("room", 10.0)


async def test_a_lease_that_is_let_go_of_is_free(two: Two) -> None:
    assert await two.ours.acquire("room", 10.0)
    await two.ours.release("room")
    assert not await two.ours.renew("room", 10.0)
    assert await two.theirs.acquire("room", 10.0)
    await two.ours.release("room")
    assert not await two.ours.acquire("room", 10.0), "only its holder lets go of it"


async def test_a_lease_ends_by_itself_unless_it_is_renewed(two: Two) -> None:
    assert await two.ours.acquire("room", 10.0)
    two.wait(9.0)
    assert await two.ours.renew("room", 10.0)
    two.wait(9.0)
    assert not await two.theirs.acquire("room", 10.0)
    two.wait(1.5)
    assert not await two.ours.renew("room", 10.0), "it was over"
    assert await two.theirs.acquire("room", 10.0)
    assert not await two.ours.renew("room", 10.0)


async def test_what_was_never_taken_is_neither_renewed_nor_let_go_of(two: Two) -> None:
    assert not await two.ours.renew("room", 10.0)
    await two.ours.release("room")


async def test_who_captions_which_meeting_is_known_to_all(redis_server: RedisServer, in_redis: Two) -> None:
    ours, theirs, nobodys = (MeetingId(name) for name in ("ours", "theirs", "nobody's"))
    bus = await RedisBus.open(redis_server.url, "api-1")
    assert await holders_of(bus, []) == await holders_of(bus, [ours]) == {}
    await in_redis.ours.acquire(meeting_lease_key(ours), 10.0)
    await in_redis.theirs.acquire(meeting_lease_key(theirs), 10.0)
    assert await holders_of(bus, [ours, nobodys, theirs]) == {ours: "worker-1/a", theirs: "worker-2/b"}
    assert (await holder_of(bus, ours), await holder_of(bus, nobodys)) == ("worker-1/a", None)
    await bus.close()
