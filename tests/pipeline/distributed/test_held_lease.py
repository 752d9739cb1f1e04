"""A lease is held while it is renewed, and after a lapse only where nobody was faster."""

import asyncio
from dataclasses import dataclass, field

import pytest

from pipeline.bus.leases import Board, MemoryLeases
from pipeline.distributed.held_lease import SECONDS, HeldLease
from pipeline.errors import BusFailed


@dataclass(slots=True)
class Clock:
    at: float = 100.0

    def now(self) -> float:
        return self.at


@dataclass(slots=True)
class Away:
    """Leases that can be out of reach."""

    leases: MemoryLeases
    away: bool = False

    async def acquire(self, key: str, seconds: float) -> bool:
        return await self._reached().acquire(key, seconds)

    async def renew(self, key: str, seconds: float) -> bool:
        return await self._reached().renew(key, seconds)

    async def release(self, key: str) -> None:
        await self._reached().release(key)

    def _reached(self) -> MemoryLeases:
        if self.away:
            raise BusFailed("away")
        return self.leases


@dataclass(slots=True)
class Scene:
    clock: Clock = field(default_factory=Clock)
    board: Board = field(default_factory=dict)
    claimed: bool = False
    ours: Away = field(init=False)
    theirs: MemoryLeases = field(init=False)
    lease: HeldLease = field(init=False)

    def __post_init__(self) -> None:
        self.ours = Away(MemoryLeases(self.board, self.clock.now))
        self.theirs = MemoryLeases(self.board, self.clock.now)
        self.lease = HeldLease(self.ours, "board", self.unclaimed, self.clock.now)

    async def unclaimed(self) -> bool:
        return not self.claimed


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    assert await scene.ours.acquire("board", SECONDS)
    return scene


async def test_a_lease_that_is_renewed_lasts(scene: Scene) -> None:
    for _ in range(10):
        scene.clock.at += SECONDS / 2
        assert await scene.lease.hold()
    assert not await scene.theirs.acquire("board", 1.0)


async def test_one_that_lapsed_is_taken_again_where_nobody_was_faster(scene: Scene) -> None:
    scene.clock.at += 60.0
    assert await scene.lease.hold()
    assert not await scene.theirs.acquire("board", 1.0)


async def test_one_that_another_holds_is_lost(scene: Scene) -> None:
    scene.clock.at += 60.0
    assert await scene.theirs.acquire("board", 10.0)
    assert not await scene.lease.hold()


async def test_one_whose_meeting_was_claimed_meanwhile_is_lost_and_left_to_others(scene: Scene) -> None:
    scene.clock.at += 60.0
    scene.claimed = True
    assert not await scene.lease.hold()
    assert await scene.theirs.acquire("board", 1.0)


async def test_while_nobody_can_say_it_counts_as_held_for_ten_seconds(scene: Scene) -> None:
    scene.ours.away = True
    scene.clock.at += 9.0
    assert await scene.lease.hold()
    scene.ours.away = False
    assert await scene.lease.hold()
    scene.ours.away = True
    scene.clock.at += 11.0
    assert not await scene.lease.hold()
    await scene.lease.release()  # it lapses


async def test_it_is_held_until_it_is_lost(scene: Scene) -> None:
    holding = asyncio.create_task(scene.lease.run())
    await asyncio.sleep(0)
    scene.board["board"] = (scene.theirs, scene.clock.at + 60.0)
    await asyncio.wait_for(holding, 30.0)
