"""Players see what was said: hls.js from npm plays the live WebVTT in Chromium, while the meeting runs and after."""

import time
from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Page

from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.export.live_cues import LiveCues
from tests.e2e.people import ROOT, Meetings, Visitors
from tests.serving import Process

HLS_JS = ROOT / "node_modules/hls.js/dist/hls.min.js"
SPOKEN_S = 20.0

# Everything from the beginning, kept for the test to look at; errors that hls.js recovers from are no failures.
PLAY = """async address => {
    const video = document.createElement("video");
    video.muted = true;
    document.body.replaceChildren(video);
    const hls = new Hls({startPosition: 0, backBufferLength: Infinity, maxBufferLength: 600});
    window.player = {video, hls, errors: [], loaded: []};
    hls.on(Hls.Events.ERROR, (_, {fatal, details, response}) =>
        window.player.errors.push({fatal, details, code: response?.code ?? null}));
    hls.on(Hls.Events.FRAG_LOADED, (_, {frag}) => window.player.loaded.push(`${frag.type} ${frag.sn}`));
    hls.loadSource(address);
    hls.attachMedia(video);
    await new Promise(resolve => video.addEventListener("loadeddata", resolve, {once: true}));
    await video.play();
}"""
CUES = """() => [...window.player.video.textTracks].flatMap(track => [...track.cues ?? []]).map(
    ({id, startTime, endTime, text}) => ({id, start: startTime, end: endTime, text}))"""
STATE = """() => ({at: player.video.currentTime, ended: player.video.ended, duration: player.video.duration,
    errors: player.errors, loaded: player.loaded, active: [...player.video.textTracks].flatMap(
        track => [...track.activeCues ?? []]).map(cue => cue.id)})"""


@pytest.fixture
def player(visitors: Visitors) -> Page:
    return page_with_player(visitors)


def page_with_player(visitors: Visitors) -> Page:
    """As on a page of an application, whose policy lets hls.js make tracks of its own."""
    page = visitors.page("/sign-in", bypass_csp=True)
    page.evaluate(HLS_JS.read_text())
    assert page.evaluate("Hls.isSupported()")
    return page


def address(server: Process, meeting: str) -> str:
    answer = server.ask("POST", f"/api/v1/meetings/{meeting}/participants", json={"name": "Player", "mode": "read"})
    assert answer.status_code == 201, answer.text
    return f"/api/v1/meetings/{meeting}/hls/master.m3u8?token={answer.json()['token']}"


def stored(server: Process, meeting: str) -> dict[str, str]:
    """The text of every cue of the captions that are kept, by its id, with its voice."""
    transcript = server.ask("GET", f"/api/v1/meetings/{meeting}/transcript.json").json()
    names = {each["id"]: each["name"] for each in transcript["participants"]}
    cues = LiveCues()
    found = {}
    for segment in transcript["segments"]:
        words = next(text["words"] for text in segment["texts"] if text["origin"] == "caption")
        final = Caption(
            TrackId(segment["track"]),
            UtteranceId(segment["id"]),
            1,
            True,
            segment["language"],
            tuple(Word(each["text"], each["start"], each["end"], each["confidence"]) for each in words),
        )
        for cue in cues.caption(final, names[segment["participant"]]):
            found[cue.cue.id] = cue.text.split("\n", 2)[2].rstrip("\n")
    return found


def wait_until(page: Page, condition: str, seconds: float) -> dict[str, Any]:
    page.wait_for_function(condition, timeout=seconds * 1000)
    return dict(page.evaluate(STATE))


def test_hls_js_shows_all_that_was_said_once_while_the_meeting_runs_and_after(
    server: Process, meetings: Meetings, visitors: Visitors, player: Page
) -> None:
    meeting = meetings.new("Live WebVTT", languages=["fr", "en"])
    began = time.monotonic()
    assert server.ask("POST", f"/api/v1/meetings/{meeting}/sample", json={}).status_code in {200, 201, 202}
    player.evaluate(PLAY, address(server, meeting))
    wait_until(player, f"() => player.video.currentTime > {SPOKEN_S / 2}", 60)
    running = {cue["id"]: cue for cue in player.evaluate(CUES)}
    assert running, "no cue was shown while the meeting ran"
    time.sleep(max(0.0, SPOKEN_S - (time.monotonic() - began)))
    assert server.ask("POST", f"/api/v1/meetings/{meeting}/end").status_code == 200
    state = wait_until(player, "() => player.video.ended", 60)
    expected = stored(server, meeting)
    assert len(expected) > 3
    found = player.evaluate(CUES)
    assert Counter(cue["id"] for cue in found) == Counter(list(expected))
    assert {cue["id"]: cue["text"] for cue in found} == expected
    # What was shown while the meeting ran is still where it was.
    assert [cue for cue in found if cue["id"] in running] == list(running.values())
    assert not [error for error in state["errors"] if error["fatal"] or error["code"]]
    # Nothing that never changes was fetched twice.
    assert set(Counter(state["loaded"]).values()) == {1}

    later = page_with_player(visitors)
    later.evaluate(PLAY, address(server, meeting))
    later.evaluate("() => { player.video.playbackRate = 8 }")
    wait_until(later, "() => player.video.ended", 60)
    assert sorted(later.evaluate(CUES), key=lambda cue: cue["id"]) == sorted(found, key=lambda cue: cue["id"])
