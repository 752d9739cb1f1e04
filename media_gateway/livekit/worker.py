"""An agent worker of livekit-server: registered under a name, it is offered the dispatches of that name as jobs.

The protocol is ``livekit.protocol.agent`` over one WebSocket (livekit-server 1.13.5, ``pkg/agent/worker.go`` and
``pkg/service/agentservice.go``); the official ``livekit-agents`` speaks it too, but runs its jobs in loops of their own
and refuses them by the machine's CPU. What its server does with a worker, read there and tried:

- A dispatch becomes a job and is offered at once, 0.2 s after it was made (the server waits that long for other nodes),
  to workers of the name, one after the other until one takes it. If none does, it stays listed and is never offered
  again, also not to a worker that registers later. An offer must be answered within 10 s.
- An answer is one of three: available (the job runs and a token comes), not available (the next worker is asked), or
  ``terminate`` (the job has ended well, nobody else is asked).
- A worker whose load is its server's ``target_load`` (0.7) or more is offered nothing.
- Deleting a dispatch ends its jobs: their workers are told, up to 5 s later (the server first waits until it knows of
  all workers that may have taken it), and then the participant with the identity that the worker gave for the job is
  removed from the room, after 3 s if it has not left by itself. One with another identity stays.
- When the participant of that identity leaves or is removed, the worker is told that the job has ended.
- Jobs end with the connection on which they were assigned, without a word; their dispatches stay listed.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from google.protobuf.message import DecodeError
from livekit.protocol import agent, models

from media_gateway.livekit.access import LiveKitServer, failures_mapped
from pipeline.errors import GatewayFailed

_log = logging.getLogger("greffier.livekit")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_ANSWER_SECONDS = 5.0
_HEARTBEAT_SECONDS = 10.0
"""Between pings of the WebSocket; one that is not answered in half of that ends the connection."""
_CLOSE_SECONDS = 1.0
_STATUS_SECONDS = 2.5
_FULL_LOAD = 0.69
"""What a full worker reports: below the ``target_load`` of its server, which would otherwise offer it nothing."""
_PERMISSIONS = models.ParticipantPermission(
    can_subscribe=True, can_publish=False, can_publish_data=True, can_update_metadata=False, hidden=True
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A job is taken: the participant that its token lets into the room."""

    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registration:
    """One connection to livekit-server; ``node`` is the server's id, another one after each start of it."""

    worker: str
    node: str


async def _nothing(_: agent.Job) -> None:
    pass


class AgentWorker:
    """Stays registered as ``agent_name`` from ``start`` to ``close``, in the background, whatever the server does.

    ``accept`` answers an offer: with None the job has ended well. ``assigned`` is told the jobs taken, with their
    tokens, ``terminated`` those that the server has ended. These three hold up whatever the server says next: they note
    what is to be done, and whoever does it does so elsewhere. ``load`` is the part of what this process can do that it
    does, 0 to 1; all jobs are offered to it, full or not. ``registered`` is told every registration; all jobs of the
    one before are gone then, without having been ``terminated``.
    """

    def __init__(
        self,
        server: LiveKitServer,
        agent_name: str,
        *,
        accept: Callable[[agent.Job], Awaitable[Acceptance | None]],
        load: Callable[[], float],
        assigned: Callable[[agent.JobAssignment], Awaitable[None]] | None = None,
        terminated: Callable[[agent.Job], Awaitable[None]] = _nothing,
        registered: Callable[[Registration], None] = lambda _: None,
    ) -> None:
        self._server = server
        self._name = agent_name
        self._accept = accept
        self._assigned = assigned
        self._terminated = terminated
        self._load = load
        self._told = registered
        self._running: asyncio.Task[None] | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._registration: Registration | None = None
        self._jobs: dict[str, agent.Job] = {}
        self._trouble: str | None = None

    @property
    def registration(self) -> Registration | None:
        """None while it is not registered."""
        return self._registration

    @property
    def trouble(self) -> str | None:
        """What keeps it from being registered; None while it is."""
        return None if self._registration else self._trouble

    def start(self) -> None:
        self._running = self._running or asyncio.create_task(self._run(), name=f"agent worker {self._name}")

    async def close(self) -> None:
        """Offers go to other workers from now on; the server forgets the jobs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None
            self._forget("closed")

    async def end(self, job: str, trouble: str = "") -> None:
        """Tells the server that a job has ended, well or with ``trouble``; does nothing for one that is not running."""
        if self._jobs.pop(job, None) is None:
            return
        status = agent.JobStatus.JS_FAILED if trouble else agent.JobStatus.JS_SUCCESS
        await self._tell(
            agent.WorkerMessage(update_job=agent.UpdateJobStatus(job_id=job, status=status, error=trouble))
        )

    async def report(self) -> None:
        """Tells the server the load as it is now; happens by itself every 2.5 s."""
        load = max(0.0, min(self._load(), 1.0)) * _FULL_LOAD
        status = agent.UpdateWorkerStatus(status=agent.WorkerStatus.WS_AVAILABLE, load=load, job_count=len(self._jobs))
        await self._tell(agent.WorkerMessage(update_worker=status))

    async def _tell(self, message: agent.WorkerMessage) -> None:
        if self._socket is not None:
            with suppress(ConnectionError, aiohttp.ClientError):  # whoever reads finds the connection lost, too
                await _send(self._socket, message)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._serve()
            except GatewayFailed as error:
                trouble = str(error)
            except Exception as error:  # noqa: BLE001 - a job that breaks something here does not end the others
                _log.error("worker.broken", exc_info=error, extra={"agent": self._name})
                trouble = f"this worker broke: {type(error).__name__}"
            failures = 0 if self._registration is not None else min(failures + 1, 10)
            self._part(trouble)
            pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
            # Chance keeps workers apart; nothing secret hangs on it.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that gateways do not come all at once

    def _part(self, trouble: str) -> None:
        """Not registered any more, or still not. In the log once for each trouble, not at every attempt."""
        if trouble != self._trouble or self._registration is not None:
            _log.warning("worker.lost", extra={"agent": self._name, "error": trouble})
        self._forget(trouble)

    def _forget(self, trouble: str) -> None:
        self._trouble, self._registration, self._socket = trouble, None, None
        self._jobs.clear()

    async def _serve(self) -> None:
        """One connection, until it ends. Raises ``GatewayFailed``."""
        with failures_mapped(self._server.url):
            async with aiohttp.ClientSession() as session:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    socket = await self._open(session)
                async with socket:
                    await self._register(socket)
                    await self._converse(socket)

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        headers = {"Authorization": f"Bearer {self._server.worker_token()}"}
        try:
            return await session.ws_connect(
                f"{self._server.url}/agent",
                headers=headers,
                heartbeat=_HEARTBEAT_SECONDS,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            refused = "refuses LIVEKIT_API_KEY or LIVEKIT_API_SECRET" if error.status == 401 else "takes no agents"
            raise GatewayFailed(f"LiveKit at {self._server.url} {refused} ({error.status})") from error

    async def _register(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        wanted = agent.RegisterWorkerRequest(
            type=agent.JobType.JT_ROOM,
            agent_name=self._name,
            version="greffier",
            ping_interval=round(_HEARTBEAT_SECONDS),
            allowed_permissions=_PERMISSIONS,
        )
        async with asyncio.timeout(_ANSWER_SECONDS):
            await _send(socket, agent.WorkerMessage(register=wanted))
            answer = await _receive(socket)
        if answer.WhichOneof("message") != "register":
            raise GatewayFailed("LiveKit did not register this worker")
        self._socket = socket
        self._registration = Registration(answer.register.worker_id, answer.register.server_info.node_id)
        _log.info("worker.registered", extra={"agent": self._name, "worker": answer.register.worker_id})
        self._told(self._registration)

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        reporting = asyncio.create_task(self._report_forever())
        try:
            while True:
                await self._hear(socket, await _receive(socket))
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, message: agent.ServerMessage) -> None:
        match message.WhichOneof("message"):
            case "availability":
                answer = await self._answer(message.availability.job)
                await _send(socket, agent.WorkerMessage(availability=answer))
            case "assignment":
                self._jobs[message.assignment.job.id] = message.assignment.job
                _log.info("job.assigned", extra={"agent": self._name, "job": message.assignment.job.id})
                if self._assigned is not None:
                    await self._assigned(message.assignment)
            case "termination":
                job = self._jobs.pop(message.termination.job_id, None)
                if job is not None:
                    _log.info("job.terminated", extra={"agent": self._name, "job": job.id})
                    await self._terminated(job)
            case _:
                pass

    async def _answer(self, job: agent.Job) -> agent.AvailabilityResponse:
        accepted = await self._accept(job)
        if accepted is None:
            return agent.AvailabilityResponse(job_id=job.id, terminate=True)
        return agent.AvailabilityResponse(
            job_id=job.id,
            available=True,
            participant_identity=accepted.identity,
            participant_name=accepted.name,
            participant_metadata=accepted.metadata,
            participant_attributes=accepted.attributes,
        )

    async def _report_forever(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(_STATUS_SECONDS)


async def _send(socket: aiohttp.ClientWebSocketResponse, message: agent.WorkerMessage) -> None:
    await socket.send_bytes(message.SerializeToString())


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> agent.ServerMessage:
    """Raises ``GatewayFailed`` when the connection has ended."""
    received = await socket.receive()
    if received.type is not aiohttp.WSMsgType.BINARY:
        raise GatewayFailed("LiveKit closed the connection of this worker")
    try:
        return agent.ServerMessage.FromString(received.data)
    except DecodeError as error:
        raise GatewayFailed("LiveKit says something that is not understood") from error
