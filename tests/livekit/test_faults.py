"""Whatever is killed, lost or pressed too often: captions go on, ids stay unique, and nothing is shown twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.livekit.faults import Scene, Shown, play, presentation, reads, sentence
from tests.livekit.people import People, Person, people_of, until
from tests.livekit.server import running_livekit
from tests.serving import process


@pytest.fixture(scope="module")
def scene(whisper_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The whole product with its real recogniser, and a LiveKit of its own."""
    folder = tmp_path_factory.mktemp("faults")
    with running_livekit(folder / "livekit") as livekit:
        keys = {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": livekit.key, "LIVEKIT_API_SECRET": livekit.secret}
        with process(folder / "home", GREFFIER_LANGUAGES="fr", **keys) as greffier:
            yield Scene(livekit, greffier)


@pytest.fixture
async def everybody(scene: Scene) -> AsyncIterator[People]:
    async with people_of(scene.livekit) as people:
        yield people


async def test_livekit_is_killed_in_the_middle_and_started_again(scene: Scene, everybody: People, room: str) -> None:
    eric, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    await scene.dispatch(room, times=5)
    meeting = await scene.captioned(room)
    await play(microphone, sentence(0))
    await reads(eric, "humains")
    speaking = asyncio.create_task(microphone.play(sentence(1)))
    await asyncio.sleep(1.8)
    await asyncio.to_thread(scene.livekit.kill)
    await speaking
    await asyncio.to_thread(scene.livekit.start)
    assert await scene.captioned(room) == meeting
    await until(lambda: all(each.told.count("reconnected") == 1 for each in (eric, anne)))
    await play(microphone, sentence(2))
    await reads(eric, "fraternité")
    kept = await scene.everything(meeting, lambda: Shown.to(eric))
    assert Shown.to(eric).finals() == kept
    assert len(kept) >= 3


async def test_livekit_is_stopped_and_started_again_and_everybody_comes_back(
    scene: Scene, everybody: People, room: str
) -> None:
    eric, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    await scene.dispatch(room)
    meeting = await scene.captioned(room)
    await microphone.play(sentence(0))
    await asyncio.to_thread(scene.livekit.stop)
    await until(lambda: all("disconnected" in each.told for each in (eric, anne)))
    await asyncio.to_thread(scene.livekit.start)
    again, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    assert await scene.captioned(room) == meeting
    await play(microphone, sentence(1))
    await reads(again, "raison")
    kept = await scene.everything(meeting, lambda: Shown.to(eric, again))
    assert Shown.to(eric, again).finals() == kept
    assert len(kept) >= 2, "its last words before the stop are among them"


async def test_greffier_is_killed_in_the_middle_and_dispatched_while_it_is_down(
    scene: Scene, everybody: People, room: str
) -> None:
    eric, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    await scene.dispatch(room)
    meeting = await scene.captioned(room)
    await play(microphone, sentence(0))
    await reads(eric, "humains")
    speaking = asyncio.create_task(microphone.play(sentence(2)))
    await until(lambda: open_words(eric))
    await asyncio.sleep(1.0)  # in which they are kept
    await asyncio.to_thread(scene.greffier.kill)
    (killed,) = Shown.to(eric).begun() - Shown.to(eric).finals().keys()
    await everybody.join(f"{room}-other", "bilal", "Bilal")
    await scene.dispatch(f"{room}-other", times=5)
    await speaking
    await asyncio.to_thread(scene.greffier.start)
    assert await scene.captioned(room) == meeting
    assert await scene.captioned(f"{room}-other") != meeting
    await play(microphone, sentence(1))
    await reads(eric, "raison")
    kept = await scene.everything(meeting, lambda: Shown.to(eric), killed)
    assert Shown.to(eric).finals() == kept
    assert killed in kept
    told = [notice["code"] for notice in eric.notices]
    assert [code for code in told if code not in {"delayed", "in_time"}] == ["cut"]  # the machine may be busy


def open_words(reader: Person) -> bool:
    """Whether words that will not change stand in an utterance that has no final yet."""
    shown = Shown.to(reader)
    return any(int(text.attributes["greffier.committed"]) > 10 for text in shown.unfinished())


async def test_a_participant_that_comes_again_is_the_same_and_is_captioned(
    scene: Scene, everybody: People, room: str
) -> None:
    eric, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    await scene.dispatch(room)
    meeting = await scene.captioned(room)
    await microphone.play(sentence(0))
    await anne.leave()
    anne = await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish()
    await microphone.play(sentence(1))
    anne = await everybody.join(room, "anne", "Anne")  # as a page that is loaded anew: it puts the former one out
    await play(await anne.publish(), sentence(2))
    for word in ("humains", "raison", "fraternité"):
        await reads(eric, word)
    kept = await scene.everything(meeting, lambda: Shown.to(eric), *Shown.to(eric).of("anne.1", "anne.2"))
    assert {name.partition("#")[0] for name in kept} == {"anne.1", "anne.2", "anne.3"}
    people = (await scene.ask("GET", f"/meetings/{meeting}/participants"))["participants"]
    times = {each["name"]: [time["left"] is None for time in each["present"]] for each in people}
    assert times.keys() == {"Éric", "Anne"}
    assert (times["Anne"][-1], any(times["Anne"][:-1])) == (True, False)


async def test_who_is_muted_says_nothing_and_who_unmutes_under_another_name_is_heard(
    scene: Scene, everybody: People, room: str
) -> None:
    eric, anne = await everybody.join(room, "eric", "Éric"), await everybody.join(room, "anne", "Anne")
    microphone = await anne.publish(muted=True)
    await scene.dispatch(room)
    meeting = await scene.captioned(room)
    await play(microphone, sentence(1))
    await anne.rename("Anne-Marie")
    microphone.unmute()
    await play(microphone, sentence(2))
    await reads(eric, "fraternité")
    kept = await scene.everything(meeting, lambda: Shown.to(eric))
    assert "raison" not in " ".join(kept.values())
    transcript = await scene.ask("GET", f"/meetings/{meeting}/transcript.json")
    assert [each["name"] for each in transcript["participants"] if each["id"] == "anne"] == ["Anne-Marie"]


async def test_people_of_a_room_that_is_encrypted_are_told_why_it_is_left(
    scene: Scene, everybody: People, room: str
) -> None:
    key = b"a key that only participants have"
    anne, eric = await everybody.join(room, "anne", key=key), await everybody.join(room, "eric", key=key)
    await scene.dispatch(room)
    meeting = await scene.captioned(room)
    await anne.publish()
    for reader in (anne, eric):
        await until(lambda reader=reader: reader.notices)  # type: ignore[misc]
        assert [notice["code"] for notice in reader.notices] == ["encrypted"]
    await scene.shows(f"/livekit/rooms/{room}/captions", "encrypted")
    await scene.shows(f"/meetings/{meeting}", "ended")
    assert await scene.agents(room) == []


async def test_two_of_fifty_talk_and_everybody_reads_them(scene: Scene, everybody: People, room: str) -> None:
    async def comes(number: int) -> Person:
        person = await everybody.join(room, f"guest-{number}", f"Guest {number}")
        if number < 40:
            await person.publish(muted=number >= 8)
        return person

    anne, bilal = await everybody.join(room, "anne", "Anne"), await everybody.join(room, "bilal", "Bilal")
    first, second = await anne.publish(), await bilal.publish()
    guests = [
        guest for start in range(0, 48, 8) for guest in await asyncio.gather(*map(comes, range(start, start + 8)))
    ]
    await scene.dispatch(room, times=5)
    meeting = await scene.captioned(room)
    await asyncio.gather(play(first, sentence(0), sentence(1)), play(second, presentation(), sentence(2)))
    for word in ("humains", "raison", "fraternité"):
        await reads(guests[0], word)
    kept = await scene.everything(meeting, lambda: Shown.to(guests[0]))
    for reader in (guests[0], guests[-1], anne):
        await until(lambda reader=reader: Shown.to(reader).finals() == kept)  # type: ignore[misc]
        Shown.to(reader).judge()
    assert {name.partition(".")[0] for name in kept} == {"anne", "bilal"}
    people = (await scene.ask("GET", f"/meetings/{meeting}/participants"))["participants"]
    assert len([each for each in people if each["present"][-1]["left"] is None]) == 50
