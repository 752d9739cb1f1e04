"""Who spoke when in an uploaded recording is kept while it is needed."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pipeline.domain import MeetingId, RecordingId, RecordingJob, RecordingState
from pipeline.record.matching import ParticipantSpeech
from pipeline.store.sql import SqlStore

JOB = RecordingJob(RecordingId("r"), "Entretien", 1.0, MeetingId("talk"))
PEOPLE = (ParticipantSpeech("Zoé", ((0.0, 1.25), (3.0, 4.0))), ParticipantSpeech("Bob", ()))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(database_url)
    yield store
    await store.close()


async def test_it_is_kept_until_the_recording_is_over(store: SqlStore) -> None:
    for state in (RecordingState.DONE, RecordingState.FAILED):
        await store.create_recording(JOB, PEOPLE)
        await store.update_recording(replace(JOB, state=RecordingState.RUNNING, heard=2.0))
        assert await store.speech_in(JOB.id) == PEOPLE
        await store.update_recording(replace(JOB, state=state))
        assert await store.speech_in(JOB.id) == ()
        await store.delete_recording(JOB.id)


async def test_it_goes_with_the_recording(store: SqlStore) -> None:
    await store.create_recording(JOB, PEOPLE)
    await store.delete_recording(JOB.id)
    assert await store.speech_in(JOB.id) == ()
    await store.create_recording(JOB)
    assert await store.speech_in(JOB.id) == ()
