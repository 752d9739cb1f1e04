"""Pages as they are rendered: for whom, in which language, names as text. Browsers try them in ``tests/e2e``."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from api.keys import new_key
from api.parsing import IceServer
from api.settings import DiarizeRecordings
from pipeline.access import Scope
from pipeline.domain import Caption, TrackId, UtteranceId
from tests.api.serving import Serving, serving
from tests.api.speech import caption, say

PAGE = {"Accept": "text/html"}


async def test_home_lists_meetings_and_finds_them_by_what_was_said(served: Serving) -> None:
    said, other = await served.meeting(title="Said"), await served.meeting(title="Other")
    await say(served, said, caption("the migration is done"))
    async with served.stranger(**PAGE) as http:
        everything = (await http.get("/")).text
        found = (await http.get("/?q=migration")).text
    assert f"/meetings/{said}" in everything
    assert f"/meetings/{other}" in everything
    assert f"/meetings/{said}" in found
    assert f"/meetings/{other}" not in found
    assert "“migration”: 1" in found


async def test_the_live_page_is_told_the_ice_servers(tmp_path: Path) -> None:
    async with serving(tmp_path, ice_servers=(IceServer("turn:relay.example:3478", "anne", "secret"),)) as served:
        meeting = await served.meeting()
        async with served.stranger(**PAGE) as http:
            page = (await http.get(f"/meetings/{meeting}")).text
    given = re.search(r'data-ice="([^"]*)"', page)
    assert given is not None
    assert json.loads(html.unescape(given[1])) == [
        {"urls": "turn:relay.example:3478", "username": "anne", "credential": "secret"}
    ]


async def test_home_goes_on_to_earlier_meetings(served: Serving) -> None:
    oldest = await served.meeting(title="Oldest")
    for number in range(50):
        await served.meeting(title=str(number))
    async with served.stranger(**PAGE) as http:
        first = (await http.get("/")).text
        assert oldest not in first
        older = re.search(r'href="(/\?before=[^"]+)"', first)
        assert older is not None
        assert oldest in (await http.get(older[1])).text


async def test_names_and_titles_are_text(served: Serving) -> None:
    meeting = await served.meeting(title='</title><script>alert("1")</script>')
    await say(served, meeting, caption("<img src=x> --> said"))
    async with served.stranger(**PAGE) as http:
        for path in ("/", f"/meetings/{meeting}", f"/meetings/{meeting}/transcript", "/?q=</script>"):
            page = (await http.get(path)).text
            assert "<script>alert" not in page
            assert "<img src=x>" not in page
            assert page.count("</script>") == page.count("<script")


async def test_a_meeting_that_is_over_shows_its_transcript(served: Serving) -> None:
    meeting = await served.meeting()
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    async with served.stranger(**PAGE) as http:
        answer = await http.get(f"/meetings/{meeting}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/meetings/{meeting}/transcript")


@pytest.mark.parametrize("path", ["/meetings/none", "/meetings/none/transcript", "/meetings/%00"])
async def test_what_is_not_there_is_said_on_a_page(served: Serving, path: str) -> None:
    async with served.stranger(**PAGE) as http:
        answer = await http.get(path, headers={"Accept-Language": "fr"})
    assert answer.status_code == 404
    assert "Il n’y a pas de réunion à cette adresse" in answer.text


async def test_the_language_is_remembered_once_it_was_chosen(served: Serving) -> None:
    async with served.stranger(**PAGE, **{"Accept-Language": "en"}) as http:
        assert (await http.get("/?language=xx")).headers["content-language"] == "en"
        assert (await http.get("/?language=fr")).headers["content-language"] == "fr"
        answer = await http.get("/recordings")
        assert answer.headers["content-language"] == "fr"
        assert '<html lang="fr">' in answer.text


async def test_no_script_or_style_stands_in_a_page(served: Serving) -> None:
    """The content security policy lets none run."""
    meeting = await served.meeting()
    async with served.stranger(**PAGE) as http:
        for path in (
            "/",
            f"/meetings/{meeting}",
            f"/meetings/{meeting}/transcript",
            "/recordings",
            "/sign-in",
            "/meetings/x",
        ):
            page = (await http.get(path)).text
            assert not re.search(r"\s(style|on\w+)=", page), path
            assert "<style" not in page, path
            inline = [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag]
            assert inline == ['<script type="application/json" id="words">'], path
            words = re.search(r'id="words">(.*?)</script>', page, re.DOTALL)
            assert words is not None
            assert "script.pause" in json.loads(words[1])


async def test_files_of_pages_are_whole(served: Serving) -> None:
    """Whatever a page or script asks of this server is there, but for the tokens, which set-up brings."""
    folder = Path(__file__).parents[2] / "api" / "web"
    texts = [path.read_text() for path in (*folder.glob("templates/*.html"), *folder.glob("static/*.js"))]
    asked = set(re.findall(r'"(/static/[^"{]+)"', "".join(texts)))
    asked |= {f"/static/{name}" for name in re.findall(r'from "\./([^"]+)"', "".join(texts))}
    assert len(asked) > 12
    async with served.stranger() as http:
        for path in asked - {"/static/vendor/cunningham-tokens.css"}:
            assert (await http.get(path)).status_code == 200, path


async def test_the_metadata_of_a_recording_is_asked_for_where_voices_are_told_apart(tmp_path: Path) -> None:
    for diarize in DiarizeRecordings:
        async with serving(tmp_path, diarize_recordings=diarize) as served, served.stranger(**PAGE) as http:
            asked = 'name="metadata"' in (await http.get("/recordings")).text
            assert asked is (diarize is DiarizeRecordings.AUTO)


def loud(caption: Caption, level: float) -> Caption:
    return replace(caption, levels=tuple((place / 4, level) for place in range(2 * len(caption.words))))


class TestSomewhereElse:
    """A request that a proxy passed on is not from this machine: its pages ask for a key."""

    async def test_who_may_only_read_sees_what_was_left_out_and_cannot_bring_it_back(self, served: Serving) -> None:
        meeting = await served.meeting()
        said = caption("we will begin the meeting now")
        heard = replace(said, track=TrackId("bilal.1"), utterance=UtteranceId("bilal.1#1"))
        await say(served, meeting, *(loud(each, level) for each, level in ((said, -20.0), (heard, -40.0))))
        key, text = new_key("test", {Scope.READ}, 0.0)
        await served.house.store.add_key(key)
        path = f"/meetings/{meeting}/transcript"
        async with served.stranger(**PAGE) as here, served.stranger(**PAGE, **{"X-Forwarded-For": "192.0.2.7"}) as http:
            await http.post("/api/v1/session", json={"key": text})
            pages = [(await each.get(path)).text for each in (here, http)]
        for page in pages:
            assert "1 piece that another microphone heard better is left out" in page
            assert "probably said by Anne" in page
        assert ["Keep it" in page for page in pages] == [True, False]

    async def test_a_page_sends_to_the_sign_in_and_back(self, served: Serving) -> None:
        async with served.stranger(**PAGE, **{"X-Forwarded-For": "192.0.2.7"}) as http:
            answer = await http.get("/meetings/x?language=fr")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2Fmeetings%2Fx%3Flanguage%3Dfr"

    @pytest.mark.parametrize(
        ("scope", "allowed", "refused"),
        [
            (Scope.READ, ["/", "/meetings/{}", "/meetings/{}/transcript"], ["/recordings"]),
            (Scope.RECORDINGS, ["/", "/recordings"], ["/meetings/{}", "/meetings/{}/transcript"]),
            (Scope.METRICS, ["/"], ["/recordings", "/meetings/{}"]),
        ],
    )
    async def test_pages_show_what_the_key_allows(
        self, tmp_path: Path, scope: Scope, allowed: list[str], refused: list[str]
    ) -> None:
        async with serving(tmp_path) as served:
            meeting = await served.meeting(title="Closed doors")
            key, text = new_key("test", {scope}, 0.0)
            await served.house.store.add_key(key)
            async with served.stranger(**PAGE, **{"X-Forwarded-For": "192.0.2.7"}) as http:
                assert (await http.post("/api/v1/session", json={"key": text})).status_code == 204
                for path in allowed:
                    answer = await http.get(path.format(meeting))
                    assert answer.status_code == 200, path
                    assert 'id="create"' not in answer.text
                    assert 'id="pause"' not in answer.text
                for path in refused:
                    assert (await http.get(path.format(meeting))).status_code == 403, path
                assert "Closed doors" not in (await http.get("/")).text
