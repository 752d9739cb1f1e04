"""Between a meeting and its store: finals once, open words as they change, and everything again until it is kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from pipeline.domain import Caption, Gap, Participant, ParticipantId, RecordText, TrackId, UtteranceId, Word
from pipeline.errors import NotFound, StorageFull, Superseded
from pipeline.running import keeping as module
from pipeline.running.keeping import Keeping
from pipeline.store.memory import MemoryTranscriptStore

ANNE = TrackId("anne.1")


def caption(number: int, count: int, *, final: bool = False, revision: int = 1, tail: str = "") -> Caption:
    words = tuple(Word(f" w{k}", float(k), k + 0.5) for k in range(count))
    rest = (Word(tail, float(count), count + 0.5),) if tail else ()
    return Caption(ANNE, UtteranceId(f"{ANNE}#{number}"), revision, final, "en", words, rest)


@dataclass(slots=True)
class Fragile(MemoryTranscriptStore):
    full: bool = False
    poisoned: set[UtteranceId] = field(default_factory=set)
    calls: int = 0
    delay: float = 0.0
    refusal: Exception | None = None

    async def keep_final(self, caption: Caption) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay)
        if self.refusal is not None:
            raise self.refusal
        if self.full or caption.utterance in self.poisoned:
            raise StorageFull("no room")
        await MemoryTranscriptStore.keep_final(self, caption)

    async def keep_open(self, captions: Sequence[Caption]) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay)
        if self.full:
            raise StorageFull("no room")
        await MemoryTranscriptStore.keep_open(self, captions)

    async def keep_gap(self, gap: Gap) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay)
        if self.full:
            raise StorageFull("no room")
        await MemoryTranscriptStore.keep_gap(self, gap)

    async def keep_record(self, record: RecordText) -> None:
        if self.full:
            raise StorageFull("no room")
        await MemoryTranscriptStore.keep_record(self, record)


def made() -> tuple[Keeping, Fragile, list[Caption]]:
    store, told = Fragile(), list[Caption]()
    return Keeping(store, told.append), store, told


async def test_open_utterances_are_kept_when_their_committed_words_change_and_not_for_their_tails() -> None:
    keeping, store, _ = made()
    await keeping.flush()
    keeping.see(caption(1, 0, tail=" perhaps"))
    await keeping.flush()
    assert store.calls == 0
    keeping.see(caption(1, 2, revision=2, tail=" perhaps"))
    await keeping.flush()
    keeping.see(caption(1, 2, revision=3, tail=" or not"))
    await keeping.flush()
    assert store.calls == 1
    (kept,) = store.unfinished.values()
    assert len(kept.words) == 2


async def test_a_final_is_kept_at_once_and_nothing_of_it_is_open_any_more() -> None:
    keeping, store, told = made()
    keeping.see(caption(1, 2))
    await keeping.keep_final(caption(1, 3, final=True, revision=2))
    await keeping.flush()
    assert len(store.finals) == store.calls == 1
    assert keeping.kept(UtteranceId("anne.1#1"))
    assert told == []
    assert not keeping.waiting


async def test_a_flush_says_whether_the_store_has_what_was_given_before() -> None:
    keeping, store, _ = made()
    gap = Gap(ANNE, Participant(ParticipantId("anne"), "Anne"), 1.0, 2.0, "lost")
    assert await keeping.flush()
    for give in (
        lambda: keeping.keep_final(caption(1, 2, final=True)),
        lambda: keeping.keep_gap(gap),
        lambda: keeping.keep_record(RecordText(ANNE, (UtteranceId("anne.1#1"),), "en", ())),
    ):
        store.full = True
        await give()
        assert not await keeping.flush()
        store.full = False
        assert await keeping.flush()
    store.full = True
    keeping.see(caption(2, 1))
    assert not await keeping.flush()
    store.full = False
    assert await keeping.flush()


async def test_a_flush_that_is_cut_short_leaves_what_it_had_in_hand_to_the_next() -> None:
    keeping, store, _ = made()
    keeping.see(caption(1, 2))
    store.delay = 60.0
    flushing = asyncio.create_task(keeping.flush())
    await asyncio.sleep(0.01)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    store.delay = 0.0
    assert await keeping.flush()
    assert list(store.unfinished) == ["anne.1#1"]


@pytest.mark.parametrize("refusal", [Superseded("another worker has it"), NotFound("it was deleted")])
async def test_a_meeting_that_is_anothers_or_deleted_is_written_to_no_more(refusal: Exception) -> None:
    keeping, store, told = made()
    lost: list[Gap] = []
    keeping.lost = lost.append
    gap = Gap(ANNE, Participant(ParticipantId("anne"), "Anne"), 1.0, 2.0, "lost")
    keeping.see(caption(1, 2))
    store.refusal = refusal
    await keeping.keep_final(caption(2, 2, final=True))
    assert keeping.superseded.is_set()
    calls = store.calls
    await keeping.keep_final(caption(3, 2, final=True))
    await keeping.keep_gap(gap)
    assert not await keeping.flush()
    assert (store.calls, told, keeping.waiting, keeping.failing) == (calls, [], False, False)
    assert lost == [gap]


async def test_what_a_full_disk_refused_is_kept_and_told_later_in_order() -> None:
    keeping, store, told = made()
    store.full = True
    finals = [caption(number, 2, final=True) for number in range(3)]
    for final in finals:
        await keeping.keep_final(final)
    await keeping.keep_gap(Gap(ANNE, Participant(ParticipantId("anne"), "Anne"), 1.0, 2.0, "lost"))
    await keeping.keep_record(RecordText(ANNE, (UtteranceId("anne.1#0"),), "en", ()))
    keeping.see(caption(7, 4))
    await keeping.flush()
    assert (keeping.failing, keeping.waiting, keeping.kept(finals[0].utterance)) == (True, True, False)
    assert told == []
    store.full = False
    await keeping.flush()
    assert told == finals == list(store.finals.values())
    assert (len(store.gaps), len(store.records), len(store.unfinished)) == (1, 1, 1)
    assert (keeping.failing, keeping.waiting) == (False, False)


async def test_a_locked_database_is_waited_for_by_flushes_alone_each_of_which_tries_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.02)
    keeping, store, told = made()
    store.full, store.delay = True, 0.03
    finals = [caption(number, 2, final=True) for number in range(4)]
    for final in finals:
        await keeping.keep_final(final)
    for number in range(4):
        await keeping.keep_gap(Gap(ANNE, Participant(ParticipantId("anne"), "Anne"), number, number + 1.0, "lost"))
    assert store.calls == 1, "once it has failed, captions do not wait for it"
    await keeping.flush()
    assert store.calls == 2, "a flush that is slow leaves the rest to the next one"
    store.full = False
    for _ in range(8):
        await keeping.flush()
    assert sorted(final.utterance for final in told) == sorted(final.utterance for final in finals)
    assert (len(store.finals), len(store.gaps), keeping.waiting, keeping.failing) == (4, 4, False, False)


async def test_one_final_that_always_fails_holds_up_no_other() -> None:
    keeping, store, told = made()
    bad = caption(0, 1, final=True)
    store.poisoned.add(bad.utterance)
    finals = [caption(number, 2, final=True) for number in range(1, 2 * module._AT_ONCE)]
    store.full = True
    for final in (bad, *finals):
        await keeping.keep_final(final)
    store.full = False
    for _ in range(3):
        await keeping.flush()
    assert sorted(final.utterance for final in told) == sorted(final.utterance for final in finals)
    assert keeping.waiting


async def test_finishing_makes_finals_of_committed_words_that_a_later_final_does_not_replace() -> None:
    keeping, store, told = made()
    keeping.see(caption(1, 2, revision=5, tail=" perhaps"))
    (final,) = keeping.finish()
    assert (final.final, final.revision, len(final.words), final.tail) == (True, 6, 2, ())
    assert keeping.closed(final.utterance)
    await keeping.keep_final(caption(1, 4, final=True, revision=7))
    assert store.finals == {}
    await keeping.flush()
    assert told == [final] == list(store.finals.values())
    assert keeping.finish() == []


async def test_of_what_is_no_final_the_oldest_goes_when_too_much_waits() -> None:
    keeping, _, _ = made()
    done: list[int] = []
    full = True

    async def act(number: int) -> None:
        if full:
            raise StorageFull("no room")
        done.append(number)

    for number in range(module._LATER + 2):
        await keeping.do(partial(act, number))
    full = False
    for _ in range(module._LATER // module._AT_ONCE):
        await keeping.flush()
    assert done == list(range(2, module._LATER + 2))


async def test_a_final_that_a_flush_keeps_while_its_session_waits_is_told_by_the_session_alone() -> None:
    keeping, store, told = made()
    store.delay = 0.02
    keeping.see(caption(2, 1))
    flushing = asyncio.create_task(keeping.flush())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(keeping.keep_final(caption(1, 2, final=True)))
    await asyncio.gather(flushing, waiting)
    await keeping.flush()
    assert told == []
    assert keeping.kept(UtteranceId(f"{ANNE}#1"))
    assert list(store.finals) == [f"{ANNE}#1"]
    assert store.calls == 2, "each once"
