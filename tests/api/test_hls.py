"""Captions for players over HTTP: running meetings, ended ones, and what stays the same when the process does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import FastAPI

from api import playback
from api.access import Access
from api.hls import router
from api.playback import Playbacks
from api.problems import install_problems
from api.tokens import Can, Signer, Token
from pipeline import session as shell
from pipeline.domain import MeetingId, UtteranceId, VoiceRun
from pipeline.export.live_cues import LiveCues
from pipeline.running import upkeep
from tests.pipeline.running.stage import ANNE, BILAL, MEETING, Clock, Stage, eventually, finals, kept, until

HOLD_BACK = 5.0
HLS = f"/api/v1/meetings/{MEETING}/hls"
HEADER = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


class Player:
    """What a player asks for, with a token that may read."""

    def __init__(self, client: httpx2.AsyncClient, token: str) -> None:
        self.client, self.token = client, token

    async def get(self, path: str, **query: str) -> httpx2.Response:
        return await self.client.get(f"{HLS}/{path}", params={"token": self.token} | query)

    async def playlist(self, kind: str) -> str:
        answer = await self.get(f"{kind}.m3u8")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["Cache-Control"] == "no-cache"
        return answer.text

    async def subtitles(self) -> list[str]:
        """Every segment that is listed, fetched as the playlist says."""
        text = await self.playlist("subtitles")
        found = []
        for address in addresses(text):
            path, _, query = address.partition("?")
            assert query == "token={$token}"
            answer = await self.get(path)
            assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
            assert answer.headers["Cache-Control"] == "private, max-age=3600, immutable"
            found.append(answer.text)
        return found


def addresses(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if not line.startswith("#")]


def shown(segments: list[str]) -> dict[str, str]:
    """The text of every cue by its id, however many segments repeat it."""
    blocks = [block for segment in segments for block in segment.removeprefix(HEADER).split("\n\n") if block]
    return {block.split("\n")[0]: block.split("\n", 2)[2] for block in blocks}


async def stored(stage: Stage) -> dict[str, str]:
    """The cues of all finals of the store."""
    tracks, cues = await stage.store.tracks(MEETING), LiveCues()
    return {
        cue.cue.id: cue.text.split("\n", 2)[2].rstrip("\n")
        for final in await stage.store.finals(MEETING)
        for cue in cues.caption(final, tracks[final.track].name)
    }


@asynccontextmanager
async def playing(stage: Stage) -> AsyncIterator[Player]:
    """A server on the stage's meetings, made anew each time."""
    signer = Signer(b"0" * 32, 3600.0)
    app = FastAPI()
    app.state.house = SimpleNamespace(
        store=stage.store,
        meetings=stage.meetings,
        settings=SimpleNamespace(hls_hold_back=HOLD_BACK),
        access=Access(stage.store, signer, loopback=False),
    )
    app.state.playbacks = Playbacks(stage.store, stage.meetings, HOLD_BACK, stage.clock.wall)
    install_problems(app)
    app.include_router(router)
    token, _ = signer.token(Token(MEETING, frozenset({Can.READ})))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield Player(client, token)


async def told(stage: Stage, count: int) -> None:
    meeting = stage.meetings.running(MEETING)
    assert meeting is not None
    await until(lambda: len(finals(meeting)) == count)


async def test_a_player_is_handed_on_with_its_token_from_playlist_to_playlist_to_segments(stage: Stage) -> None:
    await stage.open()
    stage.clock.at = 11.0
    async with playing(stage) as player:
        master = await player.playlist("master")
        assert f'URI="subtitles.m3u8?token={player.token}"' in master
        assert addresses(master) == [f"audio.m3u8?token={player.token}"]
        subtitles, sound = await player.playlist("subtitles"), await player.playlist("audio")
        assert f'#EXT-X-DEFINE:NAME="token",VALUE="{player.token}"' in subtitles
        assert addresses(subtitles) == [f"subtitles/{number}.vtt?token={{$token}}" for number in range(3)]
        assert addresses(sound) == [f"audio/{number}.m4s?token={{$token}}" for number in range(3)]
        init = await player.get("init.mp4")
        assert (init.status_code, init.headers["Content-Type"]) == (200, "audio/mp4")
        part = await player.get("audio/2.m4s")
        assert (part.status_code, part.content[4:8]) == (200, b"moof")
        assert "immutable" in part.headers["Cache-Control"]
        without = await player.client.get(f"{HLS}/master.m3u8", headers={"Authorization": f"Bearer {player.token}"})
        assert "token" not in without.text


async def test_what_is_said_is_in_the_segments_while_the_meeting_runs_and_after_it(stage: Stage) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL)
    async with playing(stage) as player:
        stage.clock.at = 7.0
        assert await player.subtitles() == [HEADER]
        await stage.say(anne, "good morning everybody", pause=2.0)
        await told(stage, 1)
        await stage.say(bilal, "hello Anne", pause=2.0)
        await told(stage, 2)
        stage.clock.at += 12.0
        before = await player.subtitles()
        assert shown(before) == await stored(stage)
        assert sorted(shown(before).values()) == ["<v Anne>good morning everybody", "<v Bilal>hello Anne"]
        assert "ENDLIST" not in await player.playlist("subtitles")
        await stage.say(anne, "the end", pause=0.2)
        await stage.meetings.end(MEETING)
        after = await player.subtitles()
        assert after[: len(before)] == before
        assert shown(after) == await stored(stage)
        assert len(shown(after)) == 3
        for kind in ("subtitles", "audio"):
            assert (await player.playlist(kind)).endswith("#EXT-X-ENDLIST\n")
        assert len(addresses(await player.playlist("audio"))) == len(after)


async def test_cues_of_a_shared_microphone_name_the_voice_that_is_known_when_they_are_made(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    async with playing(stage) as player:
        stage.clock.at = 7.0
        await stage.say(anne, "good morning everybody", pause=2.0)
        await told(stage, 1)
        await stage.store.for_meeting(MEETING).keep_runs([VoiceRun(UtteranceId("anne.1#1"), 0, 3, 2)])
        await meeting.voices_changed()
        stage.clock.at += 12.0
        assert list(shown(await player.subtitles()).values()) == ["<v Anne (voix 2)>good morning everybody"]
    await stage.meetings.end(MEETING)
    async with playing(stage) as player:
        assert list(shown(await player.subtitles()).values()) == ["<v Anne (voix 2)>good morning everybody"]


async def test_a_meeting_that_is_over_plays_from_the_store_as_it_did_while_it_ran(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    async with playing(stage) as player:
        await stage.say(anne, "one two three. four five six. seven", pause=2.0)
        await told(stage, 1)
        stage.clock.at += 10.0
        running = await player.subtitles()
    await stage.meetings.end(MEETING)
    async with playing(stage) as player:
        found = await player.subtitles()
        assert found[: len(running)] == running
        assert shown(found) == await stored(stage) != {}


async def test_the_next_process_lists_the_same_segments_and_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    async with Stage(tmp_path, clock) as stage:
        meeting = await stage.open()
        anne = await stage.talker(meeting)
        await stage.say(anne, "one two three. four five six", pause=2.0)
        await told(stage, 1)
        clock.at = 15.0
        async with playing(stage) as player:
            before = await player.subtitles()
        await stage.begin(anne, "cut off in the middle")
        await eventually(stage.store.unfinished, bool)
        await stage.kill()
    async with Stage(tmp_path, clock) as stage, playing(stage) as player:
        waiting = await player.subtitles()
        assert waiting[: len(before)] == before
        assert "ENDLIST" not in await player.playlist("subtitles")
        clock.at += 4.0
        anne = await stage.talker(await stage.meetings.of(MEETING))
        await stage.say(anne, "we go on", pause=2.0)
        await until(lambda: "we go on" in finals(stage.meetings.all()[0])[-1][1])
        clock.at += 12.0
        after = await player.subtitles()
        assert after[: len(waiting)] == waiting
        assert shown(after) == await stored(stage)
        texts = await kept(stage.store)
        assert len(texts) == len(shown(after)) - 1 == 3
        assert texts[1].startswith("cut")


async def test_in_the_first_seconds_of_a_meeting_a_playlist_waits_for_its_first_segment(stage: Stage) -> None:
    await stage.open()
    stage.clock.at = 6.8
    async with playing(stage) as player:
        asking = asyncio.create_task(player.playlist("audio"))
        await asyncio.sleep(0.1)
        assert not asking.done()
        stage.clock.at = 7.0
        assert len(addresses(await asking)) == 1


async def test_a_segment_that_is_not_listed_is_not_found(stage: Stage) -> None:
    await stage.open()
    stage.clock.at = 8.0
    async with playing(stage) as player:
        await player.playlist("subtitles")
        for path in ("subtitles/1.vtt", "audio/1.m4s"):
            answer = await player.get(path)
            assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
            assert "take those that the playlist lists" in answer.json()["detail"]
        assert (await player.get("video.m3u8")).status_code == 404
        assert (await player.get("subtitles/x.vtt")).status_code == 422


async def test_a_meeting_that_is_deleted_or_unknown_is_not_found(stage: Stage) -> None:
    await stage.open()
    stage.clock.at = 8.0
    async with playing(stage) as player:
        await player.playlist("subtitles")
        await stage.meetings.delete(MEETING)
        for path in ("master.m3u8", "subtitles.m3u8", "audio.m3u8", "subtitles/0.vtt", "audio/0.m4s", "init.mp4"):
            assert (await player.get(path)).status_code == 404, path


@pytest.mark.parametrize("path", ["master.m3u8", "audio.m3u8", "init.mp4", "audio/0.m4s", "subtitles/0.vtt"])
async def test_nothing_is_played_without_a_token_of_the_meeting(stage: Stage, path: str) -> None:
    await stage.open()
    other, _ = Signer(b"0" * 32, 3600.0).token(Token(MeetingId("other"), frozenset({Can.READ})))
    async with playing(stage) as player:
        assert (await player.client.get(f"{HLS}/{path}")).status_code == 401
        assert (await player.get(path, token="wrong")).status_code == 401
        assert (await player.get(path, token=other)).status_code == 403


async def test_what_nobody_plays_is_let_go_and_made_again_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "one two three. four five six", pause=2.0)
    await told(stage, 1)
    stage.clock.at += 10.0
    playbacks = Playbacks(stage.store, stage.meetings, HOLD_BACK, stage.clock.wall)
    first = await playbacks.caught_up(MEETING)
    assert await playbacks.of(MEETING) is first
    monkeypatch.setattr(playback, "UNUSED_S", 0.0)
    second = await playbacks.caught_up(MEETING)
    assert second is not first
    numbers = range(first.listed)
    assert first.listed > 3
    assert [second.subtitles.segment(n) for n in numbers] == [first.subtitles.segment(n) for n in numbers]


async def test_players_that_ask_at_once_see_the_same(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "one two three. four five six", pause=2.0)
    await told(stage, 1)
    stage.clock.at += 10.0
    async with playing(stage) as player:
        found = await asyncio.gather(*(player.subtitles() for _ in range(5)))
    assert found == [found[0]] * 5
    assert shown(found[0]) == await stored(stage)
