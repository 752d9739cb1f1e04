"""The six laws of the live core (DESIGN.md, section 3) hold on any timeline, with any recogniser."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pipeline.domain import Hypothesis, TrackId, Window, WindowKind, Word
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.policies import AlignAtt, CommitPolicy, LocalAgreement
from pipeline.live.settings import LiveSettings
from tests.timelines.hearing import Hearing, Said
from tests.timelines.player import Ears, Moment, Player, Recogniser, speech, spoken

LIVE = LiveSettings(
    step=0.5,
    first=0.5,
    window=5.0,
    keep=3.0,
    margin=0.4,
    doubt=0.6,
    sure=0.4,
    join=1.0,
    soft_utterance=6.0,
    hard_utterance=9.0,
    record_join=1.0,
    record_window=20.0,
    detect_every=2.0,
)
POLICIES: dict[str, Callable[[], CommitPolicy]] = {
    "alignatt": lambda: AlignAtt(LIVE.margin, LIVE.doubt, LIVE.sure),
    "local-agreement": LocalAgreement,
}
TRACKS = (TrackId("anne"), TrackId("bilal"))
SENTENCE_EVERY = 7
modest = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


# --- meetings where everything is said once -------------------------------------------------------------------


@dataclass(slots=True)
class Meeting:
    """Utterances of each track in order, with pauses between them; every word is said once in the meeting."""

    utterances: list[tuple[TrackId, float, float]]
    languages: list[str]
    rejoins: bool

    def script(self) -> dict[TrackId, list[Said]]:
        script: dict[TrackId, list[Said]] = {track: [] for track in TRACKS}
        for (track, start, end), language in zip(self.utterances, self.languages, strict=True):
            said = script[track]
            numbers = range(len(said), len(said) + max(1, round((end - start) * 2)))
            texts = [f"{track}{number}" + ("." if number % SENTENCE_EVERY == 0 else "") for number in numbers]
            said += spoken(texts, start, end, language)
        return script

    def moments(self) -> list[Moment]:
        moments = [Moment(0.0, opening(track)) for track in TRACKS]
        for track, start, end in self.utterances:
            moments += speech(track, start, end)
            if self.rejoins:
                moments += [Moment(end + 0.6, closing(track)), Moment(end + 0.7, opening(track))]
        return moments


def opening(track: TrackId) -> Callable[[Player], None]:
    return lambda player: player.opens(track)


def closing(track: TrackId) -> Callable[[Player], None]:
    return lambda player: player.closes(track)


@st.composite
def meetings(draw: st.DrawFn, languages: tuple[str, ...] = ("en",), longest: float = 40.0) -> Meeting:
    utterances = []
    for track in TRACKS:
        at = 0.0
        for _ in range(draw(st.integers(0, 4))):
            start = at + draw(st.sampled_from([0.8, 1.1, 3.0, 20.0]))
            at = start + draw(st.sampled_from([0.3, 1.0, 2.5, 7.0, longest]))
            utterances.append((track, round(start, 3), round(at, 3)))
    named = draw(st.lists(st.sampled_from(languages), min_size=len(utterances), max_size=len(utterances)))
    return Meeting(utterances, named, draw(st.booleans()))


SPANS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0.3, 1.0, 4.0, 12.0])), max_size=2).map(
    lambda spans: tuple((float(start), start + length) for start, length in spans)
)


@st.composite
def recognisers(draw: st.DrawFn, kept: float = 1e9) -> Recogniser:
    return Recogniser(draw(st.sampled_from([0.0, 0.3, 1.5, 6.0])), kept, busy=draw(SPANS))


def played(meeting: Meeting, recogniser: Recogniser, policy: str = "alignatt", ears: Ears | None = None) -> Player:
    core = MeetingCaptioner(LIVE, tuple(dict.fromkeys((*meeting.languages, "en"))), POLICIES[policy])
    player = Player(core, ears or Hearing(meeting.script()), recogniser)
    player.play(meeting.moments())
    return player


def shown(player: Player, track: TrackId) -> list[Word]:
    return [word for caption in player.finals if caption.track == track for word in caption.words]


@modest
@given(meetings(), recognisers(), st.sampled_from(sorted(POLICIES)))
def test_every_word_is_in_one_final_however_late_the_recogniser(
    meeting: Meeting, recogniser: Recogniser, policy: str
) -> None:
    player = played(meeting, recogniser, policy)
    for track, said in meeting.script().items():
        assert [word.text for word in shown(player, track)] == [one.word.text for one in said]
    assert not player.gaps


@modest
@given(meetings(), recognisers())
def test_words_are_shown_with_the_times_at_which_they_were_said(meeting: Meeting, recogniser: Recogniser) -> None:
    player = played(meeting, recogniser)
    for track, said in meeting.script().items():
        assert shown(player, track) == [one.word for one in said]


@modest
@given(meetings(), recognisers())
def test_the_record_hears_every_utterance_once(meeting: Meeting, recogniser: Recogniser) -> None:
    player = played(meeting, recogniser)
    heard = [utterance for record in player.records for utterance in record.utterances]
    assert len(heard) == len(set(heard))
    fits = LIVE.record_window
    assert set(heard) == {one.utterance for one in player.finals if one.words[-1].end - one.words[0].start <= fits}


@modest
@given(meetings(), recognisers(), st.sampled_from(sorted(POLICIES)))
def test_the_same_timeline_gives_the_same_captions(meeting: Meeting, recogniser: Recogniser, policy: str) -> None:
    first, second = played(meeting, recogniser, policy), played(meeting, recogniser, policy)
    assert first.captions == second.captions
    assert first.records == second.records


@modest
@given(meetings(), recognisers(kept=5.0), st.sampled_from(sorted(POLICIES)))
def test_audio_that_came_too_late_is_a_marked_gap(meeting: Meeting, recogniser: Recogniser, policy: str) -> None:
    player = played(meeting, recogniser, policy)
    for track, said in meeting.script().items():
        kept = {word.text for word in shown(player, track)}
        gaps = [gap for gap in player.gaps if gap.track == track]
        for one in said:
            # A word at the edge of a gap may be heard from its first sound only.
            begun = any(text.startswith(one.word.text + "~") for text in kept)
            missed = any(gap.start < one.word.end + 0.5 and gap.end > one.word.start - 0.5 for gap in gaps)
            assert one.word.text in kept or begun or missed, f"{one.word} is gone without a mark"


@modest
@given(meetings(("fr", "en"), longest=15.0), recognisers())
def test_no_word_is_lost_when_languages_switch(meeting: Meeting, recogniser: Recogniser) -> None:
    player = played(meeting, recogniser)
    for track, said in meeting.script().items():
        assert [word.text.rstrip("?") for word in shown(player, track)] == [one.word.text for one in said]


@modest
@given(meetings(), SPANS)
def test_a_recogniser_that_fails_now_and_then_costs_no_more_than_it_says(
    meeting: Meeting, failing: tuple[tuple[float, float], ...]
) -> None:
    player = played(meeting, Recogniser(0.3, failing=failing))
    for track, said in meeting.script().items():
        kept = {word.text for word in shown(player, track)}
        gaps = [gap for gap in player.gaps if gap.track == track]
        for one in said:
            missed = any(gap.start < one.word.end + 0.5 and gap.end > one.word.start - 0.5 for gap in gaps)
            assert one.word.text in kept or missed


# --- two microphones in one room ------------------------------------------------------------------------------


@st.composite
def rooms(draw: st.DrawFn) -> tuple[Meeting, dict[TrackId, list[Said]], dict[TrackId, float]]:
    """Anne speaks; Bilal's microphone hears all of it, or as much as it will, some milliseconds later and quieter."""
    meeting = draw(meetings())
    anne = meeting.script()[TRACKS[0]]
    late = draw(st.sampled_from([0.0, 0.05, 0.4]))
    misheard = draw(st.sets(st.integers(0, 60), max_size=5))
    copied = [
        Said(
            Word(f"{one.word.text}x" if k in misheard else one.word.text, one.word.start + late, one.word.end + late),
            "en",
        )
        for k, one in enumerate(anne)
    ]
    spans = [span for span in meeting.utterances if span[0] == TRACKS[0]]
    meeting.utterances = [*spans, *((TRACKS[1], start + late, end + late) for _, start, end in spans)]
    meeting.languages = ["en"] * len(meeting.utterances)
    return (
        meeting,
        {TRACKS[0]: anne, TRACKS[1]: copied},
        {TRACKS[0]: -20.0, TRACKS[1]: draw(st.sampled_from([-35.0, -22.0, -20.0]))},
    )


@modest
@given(rooms(), recognisers(), st.sampled_from(sorted(POLICIES)))
def test_what_is_said_is_shown_once_at_least_and_by_whom_it_was_said(
    room: tuple[Meeting, dict[TrackId, list[Said]], dict[TrackId, float]], recogniser: Recogniser, policy: str
) -> None:
    """The laws hold, the louder track keeps every word, the quieter one loses none that is its own."""
    meeting, script, loud = room
    players = []
    for _ in range(2):
        player = Player(MeetingCaptioner(LIVE, ("en",), POLICIES[policy]), Hearing(script), recogniser, loud=loud)
        player.play(meeting.moments())
        players.append(player)
    assert players[0].captions == players[1].captions
    assert [word.text for word in shown(players[0], TRACKS[0])] == [one.word.text for one in script[TRACKS[0]]]
    assert not players[0].gaps
    if loud[TRACKS[1]] == loud[TRACKS[0]]:
        assert [word.text for word in shown(players[0], TRACKS[1])] == [one.word.text for one in script[TRACKS[1]]]


@modest
@given(meetings(), recognisers(), st.sampled_from([-20.0, -35.0]), st.sampled_from(sorted(POLICIES)))
def test_loudness_changes_nothing_where_people_say_different_things(
    meeting: Meeting, recogniser: Recogniser, level: float, policy: str
) -> None:
    core = MeetingCaptioner(LIVE, tuple(dict.fromkeys((*meeting.languages, "en"))), POLICIES[policy])
    player = Player(core, Hearing(meeting.script()), recogniser, loud={TRACKS[0]: -20.0, TRACKS[1]: level})
    player.play(meeting.moments())
    assert player.captions == played(meeting, recogniser, policy).captions


# --- any recogniser, any order --------------------------------------------------------------------------------


@dataclass(slots=True)
class Chaos:
    """A meeting where anything happens in any order; a recogniser that says anything, late, twice or never."""

    chance: random.Random
    player: Player
    on_their_way: list[Window] = field(default_factory=list)
    landed: list[Window] = field(default_factory=list)

    def step(self) -> None:
        actions = [self.talk, self.talk, self.recognise, self.answer, self.answer, self.fail, self.repeat]
        self.chance.choice(actions)()
        self.player.drain()

    def talk(self) -> None:
        player, choice = self.player, self.chance.choice
        player.now = round(player.now + choice([0.0, 0.2, 1.0, 7.0, 40.0]), 3)
        for track in sorted(player.sending):
            if choice([True, False]):
                player.core.audio_until(track, player.now)
        track = choice(TRACKS)
        player.core.audio_level(track, max(0.0, player.now - 1.0), player.now, choice([-20.0, -35.0]))
        back = max(0.0, player.now - choice([0.0, 0.3, 0.7]))
        match choice(range(6)):
            case 0:
                player.closes(track)
            case 1:
                player.opens(track)
            case 2:
                player.core.quiet_until(player.now)
            case _ if track in player.sending:
                player.ends(track, back)
            case _:
                player.starts(track, back)

    def recognise(self) -> None:
        kept = self.player.now - self.chance.choice([5.0, 30.0, 1e9])
        for track, kind in self.player.core.wanted():
            window = self.player.core.window_to_recognize(track, kind is WindowKind.RECORD, max(0.0, kept))
            if window is not None:
                assert window.start <= window.end
                self.on_their_way.append(window)

    def answer(self) -> None:
        if self.on_their_way:
            window = self.on_their_way.pop(self.chance.randrange(len(self.on_their_way)))
            self.landed.append(window)
            self.player.core.hypothesis(window, self.anything(window))

    def fail(self) -> None:
        if self.on_their_way:
            self.player.core.recognition_failed(self.on_their_way.pop())

    def repeat(self) -> None:
        if self.landed:
            self.player.core.hypothesis(self.landed[-1], self.anything(self.landed[-1]))

    def anything(self, window: Window) -> Hypothesis:
        choice = self.chance.choice
        words = []
        at = window.start + choice([-2.0, 0.0, 0.1, 3.0])
        for _ in range(choice(range(7))):
            end = at + choice([-0.3, 0.0, 0.2, 1.5])
            words.append(Word(choice([" a", " b.", " c", " d"]), at, end, choice([0.1, 1.0])))
            at = end + choice([-0.5, 0.0, 0.4])
        score = choice([0.0, 0.3, 0.9])
        scores = (("fr", score), ("en", 1 - score)) if choice([True, False]) else ()
        return Hypothesis(tuple(words), window.language or choice(["fr", "en"]), scores)

    def hear(self, window: Window) -> Hypothesis:
        return self.anything(window)


@settings(modest, max_examples=250)
@given(st.integers(0, 2**32), st.sampled_from(sorted(POLICIES)), st.integers(0, 80))
@example(331329, "alignatt", 11)  # what was heard reaches beyond what a final may hear
def test_the_laws_hold_whatever_a_recogniser_says_and_whenever(seed: int, policy: str, steps: int) -> None:
    player = Player(MeetingCaptioner(LIVE, ("fr", "en"), POLICIES[policy]), Hearing({}))
    chaos = Chaos(random.Random(seed), player)
    player.ears = chaos
    for track in TRACKS:
        player.opens(track)
    for _ in range(steps):
        chaos.step()
    for track in sorted(player.sending):
        player.witness.speech_ended(track, player.now)
    player.core.close()
    player.drain()
    for window in chaos.on_their_way:
        player.core.hypothesis(window, chaos.anything(window))
        player.drain()
    player.settle()
