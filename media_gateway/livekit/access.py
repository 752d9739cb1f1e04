"""One LiveKit server: tokens, and what its server API is asked. The one place where its errors become Greffier's."""

import datetime as dt
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api, rtc

from media_gateway.livekit import native
from pipeline.errors import GatewayFailed, NotFound

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_TOKEN_LIFE = dt.timedelta(minutes=10)
"""Of tokens to join with; the server itself gives new ones to who is connected."""

HOUSE = "greffier.house"
"""Attribute of our participants: who may take the place of one whose process was killed."""

_Answer = TypeVar("_Answer")


def agent_identity(agent_name: str, room: str) -> str:
    """What an agent is called in a room; Visio removes it by this identity."""
    return f"{agent_name}-{room}"


class LiveKitServer:
    """``url`` as LiveKit's own tools take it: ws, wss, http or https.

    Its calls raise ``NotFound`` for a room, participant or dispatch that is not there, and ``GatewayFailed`` when the
    server cannot be reached or refuses. ``house`` names all processes that share their leases with this one, the same
    after a restart; empty, a participant that a killed process left behind keeps its place until LiveKit removes it.
    """

    def __init__(self, url: str, key: str, secret: str, *, house: str = "") -> None:
        native.outlive()
        scheme, _, rest = url.partition("://")
        self.url = f"{scheme.replace('http', 'ws')}://{rest}".rstrip("/")
        """Where clients and agents connect: ws or wss."""
        self.house = house
        self._key = key
        self._secret = secret
        self._client: api.LiveKitAPI | None = None

    # --- tokens ---------------------------------------------------------------------------------------------

    def join_token(self, room: str, identity: str, *, shows: bool = True) -> str:
        """For a hidden agent that hears everybody, and neither publishes tracks nor changes itself; where it ``shows``
        something, it sends data."""
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            hidden=True,
            agent=True,
            can_subscribe=True,
            can_publish=False,
            can_publish_data=shows,
            can_update_own_metadata=False,
        )
        token = self._token().with_identity(identity).with_kind("agent").with_grants(grants)
        return token.with_attributes({HOUSE: self.house} if self.house else {}).to_jwt()

    def worker_token(self) -> str:
        """For the connection of an agent worker."""
        return self._token().with_grants(api.VideoGrants(agent=True)).to_jwt()

    def _token(self) -> api.AccessToken:
        return api.AccessToken(self._key, self._secret).with_ttl(_TOKEN_LIFE)

    # --- rooms ----------------------------------------------------------------------------------------------

    async def rooms(self, *names: str) -> list[api.Room]:
        """The rooms that are open, or those of ``names`` that are."""
        answer = await self._ask(self._api.room.list_rooms(api.ListRoomsRequest(names=names)))
        return list(answer.rooms)

    async def participants(self, room: str) -> list[api.ParticipantInfo]:
        """Everybody in a room, hidden or not."""
        answer = await self._ask(self._api.room.list_participants(api.ListParticipantsRequest(room=room)))
        return list(answer.participants)

    async def remove_participant(self, room: str, identity: str) -> None:
        await self._ask(self._api.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity)))

    # --- dispatches -----------------------------------------------------------------------------------------

    async def dispatches(self, room: str, agent_name: str) -> list[api.AgentDispatch]:
        """The dispatches of an agent that a room lists, whether the agent is there or not."""
        listed = await self._ask(self._api.agent_dispatch.list_dispatch(room))
        return [dispatch for dispatch in listed if dispatch.agent_name == agent_name]

    async def create_dispatch(self, room: str, agent_name: str, metadata: str = "") -> api.AgentDispatch:
        wanted = api.CreateAgentDispatchRequest(room=room, agent_name=agent_name, metadata=metadata)
        return await self._ask(self._api.agent_dispatch.create_dispatch(wanted))

    async def delete_dispatch(self, room: str, dispatch: str) -> None:
        await self._ask(self._api.agent_dispatch.delete_dispatch(dispatch, room))

    # --- the connection -------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Calls may follow; they connect anew."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def _api(self) -> api.LiveKitAPI:
        if self._client is None:  # its session belongs to the running loop
            self._client = api.LiveKitAPI(self.url, self._key, self._secret, timeout=_TIMEOUT)
        return self._client

    async def _ask(self, call: Awaitable[_Answer]) -> _Answer:
        with failures_mapped(self.url):
            try:
                return await call
            except aiohttp.ClientError:  # some are ValueErrors, too: a certificate that is not trusted
                raise
            except (DecodeError, ValueError, TypeError, AttributeError) as error:  # from the client, of any answer
                raise GatewayFailed(f"LiveKit at {self.url} says something that is not understood") from error


@contextmanager
def failures_mapped(url: str) -> Iterator[None]:
    """What LiveKit's packages raise inside becomes ``NotFound`` or ``GatewayFailed``."""
    try:
        yield
    except api.ServerError as error:
        if error.code == "not_found":
            raise NotFound(f"LiveKit does not know it: {error.message}") from error
        raise GatewayFailed(_refusal(url, error)) from error
    except rtc.ConnectError as error:
        raise GatewayFailed(f"LiveKit at {url} cannot be joined: {error.message}") from error
    except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError
        raise GatewayFailed(f"LiveKit at {url} cannot be reached: {type(error).__name__}") from error


def _refusal(url: str, error: api.ServerError) -> str:
    if error.status == 401:
        return f"LiveKit at {url} refuses LIVEKIT_API_KEY or LIVEKIT_API_SECRET"
    return f"LiveKit at {url} refuses: {error.code}, {error.message}"
