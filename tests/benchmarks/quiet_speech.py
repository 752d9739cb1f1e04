"""Whether the energy gate before the detector loses speech: the same track at the edge, with and without it."""

from collections.abc import Sequence

from tests.benchmarks.corpus import SAMPLE_RATE, Samples, Span
from tests.benchmarks.mixing import TrackFile, read_wav
from tests.benchmarks.truth import truth_of

FRAME = 640


def words_lost_at_gate(tracks: Sequence[TrackFile]) -> tuple[int, int]:
    """How many true words the detector alone passes on and the gated one does not, and how many it passes on."""
    lost = passed = 0
    for track in tracks:
        samples = read_wav(track.path)
        alone, gated = (spans_at_edge(samples, gated=gated) for gated in (False, True))
        for word in truth_of(track):
            middle = (word.start + word.end) / 2
            if _within(middle, alone):
                passed += 1
                lost += not _within(middle, gated)
    return lost, passed


def spans_at_edge(samples: Samples, *, gated: bool) -> list[Span]:
    """The sound that the edge sends on, as spans."""
    from api.detecting import speech_detectors
    from pipeline.domain import AudioFrame, SpeechEnded, TrackId
    from pipeline.edge import EdgeSettings, TrackEdge

    track = TrackId("quiet")
    edge = TrackEdge(track, speech_detectors()(), EdgeSettings(gated=gated))
    spans: list[Span] = []
    begun: float | None = None
    frames = [AudioFrame(track, at / SAMPLE_RATE, samples[at : at + FRAME]) for at in range(0, len(samples), FRAME)]
    for events in [*(edge.feed(frame) for frame in frames), edge.close()]:
        for event in events:
            if isinstance(event, AudioFrame) and begun is None:
                begun = event.start
            elif isinstance(event, SpeechEnded) and begun is not None:
                spans.append((begun, event.at))
                begun = None
    return spans


def _within(at: float, spans: Sequence[Span]) -> bool:
    return any(start <= at <= end for start, end in spans)
