"""A server that is set for an SFU opens, says how it stands with it and stops, whether the SFU is there or not."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from api.gateways import Surroundings, open_janus, open_livekit
from api.house import House
from api.metrics import Metrics
from api.parsing import IceServer
from api.settings import JanusSettings, LiveKitSettings, PacketMode
from models.level import LevelDetector
from pipeline.bus.leases import MemoryLeases
from pipeline.errors import InvalidSetting
from tests.api.serving import serving
from tests.houses import scripted_house

NOBODY = "127.0.0.1:9"
"""The port of the discard protocol, where nothing listens."""
SFUS = {
    "livekit": LiveKitSettings(f"ws://{NOBODY}", "devkey", "secret" * 6),
    "janus": JanusSettings(f"ws://{NOBODY}", ("1234",)),
}


def surroundings(house: House) -> Surroundings:
    return Surroundings(
        "house", house.meetings, house.store, house.files.objects, MemoryLeases(), LevelDetector, lambda: 0.0
    )


@pytest.mark.parametrize("provider", SFUS)
async def test_an_sfu_that_is_not_there_holds_up_nothing(tmp_path: Path, provider: str) -> None:
    async with serving(tmp_path, **{provider: SFUS[provider]}) as served:
        ready = (await served.http.get("/readyz")).json()
        assert ready == {"ready": True, "engine": True, "store": True, provider: False}
        answer = await served.http.post(f"/api/v1/{provider}/rooms/1234/captions")
        assert answer.status_code == 503, answer.text
        assert (await served.http.get(f"/api/v1/{provider}/rooms")).json() == {"rooms": []}
        assert await served.house.store.meetings() == []
        began = time.monotonic()
    assert time.monotonic() - began < 10.0
    assert len(asyncio.all_tasks()) == 1


async def test_both_are_opened_where_both_are_set(tmp_path: Path) -> None:
    async with scripted_house(tmp_path, **SFUS) as house:
        assert [sfu.rooms.gateway.provider for sfu in house.sfus] == ["livekit", "janus"]


async def test_packets_are_sent_as_the_settings_say(tmp_path: Path) -> None:
    async with scripted_house(tmp_path) as house:
        around = surroundings(house)
        for mode in PacketMode:
            sfu = open_livekit(LiveKitSettings(f"ws://{NOBODY}", "k", "s", packets=mode), around)
            assert sfu.rooms.gateway._mode.value == mode.value  # type: ignore[attr-defined]


async def test_the_load_that_livekit_is_told_is_those_who_talk_over_those_who_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_house(tmp_path, livekit=SFUS["livekit"]) as house:
        assert house.livekit is not None
        load = house.livekit.services[0]._worker._load  # type: ignore[attr-defined]
        assert load() == 0.0
        monkeypatch.setattr(Metrics, "talking", 6)  # of the 8 that this calibration says
        assert load() == 0.75


async def test_there_is_a_metadata_collector_unless_the_settings_say_no(tmp_path: Path) -> None:
    livekit = LiveKitSettings(f"ws://{NOBODY}", "k", "s")
    async with scripted_house(tmp_path) as house:
        assert len(open_livekit(livekit, surroundings(house)).services) == 2
        assert len(open_livekit(replace(livekit, collector=None), surroundings(house)).services) == 1


async def test_an_ice_server_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    async with scripted_house(tmp_path) as house:
        around = surroundings(house)
        with pytest.raises(InvalidSetting, match="no ICE server"):
            open_janus(JanusSettings("ws://h"), [IceServer("stun:h:1:2")], around)
