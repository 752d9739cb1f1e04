"""Voices that share a microphone, as the store keeps them and people put them right."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId, SegmentId, Settled, UtteranceId, VoiceRun
from pipeline.errors import InvalidInput, NotFound, OutOfDate
from pipeline.record.settled import LATEST, Settlement, named_or_merged
from pipeline.record.texts import text_of
from pipeline.speakers import FIRST_MADE, NOBODY, UNNAMED, KnownVoice
from pipeline.store.database import open_database
from pipeline.store.sql import SqlStore
from tests.pipeline.store.test_sql import said

BUDGET = Meeting(MeetingId("budget"), "Budget", 100.0)
ROOM = Participant(ParticipantId("salle"), "Salle Descartes")
U = UtteranceId("u")


def run(first: int, count: int, voice: int) -> VoiceRun:
    return VoiceRun(U, first, count, voice)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A room in which voice 1 says four words and voice 2 two, then one again."""
    store = SqlStore.open(database_url)
    await store.create_meeting(BUDGET)
    await store.add_participant(BUDGET.id, ROOM)
    track = await store.next_track(BUDGET.id, ROOM.id)
    shelf = store.for_meeting(BUDGET.id)
    await shelf.keep_runs([run(0, 4, 1), run(4, 2, 2), run(6, 1, 1)])
    await shelf.keep_final(said("u", "on y va donc oui oui bien", track=track))
    yield store
    await store.close()


async def spoken(store: SqlStore) -> list[tuple[str, str, str]]:
    """Id, speaker and text of every segment."""
    segments = (await store.transcript(BUDGET.id)).segments
    return [(each.id, each.participant.name.removeprefix("Salle Descartes "), text_of(each)[0]) for each in segments]


AS_HEARD = [("u", "(voix 1)", "on y va donc"), ("u/4", "(voix 2)", "oui oui"), ("u/6", "(voix 1)", "bien")]


async def test_voices_are_known_by_what_was_heard_and_what_was_kept(store: SqlStore) -> None:
    assert await spoken(store) == AS_HEARD
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 3, np.ones(4, np.float32))
    assert await store.voices(BUDGET.id) == [KnownVoice(ROOM.id, number) for number in (1, 2, 3)]


async def test_a_voice_of_words_that_have_no_final_yet_is_known(store: SqlStore) -> None:
    shelf = store.for_meeting(BUDGET.id)
    await shelf.keep_open([replace(said("v", "euh", track="salle.1"), final=False)])
    await shelf.keep_runs([VoiceRun(UtteranceId("v"), 0, 1, 7)])
    assert [known.voice for known in await store.voices(BUDGET.id)] == [1, 2, 7]


async def test_a_name_changes_everything_the_voice_said_and_is_found_and_taken_back(store: SqlStore) -> None:
    await store.rename_voice(BUDGET.id, ROOM.id, 1, "Zoé Martin")
    assert [name for _, name, _ in await spoken(store)] == ["Zoé Martin", "(voix 2)", "Zoé Martin"]
    assert [meeting.id for meeting in await store.meetings("zoe")] == [BUDGET.id]
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 1, np.ones(4, np.float32))
    assert (await store.voices(BUDGET.id))[0].name == "Zoé Martin"
    await store.rename_voice(BUDGET.id, ROOM.id, 1, None)
    assert await spoken(store) == AS_HEARD
    assert await store.meetings("zoe") == []


async def test_a_merged_voice_speaks_as_the_other_until_they_are_parted(store: SqlStore) -> None:
    await store.rename_voice(BUDGET.id, ROOM.id, 2, "Zoé")
    await store.merge_voices(BUDGET.id, ROOM.id, 1, 2)
    assert await spoken(store) == [(segment, "Zoé", said) for segment, _, said in AS_HEARD]
    with pytest.raises(InvalidInput, match="already"):
        await store.merge_voices(BUDGET.id, ROOM.id, 2, 1)
    with pytest.raises(InvalidInput, match="already"):
        await store.merge_voices(BUDGET.id, ROOM.id, 2, 2)
    await store.merge_voices(BUDGET.id, ROOM.id, 1, None)
    assert [name for _, name, _ in await spoken(store)] == ["(voix 1)", "Zoé", "(voix 1)"]


async def test_no_voice_is_merged_into_one_that_was_merged_into_it_by_however_many_steps(store: SqlStore) -> None:
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 3, np.ones(4, np.float32))
    await store.merge_voices(BUDGET.id, ROOM.id, 1, 2)
    await store.merge_voices(BUDGET.id, ROOM.id, 2, 3)
    for voice, into in ((2, 2), (2, 1), (3, 1), (1, 1)):
        with pytest.raises(InvalidInput, match="already"):
            await store.merge_voices(BUDGET.id, ROOM.id, voice, into)
    assert [known.merged_into for known in await store.voices(BUDGET.id)] == [2, 3, None]


async def test_a_name_goes_to_whom_a_voice_turned_out_to_be(store: SqlStore) -> None:
    await store.rename_voice(BUDGET.id, ROOM.id, 2, "Zoé")
    await store.merge_voices(BUDGET.id, ROOM.id, 2, 1)
    assert {name for _, name, _ in await spoken(store)} == {"Zoé"}, "who has no name gets it"
    await store.rename_voice(BUDGET.id, ROOM.id, 2, "Zoé Martin")
    assert {name for _, name, _ in await spoken(store)} == {"Zoé Martin"}
    await store.merge_voices(BUDGET.id, ROOM.id, 2, None)
    assert [name for _, name, _ in await spoken(store)] == ["Zoé Martin", "Zoé", "Zoé Martin"]
    await store.merge_voices(BUDGET.id, ROOM.id, 2, 1)
    assert {name for _, name, _ in await spoken(store)} == {"Zoé Martin"}, "who has a name keeps it"
    await store.rename_voice(BUDGET.id, ROOM.id, 2, None)
    assert {name for _, name, _ in await spoken(store)} == {"Zoé Martin"}, "a name is taken back from its own voice"


async def test_words_that_are_not_as_they_were_shown_are_neither_corrected_nor_moved(store: SqlStore) -> None:
    shelf = store.for_meeting(BUDGET.id)
    await shelf.keep_runs([run(3, 4, 2)])  # after "on y va donc" (4), "oui oui" (2) and "bien" were shown
    heard = [("u", "(voix 1)", "on y va"), ("u/3", "(voix 2)", "donc oui oui bien")]
    for segment, count in (("u", 4), ("u/4", 2), ("u/6", 1)):
        with pytest.raises(OutOfDate, match=f"segment {segment} does not hold the words"):
            await store.correct(BUDGET.id, SegmentId(segment), "Bien sûr.", count)
        with pytest.raises(OutOfDate):
            await store.move_segment_to_voice(BUDGET.id, SegmentId(segment), None, count)
    assert await spoken(store) == heard
    assert [each.count for each in (await store.transcript(BUDGET.id)).segments] == [3, 4]
    await store.correct(BUDGET.id, SegmentId("u/3"), "Donc oui, bien.", 4)
    await store.move_segment_to_voice(BUDGET.id, SegmentId("u"), 2, 3)
    assert await spoken(store) == [("u", "(voix 2)", "on y va"), ("u/3", "(voix 2)", "Donc oui, bien.")]


async def test_a_segment_is_moved_to_another_voice_to_a_new_one_and_to_nobody(store: SqlStore) -> None:
    move, middle = store.move_segment_to_voice, SegmentId("u/4")
    assert await move(BUDGET.id, middle, 1) == 1
    assert await spoken(store) == [(segment, "(voix 1)", said) for segment, _, said in AS_HEARD]
    assert await move(BUDGET.id, middle, None) == FIRST_MADE
    assert await move(BUDGET.id, SegmentId("u"), None) == FIRST_MADE + 1
    assert [name for _, name, _ in await spoken(store)] == ["(voix 102)", "(voix 101)", "(voix 1)"]
    assert await store.runs(BUDGET.id) == [run(0, 4, 102), run(4, 2, 101), run(6, 1, 1)]
    assert await move(BUDGET.id, middle, NOBODY) == NOBODY
    assert [name for _, name, _ in await spoken(store)] == ["(voix 102)", "Salle Descartes", "(voix 1)"]
    assert await move(BUDGET.id, middle, FIRST_MADE) == FIRST_MADE


async def test_words_of_nobody_can_be_given_to_a_voice(store: SqlStore) -> None:
    await store.for_meeting(BUDGET.id).keep_final(said("v", "pardon", 9.0, track="salle.1"))
    await store.move_segment_to_voice(BUDGET.id, SegmentId("v"), 2)
    assert (await spoken(store))[-1] == ("v", "(voix 2)", "pardon")
    assert (await store.runs(BUDGET.id))[-1] == VoiceRun(UtteranceId("v"), 0, 1, 2)


async def test_what_people_moved_and_corrected_stays_when_voices_are_heard_again(store: SqlStore) -> None:
    await store.move_segment_to_voice(BUDGET.id, SegmentId("u/4"), 1)
    await store.correct(BUDGET.id, SegmentId("u"), "On y va.")
    await store.for_meeting(BUDGET.id).keep_runs([run(0, 7, 2), run(3, 2, 3)])
    assert await spoken(store) == [
        ("u", "(voix 2)", "On y va."),
        ("u/4", "(voix 1)", "oui oui"),
        ("u/6", "(voix 2)", "bien"),
    ]


async def test_a_segment_is_corrected_and_moved_apart_from_one_another(store: SqlStore) -> None:
    middle = SegmentId("u/4")
    await store.correct(BUDGET.id, middle, "Ouïe")
    await store.move_segment_to_voice(BUDGET.id, middle, 1)
    assert (await spoken(store))[1] == ("u/4", "(voix 1)", "Ouïe")
    assert [meeting.id for meeting in await store.meetings("ouie")] == [BUDGET.id]
    await store.correct(BUDGET.id, middle, None)
    assert (await spoken(store))[1] == ("u/4", "(voix 1)", "oui oui")


async def test_what_is_not_there_is_named(store: SqlStore) -> None:
    nobody, strange = MeetingId("nobody"), ParticipantId("strange")
    for attempt in (
        store.rename_voice(BUDGET.id, ROOM.id, 9, "Zoé"),
        store.rename_voice(BUDGET.id, strange, 1, "Zoé"),
        store.merge_voices(BUDGET.id, ROOM.id, 9, 1),
        store.merge_voices(BUDGET.id, ROOM.id, 1, 9),
        store.move_segment_to_voice(BUDGET.id, SegmentId("u"), 9),
        store.move_segment_to_voice(BUDGET.id, SegmentId("u/1"), 1),
        store.move_segment_to_voice(BUDGET.id, SegmentId("v"), 1),
        store.correct(BUDGET.id, SegmentId("u/5"), "text"),
        store.mark_shared_room(BUDGET.id, strange, True),
        store.runs(nobody),
        store.voices(nobody),
        store.rename_voice(nobody, ROOM.id, 1, "Zoé"),
        store.for_meeting(nobody).keep_runs([run(0, 1, 1)]),
        store.for_meeting(nobody).keep_voice(ROOM.id, 1, np.ones(2, np.float32)),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_words_of_a_track_that_nobody_announced_can_be_given_to_a_new_voice(store: SqlStore) -> None:
    await store.for_meeting(BUDGET.id).keep_final(said("w", "bonjour", 20.0, track="stray"))
    await store.move_segment_to_voice(BUDGET.id, SegmentId("w"), None)
    assert (await spoken(store))[-1] == ("w", "stray (voix 101)", "bonjour")


async def test_a_shared_room_is_marked_until_somebody_takes_the_mark_away(store: SqlStore) -> None:
    assert await store.participants(BUDGET.id) == [ROOM]
    await store.add_participant(BUDGET.id, replace(ROOM, shared_room=True))
    await store.add_participant(BUDGET.id, ROOM)
    assert await store.participants(BUDGET.id) == [replace(ROOM, shared_room=True)]
    await store.mark_shared_room(BUDGET.id, ROOM.id, False)
    await store.add_participant(BUDGET.id, replace(ROOM, shared_room=True))
    assert await store.participants(BUDGET.id) == [replace(ROOM, shared_room=False)]
    await store.mark_shared_room(BUDGET.id, ROOM.id, None)
    assert await store.participants(BUDGET.id) == [ROOM]


async def test_a_deleted_meeting_takes_its_voices_runs_and_changes_with_it(store: SqlStore, database_url: str) -> None:
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 1, np.ones(4, np.float32))
    await store.correct(BUDGET.id, SegmentId("u/4"), "Ouïe")
    await store.keep_enrolment(BUDGET.id, ROOM.id, np.ones(4, np.float32))
    await store.delete_meeting(BUDGET.id)
    engine = open_database(database_url)
    with engine.connect() as connection:
        for table in ("runs", "voices", "corrections", "enrolments"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0, table
    engine.dispose()


async def test_an_enrolled_voice_has_the_name_of_its_participant_until_it_is_removed(store: SqlStore) -> None:
    zoe = Participant(ParticipantId("zoe"), "Zoé")
    await store.add_participant(BUDGET.id, zoe)
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 2, np.array([1, 0, 0], np.float32))
    for embedding in ([0, 0, 1], [1, 0.1, 0]):
        await store.keep_enrolment(BUDGET.id, zoe.id, np.array(embedding, np.float32))
    assert await store.enrolled(BUDGET.id) == {zoe.id}
    assert [name for _, name, _ in await spoken(store)] == ["(voix 1)", "Zoé", "(voix 1)"]
    await store.rename_participant(BUDGET.id, zoe.id, "Zoé M.")
    assert [known.name for known in await store.voices(BUDGET.id)] == [None, "Zoé M."]
    await store.remove_enrolment(BUDGET.id, zoe.id)
    assert await spoken(store) == AS_HEARD
    with pytest.raises(NotFound):
        await store.remove_enrolment(BUDGET.id, zoe.id)
    with pytest.raises(InvalidInput, match="finite"):
        await store.keep_enrolment(BUDGET.id, zoe.id, np.array([np.nan], np.float32))


async def test_what_a_voice_sounds_like_goes_with_the_enrolment_it_was_known_by(store: SqlStore) -> None:
    shelf = store.for_meeting(BUDGET.id)
    for voice, centroid in enumerate(np.eye(3, dtype=np.float32), 1):
        await shelf.keep_voice(ROOM.id, voice, centroid)
        await store.add_participant(BUDGET.id, Participant(ParticipantId(f"p{voice}"), ""))
    for voice in (1, 2):
        await store.keep_enrolment(BUDGET.id, ParticipantId(f"p{voice}"), np.eye(3, dtype=np.float32)[voice - 1])
    await store.remove_enrolment(BUDGET.id, ParticipantId("p2"))
    assert [known.centroid is None for known in await store.voices(BUDGET.id)] == [False, True, False]


# --- after the meeting -------------------------------------------------------------------------------------------


async def test_a_second_look_that_did_not_see_a_name_or_a_merge_changes_nothing(store: SqlStore) -> None:
    await store.for_meeting(BUDGET.id).keep_end(900.0)
    for change in (
        store.rename_voice(BUDGET.id, ROOM.id, 1, "Zoé"),
        store.merge_voices(BUDGET.id, ROOM.id, 1, 2),
        store.rename_voice(BUDGET.id, ROOM.id, 1, None),
    ):
        seen = named_or_merged(await store.voices(BUDGET.id))
        await change
        with pytest.raises(OutOfDate):
            await store.settle(BUDGET.id, Settlement(Settled.SOUND, frozenset({U}), seen=seen))
    assert (await store.meeting(BUDGET.id)).settled is None
    assert len(await store.runs(BUDGET.id)) == 3
    seen = named_or_merged(await store.voices(BUDGET.id))
    await store.settle(BUDGET.id, Settlement(Settled.SOUND, frozenset({U}), seen=seen))
    assert (await store.meeting(BUDGET.id)).settled is Settled.SOUND
    assert await store.runs(BUDGET.id) == []


@pytest.mark.parametrize("kept", [True, False], ids=["by its sound", "by its words"])
async def test_a_voice_that_words_were_moved_to_is_known_though_nobody_turns_out_to_be_it(
    store: SqlStore, kept: bool
) -> None:
    shelf, other = store.for_meeting(BUDGET.id), UtteranceId("v")
    await shelf.keep_final(said("v", "pardon", 9.0, track="salle.1"))
    await shelf.keep_runs([VoiceRun(other, 0, 1, 5)])
    if kept:
        await shelf.keep_voice(ROOM.id, 5, np.ones(4, np.float32))
    await shelf.keep_end(900.0)
    await store.move_segment_to_voice(BUDGET.id, SegmentId("u/4"), 5)
    await store.settle(BUDGET.id, Settlement(Settled.SOUND, frozenset({other}), (VoiceRun(other, 0, 1, 1),)))
    assert [known.voice for known in await store.voices(BUDGET.id)] == [1, 2, 5]
    await store.rename_voice(BUDGET.id, ROOM.id, 5, "Zoé")
    assert [name for _, name, _ in await spoken(store)] == ["(voix 1)", "Zoé", "(voix 1)", "(voix 1)"]


async def test_meetings_that_ended_more_than_a_week_ago_are_not_looked_at_again(store: SqlStore) -> None:
    await store.for_meeting(BUDGET.id).keep_end(900.0)
    assert await store.unsettled(899.0) == []
    assert await store.unsettled(900.0 + LATEST) == [BUDGET.id]
    assert await store.unsettled(901.0 + LATEST) == []


async def test_a_voice_that_people_want_to_go_by_its_number_is_known_by_no_enrolment(store: SqlStore) -> None:
    zoe = Participant(ParticipantId("zoe"), "Zoé")
    await store.add_participant(BUDGET.id, zoe)
    for voice, sound in ((1, [1.0, 0.3]), (2, [1.0, 0.0])):
        await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, voice, np.array(sound, np.float32))
    await store.keep_enrolment(BUDGET.id, zoe.id, np.array([1, 0], np.float32))
    assert [name for _, name, _ in await spoken(store)] == ["(voix 1)", "Zoé", "(voix 1)"]
    await store.rename_voice(BUDGET.id, ROOM.id, 2, UNNAMED)
    assert [name for _, name, _ in await spoken(store)] == ["Zoé", "(voix 2)", "Zoé"], "the next one is"
    await store.rename_voice(BUDGET.id, ROOM.id, 1, UNNAMED)
    assert await spoken(store) == AS_HEARD
    await store.rename_voice(BUDGET.id, ROOM.id, 2, None)
    assert [name for _, name, _ in await spoken(store)] == ["(voix 1)", "Zoé", "(voix 1)"]


async def test_a_damaged_enrolment_names_nobody(store: SqlStore, database_url: str) -> None:
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 2, np.ones(4, np.float32))
    await store.keep_enrolment(BUDGET.id, ROOM.id, np.ones(4, np.float32))
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE enrolments SET embedding = :damage"), {"damage": bytes(16)})
    engine.dispose()
    assert await spoken(store) == AS_HEARD


@pytest.mark.parametrize("damage", [b"\x00\x00\x80", b"\x00\x00\xc0\x7f", b""])
async def test_a_damaged_centroid_is_as_good_as_none(store: SqlStore, database_url: str, damage: bytes) -> None:
    await store.for_meeting(BUDGET.id).keep_voice(ROOM.id, 1, np.ones(4, np.float32))
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE voices SET centroid = :damage"), {"damage": damage})
    engine.dispose()
    assert (await store.voices(BUDGET.id))[0].centroid is None
