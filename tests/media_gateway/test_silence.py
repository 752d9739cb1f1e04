from io import BytesIO
from itertools import pairwise

import av
import numpy as np

from media_gateway.silence import init_segment, media_segment
from pipeline.export.hls import audio_frames_before, audio_playlist


def packets(numbers):
    with av.open(BytesIO(init_segment() + b"".join(map(media_segment, numbers)))) as container:
        return [packet for packet in container.demux(audio=0) if packet.size]


def boxes(file):
    begin, found = 0, []
    while begin < len(file):
        size = int.from_bytes(file[begin : begin + 4], "big")
        found.append((file[begin + 4 : begin + 8], file[begin : begin + size]))
        begin += size
    return found


def test_an_init_segment_holds_what_comes_before_any_sound():
    assert [name for name, _ in boxes(init_segment())] == [b"ftyp", b"moov"]
    assert b"mp4a" in init_segment() and b"elst" not in init_segment()


def test_a_media_segment_is_one_fragment_with_its_number_and_time():
    for number in (0, 1, 3, 5399, 10**6):
        (moof, fragment), (mdat, _) = boxes(media_segment(number))
        assert (moof, mdat) == (b"moof", b"mdat")
        at = fragment.index(b"mfhd") + 8
        assert int.from_bytes(fragment[at : at + 4], "big") == number + 1
        at = fragment.index(b"tfdt") + 8
        first = int.from_bytes(fragment[at : at + 8], "big")
        # On the clock of the subtitles to a frame, from the first hour to the last.
        assert 0 <= first / 48_000 - 2 * number < 1024 / 48_000


def test_segments_follow_one_another_without_hole_or_overlap():
    found = packets(range(9))
    assert found[0].pts == 0
    assert {after.pts - before.pts for before, after in pairwise(found)} == {1024}
    assert (found[-1].pts + 1024) / 48_000 >= 18


def test_any_segment_decodes_by_itself_to_silence_at_its_time():
    with av.open(BytesIO(init_segment() + media_segment(5398))) as container:
        frames = list(container.decode(audio=0))
    assert frames[0].time is not None and 0 <= frames[0].time - 2 * 5398 < 1024 / 48_000
    assert sum(frame.samples for frame in frames) >= 93 * 1024
    assert all(np.abs(frame.to_ndarray()).max() < 1e-4 for frame in frames)


def test_another_player_plays_the_playlist_from_beginning_to_end(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "init.mp4").write_bytes(init_segment())
    for number in range(5):
        (tmp_path / "audio" / f"{number}.m4s").write_bytes(media_segment(number))
    (tmp_path / "audio.m3u8").write_text(audio_playlist(0.0).text(5, ended=True))
    with av.open(str(tmp_path / "audio.m3u8"), options={"allowed_extensions": "ALL"}) as container:
        frames = list(container.decode(audio=0))
    assert sum(frame.samples for frame in frames) == audio_frames_before(5) * 1024
    assert {round((after.time - before.time) * 48_000) for before, after in pairwise(frames)} == {1024}


def test_the_same_segment_is_the_same_every_time():
    assert media_segment(7) == media_segment(7)
    assert init_segment() == init_segment()
