"""A whole ``greffier serve`` beside a whole livekit-server, either of which may be killed; what readers were shown."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livekit import api

from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE, Samples
from tests.livekit.people import Microphone, Packet, Person, Text, until
from tests.livekit.server import LiveKit
from tests.recordings import silence
from tests.server_process import WAIT
from tests.serving import Process

AGENT = "multi-user-transcriber"
_SAMPLE = Path(__file__).parents[2] / "sample"


def sentence(number: int) -> Samples:
    """One of three of the Universal Declaration of Human Rights in French, by the voice called Claire."""
    start, end = ((0.0, 5.2), (5.2, 8.3), (8.3, 12.4))[number]
    return read_recording(_SAMPLE / "claire.ogg")[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def presentation() -> Samples:
    """The first words of the sample, in French, by the voice called Éric."""
    return read_recording(_SAMPLE / "eric.ogg")[: 5 * SAMPLE_RATE]


@dataclass(slots=True)
class Scene:
    """``livekit`` and ``greffier`` stand on ports of their own, each as a process."""

    livekit: LiveKit
    greffier: Process

    async def ask(self, method: str, path: str, **given: Any) -> Any:
        """What the API answers, as JSON."""
        answer = await asyncio.to_thread(self.greffier.ask, method, f"/api/v1{path}", **given)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def shows(self, path: str, state: str) -> None:
        """Returns once the state of what is at ``path`` is as wanted."""
        async with asyncio.timeout(WAIT):
            while (await self.ask("GET", path))["state"] != state:  # noqa: ASYNC110 - the API tells nobody
                await asyncio.sleep(0.1)

    async def dispatch(self, room: str, times: int = 1) -> None:
        """As when the button in Visio is pressed by several people at once."""
        wanted = api.CreateAgentDispatchRequest(room=room, agent_name=AGENT)
        async with self.livekit.api() as server:
            await asyncio.gather(*(server.agent_dispatch.create_dispatch(wanted) for _ in range(times)))

    async def captioned(self, room: str) -> str:
        """The meeting of ``room``, once it is captioned and our agent is in it, once."""
        async with asyncio.timeout(WAIT):
            while True:
                listed = (await self.ask("GET", "/livekit/rooms"))["rooms"]
                here = [each for each in listed if each["room"] == room and each["state"] == "captioning"]
                if here and len(await self.agents(room)) == 1:
                    return str(here[0]["meeting"])
                await asyncio.sleep(0.1)

    async def agents(self, room: str) -> list[str]:
        async with self.livekit.api() as server:
            listed = await server.room.list_participants(api.ListParticipantsRequest(room=room))
        return [each.identity for each in listed.participants if each.kind == api.ParticipantInfo.AGENT]

    async def kept(self, meeting: str) -> dict[str, str]:
        """The finals that the store has: their caption texts by their ids."""
        found = await self.ask("GET", f"/meetings/{meeting}/transcript.json")
        captions = {
            each["id"]: text["text"].strip()
            for each in found["segments"]
            for text in each["texts"]
            if text["origin"] == "caption"
        }
        return {name: text for name, text in captions.items() if text}

    async def everything(self, meeting: str, reader: Callable[[], "Shown"], *cut: str) -> dict[str, str]:
        """What is kept, once ``reader`` was shown as much, as ``Shown.judge`` wants it; packets and streams arrive in
        any order."""
        over = time.monotonic() + WAIT
        while True:
            kept, shown = await self.kept(meeting), reader()
            try:
                assert shown.finals().keys() == kept.keys()
                assert kept.keys() - set(cut) <= shown.captions().keys(), "no packets of it"
                shown.judge(*cut)
            except AssertionError:
                if time.monotonic() > over:
                    raise
                await asyncio.sleep(0.1)
            else:
                return kept


@dataclass(slots=True)
class Shown:
    """What several connections of one reader were shown, in order."""

    texts: list[Text] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)

    @classmethod
    def to(cls, *readers: Person) -> "Shown":
        texts = [text for reader in readers for text in reader.texts]
        return cls(texts, [packet for reader in readers for packet in reader.packets])

    def finals(self) -> dict[str, str]:
        """By utterance; every final of an utterance is the same."""
        found: dict[str, set[str]] = {}
        for text in self.texts:
            if text.final:
                found.setdefault(utterance(text.segment), set()).add(text.text)
        assert all(len(texts) == 1 for texts in found.values()), found
        return {name: texts.pop() for name, texts in found.items() if texts != {""}}

    def begun(self) -> set[str]:
        """The utterances of which anything was shown."""
        return {utterance(text.segment) for text in self.texts}

    def of(self, *tracks: str) -> set[str]:
        """The utterances of ``tracks`` of which anything was shown."""
        return {name for name in self.begun() if name.partition("#")[0] in tracks}

    def unfinished(self) -> list[Text]:
        """What was shown of those that have no final."""
        finals = self.finals()
        return [text for text in self.texts if utterance(text.segment) not in finals and not text.final]

    def captions(self) -> dict[str, str]:
        """What Visio's front shows in the end, by utterance: the first version of each packet, joined by spaces."""
        first: dict[str, Packet] = {}
        for packet in self.packets:
            assert first.setdefault(packet.id, packet).text == packet.text, "a phrase never changes"
        phrases: dict[str, dict[int, str]] = {}
        for name, packet in first.items():
            segment, _, number = name.rpartition(".")
            phrases.setdefault(utterance(segment), {})[int(number)] = packet.text
        return {name: " ".join(texts[number] for number in sorted(texts)) for name, texts in phrases.items()}

    def judge(self, *cut: str) -> None:
        """Committed words stay, in both dialects, and the phrases of an utterance are its final.

        Of utterances that were ``cut`` by the end of their process the final may lack words of the last second; of
        those whose speaker left, packets lack what was committed afterwards.
        """
        finals, captions = self.finals(), self.captions()
        for text in self.texts:
            name, committed = utterance(text.segment), text.text[: int(text.attributes["greffier.committed"])].rstrip()
            final = finals.get(name)
            fits = final is None or final.startswith(committed) or (name in cut and committed.startswith(final))
            assert fits, (committed, final)
        for name in finals.keys() & captions.keys():
            shown, final = captions[name], " ".join(finals[name].split())
            assert shown == final or (name in cut and _one_begins_the_other(shown, final)), (name, shown, final)


def _one_begins_the_other(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def utterance(segment: str) -> str:
    """Its id, without that of the meeting before it."""
    return segment.partition("/")[2]


async def play(microphone: Microphone, *sounds: Samples) -> None:
    """One after the other, as somebody who makes a pause after each."""
    for sound in sounds:
        await microphone.play(sound)
        await microphone.play(silence(1.2))


def heard(reader: Person, word: str) -> Callable[[], bool]:
    """Whether ``reader`` was shown a final with ``word``."""
    return lambda: any(word in text.lower() for text in reader.finals().values())


async def reads(reader: Person, word: str) -> None:
    await until(heard(reader, word), what=lambda: [text.text for text in reader.texts[-5:]])
