"""The formats a transcript can be exported to, by the names that commands and addresses use."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.domain import Transcript
from pipeline.export.json import json
from pipeline.export.markdown import markdown
from pipeline.export.srt import srt
from pipeline.export.text import text
from pipeline.export.webvtt import webvtt

FORMATS: Mapping[str, Callable[[Transcript], str]] = MappingProxyType(
    {"vtt": webvtt, "srt": srt, "txt": text, "json": json, "md": markdown}
)
"""Each gives the whole document, to be encoded as UTF-8; the name is also the file extension."""
