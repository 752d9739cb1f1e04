"""What a worker knows of a meeting that another one captioned."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bus.feed import CaptionFeed
from pipeline.distributed.restoring import past_of
from pipeline.domain import (
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Presence,
    RecordText,
    Track,
    TrackId,
    UtteranceId,
    Word,
)
from pipeline.export.event import caption_event
from pipeline.running.past import Past, Resumed
from pipeline.store.sql import SqlStore

MEETING = Meeting(MeetingId("council"), "Council", 1_000_000.0)
ANNE = Participant(ParticipantId("anne"), "Anne")
TRACK = Track(TrackId("anne.1"), ANNE, ("fr",))


def caption(number: int, words: Sequence[str], *, final: bool = False, revision: int = 3) -> Caption:
    """An utterance that begins at ``10 * number`` seconds, with a word each second."""
    times = [10.0 * number + place for place in range(len(words))]
    said = tuple(Word(f" {word}", at, at + 0.5, 0.9) for word, at in zip(words, times, strict=True))
    return Caption(TRACK.id, UtteranceId(f"anne.1#{number}"), revision, final, "fr", said)


class Held:
    """A meeting as its worker left it: what the store has, and what readers were shown."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.feed = CaptionFeed(1)

    def show(self, shown: Caption, at: float = 60.0) -> None:
        event = {"type": "caption", "meeting": MEETING.id} | caption_event(shown, at)
        self.feed.publish(event, shown.utterance)

    async def past(self, tracks: Sequence[Track] = (), now: float = 60.0) -> Past:
        fence = await self.store.claim(MEETING.id)
        return await past_of(self.store, MEETING, fence, 1, self.feed.history(), tracks, now)


@pytest.fixture
async def held(tmp_path: Path) -> "Held":
    store = SqlStore.open(f"sqlite:///{tmp_path}/greffier.db")
    await store.create_meeting(MEETING)
    await store.add_participant(MEETING.id, ANNE, ("fr",))
    await store.next_track(MEETING.id, ANNE.id)
    return Held(store)


async def one(past: Past) -> Resumed:
    (resumed,) = past.resumed
    return resumed


async def test_an_open_utterance_goes_on_in_the_newer_of_what_was_shown_and_what_was_kept(held: Held) -> None:
    shelf = held.store.for_meeting(MEETING.id)
    await shelf.keep_final(caption(1, ["bonjour"], final=True))
    await shelf.keep_open([caption(2, ["je", "suis"])])
    held.show(caption(2, ["je", "suis", "là"], revision=5))
    resumed = await one(await held.past([TRACK]))
    assert resumed.open is not None
    assert (resumed.open.utterance, resumed.open.committed, resumed.open.revision) == ("anne.1#2", " je suis là", 5)
    assert [final.utterance for final in resumed.finals] == ["anne.1#1"]
    held.show(caption(2, ["je"], revision=2))
    assert (await one(await held.past([TRACK]))).open == caption(2, ["je", "suis"])
    await held.store.close()


async def test_an_utterance_whose_final_was_kept_and_never_shown_is_not_open(held: Held) -> None:
    await held.store.for_meeting(MEETING.id).keep_final(caption(1, ["bonjour", "Anne"], final=True))
    held.show(caption(1, ["bonjour"]))
    assert (await one(await held.past([TRACK]))).open is None
    await held.store.close()


async def test_of_utterances_without_final_all_but_the_last_are_final_now(held: Held) -> None:
    held.show(caption(1, ["bonjour"]))
    held.show(caption(2, ["je"]))
    past = await held.past([TRACK])
    resumed = await one(past)
    assert resumed.open is not None
    assert resumed.open.utterance == "anne.1#2"
    closed = replace(caption(1, ["bonjour"]), revision=4, final=True)
    assert [*past.finals] == [closed]
    assert await held.store.finals(MEETING.id) == [closed]
    await held.store.close()


async def test_tracks_that_are_gone_are_known_while_something_of_them_is_unfinished(held: Held) -> None:
    shelf = held.store.for_meeting(MEETING.id)
    await shelf.keep_final(caption(1, ["bonjour"], final=True))
    await shelf.keep_record(RecordText(TRACK.id, (UtteranceId("anne.1#1"),), "fr", ()))
    assert (await held.past()).resumed == ()
    await shelf.keep_final(caption(2, ["je"], final=True))
    resumed = await one(await held.past())
    assert resumed.track == TRACK
    assert [final.utterance for final in resumed.unrecorded] == ["anne.1#2"]
    assert (await held.past(now=500.0)).resumed == (), "nobody keeps its sound any more"
    await held.store.close()


async def test_who_is_there_and_what_time_it_is_are_known(held: Held) -> None:
    await held.store.for_meeting(MEETING.id).keep_presences(
        [Presence(ANNE.id, 1.0, 2.0), Presence(ANNE.id, 3.0)],
    )
    held.show(caption(1, ["bonjour"]), at=77.0)
    past = await held.past([TRACK])
    assert past.presences == [Presence(ANNE.id, 3.0)]
    assert (past.newest, past.participants, past.languages) == (77.0, [ANNE], {ANNE.id: ("fr",)})
    assert past.fence == 1
    await held.store.close()
