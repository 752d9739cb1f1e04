"""What gateways share behind one address: any of them answers for the rooms and WHIP sessions of all."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from api.house import Sfu
from media_gateway.captioned_rooms import RoomState
from media_gateway.webrtc import WhipPeers
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.reader import Stop
from pipeline.bus.redis.registry import Registry
from pipeline.domain import MeetingId, ParticipantId
from pipeline.errors import GreffierError

_log = logging.getLogger("greffier.gateways")

_ALL = MeetingId("gateways")
"""What they all follow, as they follow the wishes for a meeting; the ids of meetings have more letters."""


@dataclass(slots=True)
class OtherGateways:
    """``sfus`` and ``peers`` are those of this gateway. Whatever asks another one raises ``BusFailed``."""

    bus: RedisBus
    sfus: Mapping[str, Sfu]
    peers: WhipPeers
    _doing: set["asyncio.Task[None]"] = field(default_factory=set)

    async def follow(self) -> Stop:
        """Does what others ask of this gateway, until the given-back ``stop``."""
        following = await Control.follow(self.bus, _ALL, self._heed)

        async def stop() -> None:
            await following()
            if self._doing:
                await asyncio.wait(self._doing)

        return stop

    # --- rooms ------------------------------------------------------------------------------------------------

    def told_rooms(self) -> list[dict[str, object]]:
        """What this gateway says to the others: its rooms, by provider."""
        return [
            {"provider": provider, "room": state.room, "meeting": state.meeting, "state": state.state}
            for provider, sfu in self.sfus.items()
            for state in sfu.rooms.all()
        ]

    async def rooms(self, provider: str) -> list[RoomState]:
        """As the others said within the last seconds."""
        others = [each for each in await Registry.all(self.bus) if each.get("process") != self.bus.process]
        return [
            RoomState(told["room"], told["meeting"], told["state"])
            for other in others
            for told in _rooms_in(other)
            if told["provider"] == provider
        ]

    async def leave_room(self, provider: str, room: str) -> None:
        """Whoever captions the room leaves it soon."""
        await self._ask(do="leave", provider=provider, room=room)

    # --- WHIP sessions ----------------------------------------------------------------------------------------

    async def hang_up(self, meeting: MeetingId, participant: ParticipantId, peer: str) -> None:
        """Whoever has this session of ``participant`` closes it soon."""
        await self._ask(do="hang_up", of=meeting, participant=participant, peer=peer)

    async def trickle(
        self, meeting: MeetingId, participant: ParticipantId, peer: str, etag: str, fragment: str
    ) -> None:
        """Whoever has the session takes candidates for it, where ``etag`` is its own."""
        await self._ask(do="trickle", of=meeting, participant=participant, peer=peer, etag=etag, fragment=fragment)

    # --- between them -----------------------------------------------------------------------------------------

    async def _ask(self, **wish: object) -> None:
        await Control.tell(self.bus, _ALL, by=self.bus.process, **wish)

    def _heed(self, wish: dict[str, object]) -> None:
        if wish.get("by") == self.bus.process:
            return
        match cast(dict[str, Any], wish):
            case {"do": "leave", "provider": provider, "room": room} if provider in self.sfus:
                self._do(self.sfus[provider].rooms.stop(room))
            case {"do": "hang_up", "peer": peer} if self._has(wish):
                self._do(self.peers.close(peer))
            case {"do": "trickle", "peer": peer, "etag": etag, "fragment": fragment} if self._has(wish):
                known = self.peers.get(peer)
                if known is not None and etag in {known.etag, "*"}:
                    self._do(known.trickle(fragment))

    def _has(self, wish: Mapping[str, object]) -> bool:
        known = self.peers.get(str(wish["peer"]))
        whose = (wish.get("of"), wish.get("participant"))
        return known is not None and (known.hooks.meeting, known.hooks.track.participant.id) == whose

    def _do(self, work: Coroutine[None, None, None]) -> None:
        doing = asyncio.create_task(_forgiven(work))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)


async def _forgiven(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except GreffierError as failure:
        _log.info("wish.refused", extra={"error": type(failure).__name__})


def _rooms_in(facts: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    yield from cast(list[dict[str, Any]], facts.get("rooms", []))
