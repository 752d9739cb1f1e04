"""Every page by axe-core, by keyboard alone, on a narrow screen, in both languages and every choice of colours."""

import re
import time
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import PATIENCE, Meetings, Visitors, read, violations
from tests.recordings import recorded
from tests.serving import Process

COLOURS = ("light", "dark", "contrast", "cream")
PAGES = ("home", "found", "live", "reading", "ended", "transcript", "correcting", "recordings", "sign-in", "nothing")


@pytest.fixture(scope="module")
def past(server: Process) -> str:
    """An ended meeting in which something was said, from a recording."""
    with recorded("en_pv_quilter.wav").open("rb") as file:
        answer = server.ask(
            "POST", "/api/v1/recordings", files={"file": ("quilter.wav", file)}, data={"languages": "en"}
        )
    assert answer.status_code == 202, answer.text
    where = answer.headers["Location"]
    while (state := server.ask("GET", where).json())["state"] in {"waiting", "running"}:
        time.sleep(0.2)
    assert state["state"] == "done", state
    meeting: str = state["meeting"]
    return meeting


def open_page(visitors: Visitors, meetings: Meetings, past: str, name: str, locale: str) -> Page:
    """The page called ``name``, brought to the state in which it is looked at."""
    if name in {"live", "reading", "ended"}:
        meeting = meetings.new("Réunion d’équipe")
        page = visitors.page(f"/meetings/{meeting}", locale)
        if name != "live":
            read(page)
            expect(page.locator("#state")).not_to_be_empty()
        if name == "ended":
            meetings.server.ask("POST", f"/api/v1/meetings/{meeting}/end")
            expect(page.locator('#notices [data-code="ended"]')).to_be_visible()
        return page
    paths = {"home": "/", "found": "/?q=quilter", "recordings": "/recordings", "sign-in": "/sign-in"}
    paths |= {"nothing": "/meetings/none", "transcript": f"/meetings/{past}/transcript?q=mr"}
    paths |= {"correcting": f"/meetings/{past}/transcript"}
    page = visitors.page(paths[name], locale)
    if name == "correcting":
        page.locator("#correct").click()
        page.locator(".edit").first.click()
    if name == "recordings":
        expect(page.locator("#recordings li").first).to_be_visible()
    return page


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_an_accessibility_error(
    visitors: Visitors, meetings: Meetings, past: str, name: str, locale: str
) -> None:
    page = open_page(visitors, meetings, past, name, locale)
    assert page.evaluate("document.documentElement.lang") == locale[:2]
    assert not violations(page)
    page.locator('[data-opens="look"]').click()
    assert not violations(page)


@pytest.mark.parametrize("name", ["home", "reading", "transcript"])
def test_every_choice_of_colours_keeps_its_contrast(
    visitors: Visitors, meetings: Meetings, past: str, name: str
) -> None:
    page = open_page(visitors, meetings, past, name, "en-GB")
    for each in COLOURS:
        page.get_by_role("button", name="Display").click()
        page.get_by_label("Colours").select_option(each)
        page.keyboard.press("Escape")
        page.wait_for_timeout(200)  # colours of buttons change smoothly
        assert not violations(page), each


def test_what_may_still_change_keeps_its_contrast_in_every_choice_of_colours(
    visitors: Visitors, meetings: Meetings
) -> None:
    page = open_page(visitors, meetings, "", "reading", "en-GB")
    page.evaluate(
        """async () => {
            const {CaptionList} = await import("/static/captions.js");
            const {People} = await import("/static/people.js");
            const at = id => document.getElementById(id);
            const people = new People(at("people"));
            const list = new CaptionList(at("scroll"), at("captions"), at("empty"), at("newest"), people);
            for (let who = 0; who < 10; who += 1) {
                people.know(`p${who}`, `Person ${who}`, who % 3 > 0);
                list.show([{
                    utterance: `u${who}`, participant: `p${who}`, speaker: `Person ${who}`, revision: 1, final: false,
                    committed: " Words that stay", tail: " and words that may not", sent_at: who, language: "en",
                    words: [" Words", " that", " stay"].map(text => ({text, start: who, end: who})),
                }]);
                const run = (first, speaker) => ({first, count: 1, voice: first + 1, speaker});
                const runs = [run(0, "One"), run(1, "Two")]; // and a word of nobody
                if (who % 2) list.show([{type: "voices", utterance: `u${who}`, runs}]);
            }
        }"""
    )
    page.evaluate("document.documentElement.dataset.lines = 'all'")
    for each in COLOURS:
        page.evaluate("each => document.documentElement.dataset.colours = each", each)
        page.wait_for_timeout(200)
        assert not violations(page), each
        tail, committed = page.locator(".tail").first, page.locator(".committed").first
        assert look(tail) != look(committed)
    classes = page.locator(".caption").evaluate_all("items => items.map(item => item.className)")
    assert len(set(classes)) == 10  # more people than colours: the shape tells them apart


def look(locator: object) -> object:
    script = "it => { const style = getComputedStyle(it); return [style.fontStyle, style.textDecorationLine] }"
    return locator.evaluate(script)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_scrolls_one_way_only(visitors: Visitors, meetings: Meetings, past: str, name: str) -> None:
    """WCAG 2.2, 1.4.10: 320 pixels wide, as at 400 % on a usual screen."""
    page = open_page(visitors, meetings, past, name, "fr-FR")
    page.set_viewport_size({"width": 320, "height": 640})
    page.evaluate("document.documentElement.dataset.size = 'largest'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_live_page_is_used_by_keyboard_alone(visitors: Visitors, meetings: Meetings) -> None:
    page = visitors.page(f"/meetings/{meetings.new('Keys')}")
    press(page, "Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    press(page, "Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "Read only")
    press(page, "Enter")
    expect(page.locator("#captions-title")).to_be_focused()  # the focus goes to what takes the button's place

    seen = walk(page)
    wanted = ["Captions", "Allow the microphone", "Pause captions", "Save captions so far", "Play the sample meeting"]
    wanted += ["Leave", "End for everybody"]
    assert [name for name in seen if name in wanted] == wanted  # all of them, in the order in which they stand
    assert {"Skip to content", "Greffier", "Meetings", "Français", "Display", "Copy the link"} <= set(seen)

    tab_to(page, "Pause captions")
    press(page, " ")
    expect(page.locator("#notices")).to_contain_text("paused for everybody")
    expect(page.locator("#pause")).to_be_focused()
    expect(page.locator("#pause")).to_have_attribute("aria-disabled", "false")  # the server has answered
    press(page, " ")
    expect(page.locator("#notices")).to_be_empty()

    tab_to(page, "Display")
    press(page, "Enter")
    expect(page.locator("#look")).to_be_visible()
    for _ in range(8):  # the focus goes round inside the dialog
        press(page, "Tab")
        assert page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )
    press(page, "Escape")
    expect(page.locator("#look")).to_be_hidden()
    expect(page.get_by_role("button", name="Display")).to_be_focused()

    tab_to(page, "End for everybody")
    press(page, "Enter")
    expect(page.locator("#end-dialog")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("button", name="End for everybody")).to_be_focused()
    press(page, "Enter")
    tab_to(page, "End the meeting")
    press(page, "Enter")
    expect(page.locator("#notices")).to_contain_text("The meeting has ended", timeout=PATIENCE)
    tab_to(page, "Read the transcript")
    press(page, "Enter")
    expect(page).to_have_url(re.compile("/transcript$"))


def press(page: Page, key: str) -> None:
    page.keyboard.press("Space" if key == " " else key)


NAME_OF_FOCUS = """() => {
    const it = document.activeElement;
    if (it === document.body) return null;
    const style = getComputedStyle(it);
    const label = document.getElementById(it.getAttribute("aria-labelledby"));
    const name = it.getAttribute("aria-label") ?? label?.textContent ?? it.innerText ?? "";
    return {name: name.trim(), visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
}"""


def focused(page: Page) -> str | None:
    found = page.evaluate(NAME_OF_FOCUS)
    if found is None:
        return None
    assert found["visible"], f"the focus on {found['name']!r} is not seen"
    name: str = found["name"]
    return name


def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        press(page, "Tab")
        if focused(page) == name:
            return
    pytest.fail(f"{name} is not reached")


def walk(page: Page) -> list[str]:
    """The names of what the focus goes to, once round the page."""
    first, names = None, []
    for _ in range(60):
        press(page, "Tab")
        name = focused(page)
        if name is None:
            continue
        if name == first:
            return names
        first = first or name
        names.append(name)
    pytest.fail(f"the focus does not come round: {names}")


def test_the_page_speaks_the_language_of_the_browser_until_another_is_chosen(visitors: Visitors) -> None:
    page = visitors.page("/?q=xyz", "fr-CA")
    expect(page.locator("h1")).to_have_text("Réunions")
    page.get_by_role("link", name="English").click()
    expect(page.locator("h1")).to_have_text("Meetings")
    assert "q=xyz" in page.url
    page.goto("/recordings")
    expect(page.locator("h1")).to_have_text("Recordings")


def test_a_meeting_is_created_and_opened_again_by_its_link_or_code(visitors: Visitors) -> None:
    page = visitors.page("/")
    page.get_by_label("Title", exact=True).fill("Budget <b>2027</b>")
    page.get_by_label("Keep the sound with the transcript").check()
    page.get_by_role("button", name="Create the meeting").click()
    expect(page.locator("h1")).to_have_text("Budget <b>2027</b>")
    expect(page.locator("#speak")).to_contain_text("The sound is kept with the meeting.")
    address, code = page.url, page.url.rsplit("/", 1)[1]
    for given in (address, code, f"{address}?language=fr"):
        page.goto("/")
        page.get_by_label("Link or code of the meeting").fill(given)
        page.get_by_role("button", name="Open the meeting").click()
        expect(page).to_have_url(address)
    page.goto("/")
    page.get_by_label("Link or code of the meeting").fill("http://elsewhere/ what?")
    page.get_by_role("button", name="Open the meeting").click()
    expect(page.get_by_role("alert").filter(has_text="Paste the link")).to_be_visible()
    expect(page.get_by_label("Link or code of the meeting")).to_be_focused()


def test_who_joins_with_the_microphone_is_asked_for_a_name(visitors: Visitors, meetings: Meetings) -> None:
    page = visitors.page(f"/meetings/{meetings.new()}")
    expect(page.locator("h1")).to_have_text("Untitled meeting")
    page.get_by_role("button", name="Join with the microphone").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    expect(page.get_by_label("Your name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Your name")).to_have_accessible_description(re.compile("Type your name"))


def test_a_microphone_that_is_refused_says_what_to_do_and_reading_goes_on(
    visitors: Visitors, meetings: Meetings
) -> None:
    page = visitors.page(f"/meetings/{meetings.new()}")
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Join with the microphone").click()
    expect(page.get_by_role("alert").filter(has_text="read only")).to_be_visible()
    read(page)
    expect(page.locator("#mode")).to_have_text("You are reading only")


def test_the_sample_meeting_is_played_to_somebody_without_a_microphone(visitors: Visitors, meetings: Meetings) -> None:
    page = visitors.page(f"/meetings/{meetings.new()}")
    read(page)
    page.get_by_role("button", name="Play the sample meeting").click()
    expect(page.locator("#notices")).to_contain_text("The sample meeting is playing")
    expect(page.locator("#people")).to_contain_text("Éric")
    expect(page.locator(".caption .committed").first).not_to_be_empty(timeout=60_000)


def test_a_recording_is_uploaded_with_its_progress_and_its_transcript_corrected(visitors: Visitors) -> None:
    page = visitors.page("/recordings")
    page.get_by_role("button", name="Upload and transcribe").click()
    expect(page.get_by_role("alert").filter(has_text="Choose a file first")).to_be_visible()
    page.get_by_label("Recording", exact=True).set_input_files(recorded("en_fleurs_luna.wav"))
    page.get_by_role("button", name="Upload and transcribe").click()
    row = page.locator("#recordings li").filter(has_text="en_fleurs_luna")
    row.get_by_role("link", name="Open the transcript").click(timeout=60_000)
    expect(page.locator("#turns")).to_contain_text("tribute to Luna")

    page.get_by_label("Search in this transcript").fill("TRÎBUTE")
    expect(page.locator("mark")).to_have_text("tribute")
    page.get_by_role("button", name="Correct the text").click()
    page.locator(".edit").first.click()
    box = page.get_by_role("textbox", name=re.compile("Correct what"))
    expect(box).to_be_focused()
    said = f"Corrected {uuid.uuid4().hex} <i>"
    box.fill(said)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#said")).to_have_text("Saved.")
    page.reload()
    expect(page.locator("#turns")).to_contain_text(said)

    page.get_by_role("button", name="Delete this meeting").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.locator("#meetings")).not_to_contain_text("en_fleurs_luna")


def test_a_file_that_holds_no_sound_is_refused_in_words(visitors: Visitors, tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(b"nothing to hear" * 100)
    page = visitors.page("/recordings")
    page.get_by_label("Recording", exact=True).set_input_files(path)
    page.get_by_role("button", name="Upload and transcribe").click()
    expect(page.locator("#upload-error")).to_contain_text("That did not work")
    expect(page.locator("#recordings li").filter(has_text="notes")).to_have_count(0)


def test_elsewhere_the_pages_ask_for_a_key_and_go_on_to_what_was_wanted(
    visitors: Visitors, meetings: Meetings, server: Process
) -> None:
    meeting = meetings.new("Behind a key")
    # A request that a proxy passed on is not from this machine.
    page = visitors.page(f"/meetings/{meeting}", extra_http_headers={"X-Forwarded-For": "192.0.2.7"})
    expect(page.locator("h1")).to_have_text("Sign in")
    page.get_by_label("API key").fill("grf_00000000_nothing")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This key is not known here")
    expect(page.get_by_label("API key")).to_be_focused()
    page.get_by_label("API key").fill(server.key)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Behind a key")
    read(page)
    expect(page.locator("#mode")).to_have_text("You are reading only")


@pytest.mark.parametrize(
    "wanted", ["/.//evil.example/", "//evil.example/", "/%5Cevil.example/", "https://evil.example/"]
)
def test_signing_in_never_leads_to_another_server(visitors: Visitors, server: Process, wanted: str) -> None:
    page = visitors.page(f"/sign-in?next={wanted}", extra_http_headers={"X-Forwarded-For": "192.0.2.7"})
    page.get_by_label("API key").fill(server.key)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url, wait_until="commit")
    assert page.url.startswith(f"{server.url}/")


def test_the_pages_are_whole_without_the_tokens(visitors: Visitors) -> None:
    page = visitors.page("/sign-in")
    page.route("**/cunningham-tokens.css", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("button", name="Create the meeting")).to_have_css("background-color", "rgb(6, 89, 197)")
    assert not violations(page)


def test_a_page_whose_scripts_are_not_there_yet_takes_no_input(visitors: Visitors, meetings: Meetings) -> None:
    page = visitors.page("/sign-in")
    page.route("**/look.js", lambda route: None)  # it never arrives, and with it nothing that needs it
    for path, locator in (("/", "#create"), ("/sign-in", "#sign-in"), (f"/meetings/{meetings.new()}", "#join")):
        page.goto(path, wait_until="commit")
        expect(page.locator(locator)).to_have_js_property("inert", True)
    page.unroute_all(behavior="ignoreErrors")
    page.goto("/sign-in")
    expect(page.locator("#sign-in")).to_have_js_property("inert", False)
