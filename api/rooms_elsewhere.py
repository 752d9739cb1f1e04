"""Rooms of SFUs that other gateways caption: any of them answers for all."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from api.house import Sfu
from media_gateway.captioned_rooms import RoomState
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.reader import Stop
from pipeline.bus.redis.registry import Registry
from pipeline.domain import MeetingId

_ALL_GATEWAYS = MeetingId("gateways")
"""What they all follow as they do the wishes for a meeting; ids of meetings have twelve letters."""


@dataclass(slots=True)
class RoomsElsewhere:
    """``sfus`` are those of this gateway, by provider."""

    bus: RedisBus
    sfus: Mapping[str, Sfu]
    _leaving: set["asyncio.Task[None]"] = field(default_factory=set)

    def told(self) -> list[dict[str, object]]:
        """What this gateway says to the others: its rooms."""
        return [
            {"provider": provider, "room": state.room, "meeting": state.meeting, "state": state.state}
            for provider, sfu in self.sfus.items()
            for state in sfu.rooms.all()
        ]

    async def all(self, provider: str) -> list[RoomState]:
        """As the other gateways said within the last seconds. Raises ``BusFailed``."""
        others = [each for each in await Registry.all(self.bus) if each.get("process") != self.bus.process]
        return [
            RoomState(told["room"], told["meeting"], told["state"])
            for other in others
            for told in _told(other)
            if told["provider"] == provider
        ]

    async def leave(self, provider: str, room: str) -> None:
        """Whoever captions the room leaves it soon. Raises ``BusFailed``."""
        await Control.tell(self.bus, _ALL_GATEWAYS, do="leave", provider=provider, room=room, by=self.bus.process)

    async def follow(self) -> Stop:
        """Does what other gateways ask of this one, until the given-back ``stop``."""
        following = await Control.follow(self.bus, _ALL_GATEWAYS, self._heed)

        async def stop() -> None:
            await following()
            if self._leaving:
                await asyncio.wait(self._leaving)

        return stop

    def _heed(self, wish: dict[str, object]) -> None:
        sfu = self.sfus.get(str(wish.get("provider")))
        if wish.get("do") == "leave" and wish.get("by") != self.bus.process and sfu is not None:
            leaving = asyncio.create_task(sfu.rooms.stop(str(wish["room"])))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


def _told(facts: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    yield from cast(list[dict[str, Any]], facts.get("rooms", []))
