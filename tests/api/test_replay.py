"""Recordings replayed as live tracks: all at once, through the whole live path, whatever befalls one of them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from api import replay as replay_module
from api.detecting import speech_detectors
from api.replay import Replay, Voice, named, unrepeated, voices_of
from api.wiring import Recognition
from media_gateway.files import FileTap
from media_gateway.lossy import Losses, LossyTap
from models.batching import Batcher, BatchSettings
from models.scripted import Cost, ScriptedEngine
from pipeline.domain import Caption, Origin, TrackId, Word
from pipeline.errors import StorageFull, UnreadableMedia
from pipeline.live.meeting import MeetingCaptioner
from pipeline.record.texts import text_of
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.recordings import described, recorded

JFK, LEOPARD, QUILTER = "en_jfk.flac", "fr_pv_leopard.wav", "en_pv_quilter.wav"


class Watcher:
    """An audience that remembers; ``fails`` raises at the caption of that number."""

    def __init__(self, fails: int | None = None) -> None:
        self.seen: list[tuple[float, Caption]] = []
        self._fails = fails

    def show(self, caption: Caption, at: float) -> None:
        if len(self.seen) == self._fails:
            raise StorageFull("the disk is full")
        self.seen.append((at, caption))

    def text(self, track: str) -> str:
        return "".join(caption.committed for _, caption in self.seen if caption.final and caption.track == track)


def check_laws(watcher: Watcher) -> None:
    """Committed text never changes; one final per utterance, and nothing after it."""
    last: dict[str, Caption] = {}
    for _, caption in watcher.seen:
        before = last.get(caption.utterance)
        if before is not None:
            assert not before.final
            assert caption.revision > before.revision
            assert caption.words[: len(before.words)] == before.words
        assert not (caption.final and caption.tail)
        last[caption.utterance] = caption
    assert all(caption.final for caption in last.values())


def engine_of(script: dict[str, Sequence[Word]], **options: object) -> ScriptedEngine:
    return ScriptedEngine({TrackId(name): words for name, words in script.items()}, **options)  # type: ignore[arg-type]


def counted(clip: str, count: int = 20, each: float = 0.25) -> dict[str, Sequence[Word]]:
    """Words that number the quarters of a second of a clip."""
    return {clip: [Word(f" {number}", number * each, (number + 1) * each) for number in range(count)]}


def replay_of(
    voices: Sequence[Voice], engine: ScriptedEngine, watcher: Watcher, speed: float = 0.0
) -> tuple[Replay, Batcher]:
    batcher = Batcher(engine, BatchSettings(callers=1))
    return Replay(
        voices, MeetingCaptioner(languages=("en",)), batcher, speech_detectors(), watcher, speed=speed
    ), batcher


def play(replay: Replay, batcher: Batcher, meanwhile: Callable[[], object] = lambda: None) -> None:
    async def played() -> None:
        async with batcher:
            running = asyncio.ensure_future(replay.run())
            await asyncio.sleep(0.5 if replay.speed else 0.0)
            meanwhile()
            await running

    asyncio.run(played())


def heard_by(
    loaded: Recognition, voices: Sequence[Voice], *languages: str, speed: float = 0.0
) -> tuple[Replay, Watcher]:
    watcher = Watcher()
    batcher = loaded.batcher()
    replay = Replay(voices, loaded.captioner(languages), batcher, speech_detectors(), watcher, speed=speed)
    play(replay, batcher)
    check_laws(watcher)
    return replay, watcher


def errors(clip: str, text: str, language: str) -> float:
    return count_errors(normalise(str(described(clip)["ref_text"]), language), normalise(text, language)).rate


# --- names -------------------------------------------------------------------------------------------------


def test_names_that_came_before_get_a_number() -> None:
    assert unrepeated(["a.wav", "b.wav", "a.wav", "a.wav"]) == ["a.wav", "b.wav", "a.wav-2", "a.wav-3"]
    assert unrepeated(["a.wav", "a.wav-2", "a.wav"]) == ["a.wav", "a.wav-2", "a.wav-3"]


def test_a_voice_is_named_by_its_file() -> None:
    path = recorded(QUILTER)
    first, second = voices_of([path, path])
    assert (first.track.id, first.track.participant.name) == (QUILTER, "en_pv_quilter")
    assert second.track.id == f"{QUILTER}-2"
    assert named(path, "Anne", ("en",), 2.5).track.participant.name == "Anne"


def test_a_file_that_is_no_recording_is_refused_before_anything_plays(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"missing\.wav"):
        voices_of([recorded(QUILTER), tmp_path / "missing.wav"])


# --- one replay --------------------------------------------------------------------------------------------


def test_every_word_is_shown_and_kept_in_order() -> None:
    watcher = Watcher()
    replay, batcher = replay_of(voices_of([recorded(QUILTER)]), engine_of(counted(QUILTER)), watcher)
    play(replay, batcher)
    check_laws(watcher)
    numbers = [int(word) for word in watcher.text(QUILTER).split()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 17
    transcript = replay.transcript("Title")
    assert transcript.title == "Title"
    assert {text_of(segment)[1] for segment in transcript.segments} == {Origin.RECORD}
    assert all(segment.caption and segment.record for segment in transcript.segments)


def test_captions_come_while_the_speaker_speaks() -> None:
    watcher = Watcher()
    play(*replay_of(voices_of([recorded(QUILTER)]), engine_of(counted(QUILTER)), watcher, speed=4.0))
    check_laws(watcher)
    partials = [at for at, caption in watcher.seen if not caption.final]
    assert len(partials) >= 3
    assert 0.5 < min(partials) < 4.0
    assert [at for at, _ in watcher.seen] == sorted(at for at, _ in watcher.seen)


def test_a_voice_is_heard_from_its_start_on() -> None:
    watcher = Watcher()
    voice = named(recorded(QUILTER), "Anne", ("en",), 100.0)
    script = {QUILTER: [Word(" late", 101.0, 101.5)]}
    play(*replay_of([voice], engine_of(script), watcher))
    assert [word.start for word in watcher.seen[-1][1].words] == [101.0]


def test_a_stopped_replay_keeps_what_was_said() -> None:
    watcher = Watcher()
    replay, batcher = replay_of(voices_of([recorded(JFK)]), engine_of(counted(JFK, 40)), watcher, speed=4.0)
    play(replay, batcher, replay.stop)
    check_laws(watcher)
    assert 0 < len(watcher.text(JFK).split()) < 20
    assert replay.transcript("").segments


def test_an_audience_that_fails_ends_the_replay_and_what_was_said_is_kept() -> None:
    watcher = Watcher(fails=1)
    replay, batcher = replay_of(voices_of([recorded(JFK)]), engine_of(counted(JFK, 40)), watcher, speed=4.0)
    with pytest.raises(StorageFull):
        play(replay, batcher)
    assert len(watcher.seen) == 1
    (segment, *_) = replay.transcript("").segments
    assert len(segment.caption) >= len(watcher.seen[0][1].words)


def test_a_session_that_breaks_holds_up_no_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(replay_module.Session, "run", broken)
    with pytest.raises(ExceptionGroup) as group:
        play(*replay_of(voices_of([recorded(JFK)]), engine_of({}), Watcher()))
    assert group.group_contains(ZeroDivisionError)


def test_a_recording_that_breaks_off_stops_its_own_track_only(tmp_path: Path) -> None:
    watcher = Watcher()
    broken = tmp_path / "broken.flac"
    broken.write_bytes(recorded(JFK).read_bytes())
    voices = [*voices_of([recorded(QUILTER)]), *voices_of([broken])]
    broken.write_bytes(b"no sound any more")
    replay, batcher = replay_of(voices, engine_of(counted(QUILTER)), watcher)
    play(replay, batcher)
    assert len(watcher.text(QUILTER).split()) >= 17
    assert [str(error).split()[0] for error in replay.errors] == [str(broken)]


# --- trouble -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [2, 3])
def test_a_recogniser_that_fails_now_and_then_loses_no_word(period: int) -> None:
    watcher = Watcher()
    engine = engine_of(counted(QUILTER), fail=lambda batch: batch % period == 0)
    replay, batcher = replay_of(voices_of([recorded(QUILTER)]), engine, watcher)
    play(replay, batcher)
    check_laws(watcher)
    assert replay.totals.failures > 0
    assert len(watcher.text(QUILTER).split()) >= 17


def test_a_recogniser_that_always_fails_leaves_marked_gaps() -> None:
    watcher = Watcher()
    engine = engine_of(counted(QUILTER), fail=lambda batch: True)
    replay, batcher = replay_of(voices_of([recorded(QUILTER)]), engine, watcher)
    play(replay, batcher)
    assert watcher.text(QUILTER) == ""
    gaps = replay.transcript("").gaps
    assert gaps
    assert gaps[0].reason == "not recognised"
    assert sum(gap.end - gap.start for gap in gaps) > 4.0


def test_a_slow_recogniser_is_never_asked_for_more_than_it_can_do() -> None:
    watcher = Watcher()
    engine = engine_of(counted(QUILTER), cost=Cost(batch=0.3))
    replay, batcher = replay_of(voices_of([recorded(QUILTER)]), engine, watcher, speed=4.0)
    play(replay, batcher)
    check_laws(watcher)
    assert len(watcher.text(QUILTER).split()) >= 17
    assert max(caption.lag for _, caption in watcher.seen) > 1.0


# --- with the real model -----------------------------------------------------------------------------------


def test_real_speech_of_two_languages_at_once_is_captioned_and_recorded(loaded: Recognition) -> None:
    replay, watcher = heard_by(loaded, voices_of([recorded(JFK), recorded(LEOPARD)]), "fr", "en")
    assert errors(JFK, watcher.text(JFK), "en") <= 0.5  # how soon a language is sure varies with the load
    assert errors(LEOPARD, watcher.text(LEOPARD), "fr") <= 0.6
    last = {caption.track: caption.language for _, caption in watcher.seen if caption.final}
    assert last == {JFK: "en", LEOPARD: "fr"}
    record = " ".join(text_of(each)[0] for each in replay.transcript("").segments if each.track == JFK)
    assert errors(JFK, record, "en") <= 0.5


def test_a_bad_network_costs_few_words_and_breaks_no_law(loaded: Recognition, monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame in ten never comes, one in twenty comes late, one in twenty comes twice."""

    def lossy(*arguments: object, **options: object) -> LossyTap:
        tap = FileTap(*arguments, **options)  # type: ignore[arg-type]
        return LossyTap(tap, Losses(drop=0.1, delay=0.05, delay_frames=2, double=0.05))

    monkeypatch.setattr(replay_module, "FileTap", lossy)
    _, watcher = heard_by(loaded, voices_of([recorded(JFK)]), "en")
    assert errors(JFK, watcher.text(JFK), "en") <= 0.6


@pytest.mark.parametrize("closes", [True, False])
def test_a_track_that_stops_mid_word_keeps_what_was_said_and_disturbs_no_other(
    loaded: Recognition, monkeypatch: pytest.MonkeyPatch, closes: bool
) -> None:
    def stopping(path: Path, *arguments: object, **options: object) -> FileTap | LossyTap:
        tap = FileTap(path, *arguments, **options)  # type: ignore[arg-type]
        return LossyTap(tap, Losses(stop_at=6.1, closes=closes)) if path.name == JFK else tap

    monkeypatch.setattr(replay_module, "FileTap", stopping)
    # In real time: as fast as it goes, how much each window hears depends on the machine.
    _, watcher = heard_by(loaded, voices_of([recorded(JFK), recorded(QUILTER)]), "en", speed=1.0)
    assert "american" in watcher.text(JFK).lower()
    assert errors(QUILTER, watcher.text(QUILTER), "en") <= 0.3
