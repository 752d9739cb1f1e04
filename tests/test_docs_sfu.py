"""What docs/visio.md, livekit.md and janus.md name is there: settings, addresses, attributes, codes, logged events."""

import re
from pathlib import Path
from typing import get_args

import pytest

from api import variables
from api.app import create_app
from api.settings import JanusSettings, LiveKitSettings
from media_gateway.captioned_rooms import Standing
from media_gateway.janus.outward import FEED_NAME
from media_gateway.livekit.access import agent_identity
from media_gateway.livekit.declared import LANGUAGES, SHARED_ROOM
from media_gateway.livekit.metadata_collection import MetadataSettings
from media_gateway.livekit.transcription import (
    NOTICE_TOPIC,
    TRANSCRIPTION_TOPIC,
    LegacyMode,
    caption_stream,
    legacy_segments,
    notice_stream,
)
from media_gateway.sfu import Parting
from tests.houses import scripted_house

ROOT = Path(__file__).resolve().parents[1]
DOCS = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("visio", "livekit", "janus", "applications")}
GUIDES = ("visio", "livekit", "janus")
OF_OTHERS = {"ROOM_SUBTITLE_ENABLED", "ROOM_SUBTITLE_AGENT_NAME"}  # Visio's backend reads them
FILES = (".md", ".js", ".db")
TOPICS = ("lk.", "greffier.")
WORD = {"text": " Bonjour", "start": 1.0, "end": 1.5}
CAPTION = {
    "type": "caption",
    "meeting": "<meeting>",
    "utterance": "<utterance>",
    "final": True,
    "language": "fr",
    "committed": " Bonjour",
    "tail": "",
    "words": [WORD],
}


def code(page: str) -> list[str]:
    """What stands in backticks, inside lines and in blocks."""
    inline = re.findall(r"`([^`\n]+)`", DOCS[page])
    return [*inline, *re.findall(r"^```\w+\n(.*?)^```$", DOCS[page], re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("page", GUIDES)
def test_every_setting_that_is_named_is_there(page: str) -> None:
    known = {variable.name for variable in variables.VARIABLES} | OF_OTHERS
    named = {name for text in code(page) for name in re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b(?!\*)", text)}
    assert named
    assert {name for name in named if not name.endswith("_")} <= known


@pytest.mark.parametrize(("page", "prefixes"), [("visio", ("LIVEKIT", "AWS_")), ("janus", ("GREFFIER_JANUS",))])
def test_every_setting_of_it_is_named(page: str, prefixes: tuple[str, ...]) -> None:
    theirs = {variable.name for variable in variables.VARIABLES if variable.name.startswith(prefixes)}
    if page == "visio":
        theirs |= {
            each.name for each in (variables.TRANSCRIBER, variables.COLLECTOR, variables.COLLECTS, variables.PACKETS)
        }
    assert {name for name in theirs if name not in DOCS[page]} == set()


@pytest.mark.parametrize("page", GUIDES)
def test_every_event_of_the_log_that_is_named_is_logged(page: str) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "media_gateway").rglob("*.py"))
    logged = set(re.findall(r"_log\.\w+\(\s*\"([a-z_.]+)\"", sources))
    dotted = {text for text in code(page) if re.fullmatch(r"[a-z]+\.[a-z_]+", text)}
    assert {name for name in dotted if not name.endswith(FILES) and not name.startswith(TOPICS)} <= logged


@pytest.mark.parametrize("page", GUIDES)
async def test_every_address_that_is_named_is_there(page: str, tmp_path: Path) -> None:
    async with scripted_house(tmp_path) as house:
        there = {re.sub(r"{\w+}", "{}", path) for path in create_app(house).openapi()["paths"]}
    named = {address for text in code(page) for address in re.findall(r"(/(?:api/v1|readyz|metrics)[^\s\"]*)", text)}
    assert {re.sub(r"{\w+}|ROOM|\b1234\b", "{}", address) for address in named} <= there


def test_the_dialects_are_as_told() -> None:
    page = DOCS["livekit"]
    stream = caption_stream(CAPTION, "TR_1")
    assert set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)) == stream.attributes.keys()
    assert f"`{stream.attributes['lk.segment_id']}`" in page
    (segment,) = legacy_segments(CAPTION)
    assert f"`{segment.id.replace('.1', '.<number>')}`" in page
    for name in (LANGUAGES, SHARED_ROOM, NOTICE_TOPIC, TRANSCRIPTION_TOPIC):
        assert f"`{name}`" in page
    notice = notice_stream(
        {"type": "notice", "sequence": 1, "sent_at": 0, "meeting": "9", "code": "delayed", "at": 61.2}
    )
    assert re.findall(r"\"(\w+)\":", notice.text) == re.findall(r"\"(\w+)\":", page[page.index("**Notices**") :])[:3]
    for mode in LegacyMode:
        assert all(re.search(rf"[`=]{mode.value}`", DOCS[name]) for name in ("livekit", "visio"))


def test_agents_are_called_as_told() -> None:
    settings = LiveKitSettings("ws://localhost", "key", "secret")
    assert settings.collector is not None
    assert f"`{agent_identity(settings.transcriber, '<room>')}`" in DOCS["visio"]
    assert f"`{agent_identity(settings.collector, '<room>')}-<recording id>`" in DOCS["visio"]
    assert f"`{settings.transcriber}`" in DOCS["livekit"]
    assert f"`{settings.folder}/<recording id>-metadata.json`" in DOCS["visio"]
    assert MetadataSettings().save == 10.0, "every ten seconds, says visio.md"
    assert f"`{FEED_NAME}`" in DOCS["janus"]
    assert JanusSettings("ws://localhost").rooms == ()


def test_codes_and_states_are_those_of_the_page_for_applications() -> None:
    page = DOCS["applications"]
    sources = "".join(path.read_text() for path in (ROOT / "media_gateway").glob("*.py"))
    codes = set(re.findall(r"\"code\": \"(\w+)\"", sources))
    assert codes == {"encrypted"}
    stated = {*get_args(Standing), *(why.value for why in Parting), *codes}
    assert {name for name in stated if f"`{name}`" not in page} == set()
    told = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", page[page.index("`code` of a notice") :], re.MULTILINE))
    known = {each for pair in told for each in pair if each}
    named = {text for name in GUIDES for text in re.findall(r"(?:code|notice) `(\w+)`", DOCS[name])}
    assert named
    assert named <= known
