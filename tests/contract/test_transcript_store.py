"""What every store of a meeting does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from pipeline.domain import (
    Caption,
    Meeting,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
)
from pipeline.errors import InvalidInput
from pipeline.ports import MeetingStore
from pipeline.record.assemble import assemble
from pipeline.record.division import Division
from pipeline.speakers import KnownVoice
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import MEETING, final, gap, record, words

TRACK = TrackId("anne.1")
ANNE = Participant(ParticipantId("anne"), "Anne")


@dataclass(frozen=True, slots=True)
class Kept:
    """A store and what can be read back from it."""

    store: MeetingStore
    transcript: Callable[[], Awaitable[Transcript]]
    unfinished: Callable[[], Awaitable[list[Caption]]]
    presences: Callable[[], Awaitable[list[Presence]]]
    voices: Callable[[], Awaitable[list[KnownVoice]]]


def in_memory() -> Kept:
    store = MemoryTranscriptStore()

    async def transcript() -> Transcript:
        assembled = assemble(
            MEETING,
            {TRACK: ANNE},
            store.finals.values(),
            store.records,
            store.gaps,
            Division(runs=list(chain.from_iterable(store.runs.values()))),
        )
        return replace(assembled, pauses=tuple(store.pauses.values()))

    async def unfinished() -> list[Caption]:
        return list(store.unfinished.values())

    async def presences() -> list[Presence]:
        return list(store.presences.values())

    async def voices() -> list[KnownVoice]:
        return list(store.voices.values())

    return Kept(store, transcript, unfinished, presences, voices)


async def in_sql(store: SqlStore) -> Kept:
    await store.create_meeting(Meeting(MEETING, "", 0.0))
    await store.add_participant(MEETING, ANNE)
    assert await store.next_track(MEETING, ANNE.id) == TRACK

    async def unfinished() -> list[Caption]:
        return (await store.unfinished()).get(MEETING, [])

    return Kept(
        store.for_meeting(MEETING),
        lambda: store.transcript(MEETING),
        unfinished,
        lambda: store.presences(MEETING),
        lambda: store.voices(MEETING),
    )


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    match request.param:
        case "memory":
            yield in_memory()
            return
        case "sqlite":
            url = f"sqlite:///{tmp_path}/greffier.db"
        case _:
            url = request.getfixturevalue("postgresql_url")
    store = SqlStore.open(url)
    yield await in_sql(store)
    await store.close()


def said(utterance: str, text: str, start: float, end: float, revision: int = 1) -> Caption:
    return replace(final(utterance, text, start, end, revision=revision), track=TRACK)


def begun(utterance: str, text: str, start: float, end: float, revision: int = 1) -> Caption:
    return replace(said(utterance, text, start, end, revision), final=False)


async def test_a_final_is_kept_with_every_word_as_it_was_given(kept: Kept) -> None:
    caption = said("u", "l’année dernière — déjà 今天 🎉", 1.25, 3.1000000000000001)
    await kept.store.keep_final(caption)
    (segment,) = (await kept.transcript()).segments
    assert (segment.id, segment.track, segment.participant, segment.language) == ("u", TRACK, ANNE, "fr")
    assert segment.caption == caption.words


async def test_how_loud_a_final_was_is_kept_with_it(kept: Kept) -> None:
    await kept.store.keep_final(replace(said("u", "bonjour Anne", 1.0, 3.0), levels=((1.0, -30.0), (2.25, -20.0))))
    (segment,) = (await kept.transcript()).segments
    assert [word.level for word in segment.caption] == [-30.0, -20.0]


async def test_a_second_final_of_an_utterance_is_ignored(kept: Kept) -> None:
    await kept.store.keep_final(said("u", "premier", 0, 1))
    await kept.store.keep_final(said("u", "second", 0, 1, revision=9))
    (segment,) = (await kept.transcript()).segments
    assert segment.caption == words("premier", 0, 1)


async def test_the_record_text_given_last_counts(kept: Kept) -> None:
    await kept.store.keep_final(said("u", "bonjour", 0, 1))
    for text in ("Bonjour.", "Bonjour !"):
        await kept.store.keep_record(replace(record("u", text, 0, 1), track=TRACK))
    (segment,) = (await kept.transcript()).segments
    assert segment.record == words("Bonjour !", 0, 1)


async def test_gaps_are_kept(kept: Kept) -> None:
    marked = replace(gap(1.0, 2.5, ANNE), track=TRACK)
    await kept.store.keep_gap(marked)
    assert (await kept.transcript()).gaps == (marked,)


async def test_a_gap_that_is_found_again_is_marked_once_in_its_full_length(kept: Kept) -> None:
    marked = replace(gap(2.0, 3.0, ANNE), track=TRACK)
    for found in (marked, replace(marked, end=marked.end + 1.0), replace(marked, end=marked.start + 0.1)):
        await kept.store.keep_gap(found)
    assert (await kept.transcript()).gaps == (replace(marked, end=marked.end + 1.0),)


async def test_an_unfinished_utterance_holds_its_newest_committed_words(kept: Kept) -> None:
    await kept.store.keep_open([begun("u", "nous", 0, 1), begun("v", "oui", 0, 1)])
    newest = replace(begun("u", "nous allons", 0, 2, revision=4), tail=words("peut-être", 2, 3), lag=1.5)
    await kept.store.keep_open([newest])
    held = {caption.utterance: caption for caption in await kept.unfinished()}
    assert held == {"u": replace(newest, tail=(), lag=0.0), "v": begun("v", "oui", 0, 1)}
    assert (await kept.transcript()).segments == ()


async def test_a_final_ends_what_is_unfinished_of_its_utterance_only(kept: Kept) -> None:
    await kept.store.keep_open([begun("u", "nous", 0, 1), begun("v", "oui", 0, 1)])
    await kept.store.keep_final(said("u", "nous allons", 0, 2, revision=5))
    assert [caption.utterance for caption in await kept.unfinished()] == ["v"]


async def test_nothing_is_unfinished_after_its_final(kept: Kept) -> None:
    await kept.store.keep_final(said("u", "nous allons", 0, 2, revision=5))
    await kept.store.keep_open([begun("u", "nous", 0, 1, revision=4)])
    assert await kept.unfinished() == []


async def test_nothing_unfinished_to_keep_is_no_error(kept: Kept) -> None:
    await kept.store.keep_open([])
    assert await kept.unfinished() == []


async def test_a_pause_is_kept_when_it_begins_and_again_when_it_ends(kept: Kept) -> None:
    await kept.store.keep_pause(Pause(3.3))
    assert (await kept.transcript()).pauses == (Pause(3.3),)
    await kept.store.keep_pause(Pause(3.3, 7.25))
    await kept.store.keep_pause(Pause(9.0))
    assert (await kept.transcript()).pauses == (Pause(3.3, 7.25), Pause(9.0))


async def test_a_presence_is_kept_when_it_begins_and_again_when_it_ends(kept: Kept) -> None:
    first, again, other = Presence(ANNE.id, 1.5), Presence(ANNE.id, 9.25), Presence(ParticipantId("bilal"), 1.5)
    await kept.store.keep_presences([first, other])
    await kept.store.keep_presences([replace(first, left=7.75), again])
    assert await kept.presences() == [replace(first, left=7.75), other, again]
    await kept.store.keep_presences([])


async def test_an_utterance_without_words_may_be_kept(kept: Kept) -> None:
    empty = Caption(TRACK, UtteranceId("u"), 1, True, "fr", ())
    await kept.store.keep_open([replace(empty, final=False)])
    await kept.store.keep_final(empty)
    assert (await kept.transcript()).segments == ()
    assert await kept.unfinished() == []


# --- voices that share a microphone -------------------------------------------------------------------------------

U = UtteranceId("u")


async def pieces(kept: Kept) -> list[tuple[str, str, str]]:
    """Id, speaker and text of every segment."""
    segments = (await kept.transcript()).segments
    return [(each.id, each.participant.name, "".join(word.text for word in each.caption)) for each in segments]


async def test_the_runs_of_an_utterance_divide_it_among_its_voices(kept: Kept) -> None:
    await kept.store.keep_runs([VoiceRun(U, 0, 2, 1), VoiceRun(U, 2, 1, 2)])
    await kept.store.keep_final(said("u", "on y va oui", 0, 4))
    assert await pieces(kept) == [
        ("u", "Anne (voix 1)", " on y"),
        ("u/2", "Anne (voix 2)", " va"),
        ("u/3", "Anne", " oui"),
    ]


async def test_runs_take_the_place_of_what_was_kept_of_their_words_alone(kept: Kept) -> None:
    await kept.store.keep_final(said("u", "on y va oui", 0, 4))
    await kept.store.keep_runs([VoiceRun(U, 0, 4, 1)])
    await kept.store.keep_runs([VoiceRun(U, 1, 1, 2), VoiceRun(U, 3, 1, 2)])
    assert [name[-2] for _, name, _ in await pieces(kept)] == ["1", "2", "1", "2"]
    await kept.store.keep_runs([VoiceRun(U, 0, 4, 3)])
    assert await pieces(kept) == [("u", "Anne (voix 3)", " on y va oui")]
    await kept.store.keep_runs([])


async def test_what_a_voice_sounds_like_is_kept_to_the_bit_in_place_of_what_was(kept: Kept) -> None:
    for centroid in ([1.0, 0.0, 0.0], [0.1, -1e-30, 3e7]):
        await kept.store.keep_voice(ANNE.id, 2, np.array(centroid, np.float32))
    (voice,) = await kept.voices()
    assert (voice.participant, voice.voice, voice.name, voice.merged_into) == (ANNE.id, 2, None, None)
    assert voice.centroid is not None
    assert voice.centroid.tobytes() == np.array([0.1, -1e-30, 3e7], np.float32).tobytes()


@pytest.mark.parametrize("centroid", [[], [0.0, 0.0], [1.0, float("nan")], [float("inf")], [[1.0]]])
async def test_what_no_voice_sounds_like_is_refused(kept: Kept, centroid: list[float]) -> None:
    with pytest.raises(InvalidInput, match="finite numbers"):
        await kept.store.keep_voice(ANNE.id, 1, np.array(centroid, np.float32))
    assert await kept.voices() == []
