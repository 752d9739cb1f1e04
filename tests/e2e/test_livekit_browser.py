"""A room of a real livekit-server with a browser in it that shows captions exactly as Visio's front does."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from playwright.sync_api import Playwright

from tests.e2e.people import Microphones, spoken
from tests.e2e.rooms import Elsewhere, Front, elsewhere, front
from tests.livekit.people import Person
from tests.livekit.server import LiveKit, running_livekit
from tests.recordings import heard
from tests.serving import Process, process

AGENT = "multi-user-transcriber"
ROOM = "6a0dd4bb-6a2a-4a9e-8a06-0a8b5d7ad2f0"
HEARD = 90.0
"""Seconds until what was said is final: two cores run a browser, a recogniser and an SFU meanwhile."""


UNKEPT = 1.5
"""Words on the page are in the store half a second later, or a little more on a busy machine."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A committed word of an utterance, its ``number``, and when the page had it."""

    utterance: str
    number: int
    text: str
    at: float


@dataclass(slots=True)
class Scene:
    """Ann's browser and Bob's SDK in one room; ``greffier`` is not asked to caption it yet."""

    livekit: LiveKit
    greffier: Process
    there: Elsewhere
    ann: Front
    bob: Person
    microphones: Microphones

    def dispatch(self, times: int = 1) -> None:
        """As Visio's backend does at each press of the button."""

        async def create() -> None:
            wanted = api.CreateAgentDispatchRequest(agent_name=AGENT, room=ROOM)
            async with self.livekit.api() as server:
                await asyncio.gather(*(server.agent_dispatch.create_dispatch(wanted) for _ in range(times)))

        self.there.run(create())

    def agents(self) -> list[str]:
        """The identities of the agents in the room, who are hidden from everybody else."""

        async def there() -> list[str]:
            async with self.livekit.api() as server:
                found = await server.room.list_participants(api.ListParticipantsRequest(room=ROOM))
            return [each.identity for each in found.participants if each.kind == each.Kind.AGENT]

        return self.there.run(there())

    def captioned(self) -> str:
        """The meeting of the room, once it is captioned."""
        path = f"/api/v1/livekit/rooms/{ROOM}/captions"

        def state() -> Any:
            answer = self.greffier.ask("GET", path)
            return answer.json() if answer.status_code == 200 else {}

        wait(lambda: state().get("state") == "captioning", lambda: f"{state()} {self.greffier.log()[-3000:]}")
        return str(state()["meeting"])

    def plays(self, name: str) -> None:
        """Bob speaks; returns when he has."""
        self.there.run(self.bob.microphones[0].play(heard(name)))

    def finals(self, meeting: str) -> list[dict[str, Any]]:
        """What the store holds, oldest first; ``text`` and ``words`` are those of the live captions."""
        answer = self.greffier.ask("GET", f"/api/v1/meetings/{meeting}/transcript.json")
        assert answer.status_code == 200, answer.text
        found = answer.json()["segments"]
        for segment in found:
            caption = next(each for each in segment["texts"] if each["origin"] == "caption")
            segment["text"], segment["words"] = caption["text"], caption["words"]
        return list(found)

    def kept(self, meeting: str) -> str:
        return "\n".join(f"{who}: {said(self.finals(meeting), who)!r}" for who in ("ann", "bob"))

    def phrases(self, who: str) -> list[Phrase]:
        """What the page shows of somebody: the first version of each segment."""
        found: dict[str, Phrase] = {}
        for packet in self.ann.packets():
            for segment in packet["segments"]:
                if packet["participant"] == who:
                    utterance, _, number = segment["id"].partition("/")[2].rpartition(".")
                    found.setdefault(segment["id"], Phrase(utterance, int(number), segment["text"], packet["at"]))
        return list(found.values())

    def settles(self, meeting: str, killed_at: float | None = None) -> None:
        """Nobody speaks any more: everything that the store holds is shown, in order and once, in both dialects, and
        nothing else but words that a killed process had not kept yet."""
        wait(lambda: not self.differences(meeting, killed_at), lambda: "\n".join(self.differences(meeting, killed_at)))
        dropped = self.ann.dropped()
        assert (dropped["several"], dropped["unknown"]) == (0, 0)
        assert all(packet["track"] for packet in self.ann.packets())

    def differences(self, meeting: str, killed_at: float | None) -> list[str]:
        """One sentence for each way in which what is shown is not what is kept."""
        finals, found = self.finals(meeting), []
        words = {final["id"]: len(final["words"]) for final in finals}
        for who in ("ann", "bob"):
            kept, phrases = said(finals, who), self.phrases(who)
            lost = [phrase for phrase in phrases if phrase.number > words.get(phrase.utterance, 0)]
            early = [phrase for phrase in lost if killed_at is None or not 0.0 < killed_at - phrase.at < UNKEPT]
            shown = " ".join(phrase.text for phrase in phrases if phrase not in lost)
            whole = " ".join(phrase.text for phrase in phrases)
            if early:
                found.append(f"{who}: shown and not kept: {early}")
            texts = {"shown": shown, "streamed": streamed(self.ann, who), "read": read(self.bob, who)}
            found += [f"{who}: {how} {text!r}, kept {kept!r}" for how, text in texts.items() if text != kept]
            if self.ann.said(who) != whole:
                found.append(f"{who}: the page says {self.ann.said(who)!r}, packets {whole!r}")
        return found


def said(finals: list[dict[str, Any]], who: str) -> str:
    return " ".join(segment["text"].strip() for segment in finals if segment["participant"] == who)


def streamed(ann: Front, who: str) -> str:
    """The finals of ``lk.transcription`` in a browser, each where it came first."""
    found: dict[str, str] = {}
    for stream in ann.streamed():
        if stream["participant"] == who and stream["attributes"]["lk.transcription_final"] == "true":
            found.setdefault(stream["attributes"]["lk.segment_id"], stream["text"].strip())
    return " ".join(found.values())


def read(bob: Person, who: str) -> str:
    """The finals of ``lk.transcription`` in the SDK, each where it came first."""
    found: dict[str, str] = {}
    for text in list(bob.texts):
        if text.sender == who and text.final:
            found.setdefault(text.segment, text.text.strip())
    return " ".join(found.values())


def wait(true: Callable[[], object], what: Callable[[], str], seconds: float = HEARD) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            pytest.fail(what())
        time.sleep(0.2)


@pytest.fixture
def livekit(tmp_path: Path) -> Iterator[LiveKit]:
    with running_livekit(tmp_path / "livekit") as server:
        yield server


@pytest.fixture
def opened(
    livekit: LiveKit, whisper_base: Path, playwright: Playwright, chromium: str, tmp_path: Path
) -> Iterator[Callable[..., Scene]]:
    """Opens the scene: ``opened(front, **settings)``."""
    with front() as address, elsewhere() as there:
        microphones = Microphones(playwright, chromium, tmp_path, address)
        scenes: list[Scene] = []
        greffiers: list[Any] = []

        def open_scene(query: str = "", **settings: str) -> Scene:
            named = {
                "LIVEKIT_URL": livekit.url,
                "LIVEKIT_API_KEY": livekit.key,
                "LIVEKIT_API_SECRET": livekit.secret,
                "GREFFIER_LANGUAGES": "en,fr",
            }
            greffiers.append(process(tmp_path / "home", **named, **settings))
            greffier = greffiers[-1].__enter__()
            sound = spoken("en_pv_quilter.wav", before=1.0, after=1.5)
            page = Front(microphones.page(f"/{query}", sound, loops=True))
            page.join(livekit.url, livekit.token(ROOM, "ann", "Ann"))
            bob = there.run(Person.join(livekit, ROOM, "bob", "Bob"))
            there.run(bob.publish())
            scenes.append(Scene(livekit, greffier, there, page, bob, microphones))
            return scenes[-1]

        try:
            yield open_scene
        finally:
            for scene in scenes:
                there.run(scene.bob.leave())
            microphones.leave()
            for greffier in greffiers:
                greffier.__exit__(None, None, None)


@pytest.mark.timeout(600)
def test_visio_shows_what_is_kept_and_nothing_twice_whatever_is_dispatched_and_whoever_is_killed(
    opened: Callable[..., Scene],
) -> None:
    scene = opened()
    ann, greffier = scene.ann, scene.greffier
    scene.dispatch()
    meeting = scene.captioned()
    ann.speak(True)
    scene.plays("fr_pv_leopard.wav")
    wait(lambda: "consulat" in said(scene.finals(meeting), "bob"), lambda: scene.kept(meeting))
    wait(lambda: "gospel" in said(scene.finals(meeting), "ann"), lambda: scene.kept(meeting))
    ann.speak(False)
    scene.settles(meeting)
    assert ann.others() == ["bob"]  # the agent is hidden

    # The button is pressed four more times, at once, and they go on.
    scene.dispatch(times=4)
    kept = len(scene.finals(meeting))
    ann.speak(True)
    scene.plays("en_arctic_a0024.wav")
    wait(lambda: len(scene.finals(meeting)) >= kept + 2, lambda: scene.kept(meeting))
    ann.speak(False)
    scene.settles(meeting)
    assert scene.agents() == [f"{AGENT}-{ROOM}"]

    # Killed in the middle of an utterance, of which words are on the page and in the store already.
    ann.speak(True)
    shown = ann.said("ann")
    wait(lambda: len(ann.said("ann")) > len(shown) + 10, lambda: ann.said("ann"))
    ann.page.wait_for_timeout(UNKEPT * 1000)
    cut = scene.phrases("ann")[-1].utterance
    greffier.kill()
    killed_at = time.time()
    greffier.start()
    assert scene.captioned() == meeting
    kept = scene.finals(meeting)
    assert cut in [final["id"] for final in kept]
    scene.plays("fr_pv_leopard.wav")
    for who in ("ann", "bob"):
        wait(lambda who=who: len(said(scene.finals(meeting), who)) > len(said(kept, who)), lambda: scene.kept(meeting))
    ann.speak(False)
    scene.settles(meeting, killed_at)
    assert scene.agents() == [f"{AGENT}-{ROOM}"]
    assert ann.said("ann").startswith(shown)


@pytest.mark.timeout(300)
def test_a_front_that_updates_in_place_shows_the_tail_too(opened: Callable[..., Scene]) -> None:
    scene = opened("?front=in-place", GREFFIER_LIVEKIT_CAPTIONS="in-place")
    ann = scene.ann
    answer = scene.greffier.ask("POST", f"/api/v1/livekit/rooms/{ROOM}/captions", json={"languages": ["en"]})
    assert answer.status_code == 201, answer.text
    meeting = scene.captioned()
    ann.speak(True)
    wait(lambda: "gospel" in said(scene.finals(meeting), "ann"), lambda: scene.kept(meeting))
    ann.speak(False)
    wait(lambda: ann.said("ann") == streamed(ann, "ann") == said(scene.finals(meeting), "ann"), lambda: ann.said("ann"))
    versions: dict[str, list[bool]] = {}
    for packet in ann.packets():
        for segment in packet["segments"]:
            versions.setdefault(segment["id"], []).append(segment["final"])
    assert len(versions) == len(scene.finals(meeting))
    assert all(finals[-1] and finals.count(True) == 1 for finals in versions.values())
    assert any(not finals[0] for finals in versions.values())
