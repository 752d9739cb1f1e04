"""The six laws hold when words come by themselves, and whenever they come from somewhere else in mid sentence."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import TrackId, Word
from pipeline.live.meeting import MeetingCaptioner
from tests.pipeline.live.test_laws import LIVE, TRACKS, Chaos, Meeting, meetings, modest, shown
from tests.timelines.hearing import Hearing
from tests.timelines.player import Player, Recogniser

DELAY = 0.5
fewer = settings(modest, max_examples=15)


@dataclass(slots=True)
class Stream:
    """Says every word that begins at ``begin`` or after, once it has heard it, at times that are off by ``shift``."""

    begin: float
    script: list[Word]
    said: int = 0

    def hear(self, until: float) -> tuple[list[Word], list[Word]]:
        mine = [word for word in self.script if word.start >= self.begin]
        done = sum(word.end <= until + 1e-6 for word in mine)
        words, self.said = mine[self.said : done], max(self.said, done)
        tail = [replace(word, text=word.text + "~") for word in mine[done:] if word.start < until]
        return words, tail


@dataclass(slots=True)
class StreamPlayer(Player):
    """Words come by themselves; ``troubles`` say when streams are lost, when windows take over, and when no more."""

    script: Mapping[TrackId, list[Word]] = field(default_factory=dict)
    troubles: list[tuple[float, str]] = field(default_factory=list)
    shift: float = 0.0
    on: bool = True
    streams: dict[TrackId, Stream] = field(default_factory=dict)
    begun: int = 0

    def starts(self, track: TrackId, at: float) -> None:
        self.core.streamed(track, self.on)
        Player.starts(self, track, at)

    def recognise(self) -> None:
        while self.troubles and self.troubles[0][0] <= self.now:
            self.trouble(self.troubles.pop(0)[1])
        for track in TRACKS:
            if self.core.streaming(track):
                self.stream(track)
            else:
                self.streams.pop(track, None)
        Player.recognise(self)

    def stream(self, track: TrackId) -> None:
        if track not in self.streams:
            begin = self.core.stream_begins(track)
            assert begin is not None
            self.begun += 1
            self.streams[track] = Stream(begin, self.script[track])
        until = self.now - DELAY if track in self.sending else self.core.audio_end(track)
        words, tail = self.streams[track].hear(until)
        self.core.words(track, self.shifted(words), self.shifted(tail), until)
        self.drain()

    def shifted(self, words: list[Word]) -> list[Word]:
        return [replace(word, start=word.start + self.shift, end=word.end + self.shift) for word in words]

    def trouble(self, kind: str) -> None:
        match kind:
            case "lost":
                self.streams.clear()
            case "on":
                self.on = True
            case "off":
                self.on = False
                for track in TRACKS:
                    self.core.streamed(track, False)


TROUBLES = st.lists(st.tuples(st.integers(0, 450), st.sampled_from(["lost", "off", "on"])), max_size=8).map(
    lambda troubles: sorted((at / 10, kind) for at, kind in troubles)
)


def played(
    meeting: Meeting, troubles: list[tuple[float, str]], latency: float = 0.3, shift: float = 0.0
) -> StreamPlayer:
    script = {track: [one.word for one in said] for track, said in meeting.script().items()}
    core = MeetingCaptioner(LIVE, tuple(dict.fromkeys((*meeting.languages, "en"))))
    player = StreamPlayer(
        core, Hearing(meeting.script()), Recogniser(latency), script=script, troubles=list(troubles), shift=shift
    )
    player.play(meeting.moments())
    return player


@settings(fewer, max_examples=30)
@given(meetings(), TROUBLES, st.sampled_from([0.0, 0.3, 1.5]))
def test_every_word_is_in_one_final_wherever_words_come_from(
    meeting: Meeting, troubles: list[tuple[float, str]], latency: float
) -> None:
    player = played(meeting, troubles, latency)
    for track, said in meeting.script().items():
        assert [word.text for word in shown(player, track)] == [one.word.text for one in said]
    assert not player.gaps


@fewer
@given(meetings(), TROUBLES, st.sampled_from([-0.15, 0.0, 0.15]))
def test_times_of_a_stream_that_are_a_little_off_lose_and_double_nothing(
    meeting: Meeting, troubles: list[tuple[float, str]], shift: float
) -> None:
    lost = [(at, kind) for at, kind in troubles if kind == "lost"]
    player = played(meeting, lost, shift=shift)
    for track, said in meeting.script().items():
        assert [word.text for word in shown(player, track)] == [one.word.text for one in said]


@fewer
@given(meetings())
def test_no_window_but_those_of_the_record_is_asked_for_while_words_come_by_themselves(meeting: Meeting) -> None:
    player = played(meeting, [])
    assert {window.kind.name for window in player.windows} <= {"RECORD"}
    heard = [utterance for record in player.records for utterance in record.utterances]
    fits = LIVE.record_window
    assert set(heard) == {one.utterance for one in player.finals if one.words[-1].end - one.words[0].start <= fits}
    assert len(heard) == len(set(heard))


@fewer
@given(meetings(), TROUBLES)
def test_the_same_streams_give_the_same_captions(meeting: Meeting, troubles: list[tuple[float, str]]) -> None:
    first, second = played(meeting, troubles), played(meeting, troubles)
    assert first.captions == second.captions
    assert first.records == second.records


@fewer
@given(meetings())
def test_speech_that_goes_on_is_divided_as_it_is_with_windows(meeting: Meeting) -> None:
    for final in played(meeting, []).finals:
        assert final.words[-1].end - final.words[0].start <= LIVE.hard_utterance + 1.0


# --- any stream, any order ------------------------------------------------------------------------------------


@dataclass(slots=True)
class StreamedChaos(Chaos):
    """Streams begin, say anything about any time, and end at any moment, too."""

    def step(self) -> None:
        if self.chance.random() < 0.5:
            self.chance.choice([self.switch, self.begin, self.say, self.say, self.say])()
            self.player.drain()
        else:
            Chaos.step(self)

    def switch(self) -> None:
        self.player.core.streamed(self.chance.choice(TRACKS), self.chance.choice([True, True, False]))

    def begin(self) -> None:
        track = self.chance.choice(TRACKS)
        moment = self.player.core.stream_begins(track)
        assert (moment is not None) == self.player.core.streaming(track)
        assert moment is None or 0.0 <= moment <= self.player.now

    def say(self) -> None:
        choice, now = self.chance.choice, self.player.now
        until = now - choice([0.0, 0.5, 3.0, -1.0])
        words = []
        at = until - choice([0.0, 0.5, 2.0, 20.0])
        for _ in range(choice(range(9))):
            end = at + choice([-0.3, 0.0, 0.2, 1.5])
            words.append(Word(choice([" a", " a", " b.", " c"]), at, end))
            at = end + choice([-0.5, 0.0, 0.4])
        count = choice(range(len(words) + 1))
        self.player.core.words(choice(TRACKS), words[:count], words[count:], until)


@settings(fewer, max_examples=150)
@given(st.integers(0, 2**32), st.integers(0, 120))
def test_the_laws_hold_whatever_a_stream_says_and_whenever(seed: int, steps: int) -> None:
    player = Player(MeetingCaptioner(LIVE, ("fr", "en")), Hearing({}))
    chaos = StreamedChaos(random.Random(seed), player)
    player.ears = chaos
    for track in TRACKS:
        player.opens(track)
    for _ in range(steps):
        chaos.step()
    for track in sorted(player.sending):
        player.witness.speech_ended(track, player.now)
    player.core.close()
    player.drain()
    for track in TRACKS:
        player.core.words(track, (), (), float("inf"))
        player.core.streamed(track, False)
        player.drain()
    for window in chaos.on_their_way:
        player.core.hypothesis(window, chaos.anything(window))
        player.drain()
    player.settle()
