import re
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import NotFound
from pipeline.export.cue import Cue
from pipeline.export.hls import (
    COMMIT_S,
    MOST_SEGMENTS,
    SEGMENT_S,
    Subtitles,
    audio_frames_before,
    audio_playlist,
    master_playlist,
    subtitles_playlist,
)
from pipeline.export.live_cues import LiveCue, LiveCues
from tests.pipeline.export.test_live_cues import caption, spoken_words
from tests.pipeline.record.samples import words

HOLD_BACK = 5.0
HEADER = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"


def live(start, end, settled=None, name="u.1", text="Oui."):
    return LiveCue(Cue(name, start, end, (text,)), "Anne", end if settled is None else settled)


def segments(subtitles, now):
    return [subtitles.segment(number) for number in range(subtitles.listed(now))]


def cues_in(segment):
    """The blocks of a segment, by their ids."""
    assert segment.startswith(HEADER)
    blocks = [block for block in segment.removeprefix(HEADER).split("\n\n") if block]
    return {block.split("\n")[0]: block for block in blocks}


def assert_repeated_by_rule(found):
    """Every cue is the same wherever it is, in exactly the segments in which it is shown (RFC 8216, 3.5)."""
    blocks, places = {}, defaultdict(list)
    for number, segment in enumerate(found):
        for name, block in cues_in(segment).items():
            assert blocks.setdefault(name, block) == block
            places[name].append(number)
    for name, block in blocks.items():
        start, end = re.search(r"(\S+) --> (\S+)", block).groups()
        shown = [n for n in range(len(found)) if seconds(start) < 2 * n + 2 and seconds(end) > 2 * n]
        assert places[name] == shown
    return blocks


def seconds(written):
    hours, minutes, rest = written.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_a_segment_is_listed_once_its_end_is_the_hold_back_ago():
    subtitles = Subtitles(HOLD_BACK)
    assert [subtitles.listed(now) for now in (0, 6.99, 7, 8.99, 9)] == [0, 0, 1, 1, 2]
    assert subtitles.listed(3) == 2


def test_a_segment_without_cues_is_there_and_one_that_is_not_listed_is_not():
    subtitles = Subtitles(HOLD_BACK)
    subtitles.listed(7)
    assert subtitles.segment(0) == HEADER
    for number in (-1, 1):
        with pytest.raises(NotFound, match="no segment"):
            subtitles.segment(number)


def test_a_cue_that_spans_segments_is_the_same_in_each():
    subtitles = Subtitles(HOLD_BACK)
    subtitles.add(live(1, 4.5))
    found = segments(subtitles, 20)
    block = "u.1\n00:00:01.000 --> 00:00:04.500\n<v Anne>Oui.\n\n"
    assert found[:4] == [HEADER + block, HEADER + block, HEADER + block, HEADER]


def test_a_cue_that_ends_with_a_segment_is_not_in_the_next_one():
    subtitles = Subtitles(HOLD_BACK)
    subtitles.add(live(0, 2))
    assert [len(cues_in(each)) for each in segments(subtitles, 12)] == [1, 0, 0]


def test_a_phrase_that_comes_after_its_segment_was_listed_is_whole_in_the_first_one_that_was_not():
    subtitles = Subtitles(HOLD_BACK)
    assert subtitles.listed(11.5) == 3
    subtitles.add(live(1, 4.5))
    found = segments(subtitles, 20)
    block = "u.1\n00:00:06.000 --> 00:00:09.500\n<v Anne>Oui.\n\n"
    assert found[3:6] == [HEADER + block, HEADER + block, HEADER]
    assert found[:3] == [HEADER] * 3


def test_a_phrase_that_took_long_to_say_moves_by_its_words_alone():
    settled = 2 + HOLD_BACK - COMMIT_S + 0.1
    for listed_before in (0, 2 + HOLD_BACK):
        subtitles = Subtitles(HOLD_BACK)
        subtitles.listed(listed_before)
        subtitles.add(live(1.5, 5, settled))
        assert [len(cues_in(each)) for each in segments(subtitles, 20)][:4] == [0, 1, 1, 0]


def test_the_end_of_the_meeting_lists_everything():
    subtitles = Subtitles(HOLD_BACK)
    subtitles.add(live(9, 13, settled=10))
    assert not subtitles.ended
    subtitles.end(11)
    assert subtitles.ended
    assert [len(cues_in(each)) for each in segments(subtitles, 11)] == [0, 0, 0, 0, 1, 1, 1]


def test_a_meeting_that_ended_at_once_has_a_segment():
    subtitles = Subtitles(HOLD_BACK)
    subtitles.end(0)
    assert segments(subtitles, 0) == [HEADER]


def test_cues_of_a_segment_are_in_order_of_their_start():
    subtitles = Subtitles(HOLD_BACK)
    for name, start in (("c", 1.5), ("a", 0.5), ("b", 0.5)):
        subtitles.add(live(start, start + 1, name=name))
    assert list(cues_in(segments(subtitles, 7)[0])) == ["a", "b", "c"]


@settings(max_examples=60, deadline=None)
@given(st.lists(spoken_words(), min_size=1, max_size=4), st.data())
def test_all_that_is_said_is_in_the_segments_once_and_no_listed_segment_changes(utterances, data):
    """Whatever the order in which words come and players ask, however late."""
    order = data.draw(st.permutations([k for k, spoken in enumerate(utterances) for _ in range(3)]))
    subtitles, cues, shown, now, seen = Subtitles(HOLD_BACK), LiveCues(), defaultdict(int), 0.0, []
    expected = {}
    for k in order:
        shown[k] += 1
        spoken, final = utterances[k], shown[k] == 3
        for each in cues.caption(caption(spoken, len(spoken) * shown[k] // 3, final, utterance=f"u{k}"), "Anne"):
            expected[each.cue.id] = each.text.split("\n", 2)[2].strip()
            subtitles.add(each)
        now += data.draw(st.sampled_from([0.0, 1.0, 3.0, 20.0]))
        found = segments(subtitles, now)
        assert found[: len(seen)] == seen
        seen = found
    subtitles.end(now)
    found = segments(subtitles, now)
    assert found[: len(seen)] == seen
    blocks = assert_repeated_by_rule(found)
    assert {name: block.split("\n", 2)[2] for name, block in blocks.items()} == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(spoken_words(), min_size=1, max_size=3))
def test_segments_made_again_from_the_finals_are_those_that_were_listed_while_words_came_in_time(utterances):
    """In time: each state within ``COMMIT_S`` of its newest word."""
    running, cues = Subtitles(HOLD_BACK), LiveCues()
    states = [
        (max((word.end for word in spoken[:count]), default=0.0), count == len(spoken) + 1, k, min(count, len(spoken)))
        for k, spoken in enumerate(utterances)
        for count in range(1, len(spoken) + 2)
    ]
    for at, final, k, count in sorted(states):
        running.listed(at + COMMIT_S / 2)
        for each in cues.caption(caption(utterances[k], count, final, utterance=f"u{k}"), "Anne"):
            running.add(each)
    again = Subtitles(HOLD_BACK)
    for k, spoken in enumerate(utterances):
        for each in LiveCues().caption(caption(spoken, len(spoken), final=True, utterance=f"u{k}"), "Anne"):
            again.add(each)
    assert segments(again, 500) == segments(running, 500)


def test_a_playlist_lists_its_segments_from_the_first_and_only_grows():
    playlist = subtitles_playlist(1_700_000_000.25)
    head = (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.250Z\n"
    )
    first = head + "#EXTINF:2,\nsubtitles/0.vtt\n"
    assert playlist.text(1, ended=False) == first
    assert playlist.text(3, ended=False) == first + "#EXTINF:2,\nsubtitles/1.vtt\n#EXTINF:2,\nsubtitles/2.vtt\n"
    assert playlist.text(3, ended=True).endswith("subtitles/2.vtt\n#EXT-X-ENDLIST\n")


def test_a_token_stands_once_in_a_playlist_and_every_address_names_it():
    text = subtitles_playlist(0).text(2, ended=False, token='a"b\n')
    assert text.startswith('#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-DEFINE:NAME="token",VALUE="a%22b%0A"\n')
    assert addresses(text) == ["subtitles/0.vtt?token={$token}", "subtitles/1.vtt?token={$token}"]
    sound = audio_playlist(0)
    assert '#EXT-X-MAP:URI="init.mp4?token={$token}"' in sound.text(1, ended=False, token="x")
    assert addresses(sound.text(1, ended=False)) == ["audio/0.m4s"]
    assert '#EXT-X-MAP:URI="init.mp4"\n' in sound.text(1, ended=False)


def addresses(playlist):
    return [line for line in playlist.splitlines() if not line.startswith("#")]


def test_playlists_keep_to_the_rules_of_rfc_8216():
    for playlist in (subtitles_playlist(0), audio_playlist(0)):
        lines = playlist.text(5400, ended=True).splitlines()
        tags = [line.partition(":")[0] for line in lines if line.startswith("#")]
        assert lines[0] == "#EXTM3U" and lines[-1] == "#EXT-X-ENDLIST"
        # Each tag once, but for one EXTINF before each address (4.1 and 4.3.2.1).
        assert all(tags.count(tag) == 1 for tag in set(tags) - {"#EXTINF"})
        assert len(set(addresses("\n".join(lines)))) == tags.count("#EXTINF") == 5400
        first = lines.index(next(line for line in lines if line.startswith("#EXTINF")))
        assert all(
            a.startswith("#EXTINF:") and not b.startswith("#")
            for a, b in zip(lines[first:-1:2], lines[first + 1 : -1 : 2], strict=True)
        )
        durations = [float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")]
        # Rounded, none is longer than the target (4.3.3.1); together they stay on the clock of meeting time.
        assert all(round(duration) <= SEGMENT_S for duration in durations)
        assert abs(sum(durations) - 5400 * SEGMENT_S) < 0.03


def test_a_meeting_that_is_open_for_more_than_half_a_day_lists_the_last_of_its_segments():
    for before in ((), (5,), (MOST_SEGMENTS,)):
        playlist = subtitles_playlist(0)
        for count in before:
            playlist.text(count, ended=False)
        text = playlist.text(MOST_SEGMENTS + 3, ended=False)
        assert "#EXT-X-MEDIA-SEQUENCE:3\n" in text and "PLAYLIST-TYPE" not in text
        assert "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:06.000Z\n" in text
        assert addresses(text) == [f"subtitles/{number}.vtt" for number in range(3, MOST_SEGMENTS + 3)]


def test_sound_lags_behind_meeting_time_by_less_than_a_frame():
    starts = [audio_frames_before(number) * 1024 / 48_000 for number in range(5400)]
    assert all(0 <= start - 2 * number < 1024 / 48_000 for number, start in enumerate(starts))
    assert {round((after - before) * 48_000 / 1024) for before, after in pairwise(starts)} == {93, 94}


def test_the_master_playlist_has_silent_sound_and_the_subtitles_that_stand_beside_it():
    assert master_playlist(("fr",), "a.b-c") == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="Captions",LANGUAGE="fr",DEFAULT=YES,AUTOSELECT=YES,'
        'FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="subtitles.m3u8?token=a.b-c"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2",SUBTITLES="captions",CLOSED-CAPTIONS=NONE\n'
        "audio.m3u8?token=a.b-c\n"
    )
    several = master_playlist(("fr", "en"))
    assert "LANGUAGE" not in several and "token" not in several


def test_a_paused_meeting_goes_on_with_empty_segments():
    subtitles, cues = Subtitles(HOLD_BACK), LiveCues()
    before, after = words("Nous faisons une pause.", 0, 2), words("Nous reprenons.", 30, 31)
    for name, spoken in (("u1", before), ("u2", after)):
        for each in cues.caption(caption(spoken, len(spoken), final=True, utterance=name), "Anne"):
            subtitles.add(each)
    found = segments(subtitles, 40)
    assert [number for number, each in enumerate(found) if each != HEADER] == [0, 15]


def test_the_playlists_of_three_hours_cost_no_more_than_what_they_add():
    playlist = audio_playlist(0)
    entries = []
    playlist._entry = lambda number, entry=playlist._entry: entries.append(number) or entry(number)
    for count in range(1, 5401):
        playlist.text(count, ended=False, token="x")
    assert entries == list(range(5400))
