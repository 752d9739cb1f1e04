"""A meeting that another owner has claimed takes nothing from the one before, whoever commits first."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection

from pipeline.domain import (
    Caption,
    Gap,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    RecordText,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
)
from pipeline.errors import NotFound, Superseded
from pipeline.ports import OwnedMeetingStore
from pipeline.store import captions as spoken
from pipeline.store import meetings
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import words

ROOT = Path(__file__).parents[3]
TALK = Meeting(MeetingId("talk"), "Talk", 1.0)
ANNE = Participant(ParticipantId("anne"), "Anne")
TRACK = TrackId("anne.1")


def said(number: int, *, final: bool = True, start: float | None = None) -> Caption:
    begun = float(number) if start is None else start
    return Caption(TRACK, UtteranceId(f"{TRACK}#{number}"), 1, final, "fr", words("mot", begun, begun + 1))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/greffier.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(url)
    await store.create_meeting(TALK)
    await store.add_participant(TALK.id, ANNE)
    await store.next_track(TALK.id, ANNE.id)
    yield store
    await store.close()


@pytest.fixture
async def second(url: str, store: SqlStore) -> AsyncIterator[SqlStore]:
    """The store of another process."""
    second = SqlStore.open(url)
    yield second
    await second.close()


async def everything(store: SqlStore) -> tuple[Meeting, Transcript, list[Caption], list[Presence]]:
    return (
        await store.meeting(TALK.id),
        await store.transcript(TALK.id),
        await store.open_captions(TALK.id),
        await store.presences(TALK.id),
    )


WRITES: dict[str, Callable[[OwnedMeetingStore], Awaitable[object]]] = {
    "final": lambda shelf: shelf.keep_final(said(1)),
    "open": lambda shelf: shelf.keep_open([said(2, final=False)]),
    "record": lambda shelf: shelf.keep_record(RecordText(TRACK, (said(1).utterance,), "fr", words("mot", 1, 2))),
    "gap": lambda shelf: shelf.keep_gap(Gap(TRACK, ANNE, 3.0, 4.0, "lost")),
    "pause": lambda shelf: shelf.keep_pause(Pause(5.0)),
    "presence": lambda shelf: shelf.keep_presences([Presence(ANNE.id, 0.0)]),
    "runs": lambda shelf: shelf.keep_runs([VoiceRun(said(1).utterance, 0, 1, 1)]),
    "voice": lambda shelf: shelf.keep_voice(ANNE.id, 1, np.ones(3, np.float32)),
    "end": lambda shelf: shelf.keep_end(99.0),
    "cut": lambda shelf: shelf.keep_cut(),
    "numbers": lambda shelf: shelf.reserve_sequence(10),
}


async def test_claims_are_numbered_and_a_meeting_that_is_not_there_cannot_be_claimed(store: SqlStore) -> None:
    assert [await store.claim(TALK.id), await store.claim(TALK.id)] == [1, 2]
    assert await store.meeting(TALK.id) == TALK
    with pytest.raises(NotFound):
        await store.claim(MeetingId("nobody"))


@pytest.mark.parametrize("write", WRITES)
async def test_whoever_claimed_a_meeting_last_writes_to_it_and_nobody_who_claimed_it_before(
    store: SqlStore, second: SqlStore, write: str
) -> None:
    stale = store.for_meeting(TALK.id, await store.claim(TALK.id))
    await WRITES[write](stale)
    before, number = await everything(store), await store.reserve_sequence(TALK.id, 1)
    owner = second.for_meeting(TALK.id, await second.claim(TALK.id))
    with pytest.raises(Superseded) as refusal:
        await WRITES[write](stale)
    assert not refusal.value.retryable
    assert await everything(second) == before
    assert await second.reserve_sequence(TALK.id, 1) == number + 1
    await WRITES[write](owner)


async def test_every_write_to_a_meeting_is_fenced() -> None:
    written = {name for name in vars(OwnedMeetingStore) if name.startswith(("keep_", "reserve_"))}
    written |= {name for base in OwnedMeetingStore.__mro__ for name in vars(base) if name.startswith("keep_")}
    assert len(written) == len(WRITES)


async def test_whoever_claimed_nothing_writes_as_the_one_process_there_is(store: SqlStore) -> None:
    await store.claim(TALK.id)
    await store.for_meeting(TALK.id).keep_final(said(1))
    assert await store.finals(TALK.id) == [said(1)]


async def test_writes_that_wait_beside_those_of_a_stale_owner_are_made(store: SqlStore, second: SqlStore) -> None:
    """They are committed together; the one that is refused takes none with it."""
    stale = store.for_meeting(TALK.id, await store.claim(TALK.id))
    owner = store.for_meeting(TALK.id, await second.claim(TALK.id))
    both = [(stale, owner)[number % 2].keep_final(said(number)) for number in range(20)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Superseded, type(None)] * 10
    assert await store.finals(TALK.id) == [said(number) for number in range(1, 20, 2)]


# --- who commits first ----------------------------------------------------------------------------------------


@pytest.fixture
async def slow(store: SqlStore) -> AsyncIterator[tuple[Callable[[Connection], None], threading.Event, threading.Event]]:
    """A write that stands still after what it was given did: it holds the meeting, and then goes on."""
    there, go = threading.Event(), threading.Event()

    def stand(_: Connection) -> None:
        there.set()
        go.wait(10.0)

    yield stand, there, go
    go.set()


async def test_a_final_that_came_before_the_claim_is_there_for_the_new_owner(
    store: SqlStore, second: SqlStore, slow: tuple[Callable[[Connection], None], threading.Event, threading.Event]
) -> None:
    stand, there, go = slow
    fence = await store.claim(TALK.id)

    def keep(connection: Connection) -> None:
        spoken.keep_final(connection, TALK.id, said(1), fence)
        stand(connection)

    keeping = asyncio.ensure_future(store._write(keep))
    await asyncio.to_thread(there.wait, 10.0)
    claiming = asyncio.ensure_future(second.claim(TALK.id))
    await asyncio.sleep(0.2)
    assert not claiming.done(), "it waits for whoever writes"
    go.set()
    assert await claiming == fence + 1
    await keeping
    assert await second.finals(TALK.id) == [said(1)]
    with pytest.raises(Superseded):
        await store.for_meeting(TALK.id, fence).keep_final(said(2))


async def test_a_final_that_comes_while_the_meeting_is_claimed_is_refused(
    store: SqlStore, second: SqlStore, slow: tuple[Callable[[Connection], None], threading.Event, threading.Event]
) -> None:
    stand, there, go = slow
    fence = await store.claim(TALK.id)

    def claim(connection: Connection) -> int:
        claimed = meetings.claim(connection, TALK.id)
        stand(connection)
        return claimed

    claiming = asyncio.ensure_future(second._write(claim))
    await asyncio.to_thread(there.wait, 10.0)
    keeping = asyncio.ensure_future(store.for_meeting(TALK.id, fence).keep_final(said(1)))
    await asyncio.sleep(0.2)
    assert not keeping.done(), "it waits for the claim"
    go.set()
    assert await claiming == fence + 1
    with pytest.raises(Superseded):
        await keeping
    await second.for_meeting(TALK.id, fence + 1).keep_final(replace(said(1), revision=7))
    assert [final.revision for final in await store.finals(TALK.id)] == [7]


OTHER_PROCESS = """
import asyncio, sys
from pipeline.domain import MeetingId
from pipeline.errors import Superseded
from pipeline.store.sql import SqlStore
from tests.pipeline.store.test_fence import TALK, said

async def main() -> None:
    store = SqlStore.open(sys.argv[1])
    shelf, number = store.for_meeting(TALK.id, await store.claim(TALK.id)), 0
    print("claimed", flush=True)
    try:
        while True:
            number += 1
            await shelf.keep_final(said(number))
            print(number, flush=True)
    except Superseded:
        print("superseded", flush=True)
    await store.close()

asyncio.run(main())
"""


async def test_a_process_that_writes_all_the_time_stops_at_the_claim_of_another(store: SqlStore, url: str) -> None:
    command = (sys.executable, "-W", "error", "-c", OTHER_PROCESS, url)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    while (await process.stdout.readline()).strip() != b"5":
        assert process.returncode is None
    owner = store.for_meeting(TALK.id, await store.claim(TALK.id))
    there = await store.finals(TALK.id)
    await owner.keep_final(said(10_000))
    told = (await process.stdout.read()).split()
    assert (await process.wait(), told[-1]) == (0, b"superseded")
    assert await store.finals(TALK.id) == [*there, said(10_000)]
    assert len(there) == int([b"5", *told][-2])


# --- what the next owner reads ----------------------------------------------------------------------------------


async def test_what_is_open_and_what_has_no_record_text_is_read_by_meeting(store: SqlStore) -> None:
    await store.create_meeting(replace(TALK, id=MeetingId("other")))
    await store.for_meeting(MeetingId("other")).keep_final(said(50))
    await store.for_meeting(MeetingId("other")).keep_open([said(51, final=False)])
    shelf = store.for_meeting(TALK.id)
    silent = Caption(TRACK, UtteranceId(f"{TRACK}#9"), 2, True, "fr", ())
    for final in (said(1), said(2), said(3, start=100.0), said(4, start=130.0), silent):
        await shelf.keep_final(final)
    await shelf.keep_open([said(5, final=False)])
    await shelf.keep_record(RecordText(TRACK, (said(2).utterance, said(4).utterance), "fr", words("mot", 2, 3)))
    assert await store.open_captions(TALK.id) == [said(5, final=False)]
    assert await store.unrecorded(TALK.id, 0.0) == [said(1), said(3, start=100.0)]
    assert await store.unrecorded(TALK.id, 1.5) == [said(1), said(3, start=100.0)]
    assert await store.unrecorded(TALK.id, 2.0) == [said(3, start=100.0)]
    assert await store.unrecorded(TALK.id, 101.0) == []
