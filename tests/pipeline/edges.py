"""Frames through the edge of one track, and what comes of them."""

from models.level import LevelDetector
from pipeline.domain import AudioFrame, SpeechEnded, SpeechStarted, TrackEvent, TrackId
from pipeline.edge import EdgeSettings, TrackEdge

NAME = TrackId("track")


def level_edge(settings: EdgeSettings | None = None) -> TrackEdge:
    return TrackEdge(NAME, LevelDetector(), settings)


def passed(frames: list[AudioFrame], edge: TrackEdge | None = None) -> list[TrackEvent]:
    edge = edge or level_edge()
    return [event for frame in frames for event in edge.feed(frame)] + edge.close()


def spans(events: list[TrackEvent]) -> list[tuple[float, float]]:
    starts = [event.at for event in events if isinstance(event, SpeechStarted)]
    ends = [event.at for event in events if isinstance(event, SpeechEnded)]
    return list(zip(starts, ends, strict=True))


def sounds(events: list[TrackEvent]) -> list[AudioFrame]:
    return [event for event in events if isinstance(event, AudioFrame)]
