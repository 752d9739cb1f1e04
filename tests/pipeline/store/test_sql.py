import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.access import ApiKey, KeyId, Scope
from pipeline.domain import (
    Caption,
    Gap,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    RecordingId,
    RecordingJob,
    RecordingState,
    SegmentId,
    TrackId,
    UtteranceId,
)
from pipeline.errors import InvalidInput, NotFound, StorageFailed
from pipeline.record.texts import text_of
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import record, words

BUDGET = Meeting(MeetingId("budget"), "Réunion du budget", 100.0, ("fr", "en"), ("Greffier",), keep_audio=True)
PICNIC = Meeting(MeetingId("picnic"), "100 % picnic_day", 200.0)
ANNE = Participant(ParticipantId("anne"), "Anne Élise")
BILAL = Participant(ParticipantId("bilal"), "Bilal")
NOBODY = MeetingId("nobody")


def said(utterance: str, text: str, start: float = 0.0, track: str = "anne.1") -> Caption:
    return Caption(TrackId(track), UtteranceId(utterance), 1, True, "fr", words(text, start, start + 1))


def bytes_of(sqlite_url: str) -> bytes:
    return Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(database_url)
    await store.create_meeting(BUDGET)
    yield store
    await store.close()


@pytest.fixture
async def anne(store: SqlStore) -> TrackId:
    """A track of Anne's in the meeting on the budget."""
    await store.add_participant(BUDGET.id, ANNE, ("fr",))
    return await store.next_track(BUDGET.id, ANNE.id)


# --- meetings ----------------------------------------------------------------------------------------------


async def test_a_meeting_is_kept_as_it_is(store: SqlStore) -> None:
    assert await store.meeting(BUDGET.id) == BUDGET
    ended = replace(BUDGET, title="Budget 2027", ended_at=500.5, cut=True, glossary=(), keep_audio=False)
    await store.update_meeting(ended)
    assert await store.meeting(BUDGET.id) == ended


async def test_a_meeting_that_is_over_or_was_cut_stays_so_whatever_it_was_when_somebody_read_it(
    store: SqlStore,
) -> None:
    await store.update_meeting(replace(BUDGET, ended_at=500.5, cut=True))
    await store.update_meeting(replace(BUDGET, title="Budget 2027"))
    assert await store.meeting(BUDGET.id) == replace(BUDGET, title="Budget 2027", ended_at=500.5, cut=True)


async def test_an_id_is_taken_once(store: SqlStore) -> None:
    with pytest.raises(InvalidInput, match="budget"):
        await store.create_meeting(replace(BUDGET, title="another"))
    assert (await store.meeting(BUDGET.id)).title == BUDGET.title


async def test_what_names_no_meeting_says_so(store: SqlStore) -> None:
    for attempt in (
        store.meeting(NOBODY),
        store.transcript(NOBODY),
        store.update_meeting(replace(BUDGET, id=NOBODY)),
        store.delete_meeting(NOBODY),
        store.reserve_sequence(NOBODY),
        store.add_participant(NOBODY, ANNE),
        store.rename_participant(NOBODY, ANNE.id, "A"),
        store.next_track(NOBODY, ANNE.id),
        store.correct(NOBODY, SegmentId("u"), "text"),
        store.for_meeting(NOBODY).keep_final(said("u", "oui")),
        store.for_meeting(NOBODY).keep_open([replace(said("u", "oui"), final=False)]),
        store.for_meeting(NOBODY).keep_record(record("u", "Oui.", 0, 1)),
        store.for_meeting(NOBODY).keep_gap(Gap(TrackId("a"), ANNE, 0, 1, "overload")),
        store.for_meeting(NOBODY).keep_pause(Pause(1.0)),
        store.for_meeting(NOBODY).keep_presences([Presence(ANNE.id, 1.0)]),
        store.presences(NOBODY),
        store.rooms_of(NOBODY),
        store.link_recording("r", "livekit", "salle", NOBODY, 1.0),
    ):
        with pytest.raises(NotFound, match="there is no meeting nobody"):
            await attempt


async def test_meetings_are_listed_newest_first_page_by_page(store: SqlStore) -> None:
    older = [Meeting(MeetingId(f"m{number}"), f"m{number}", float(number)) for number in range(5)]
    for meeting in older:
        await store.create_meeting(meeting)
    first = await store.meetings(limit=3)
    assert [meeting.id for meeting in first] == ["budget", "m4", "m3"]
    assert [meeting.id for meeting in await store.meetings(before=first[-1].created_at)] == ["m2", "m1", "m0"]


@pytest.mark.parametrize("query", ["budget", "BUDGET réu", "reunion", "anne", "élise eva", "tresor", "Trésor budget"])
async def test_a_search_finds_titles_names_past_names_and_what_was_said(
    store: SqlStore, anne: TrackId, query: str
) -> None:
    await store.create_meeting(PICNIC)
    await store.rename_participant(BUDGET.id, ANNE.id, "Éva")
    await store.for_meeting(BUDGET.id).keep_final(said("u", "le TRÉSOR public"))
    assert [meeting.id for meeting in await store.meetings(query)] == ["budget"]


async def test_a_search_finds_record_texts_and_corrections(store: SqlStore, anne: TrackId) -> None:
    kept = store.for_meeting(BUDGET.id)
    await kept.keep_final(said("u", "monsieur d'eux point"))
    await kept.keep_record(replace(record("u", "Monsieur Dupont", 0, 1), track=anne))
    await store.correct(BUDGET.id, SegmentId("u"), "Monsieur Dupond")
    for query in ("dupont", "dupond", "d'eux"):
        assert await store.meetings(query) == [BUDGET]


@pytest.mark.parametrize(
    ("query", "found"), [("%", True), ("100 %", True), ("c_d", True), ("c%d", False), ("a_", False)]
)
async def test_a_search_takes_signs_as_they_are(store: SqlStore, query: str, found: bool) -> None:
    await store.create_meeting(PICNIC)
    assert [meeting.id for meeting in await store.meetings(query)] == (["picnic"] if found else [])


async def test_a_search_finds_letters_in_any_style(store: SqlStore) -> None:
    await store.create_meeting(replace(PICNIC, title="𝓛𝓮 𝓟𝓲𝓺𝓾𝓮-𝓷𝓲𝓺𝓾𝓮 ℡ ΣΊΣΥΦΟΣ"))
    for query in ("pique", "PIQUE", "𝓟𝓲𝓺𝓾𝓮", "tel", "σισυφος"):
        assert [meeting.id for meeting in await store.meetings(query)] == ["picnic"]


async def test_a_search_of_any_length_is_answered(store: SqlStore) -> None:
    assert await store.meetings("mot " * 10_000) == []


async def test_event_numbers_are_given_once_from_one_on(store: SqlStore, database_url: str) -> None:
    assert await store.reserve_sequence(BUDGET.id) == 1
    assert await store.reserve_sequence(BUDGET.id, count=5) == 10_001
    again = SqlStore.open(database_url)
    assert await again.reserve_sequence(BUDGET.id) == 10_006
    await again.close()


async def test_deleting_a_meeting_leaves_nothing_of_it(store: SqlStore, anne: TrackId, database_url: str) -> None:
    kept = store.for_meeting(BUDGET.id)
    await kept.keep_open([replace(said("v", "inachevee"), final=False)])
    await kept.keep_final(said("u", "SECRETISSIME"))
    await kept.keep_record(replace(record("u", "secretissime", 0, 1), track=anne))
    await kept.keep_gap(Gap(anne, ANNE, 1, 2, "overload"))
    await kept.keep_pause(Pause(1.0, 2.0))
    await store.correct(BUDGET.id, SegmentId("u"), "Secretissime")
    await store.create_recording(RecordingJob(RecordingId("r"), "secretissime", 0.0, BUDGET.id))
    await store.delete_meeting(BUDGET.id)
    assert (await store.meetings(), await store.unfinished(), await store.recordings()) == ([], {}, [])
    await store.create_meeting(BUDGET)
    transcript = await store.transcript(BUDGET.id)
    assert (transcript.segments, transcript.gaps, transcript.pauses, transcript.participants) == ((), (), (), ())
    await store.close()  # the log of SQLite goes into the file
    if database_url.startswith("sqlite"):
        assert b"secretissime" not in bytes_of(database_url).lower()


async def test_a_deleted_meeting_keeps_nothing_more(store: SqlStore, anne: TrackId) -> None:
    kept = store.for_meeting(BUDGET.id)
    await store.delete_meeting(BUDGET.id)
    with pytest.raises(NotFound, match="budget"):
        await kept.keep_final(said("u", "trop tard"))


# --- people ------------------------------------------------------------------------------------------------


async def test_of_somebody_who_changes_names_all_day_the_first_and_the_newest_are_found(
    store: SqlStore, anne: TrackId
) -> None:
    for number in range(120):
        await store.rename_participant(BUDGET.id, ANNE.id, f"Zoe{number}x")
    for name, found in (("anne", True), ("zoe119x", True), ("zoe80x", True), ("zoe3x", False)):
        assert bool(await store.meetings(query=name)) is found, name


async def test_people_are_listed_as_they_came_under_their_latest_names(store: SqlStore) -> None:
    await store.add_participant(BUDGET.id, BILAL, ("en",))
    await store.add_participant(BUDGET.id, ANNE)
    await store.rename_participant(BUDGET.id, BILAL.id, "Bilal B.")
    assert await store.participants(BUDGET.id) == [replace(BILAL, name="Bilal B."), ANNE]
    assert await store.languages(BUDGET.id) == {BILAL.id: ("en",), ANNE.id: ()}


async def test_the_same_participant_twice_is_one_under_the_new_name(store: SqlStore) -> None:
    await store.add_participant(BUDGET.id, ANNE, ("fr",))
    await store.add_participant(BUDGET.id, replace(ANNE, name="Anne-Élise"), ("en",))
    assert await store.participants(BUDGET.id) == [replace(ANNE, name="Anne-Élise")]
    assert await store.languages(BUDGET.id) == {ANNE.id: ("en",)}


async def test_a_name_may_hold_anything_but_half_a_character(store: SqlStore) -> None:
    name = "<b>-->\n\u202eéA🎉\x00" + "x" * 10_000
    await store.add_participant(BUDGET.id, replace(ANNE, name=name))
    assert (await store.participants(BUDGET.id))[0].name == name
    for attempt in (
        store.rename_participant(BUDGET.id, ANNE.id, "\ud83c"),
        store.create_meeting(replace(PICNIC, title="\ud83c")),
        store.meetings("\ud83c"),
    ):
        with pytest.raises(InvalidInput, match="half a character"):
            await attempt


async def test_nobody_is_renamed_or_heard_who_is_not_there(store: SqlStore) -> None:
    for attempt in (store.rename_participant(BUDGET.id, ANNE.id, "A"), store.next_track(BUDGET.id, ANNE.id)):
        with pytest.raises(NotFound, match="no participant anne in meeting budget"):
            await attempt


async def test_track_ids_never_come_twice(store: SqlStore, anne: TrackId, database_url: str) -> None:
    await store.add_participant(BUDGET.id, BILAL)
    assert (anne, await store.next_track(BUDGET.id, BILAL.id)) == ("anne.1", "bilal.1")
    again = SqlStore.open(database_url)
    assert await again.next_track(BUDGET.id, ANNE.id) == "anne.2"
    assert list((await again.tracks(BUDGET.id)).items()) == [("anne.1", ANNE), ("bilal.1", BILAL), ("anne.2", ANNE)]
    await again.close()


# --- what was said -----------------------------------------------------------------------------------------


async def test_the_transcript_holds_all_that_was_kept_under_latest_names(store: SqlStore, anne: TrackId) -> None:
    kept = store.for_meeting(BUDGET.id)
    await kept.keep_final(said("v", "au revoir", 5.0))
    await kept.keep_final(said("u", "bonjour", 1.0))
    await kept.keep_gap(Gap(anne, ANNE, 3.0, 4.0, "overload"))
    await kept.keep_pause(Pause(6.0, 7.0))
    await store.rename_participant(BUDGET.id, ANNE.id, "Éva")
    await store.update_meeting(replace(BUDGET, cut=True))
    eva = replace(ANNE, name="Éva")
    transcript = await store.transcript(BUDGET.id)
    assert [(segment.id, segment.participant) for segment in transcript.segments] == [("u", eva), ("v", eva)]
    assert transcript.gaps == (Gap(anne, eva, 3.0, 4.0, "overload"),)
    assert (transcript.title, transcript.participants) == (BUDGET.title, (eva,))
    assert (transcript.pauses, transcript.cut) == ((Pause(6.0, 7.0),), True)
    assert await store.pauses(BUDGET.id) == [Pause(6.0, 7.0)]
    assert await store.finals(BUDGET.id) == [said("u", "bonjour", 1.0), said("v", "au revoir", 5.0)]


async def test_sound_lost_on_a_track_nobody_opened_keeps_its_name(store: SqlStore) -> None:
    lost = Gap(TrackId("stray"), BILAL, 0.0, 1.0, "overload")
    await store.for_meeting(BUDGET.id).keep_gap(lost)
    assert (await store.transcript(BUDGET.id)).gaps == (lost,)


async def test_a_correction_stands_until_it_is_taken_back(store: SqlStore, anne: TrackId) -> None:
    await store.for_meeting(BUDGET.id).keep_final(said("u", "bon jour"))
    for text, read in (("Bonjour", "Bonjour"), ("Bonjour.", "Bonjour."), ("", ""), (None, "bon jour")):
        await store.correct(BUDGET.id, SegmentId("u"), text)
        assert text_of((await store.transcript(BUDGET.id)).segments[0])[0] == read


async def test_only_what_was_said_can_be_corrected(store: SqlStore) -> None:
    with pytest.raises(NotFound, match="no segment u9 in meeting budget"):
        await store.correct(BUDGET.id, SegmentId("u9"), "text")


async def test_unfinished_utterances_become_finals_and_their_meetings_say_so(store: SqlStore, anne: TrackId) -> None:
    await store.create_meeting(PICNIC)
    begun = replace(said("u", "nous en étions"), final=False, revision=7)
    await store.for_meeting(BUDGET.id).keep_open([begun])
    await store.for_meeting(PICNIC.id).keep_final(said("p", "fini"))
    assert await store.unfinished() == {BUDGET.id: [begun]}
    assert await store.close_unfinished() == [BUDGET.id]
    assert await store.finals(BUDGET.id) == [replace(begun, final=True, revision=8)]
    assert ((await store.meeting(BUDGET.id)).cut, (await store.meeting(PICNIC.id)).cut) == (True, False)
    assert (await store.unfinished(), await store.close_unfinished()) == ({}, [])


# --- recordings and keys -----------------------------------------------------------------------------------


async def test_recordings_are_kept_and_listed_newest_first(store: SqlStore) -> None:
    older = RecordingJob(RecordingId("r1"), "Ancien", 1.0, MeetingId("m1"))
    newer = RecordingJob(RecordingId("r2"), "Neuf", 2.0, MeetingId("m2"), ("fr",))
    for job in (older, newer):
        await store.create_recording(job)
    older = replace(older, state=RecordingState.FAILED, heard=3.5, duration=10.0, error="Not a recording.")
    await store.update_recording(older)
    assert await store.recordings() == [newer, older]
    assert await store.recording(older.id) == older
    with pytest.raises(InvalidInput, match="r1"):
        await store.create_recording(older)


async def test_a_recording_becomes_a_meeting_whole_or_not_at_all(store: SqlStore) -> None:
    job = RecordingJob(RecordingId("r"), "Entretien", 1.0, MeetingId("talk"))
    talk = Meeting(job.meeting, job.title, job.created_at, ("fr",), ended_at=11.0)
    speaker = Participant(ParticipantId("recording"), "Entretien")
    sentences = [replace(said("r.1", "bonjour"), track=TrackId("recording"))]
    with pytest.raises(NotFound, match="no recording r"):
        await store.finish_recording(job, talk, [speaker], sentences)
    assert await store.meetings() == [BUDGET]
    await store.create_recording(job)
    done = replace(job, state=RecordingState.DONE, heard=10.0, duration=10.0)
    await store.finish_recording(done, talk, [speaker], sentences)
    (segment,) = (await store.transcript(talk.id)).segments
    assert (segment.participant, segment.track, text_of(segment)[0]) == (speaker, "recording.1", "bonjour")
    assert await store.recording(job.id) == done
    await store.delete_recording(job.id)
    assert (await store.recordings(), await store.meetings()) == ([], [BUDGET])


async def test_what_names_no_recording_says_so(store: SqlStore) -> None:
    nothing = RecordingJob(RecordingId("r"), "", 0.0, MeetingId("m"))
    for attempt in (store.recording(nothing.id), store.update_recording(nothing), store.delete_recording(nothing.id)):
        with pytest.raises(NotFound, match="no recording r"):
            await attempt


async def test_keys_are_kept_until_they_are_removed(store: SqlStore) -> None:
    key = ApiKey(KeyId("k"), "Visio", frozenset({Scope.READ, Scope.MEETINGS}), "digest", 1.0, "wxyz")
    later = ApiKey(KeyId("a"), "Grafana", frozenset({Scope.METRICS}), "another", 2.0)
    for each in (later, key):
        await store.add_key(each)
    assert await store.keys() == [key, later]
    with pytest.raises(InvalidInput, match="k already"):
        await store.add_key(key)
    await store.remove_key(key.id)
    assert await store.keys() == [later]
    with pytest.raises(NotFound, match="no key k"):
        await store.remove_key(key.id)


# --- durability and pace -----------------------------------------------------------------------------------


async def test_what_is_kept_is_there_for_the_next_process(store: SqlStore, anne: TrackId, database_url: str) -> None:
    await store.for_meeting(BUDGET.id).keep_final(said("u", "bonjour"))
    again = SqlStore.open(database_url)
    assert await again.transcript(BUDGET.id) == await store.transcript(BUDGET.id)
    await again.close()


async def test_a_closed_store_takes_nothing_and_may_be_closed_again(store: SqlStore) -> None:
    await store.check()
    await store.close()
    await store.close()
    for attempt in (store.create_meeting(PICNIC), store.meetings(), store.check()):
        with pytest.raises(StorageFailed, match="closed"):
            await attempt


async def test_fifty_finals_a_second_are_durable_in_well_under_50_ms(store: SqlStore, anne: TrackId) -> None:
    kept, took = store.for_meeting(BUDGET.id), []

    async def keep(number: int) -> None:
        began = time.perf_counter()
        await kept.keep_final(said(f"u{number}", "mot " * 20, number / 50))
        took.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(keep(number))
            await asyncio.sleep(0.02)
    assert len(await store.finals(BUDGET.id)) == 100
    assert statistics.median(took) < 0.05
