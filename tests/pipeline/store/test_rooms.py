"""A meeting knows the room of the SFU that it took place in, and a recording the room and the meeting that it is of."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pipeline.domain import Meeting, MeetingId
from pipeline.errors import InvalidInput
from pipeline.store.sql import SqlStore

FIRST = Meeting(MeetingId("first"), "salle", 100.0, ("fr",))
SECOND = Meeting(MeetingId("second"), "salle", 200.0)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(database_url)
    yield store
    await store.close()


async def test_the_newest_meeting_of_a_room_that_is_not_over_goes_on(store: SqlStore) -> None:
    assert await store.open_meeting_of_room("livekit", "salle") is None
    await store.create_room_meeting("livekit", "salle", FIRST)
    await store.create_room_meeting("livekit", "salle", SECOND)
    assert await store.open_meeting_of_room("livekit", "salle") == SECOND
    await store.update_meeting(replace(SECOND, ended_at=300.0))
    assert await store.open_meeting_of_room("livekit", "salle") == FIRST
    await store.delete_meeting(FIRST.id)
    assert await store.open_meeting_of_room("livekit", "salle") is None


async def test_rooms_of_one_name_in_two_sfus_are_two(store: SqlStore) -> None:
    await store.create_room_meeting("livekit", "1234", FIRST)
    await store.create_room_meeting("janus", "1234", SECOND)
    assert await store.open_meeting_of_room("livekit", "1234") == FIRST
    assert await store.rooms_of(FIRST.id) == ("livekit", "1234")
    assert await store.rooms_of(SECOND.id) == ("janus", "1234")


async def test_a_meeting_in_no_sfu_has_no_room(store: SqlStore) -> None:
    await store.create_meeting(FIRST)
    assert await store.rooms_of(FIRST.id) is None


async def test_a_meeting_whose_id_is_taken_is_linked_to_no_room(store: SqlStore) -> None:
    await store.create_meeting(FIRST)
    with pytest.raises(InvalidInput, match="first"):
        await store.create_room_meeting("livekit", "salle", FIRST)
    assert await store.rooms_of(FIRST.id) is None


async def test_a_recording_is_linked_to_its_room_and_later_to_its_meeting(store: SqlStore) -> None:
    assert await store.linked_recording("r") is None
    await store.link_recording("r", "livekit", "salle", None, 10.0)
    assert await store.linked_recording("r") == ("salle", None)
    await store.create_room_meeting("livekit", "salle", FIRST)
    await store.link_recording("r", "livekit", "salle", FIRST.id, 20.0)
    assert await store.linked_recording("r") == ("salle", FIRST.id)
    await store.delete_meeting(FIRST.id)
    assert await store.linked_recording("r") is None
