"""A store in memory keeps each final once, and every record text and gap."""

from pipeline.domain import Caption, Gap, Participant, ParticipantId, RecordText, TrackId, UtteranceId, Word
from pipeline.store.memory import MemoryTranscriptStore

TRACK, FIRST = TrackId("anne"), UtteranceId("anne#1")


async def test_everything_is_kept_and_a_final_only_once() -> None:
    store = MemoryTranscriptStore()
    final = Caption(TRACK, FIRST, 3, True, "en", (Word(" hello", 0.0, 1.0),))
    await store.keep_final(final)
    await store.keep_final(Caption(TRACK, FIRST, 4, True, "en", ()))
    record = RecordText(TRACK, (FIRST,), "en", (Word(" Hello", 0.0, 1.0),))
    gap = Gap(TRACK, Participant(ParticipantId("anne"), "Anne"), 1.0, 2.0, "lost on the way")
    await store.keep_record(record)
    await store.keep_gap(gap)
    assert store.finals == {FIRST: final}
    assert (store.records, store.gaps) == ([record], [gap])
