"""What a LiveKit room is sent of a caption: phrases that never change, and whole states."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.livekit.transcription import (
    LegacyMode,
    LegacySegment,
    caption_stream,
    legacy_segments,
    notice_stream,
)
from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.export.event import Event, caption_event

_WORDS = st.lists(
    st.tuples(st.booleans(), st.text("abcé’.,?", min_size=1, max_size=5)).map(lambda drawn: " " * drawn[0] + drawn[1]),
    min_size=1,
    max_size=12,
)


def test_a_phrase_is_a_word_with_what_is_glued_to_it() -> None:
    assert [segment.text for segment in _sent([" Vous", " dites", " l’", "eau", ",", " oui", " ?"])] == [
        "Vous",
        "dites",
        "l’eau,",
        "oui",
        "?",
    ]


def test_ids_count_the_words_before_a_phrase_within_its_meeting_and_utterance() -> None:
    assert [segment.id for segment in _sent([" Vous", " l’", "avez", " dit"])] == [
        "meeting/anne.1#3.1",
        "meeting/anne.1#3.2",
        "meeting/anne.1#3.4",
    ]


def test_phrases_are_final_and_carry_the_language_and_the_times_of_their_words() -> None:
    assert _sent([" Vous", " l’", "avez"])[1] == LegacySegment("meeting/anne.1#3.2", "l’avez", True, "fr", 1000, 2900)


def test_words_that_may_change_go_in_no_phrase() -> None:
    assert [segment.text for segment in legacy_segments(_event([" Vous"], [" dites"]))] == ["Vous"]
    assert legacy_segments(_event([], [" Vous"])) == ()


@given(_WORDS)
def test_phrases_joined_by_spaces_are_the_text_of_the_final(words: list[str]) -> None:
    final = "".join(words).strip()
    assert " ".join(segment.text for segment in _sent(words)) == final


@given(_WORDS, st.data())
def test_each_phrase_is_the_same_however_its_words_were_committed(words: list[str], data: st.DataObject) -> None:
    starts = [index for index in range(1, len(words)) if words[index].startswith(" ")]
    cuts = [
        *data.draw(st.lists(st.sampled_from(starts), unique=True).map(sorted) if starts else st.just([])),
        len(words),
    ]
    live = {segment for cut in cuts for segment in legacy_segments(_event(words[:cut], final=cut == len(words)))}
    assert live == set(_sent(words))


def test_where_no_spaces_are_written_a_phrase_waits_for_the_end() -> None:
    words = ["今日", "は", "いい", "天気", "です"]
    assert legacy_segments(_event(words[:3], language="ja")) == ()
    assert [each.text for each in legacy_segments(_event(words, final=True, language="ja"))] == ["今日はいい天気です"]


def test_fronts_that_replace_get_the_whole_text_under_one_id() -> None:
    live = legacy_segments(_event([" Vous"], [" dites"]), LegacyMode.IN_PLACE)
    ended = legacy_segments(_event([" Vous", " dites."], final=True), LegacyMode.IN_PLACE)
    assert live == (LegacySegment("meeting/anne.1#3", "Vous dites", False, "fr", 0, 900),)
    assert ended == (LegacySegment("meeting/anne.1#3", "Vous dites.", True, "fr", 0, 1900),)
    assert legacy_segments(_event([]), LegacyMode.IN_PLACE)[0].text == ""


def test_a_phrase_knows_the_voice_that_says_it_at_a_shared_microphone() -> None:
    runs = [_run(0, 2, "Salle (voix 1)"), _run(3, 1, "Éric")]
    event = _event([" Vous", " dites", " que", " non"]) | {"speaker": "Salle"}
    assert [(each.text, each.voice) for each in legacy_segments(event, runs=runs)] == [
        ("Vous", "(voix 1)"),
        ("dites", "(voix 1)"),
        ("que", None),
        ("non", "(Éric)"),
    ]
    (whole,) = legacy_segments(event, LegacyMode.IN_PLACE, runs)
    assert whole.text == "(voix 1) Vous dites que (Éric) non"


def test_a_text_stream_is_the_whole_state_and_says_how_much_of_it_stays() -> None:
    stream = caption_stream(_event([" Vous"], [" dites"]), "TR_1")
    assert (stream.topic, stream.text) == ("lk.transcription", "Vous dites")
    assert stream.attributes == {
        "lk.segment_id": "meeting/anne.1#3",
        "lk.transcription_final": "false",
        "lk.transcribed_track_id": "TR_1",
        "greffier.language": "fr",
        "greffier.committed": "4",
    }


@given(_WORDS, _WORDS)
def test_what_stays_is_the_beginning_of_what_is_shown(words: list[str], tail: list[str]) -> None:
    stream = caption_stream(_event(words, tail), "TR_1")
    kept = stream.text[: int(stream.attributes["greffier.committed"])]
    assert kept == "".join(words).lstrip()
    assert caption_stream(_event([], tail), "TR_1").attributes["greffier.committed"] == "0"


def test_a_final_says_so() -> None:
    stream = caption_stream(_event([" Vous", " dites."], final=True), "")
    assert (stream.text, stream.attributes["lk.transcription_final"]) == ("Vous dites.", "true")


def test_a_notice_says_what_and_when_without_what_only_the_feed_needs() -> None:
    event: Event = {"type": "notice", "sequence": 3, "sent_at": 2.0, "meeting": "m", "code": "behind", "at": 1.5}
    stream = notice_stream(event)
    assert (stream.topic, json.loads(stream.text)) == ("greffier.notice", {"meeting": "m", "code": "behind", "at": 1.5})


def _run(first: int, count: int, speaker: str) -> dict[str, object]:
    return {"first": first, "count": count, "voice": 1, "speaker": speaker}


def _sent(words: Sequence[str]) -> list[LegacySegment]:
    """The packets of a final."""
    return list(legacy_segments(_event(words, final=True)))


def _event(
    words: Sequence[str], tail: Sequence[str] = (), *, final: bool = False, language: str = "fr"
) -> dict[str, object]:
    caption = Caption(
        track=TrackId("anne.1"),
        utterance=UtteranceId("anne.1#3"),
        revision=1,
        final=final,
        language=language,
        words=tuple(Word(text, float(at), at + 0.9) for at, text in enumerate(words)),
        tail=tuple(Word(text, float(at), at + 0.9) for at, text in enumerate(tail, len(words))),
        lag=0.0,
    )
    return caption_event(caption, 9.0) | {"type": "caption", "meeting": "meeting", "participant": "anne"}
