"""The agent worker against a real livekit-server: what it is offered, what it is told, and that it stays registered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from livekit import api, rtc
from livekit.protocol import agent

from media_gateway.livekit.access import LiveKitServer
from media_gateway.livekit.worker import Acceptance, AgentWorker, Registration
from tests.livekit.people import until
from tests.livekit.server import LiveKit

_NAMES = iter(f"worker-{number}" for number in range(1000))


@dataclass(slots=True)
class Office:
    """A worker, and everything it was told. ``taking``: False, and every job has ended well when it is offered."""

    name: str
    worker: AgentWorker = field(init=False)
    taking: bool = True
    load: float = 0.0
    offered: list[agent.Job] = field(default_factory=list)
    assigned: list[agent.JobAssignment] = field(default_factory=list)
    terminated: list[agent.Job] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)

    async def accept(self, job: agent.Job) -> Acceptance | None:
        self.offered.append(job)
        return Acceptance(f"{self.name}-{job.room.name}", attributes={"a": "b"}) if self.taking else None

    async def assign(self, assignment: agent.JobAssignment) -> None:
        self.assigned.append(assignment)

    async def terminate(self, job: agent.Job) -> None:
        self.terminated.append(job)


@asynccontextmanager
async def office(
    server: LiveKit, name: str = "", *, secret: str = "", registered: bool = True
) -> AsyncIterator[Office]:
    at_work = Office(name or next(_NAMES))
    at_work.worker = AgentWorker(
        LiveKitServer(server.url, server.key, secret or server.secret),
        at_work.name,
        accept=at_work.accept,
        load=lambda: at_work.load,
        assigned=at_work.assign,
        terminated=at_work.terminate,
        registered=at_work.registrations.append,
    )
    at_work.worker.start()
    try:
        if registered:
            await until(lambda: at_work.worker.registration)
        yield at_work
    finally:
        await at_work.worker.close()


async def dispatch(server: LiveKit, name: str, room: str) -> api.AgentDispatch:
    async with server.api() as livekit:
        return await livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=name, room=room, metadata="of the dispatch")
        )


async def delete(server: LiveKit, dispatched: api.AgentDispatch) -> None:
    async with server.api() as livekit:
        await livekit.agent_dispatch.delete_dispatch(dispatched.id, dispatched.room)


async def jobs_of(server: LiveKit, dispatched: api.AgentDispatch, wanted: Callable[[agent.Job], bool]) -> agent.Job:
    """The job of a dispatch once the server says of it what is ``wanted``."""
    async with server.api() as livekit, asyncio.timeout(30):
        while True:
            found = await livekit.agent_dispatch.get_dispatch(dispatched.id, dispatched.room)
            for job in found.state.jobs if found is not None else ():
                if wanted(job):
                    return job
            await asyncio.sleep(0.05)


async def test_a_worker_is_registered_within_a_second(livekit: LiveKit) -> None:
    began = asyncio.get_running_loop().time()
    async with office(livekit) as at_work:
        assert asyncio.get_running_loop().time() - began < 1.0
        assert at_work.worker.trouble is None
        assert at_work.registrations[0] is at_work.worker.registration


async def test_a_dispatch_is_offered_and_its_token_lets_the_agent_in_hidden(livekit: LiveKit, room: str) -> None:
    async with office(livekit) as at_work:
        made = await dispatch(livekit, at_work.name, room)
        await until(lambda: at_work.assigned)
        (assignment,) = at_work.assigned
        assert (assignment.job.dispatch_id, assignment.job.metadata) == (made.id, "of the dispatch")
        there = rtc.Room()
        await there.connect(livekit.url, assignment.token)
        async with livekit.api() as server:
            inside = await server.room.list_participants(api.ListParticipantsRequest(room=room))
        (itself,) = inside.participants
        assert itself.identity == f"{at_work.name}-{room}"
        assert itself.kind == api.ParticipantInfo.AGENT
        assert itself.permission.hidden
        assert itself.attributes["a"] == "b"
        await there.disconnect()


async def test_a_dispatch_for_another_name_is_not_offered(livekit: LiveKit, room: str) -> None:
    async with office(livekit) as one, office(livekit) as other:
        await dispatch(livekit, one.name, room)
        await until(lambda: one.offered)
        assert not other.offered


async def test_a_dispatch_that_is_deleted_ends_its_job(livekit: LiveKit, room: str) -> None:
    async with office(livekit) as at_work:
        made, other = await dispatch(livekit, at_work.name, room), await dispatch(livekit, at_work.name, room)
        await until(lambda: len(at_work.assigned) == 2)
        await delete(livekit, made)
        await until(lambda: at_work.terminated)
        assert [job.dispatch_id for job in at_work.terminated] == [made.id]
        await delete(livekit, other)
        await until(lambda: len(at_work.terminated) == 2)


async def test_a_job_that_is_not_taken_has_ended_well_and_is_offered_once(livekit: LiveKit, room: str) -> None:
    name = next(_NAMES)
    async with office(livekit, name) as one, office(livekit, name) as other:
        one.taking = other.taking = False
        made = await dispatch(livekit, name, room)
        job = await jobs_of(livekit, made, lambda job: job.state.status == agent.JobStatus.JS_SUCCESS)
        assert [each.id for each in one.offered + other.offered] == [job.id]
        assert not one.assigned + other.assigned


@pytest.mark.parametrize("trouble", ["", "it is encrypted"])
async def test_the_server_is_told_how_a_job_ended(livekit: LiveKit, room: str, trouble: str) -> None:
    async with office(livekit) as at_work:
        made = await dispatch(livekit, at_work.name, room)
        await until(lambda: at_work.assigned)
        await at_work.worker.end(at_work.assigned[0].job.id, trouble)
        await delete(livekit, made)  # one that has ended is not terminated
        last = await dispatch(livekit, at_work.name, room)
        await until(lambda: len(at_work.assigned) == 2)
        await delete(livekit, last)
        await until(lambda: at_work.terminated)
        assert [job.dispatch_id for job in at_work.terminated] == [last.id]
        ended = "JS_FAILED" if trouble else "JS_SUCCESS"
        assert f'"jobID": "{at_work.assigned[0].job.id}", "status": "{ended}", "error": "{trouble}"' in livekit.log()


async def test_a_full_worker_is_offered_every_dispatch_all_the_same(livekit: LiveKit, room: str) -> None:
    async with office(livekit) as at_work:
        at_work.load = 1.0
        before = livekit.log().count("worker status changed")
        await at_work.worker.report()
        await dispatch(livekit, at_work.name, room)
        await until(lambda: at_work.offered)
        assert livekit.log().count("worker status changed") == before


async def test_of_two_workers_the_one_with_less_to_do_is_offered_more(livekit: LiveKit, room: str) -> None:
    name = next(_NAMES)
    async with office(livekit, name) as idle, office(livekit, name) as busy:
        busy.load = 1.0
        await busy.worker.report()
        for _ in range(20):
            await dispatch(livekit, name, room)
        await until(lambda: len(idle.offered) + len(busy.offered) == 20)
        assert len(idle.offered) > len(busy.offered)


async def test_a_worker_registers_again_when_its_server_was_killed_and_started(own_livekit: LiveKit, room: str) -> None:
    async with office(own_livekit) as at_work:
        await asyncio.to_thread(own_livekit.kill)
        await until(lambda: at_work.worker.trouble)
        assert "cannot be reached" in (at_work.worker.trouble or "") or "closed" in (at_work.worker.trouble or "")
        await asyncio.to_thread(own_livekit.start)
        await until(lambda: at_work.worker.registration)
        first, second = at_work.registrations
        assert first.node != second.node
        await dispatch(own_livekit, at_work.name, room)
        await until(lambda: at_work.offered)


async def test_a_worker_that_was_closed_is_offered_nothing(livekit: LiveKit, room: str) -> None:
    name = next(_NAMES)
    async with office(livekit, name) as one, office(livekit, name) as other:
        await other.worker.close()
        await other.worker.close()
        for _ in range(5):
            await dispatch(livekit, name, room)
        await until(lambda: len(one.offered) == 5)
        assert not other.offered


async def test_a_wrong_secret_is_named(livekit: LiveKit) -> None:
    async with office(livekit, secret="another secret, of 32 characters as well", registered=False) as at_work:
        await until(lambda: at_work.worker.trouble)
        assert "LIVEKIT_API_SECRET" in (at_work.worker.trouble or "")


async def test_a_job_that_breaks_the_worker_does_not_end_it(livekit: LiveKit, room: str) -> None:
    async with office(livekit) as at_work:
        at_work.offered = None  # type: ignore[assignment]
        await dispatch(livekit, at_work.name, room)
        await until(lambda: len(at_work.registrations) == 2)
        at_work.offered = []
        await dispatch(livekit, at_work.name, room)
        await until(lambda: at_work.assigned)
