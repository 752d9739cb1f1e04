"""A process is killed while four people talk: nothing final and nothing committed a second ago is lost."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.store.sql import SqlStore
from tests.pipeline.running.doomed import MEETING, TALKERS

ROOT = Path(__file__).parents[3]
_DURABLE = 1.0


async def test_no_final_and_no_word_committed_a_second_ago_is_lost(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.pipeline.running.doomed", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as doomed:  # noqa: ASYNC220 - one reader
        told, killed_at = told_until_killed(doomed)
    store = SqlStore.open(f"sqlite:///{tmp_path / 'greffier.sqlite'}")
    finals = {final.utterance: final.committed for final in await store.finals(MEETING)}
    assert await store.close_unfinished() == [MEETING]
    after = {final.utterance: final.committed for final in await store.finals(MEETING)}
    assert (await store.meeting(MEETING)).cut
    await store.close()

    for event in told:
        if event["final"]:
            assert finals[event["utterance"]] == event["committed"]
        elif event["told_at"] < killed_at - _DURABLE:
            assert after.get(event["utterance"], "").startswith(event["committed"])
    assert sum(event["final"] for event in told) > TALKERS
    assert sum(not event["final"] and bool(event["committed"]) for event in told) > TALKERS


def told_until_killed(doomed: "subprocess.Popen[str]") -> tuple[list[dict[str, Any]], float]:
    """What readers were told before the kill, which comes in the middle of things, and when it came."""
    assert doomed.stdout is not None
    told: list[dict[str, Any]] = []
    try:
        for line in doomed.stdout:
            told.append(json.loads(line))
            if sum(event["final"] for event in told) > TALKERS and len(told) % 7 == 0:
                break
    finally:
        doomed.kill()
    killed_at = time.time()
    told += [json.loads(line) for line in doomed.stdout.read().splitlines() if line.endswith("}")]
    return told, killed_at
