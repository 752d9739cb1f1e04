"""Which clips are said by whom in each run: fixed lists, so that figures of two days compare.

A talker speaks one language. ``FIRST`` is said by the single talker of the smallest run and again, from the same
start, by one talker of each larger run, so that all runs and the peers share clips. The run of 8 holds every counted
clip once.
"""

from collections.abc import Sequence

from tests.benchmarks import glossary
from tests.benchmarks.corpus import (
    Clip,
    clips_named,
    clips_of_kind,
    counted_clips,
    load_clips,
    load_composites,
    silent_clips,
)
from tests.benchmarks.mixing import TrackFile, clip_track, deal_talkers, mix, noise_tracks, quiet, talk

FIRST = {
    "fr": ("fr_readalongs_ej", "fr_fdm132", "fr_cv_17301936"),
    "en": ("en_jfk", "en_libri_1088", "en_pv_quilter", "en_libri_6313", "en_neutts_dave", "en_LJ050-0131"),
}
TALKERS = {4: {"fr": 3, "en": 1}, 8: {"fr": 7, "en": 1}, 16: {"fr": 14, "en": 2}}
QUIET_DBFS = -40.0


def first_clips() -> dict[str, list[Clip]]:
    return {language: clips_named(ids) for language, ids in FIRST.items()}


def one_talker(language: str) -> TrackFile:
    return talk(first_clips()[language], None, f"one-{language}")


def talkers(count: int, seconds: float) -> list[TrackFile]:
    """``count`` talkers who all talk at once for ``seconds``, in clips short enough that many are heard whole."""
    longest = seconds * (0.55 if count < 16 else 0.95)
    counted = [clip for language in TALKERS[count] for clip in counted_clips(language)]
    clips = [clip for clip in counted if clip.duration <= longest]
    hands = deal_talkers(TALKERS[count], first_clips(), clips)
    return [
        talk(hand, seconds, f"{count}x{seconds:.0f}-{number:02d}", more=_same_language(hand, clips, number))
        for number, hand in enumerate(hands, start=1)
    ]


def shared_microphones(seconds: float) -> list[TrackFile]:
    """Two microphones, at which other people go on after each clip: short ones, of at least two people each."""
    short = {
        language: [clip for clip in counted_clips(language) if 4.0 <= clip.duration <= 20.0]
        for language in ("en", "fr")
    }
    return [talk(clips, seconds, f"shared-{language}") for language, clips in short.items()]


def _same_language(hand: Sequence[Clip], clips: Sequence[Clip], number: int) -> list[Clip]:
    """What a talker goes on with: clips of others, from another place in the list for each talker."""
    others = [clip for clip in clips if clip.language == hand[0].language and clip not in hand]
    turn = 5 * number % max(len(others), 1)
    return others[turn:] + others[:turn]


def quiet_talkers() -> list[TrackFile]:
    return [quiet(one_talker(language), QUIET_DBFS) for language in FIRST]


def rooms(count: int, seconds: float, different: int = 20) -> list[TrackFile]:
    """Open microphones where nobody speaks; some hear the same room."""
    made = noise_tracks(different, seconds)
    return [made[number % different] for number in range(count)]


def silent_tracks() -> list[TrackFile]:
    return [TrackFile(clip.path, clip.duration) for clip in silent_clips()]


def meetings() -> list[TrackFile]:
    """The recorded meetings one after the other, as two shared microphones."""
    clips = [clip for clip in clips_of_kind("meeting") if clip.kind == "meeting"]
    return [talk(clips[0::2], None, "meetings-1"), talk(clips[1::2], None, "meetings-2")]


def switching() -> TrackFile:
    return mix(load_composites()["fren_switch_dev2"])


def long_recording() -> TrackFile:
    """One reading for the comparison of offline speed: 5 minutes of French verse."""
    ids = ("fr_fdm057", "fr_fdm003", "fr_readalongs_ej", "fr_fdm083")
    return talk(clips_named(ids), None, "recording")


def glossary_talkers() -> list[TrackFile]:
    return [talk(clips_named(ids), None, f"glossary-{number}") for number, ids in enumerate(glossary.CLIPS, start=1)]


def clip_file(name: str) -> TrackFile:
    return clip_track(load_clips()[name])
