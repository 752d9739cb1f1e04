"""A stay in a room of a real livekit-server: who is there, and how it ends."""

import asyncio
from dataclasses import replace

import pytest
from livekit import api

from media_gateway.livekit import LiveKitGateway, LiveKitServer
from media_gateway.sfu import Changed, Parted, Parting
from pipeline.domain import Participant, ParticipantId
from pipeline.errors import GatewayFailed, NotFound
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.livekit.stays import AGENT, staying


async def test_whoever_is_there_or_comes_is_told_and_whoever_leaves(
    livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne", "Anne")
    async with staying(livekit, room) as stay:
        await until(lambda: stay.names == {"anne": "Anne"})
        eric = await people.join(room, "eric", "Éric")
        await eric.publish()  # of those who publish nothing the server tells every three seconds
        await until(lambda: stay.names == {"anne": "Anne", "eric": "Éric"})
        await eric.leave()
        await until(lambda: stay.departed == ["eric"])
    assert stay.told[-1] == Parted(Parting.LEFT)


async def test_names_and_declared_languages_are_told_as_they_change(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne", "Anne", attributes={"greffier.languages": "fr, EN"})
    async with staying(livekit, room) as stay:
        await until(lambda: stay.languages == {"anne": ("fr", "en")})
        await anne.rename("Anne-Marie")
        await until(lambda: stay.told[-1] == Changed(_named("anne", "Anne-Marie"), ("fr", "en")))
        await anne.describe({"greffier.languages": ""})
        await until(lambda: stay.told[-1] == Changed(_named("anne", "Anne-Marie")))
        await anne.describe({"color": "blue", "greffier.shared_room": "true"})
        shared = replace(_named("anne", "Anne-Marie"), shared_room=True)
        await until(lambda: stay.told[-1] == Changed(shared))
        eric = await people.join(room, "eric", "Éric")
        await eric.publish()
        await until(lambda: "eric" in stay.names)
        assert [event for event in stay.told if isinstance(event, Changed)][3:] == []


async def test_whoever_declares_ten_thousand_languages_declares_each_once_and_twenty_at_most(
    livekit: LiveKit, people: People, room: str
) -> None:
    many = ",".join(f"{first}{second}" for first in "abcdef" for second in "abcdefgh")
    await people.join(room, "anne", "Anne", attributes={"greffier.languages": ",".join(["fr", "en"] * 5000)})
    await people.join(room, "bea", "Bea", attributes={"greffier.languages": many})
    async with staying(livekit, room) as stay:
        await until(lambda: len(stay.languages) == 2)
        assert stay.languages["anne"] == ("fr", "en")
        assert len(stay.languages["bea"]) == 20


async def test_whoever_is_told_to_stop_while_it_joins_is_not_in_the_room_afterwards(
    livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    access = LiveKitServer(livekit.url, livekit.key, livekit.secret)
    try:
        for pause in (0.0, 0.02, 0.05, 0.1):
            joining = asyncio.create_task(LiveKitGateway(access, AGENT).join(room))
            await asyncio.sleep(pause)
            joining.cancel()
            outcome = (await asyncio.gather(joining, return_exceptions=True))[0]
            if not isinstance(outcome, BaseException):
                await outcome.leave()
            await asyncio.sleep(0.5)  # what is on its way would come
            assert [each.identity for each in await access.participants(room)] == ["anne"]
    finally:
        await access.close()


async def test_identities_that_no_id_may_be_are_ids_of_their_own(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "anne@example.org", "")
    await people.join(room, "anne example.org", "")
    async with staying(livekit, room) as stay:
        await until(lambda: len(stay.names) == 2)
        assert set(stay.names.values()) == {"anne@example.org", "anne example.org"}
        assert all("@" not in identity and " " not in identity for identity in stay.names)


async def test_telephones_take_part_and_agents_and_hidden_ones_do_not(
    livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "sip_1", "+33 1 23 45 67 89", kind="sip")
    await people.join(room, "assistant", "Assistant", kind="agent")
    await people.join(room, "recorder", "Recorder", kind="egress", hidden=True, recorder=True)
    await people.join(room, "watcher", "Watcher", hidden=True)
    async with staying(livekit, room) as stay:
        anne = await people.join(room, "anne", "Anne")
        await anne.publish()
        await until(lambda: "anne" in stay.names)
        assert stay.names == {"sip_1": "+33 1 23 45 67 89", "anne": "Anne"}


async def test_nobody_sees_that_it_is_there(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    async with staying(livekit, room):
        eric = await people.join(room, "eric")
        await eric.publish()
        await until(lambda: "eric" in anne.room.remote_participants)
        assert set(anne.room.remote_participants) == {"eric"}
        assert set(eric.room.remote_participants) == {"anne"}
        async with livekit.api() as client:
            there = await client.room.list_participants(api.ListParticipantsRequest(room=room))
        assert f"{AGENT}-{room}" in {each.identity for each in there.participants}


# --- how it ends -------------------------------------------------------------------------------------------------


async def test_a_room_that_stays_empty_is_over(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    await anne.publish()
    async with staying(livekit, room, empty_after=2.0) as stay:
        await until(lambda: stay.names)
        await anne.leave()
        await until(lambda: stay.departed)
        again = await people.join(room, "anne")  # back before it is over
        await again.publish()
        await until(lambda: len(stay.told) > 3)
        await asyncio.sleep(2.2)
        assert stay.parting is None
        await again.leave()
        await until(lambda: stay.parting is Parting.EMPTY)


async def test_a_room_with_agents_only_is_empty(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "assistant", kind="agent")
    async with staying(livekit, room, empty_after=0.3) as stay:
        await until(lambda: stay.parting is Parting.EMPTY)


async def test_a_deleted_room_is_over(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "anne")
    async with staying(livekit, room) as stay, livekit.api() as client:
        await until(lambda: stay.names)
        await client.room.delete_room(api.DeleteRoomRequest(room=room))
        await until(lambda: stay.parting is Parting.EMPTY)


async def test_whoever_removes_it_is_obeyed(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "anne")
    async with staying(livekit, room) as stay, livekit.api() as client:
        await client.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=f"{AGENT}-{room}"))
        await until(lambda: stay.parting is Parting.EVICTED)


async def test_another_one_of_its_name_takes_its_place(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "anne")
    async with staying(livekit, room) as first, staying(livekit, room) as second:
        await until(lambda: first.parting is Parting.EVICTED)
        await until(lambda: second.names)
        assert second.parting is None


async def test_an_encrypted_room_is_left_at_the_first_encrypted_sound(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne", key=b"a key that only participants have")
    async with staying(livekit, room) as stay:
        await until(lambda: stay.names)
        assert stay.parting is None
        await anne.publish()
        await until(lambda: stay.parting is Parting.ENCRYPTED)
        assert not stay.ears
    async with staying(livekit, room) as stay:  # and at once where there is such sound already
        await until(lambda: stay.parting is Parting.ENCRYPTED)
        assert not stay.ears


async def test_one_who_encrypts_among_others_who_do_not_is_not_heard_and_ends_nothing(
    livekit: LiveKit, people: People, room: str
) -> None:
    bob = await people.join(room, "bob")
    await bob.publish()
    anne = await people.join(room, "anne", key=b"a key that only participants have")
    async with staying(livekit, room) as stay:
        await until(lambda: stay.ears)
        await anne.publish()
        await people.join(room, "carol")  # once she has arrived, whatever was published before has been told, too
        await until(lambda: "carol" in stay.names)
        assert stay.parting is None
        assert len(stay.ears) == 1
    async with staying(livekit, room) as stay:  # and so where both are there already
        await until(lambda: stay.ears)
        assert stay.parting is None


# --- how it does not begin ---------------------------------------------------------------------------------------


async def test_a_room_that_is_not_open_is_not_opened(livekit: LiveKit, room: str) -> None:
    with pytest.raises(NotFound):
        await _join(LiveKitServer(livekit.url, livekit.key, livekit.secret), room)
    async with livekit.api() as client:
        assert not (await client.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms


async def test_a_wrong_secret_is_named(livekit: LiveKit, room: str) -> None:
    with pytest.raises(GatewayFailed, match="LIVEKIT_API_SECRET"):
        await _join(LiveKitServer(livekit.url, livekit.key, "another secret, as long as secrets have to be"), room)


async def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(own_livekit: LiveKit, room: str) -> None:
    await asyncio.to_thread(own_livekit.kill)
    with pytest.raises(GatewayFailed, match="cannot be reached"):
        await _join(LiveKitServer(own_livekit.url, own_livekit.key, own_livekit.secret), room)


async def _join(server: LiveKitServer, room: str) -> None:
    try:
        await LiveKitGateway(server, AGENT).join(room)
    finally:
        await server.close()


def _named(identity: str, name: str) -> Participant:
    return Participant(ParticipantId(identity), name)
