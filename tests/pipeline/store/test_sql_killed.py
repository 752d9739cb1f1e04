"""A process that is killed loses nothing that it said it had kept."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId
from pipeline.store.sql import SqlStore

ROOT = Path(__file__).parents[3]
TALK = MeetingId("talk")
_KEEPS = """
import asyncio, sys
from pipeline.domain import Caption, MeetingId, TrackId, UtteranceId, Word
from pipeline.store.sql import SqlStore

def said(name, words, final):
    spoken = tuple(Word(f" {name}-{word}", word / 10, word / 10 + 0.1) for word in range(words))
    return Caption(TrackId("anne.1"), UtteranceId(name), words, final, "fr", spoken)

async def talk(store, voice):
    for number in range(100_000):
        name = f"{voice}#{number}"
        for words in range(1, 6):
            await store.keep_open([said(name, words, False)])
            print("open", name, words, flush=True)
        await store.keep_final(said(name, 6, True))
        print("final", name, 6, flush=True)

async def main():
    store = SqlStore.open(sys.argv[1]).for_meeting(MeetingId("talk"))
    await asyncio.gather(*(talk(store, voice) for voice in "abcd"))

asyncio.run(main())
"""


def killed_after_40_finals(url: str, said: Path) -> list[list[str]]:
    """What a process reported until it was killed: kind, utterance, number of words."""
    with said.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", _KEEPS, url], stdout=output, cwd=ROOT)
        deadline = time.monotonic() + 60
        while said.read_bytes().count(b"final") < 40 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    return [line.split() for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]


async def test_nothing_that_was_reported_durable_is_missing_after_a_kill(tmp_path: Path, database_url: str) -> None:
    store = SqlStore.open(database_url)
    await store.create_meeting(Meeting(TALK, "Talk", 0.0))
    await store.add_participant(TALK, Participant(ParticipantId("anne"), "Anne"))
    await store.close()
    lines = killed_after_40_finals(database_url, tmp_path / "said")
    finals = {name for kind, name, _ in lines if kind == "final"}
    newest = {name: int(words) for kind, name, words in lines if kind == "open" and name not in finals}
    assert len(finals) >= 40

    began = time.monotonic()
    store = SqlStore.open(database_url)
    unfinished = {caption.utterance: len(caption.words) for caption in (await store.unfinished())[TALK]}
    kept = {caption.utterance: caption for caption in await store.finals(TALK)}
    assert time.monotonic() - began < 5
    assert finals <= kept.keys()
    assert all(len(caption.words) == 6 for caption in kept.values())
    for name, words in newest.items():  # what was being written at the kill may be there or not
        assert name in kept or unfinished[name] >= words

    assert await store.close_unfinished() == [TALK]
    assert (await store.meeting(TALK)).cut
    closed = {caption.utterance: caption for caption in await store.finals(TALK)}
    assert {name: len(closed[name].words) for name in unfinished} == unfinished
    await store.close()
    if database_url.startswith("postgresql"):
        return
    with contextlib.closing(sqlite3.connect(tmp_path / "greffier.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
