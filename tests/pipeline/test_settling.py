"""After a meeting: who spoke and what was said are looked through once more, whatever happens to the process."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.bus.leases import Board
from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    Meeting,
    MeetingId,
    RecordText,
    Samples,
    SegmentId,
    Settled,
    TrackId,
    UtteranceId,
    VoiceRun,
    VoiceSpan,
    WindowKind,
)
from pipeline.errors import ModelUnavailable, NotFound, StorageFailed, StorageFull, UnreadableMedia
from pipeline.mixed import VoiceSearch
from pipeline.record.settled import Settlement
from tests.pipeline.settling_desk import (
    BETTER,
    CAPTIONED,
    HEARD,
    KEPT,
    MEETING,
    ONE,
    ROOM,
    SAID,
    TRACK,
    TWO,
    TWO_VOICES,
    Desk,
    Engine,
    Kept,
    desk,
    texts,
    told,
    words,
)
from tests.pipeline.test_mixed import Voices
from tests.recordings import silence

# --- what it finds ---------------------------------------------------------------------------------------------


async def test_who_spoke_at_a_shared_microphone_and_what_was_said_come_from_the_kept_sound(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    async with desk(tmp_path, voices, KEPT) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 3)])
        await one.start()
        assert await one.settled() is Settled.SOUND
        transcript = await one.store.transcript(MEETING)
    assert told(transcript) == [
        ("Salle Descartes (voix 3)", "UN DEUX"),
        ("Salle Descartes (voix 1)", "TROIS QUATRE"),
        ("Salle Descartes (voix 3)", "CINQ SIX SEPT HUIT"),
    ]
    assert [segment.id for segment in transcript.segments] == ["u0", "u0/2", "u1"]
    assert voices.heard == [15 * SAMPLE_RATE]
    assert {window.kind for batch in one.engine.batches for window in batch} == {WindowKind.RECORD}


async def test_neighbours_are_heard_together_with_the_terms_of_the_meeting(tmp_path: Path) -> None:
    async with desk(tmp_path, sounds=KEPT) as one:
        await one.held()
        await one.store.update_meeting(replace(await one.store.meeting(MEETING), glossary=("Visio",)))
        shelf = one.store.for_meeting(MEETING)
        await shelf.keep_final(Caption(TRACK, UtteranceId("u2"), 1, True, "fr", words("neuf", 16.5)))
        await one.start()
        await one.settled()
    windows = [window for batch in one.engine.batches for window in batch]
    assert [(round(window.start, 1), round(window.end, 1), window.glossary) for window in windows[:2]] == [
        (0.0, 4.2, ("Visio",)),
        (9.7, 17.7, ("Visio",)),
    ]


async def test_a_room_that_is_marked_is_told_apart_even_where_nobody_did_live(tmp_path: Path) -> None:
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as one:
        await one.held()
        await one.store.mark_shared_room(MEETING, ROOM.id, True)
        await one.start()
        await one.settled()
        assert len({name for name, _ in told(await one.store.transcript(MEETING))}) == 2


async def test_a_microphone_that_is_said_to_be_one_persons_keeps_what_it_had_live(tmp_path: Path) -> None:
    voices, live = Voices(TWO_VOICES), [VoiceRun(UtteranceId("u0"), 0, 4, 3)]
    async with desk(tmp_path, voices, KEPT) as one:
        await one.held(runs=live)
        await one.store.mark_shared_room(MEETING, ROOM.id, False)
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert await one.store.runs(MEETING) == live
    assert voices.heard == []


async def test_the_voice_of_a_participant_alone_is_not_looked_for(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    async with desk(tmp_path, voices, KEPT) as one:
        await one.held()
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert told(await one.store.transcript(MEETING)) == [("Salle Descartes", text) for text in HEARD]
    assert voices.heard == []


ALIKE = [
    VoiceRun(UtteranceId("u0"), 0, 4, 1),
    VoiceRun(UtteranceId("u1"), 0, 3, 2),
    VoiceRun(UtteranceId("u1"), 3, 1, 3),
]


async def sounding(one: Desk) -> None:
    """Voices 1 and 2 sound alike, 3 does not."""
    shelf = one.store.for_meeting(MEETING)
    for voice, centroid in ((1, ONE), (2, ONE + 0.1 * TWO), (3, TWO)):
        await shelf.keep_voice(ROOM.id, voice, centroid)


@pytest.mark.parametrize(
    ("voices", "sounds"),
    [
        (Voices(TWO_VOICES), {}),
        (Voices(TWO_VOICES), {TRACK: UnreadableMedia("damaged")}),
        (Voices(error=ModelUnavailable("no such model")), KEPT),
        (Voices(error=ZeroDivisionError()), KEPT),
        (Voices(TWO_VOICES), {TRACK: Kept(7 * 3600.0)}),
        (None, KEPT),
    ],
    ids=["not kept", "damaged", "no model", "a bug", "too long", "not installed"],
)
async def test_without_its_sound_voices_that_were_one_become_one_and_the_meeting_says_so(
    tmp_path: Path, voices: Voices | None, sounds: dict[TrackId, Kept | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "pieces", lambda self, seconds: iter([silence(15.0)]))
    async with desk(tmp_path, voices, sounds) as one:
        await one.held(runs=ALIKE)
        await sounding(one)
        await one.start()
        assert await one.settled() is Settled.VOICES
        transcript = await one.store.transcript(MEETING)
        assert {known.voice for known in await one.store.voices(MEETING)} == {1, 3}
    assert [segment.participant.name[-8:] for segment in transcript.segments] == ["(voix 1)", "(voix 1)", "(voix 3)"]
    assert "".join(texts(transcript)).isupper() == (sounds == KEPT or isinstance(sounds.get(TRACK), Kept))


async def test_a_meeting_without_anything_to_settle_costs_nothing(tmp_path: Path) -> None:
    def never() -> Voices:
        raise AssertionError("nobody asked for it")

    async with desk(tmp_path) as one:
        object.__setattr__(one.settling.settling, "voices", VoiceSearch(never))
        await one.held(keep_audio=False)
        await one.start()
        assert await one.settled() is Settled.NOTHING
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED
    assert one.engine.batches == []


async def test_tracks_of_one_participant_are_one_sound_and_what_cannot_be_heard_keeps_its_text(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    sounds: dict[TrackId, Kept | Exception] = {TRACK: Kept(12.0), TrackId("room.2"): Kept(15.0)}
    async with desk(tmp_path, voices, sounds) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        second = await one.store.next_track(MEETING, ROOM.id)
        later = Caption(second, UtteranceId("v0"), 1, True, "fr", words("dix onze", 13.0))
        await one.store.for_meeting(MEETING).keep_final(later)
        await one.start()
        await one.settled()
        transcript = await one.store.transcript(MEETING)
    assert voices.heard == [15 * SAMPLE_RATE]
    assert texts(transcript) == ["UN DEUX", "TROIS QUATRE", "CINQ SIX SEPT HUIT", "dix onze"]


async def test_what_was_said_after_the_kept_sound_ends_keeps_the_voices_it_had(tmp_path: Path) -> None:
    last = [VoiceRun(UtteranceId("u1"), 0, 2, 2), VoiceRun(UtteranceId("u1"), 2, 2, 3)]
    async with desk(tmp_path, Voices(TWO_VOICES), {TRACK: Kept(8.0)}) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1), *last])
        await one.start()
        assert await one.settled() is Settled.SOUND
        first = [VoiceRun(UtteranceId("u0"), 0, 2, 1), VoiceRun(UtteranceId("u0"), 2, 2, 4)]
        assert await one.store.runs(MEETING) == [*first, *last]


@dataclass(frozen=True, slots=True)
class Broken(Kept):
    def pieces(self, seconds: float) -> Iterator[Samples]:
        raise UnreadableMedia("damaged")


async def test_sound_that_turns_out_to_be_damaged_costs_other_tracks_nothing(tmp_path: Path) -> None:
    sounds: dict[TrackId, Kept | Exception] = {TRACK: Kept(), TrackId("room.2"): Broken()}
    async with desk(tmp_path, sounds=sounds) as one:
        await one.held()
        second = await one.store.next_track(MEETING, ROOM.id)
        later = Caption(second, UtteranceId("v0"), 1, True, "fr", words("dix onze", 15.0))
        await one.store.for_meeting(MEETING).keep_final(later)
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert texts(await one.store.transcript(MEETING)) == [*HEARD, "dix onze"]


# --- what people did stays -------------------------------------------------------------------------------------


async def test_what_people_corrected_moved_and_named_stays_also_where_they_did_it_meanwhile(tmp_path: Path) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT, engine) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1), VoiceRun(UtteranceId("u1"), 0, 4, 1)])
        engine.door.clear()
        await one.start()
        await one.working()
        await one.store.correct(MEETING, SegmentId("u0"), "Un, deux, trois.")
        await one.store.rename_voice(MEETING, ROOM.id, 1, "Claire")
        engine.door.set()
        await one.settled()
        transcript = await one.store.transcript(MEETING)
    assert told(transcript) == [("Claire", "Un, deux, trois."), ("Claire", "CINQ SIX SEPT HUIT")]
    assert [word.text for word in transcript.segments[0].record] == [" un", " deux", " trois", " quatre"]


async def test_a_name_that_is_given_while_voices_are_looked_for_is_not_lost(tmp_path: Path) -> None:
    engine, voices = Engine(BETTER), Voices((VoiceSpan(1, 0.0, 14.0),))
    async with desk(tmp_path, voices, KEPT, engine) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1), VoiceRun(UtteranceId("u1"), 0, 4, 2)])
        engine.door.clear()
        await one.start()
        await one.working()
        await one.store.rename_voice(MEETING, ROOM.id, 2, "Claire")
        engine.door.set()
        assert await one.settled() is Settled.SOUND
        assert told(await one.store.transcript(MEETING)) == [("Claire", text) for text in HEARD]
    assert len(voices.heard) == 2


async def test_what_was_corrected_before_is_not_even_heard(tmp_path: Path) -> None:
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.store.move_segment_to_voice(MEETING, SegmentId("u0"), None)
        await one.store.correct(MEETING, SegmentId("u1"), "Autre chose.")
        await one.start()
        await one.settled()
        assert told(await one.store.transcript(MEETING)) == [
            ("Salle Descartes (voix 101)", SAID[0]),
            ("Salle Descartes", "Autre chose."),
        ]
    assert one.engine.batches == []


# --- whatever happens ------------------------------------------------------------------------------------------


async def test_a_process_that_stops_in_the_middle_leaves_the_transcript_as_it_was_and_the_next_one_settles_it(
    tmp_path: Path,
) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT, engine) as one:
        engine.door.clear()
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.start()
        await one.working()
        await one.close()
        assert (await one.store.meeting(MEETING)).settled is None
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as other:
        await other.start()
        assert await other.settled() is Settled.SOUND
        assert len(texts(await other.store.transcript(MEETING))) == 3


async def test_it_is_settled_once_whoever_comes_when(tmp_path: Path) -> None:
    board: Board = {}
    async with desk(tmp_path, sounds=KEPT, board=board) as one, desk(tmp_path, sounds=KEPT, board=board) as other:
        await one.held()
        one.engine.door.clear()
        await one.start()
        await one.working()
        await asyncio.to_thread(other.settling.settling.run, MEETING)  # as by a message that came twice
        assert other.engine.batches == []
        one.engine.door.set()
        assert await one.settled() is Settled.SOUND
        await asyncio.to_thread(other.settling.settling.run, MEETING)
        late = RecordText(TRACK, (UtteranceId("u0"),), "fr", words("trop tard", 0.0))
        await other.store.settle(MEETING, Settlement(Settled.VOICES, records=(late,)))  # as by one who was asleep
        assert texts(await one.store.transcript(MEETING)) == HEARD
        assert (await one.store.meeting(MEETING)).settled is Settled.SOUND
    assert other.engine.batches == []


async def test_a_meeting_that_goes_on_or_whose_session_still_works_waits(tmp_path: Path) -> None:
    busy = {MEETING}
    async with desk(tmp_path, sounds=KEPT, busy=busy) as one:
        await one.store.create_meeting(Meeting(MeetingId("other"), "", 1000.0, keep_audio=True))
        await one.held()
        await one.start()
        await asyncio.sleep(0.3)
        assert (await one.store.meeting(MEETING)).settled is None
        busy.clear()
        await one.settled()
        assert (await one.store.meeting(MeetingId("other"))).settled is None
        await asyncio.to_thread(one.settling.settling.run, MeetingId("other"))
        assert (await one.store.meeting(MeetingId("other"))).settled is None


@pytest.mark.parametrize("error", [ModelUnavailable("it is not what it claims to be"), ZeroDivisionError()])
async def test_what_would_fail_again_is_given_up_with_the_transcript_as_it_was(
    tmp_path: Path, error: Exception
) -> None:
    async with desk(tmp_path, Voices(TWO_VOICES), {TRACK: error}) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.start()
        assert await one.settled() is Settled.FAILED
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED


async def test_a_recogniser_that_fails_is_tried_again(tmp_path: Path) -> None:
    engine = Engine(BETTER, fail=lambda batch: batch <= 4)
    async with desk(tmp_path, sounds=KEPT, engine=engine) as one:
        await one.held()
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert texts(await one.store.transcript(MEETING)) == HEARD


@dataclass(slots=True)
class Outage:
    """Kept sounds that cannot be reached the first ``times``."""

    times: int
    error: Exception

    def open(self, meeting: MeetingId, track: TrackId) -> Kept:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return Kept()


@pytest.mark.parametrize("error", [StorageFailed("it does not answer"), StorageFull("the disk is full")])
async def test_an_outage_that_lasts_longer_than_its_retries_only_puts_it_off(tmp_path: Path, error: Exception) -> None:
    async with desk(tmp_path, again=0.2) as one:
        object.__setattr__(one.settling.settling, "sounds", Outage(10, error))
        await one.held()
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert texts(await one.store.transcript(MEETING)) == HEARD


async def test_a_meeting_that_is_deleted_meanwhile_stays_deleted(tmp_path: Path) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, sounds=KEPT, engine=engine) as one:
        engine.door.clear()
        await one.held()
        await one.start()
        await one.working()
        await one.store.delete_meeting(MEETING)
        engine.door.set()
        await asyncio.to_thread(one.jobs.broker.join, "batch", timeout=10_000)
        with pytest.raises(NotFound):
            await one.store.meeting(MEETING)
