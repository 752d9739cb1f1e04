"""``greffier diarize``: who spoke when in a recording, as RTTM."""

import argparse
from pathlib import Path

from api.diarizing import open_diarizer
from api.output import check_writable, fetch_progress, progress, written
from api.settings import Settings
from media_gateway.recording import Recording, read_recording
from pipeline.export.rttm import rttm


def diarize(arguments: argparse.Namespace, settings: Settings) -> int:
    path: Path = arguments.file
    place: Path = arguments.rttm
    Recording.open(path)
    check_writable(place)
    diarizer = open_diarizer(settings, fetch_progress)
    found = diarizer.diarize(read_recording(path), arguments.speakers, lambda done: progress(path.name, done))
    with written(place) as file:
        file.write(rttm(found.spans, path.stem))
    return 0
