"""Live WebVTT in HLS (RFC 8216): segments of two seconds of meeting time, beside silent sound on the same clock.

The rules, for running and ended meetings alike:

- Segment n holds the cues that are shown between 2n and 2n + 2 s; a cue that spans several is in each, the same in all
  (section 3.5). Segments without cues exist; in a pause all are empty, and meeting time goes on.
- A segment is listed once meeting time is past its end by the hold-back, and never changes after.
- A phrase is taken to be committed ``COMMIT_S`` after the word that settled it, or when it came if that was later. If
  the segment it begins in was listed by then, it is shown from the beginning of the first one that was not, for as
  long as before, whole.

So the place of a phrase follows from its words: whoever makes the segments again from the finals of the store, in this
process or the next, gets the same ones, except where phrases took longer than ``COMMIT_S``, somebody was renamed, or
it was found out later which voice of a shared microphone said a phrase.

Playlists are of type EVENT, so that who joins late can go back to the beginning. Should a meeting stay open for more
than ``MOST_SEGMENTS``, they list the last of them.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import ceil
from urllib.parse import quote

from pipeline.errors import NotFound
from pipeline.export.live_cues import LiveCue, moved_to

SEGMENT_S = 2
COMMIT_S = 2.0
MOST_SEGMENTS = 12 * 3600 // SEGMENT_S

AUDIO_RATE = 48_000
AUDIO_FRAME = 1024
"""Samples in a frame of AAC (ISO 14496-3)."""

# Times of cues are meeting time, and so are those of the sound (RFC 8216, section 3.5).
_SEGMENT_HEADER = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
_BANDWIDTH = 64_000
_TOKEN = "?token={$token}"  # noqa: S105 - the name of a variable (draft-pantos-hls-rfc8216bis, section 4.4.2.3)


class Subtitles:
    """The cues of one meeting in segments. ``hold_back`` is in seconds; cues may come in any order."""

    def __init__(self, hold_back: float) -> None:
        self._hold_back = hold_back
        self._segments: defaultdict[int, list[LiveCue]] = defaultdict(list)
        self._listed = 0
        self._count = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def add(self, live: LiveCue) -> None:
        """Puts a phrase into its segments, none of which was listed."""
        unlisted = max(self._listed, self._past(live.settled + COMMIT_S))
        moved = moved_to(live, max(live.cue.start, SEGMENT_S * unlisted))
        end = ceil(moved.cue.end / SEGMENT_S)
        for number in range(int(moved.cue.start // SEGMENT_S), end):
            self._segments[number].append(moved)
        self._count = max(self._count, end)

    def listed(self, now: float) -> int:
        """How many segments are listed at ``now``, in meeting time; never fewer than before."""
        self._listed = max(self._listed, self._count if self._ended else self._past(now))
        return self._listed

    def end(self, at: float) -> None:
        """The meeting ended: everything is listed, up to ``at`` and to the end of the last cue."""
        self._ended = True
        self._count = max(self._count, ceil(at / SEGMENT_S), 1)

    def segment(self, number: int) -> str:
        """A segment as WebVTT. Raises ``NotFound`` for one that was never listed."""
        if not 0 <= number < self._listed:
            raise NotFound(f"there is no segment {number} yet: take those that the playlist lists")
        cues = sorted(self._segments.get(number, ()), key=lambda live: (live.cue.start, live.cue.end, live.cue.id))
        return _SEGMENT_HEADER + "".join(live.text for live in cues)

    def _past(self, now: float) -> int:
        return max(0, int((now - self._hold_back) // SEGMENT_S))


class MediaPlaylist:
    """A playlist that only grows; what was written once is kept. ``started_at`` is meeting time 0 on the wall clock."""

    def __init__(self, started_at: float, entry: Callable[[int], str], header: Iterable[str] = ()) -> None:
        self._started_at = started_at
        self._entry = entry
        self._header = tuple(header)
        self._entries: deque[str] = deque(maxlen=MOST_SEGMENTS)
        self._count = 0

    def text(self, count: int, *, ended: bool, token: str | None = None) -> str:
        """The playlist of the first ``count`` segments, which are never fewer than before.

        The token of the reader stands in it once and its addresses name it: a long meeting has thousands of them.
        """
        first = max(0, count - MOST_SEGMENTS)
        self._entries.extend(self._entry(number) for number in range(max(first, self._count), count))
        self._count = count
        version, define = "#EXT-X-VERSION:7", ""
        if token is not None:
            # Variables came with version 8; Safari and hls.js know them.
            version, define = "#EXT-X-VERSION:8", f'#EXT-X-DEFINE:NAME="token",VALUE="{quote(token, safe="")}"'
        head = (
            *("#EXTM3U", version, define, f"#EXT-X-TARGETDURATION:{SEGMENT_S}", f"#EXT-X-MEDIA-SEQUENCE:{first}"),
            "" if first else "#EXT-X-PLAYLIST-TYPE:EVENT",  # of which nothing may be removed (4.3.3.5)
            *self._header,
            f"#EXT-X-PROGRAM-DATE-TIME:{_date(self._started_at + first * SEGMENT_S)}",
        )
        lines = "".join(f"{line}\n" for line in head if line)
        text = lines + "".join(self._entries) + ("#EXT-X-ENDLIST\n" if ended else "")
        return text if token is not None else text.replace(_TOKEN, "")


def subtitles_playlist(started_at: float) -> MediaPlaylist:
    return MediaPlaylist(started_at, lambda number: f"#EXTINF:{SEGMENT_S},\nsubtitles/{number}.vtt{_TOKEN}\n")


def audio_playlist(started_at: float) -> MediaPlaylist:
    return MediaPlaylist(started_at, _audio_entry, [f'#EXT-X-MAP:URI="init.mp4{_TOKEN}"'])


def master_playlist(languages: tuple[str, ...], token: str | None = None) -> str:
    """One variant, silent sound, with the captions as its subtitles."""
    query = "" if token is None else f"?token={quote(token, safe='')}"
    # A meeting of several languages has captions of no single one (BCP 47: "und" would claim that nobody knows it).
    language = f'LANGUAGE="{languages[0]}",' if len(languages) == 1 else ""
    return (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="Captions",{language}DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,'
        f'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="subtitles.m3u8{query}"\n'
        f'#EXT-X-STREAM-INF:BANDWIDTH={_BANDWIDTH},CODECS="mp4a.40.2",SUBTITLES="captions",CLOSED-CAPTIONS=NONE\n'
        f"audio.m3u8{query}\n"
    )


def audio_frames_before(number: int) -> int:
    """Frames of sound before segment ``number``: two seconds are 93.75 of them, so three segments in four hold 94."""
    return ceil(number * SEGMENT_S * AUDIO_RATE / AUDIO_FRAME)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _audio_entry(number: int) -> str:
    samples = (audio_frames_before(number + 1) - audio_frames_before(number)) * AUDIO_FRAME
    return f"#EXTINF:{samples / AUDIO_RATE:.6f},\naudio/{number}.m4s{_TOKEN}\n"
