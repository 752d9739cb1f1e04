"""Every kind of ``Leases`` keeps others out until it is let go of or its time is over."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pipeline.bus.leases import Board, MemoryLeases
from pipeline.ports import Leases


@dataclass
class Two:
    """Two holders of one kind, and what lets time pass."""

    ours: Leases
    theirs: Leases
    wait: Callable[[float], None]


@pytest.fixture(params=["memory"])
def two() -> Two:
    board: Board = {}
    at = [100.0]

    def wait(seconds: float) -> None:
        at[0] += seconds

    return Two(MemoryLeases(board, lambda: at[0]), MemoryLeases(board, lambda: at[0]), wait)


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
