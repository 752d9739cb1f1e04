"""The client's messages are those of moshi-server, and whatever else answers is a failure that says so."""

from typing import Any

import msgpack
import numpy as np
import pytest

from models.kyutai.messages import Marker, Message, Ready, Refusal, Said, Step, audio, marker, read_message
from pipeline.errors import RecognitionFailed


def test_sound_and_markers_are_packed_as_moshi_server_reads_them() -> None:
    packed = audio(np.array([0.5, -0.25], np.float32))
    assert msgpack.unpackb(packed) == {"type": "Audio", "pcm": [0.5, -0.25]}
    assert packed.count(b"\xca") == 2  # single floats
    assert msgpack.unpackb(marker(3)) == {"type": "Marker", "id": 3}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"type": "Ready"}, Ready()),
        ({"type": "Word", "text": " oui ", "start_time": 1}, Said("oui", 1.0)),
        ({"type": "EndWord", "stop_time": 1.5}, None),
        ({"type": "Step", "step_idx": 9, "prs": [0.25, 0, 0, 0], "buffered_pcm": 0}, Step((0.25, 0.0, 0.0, 0.0))),
        ({"type": "Marker", "id": 3}, Marker(3)),
        ({"type": "Error", "message": "no free channels"}, Refusal("no free channels")),
        ({"type": "News"}, None),
    ],
)
def test_each_message_is_read(said: dict[str, Any], read: Message | None) -> None:
    assert read_message(msgpack.packb(said)) == read


@pytest.mark.parametrize(
    "packed",
    [
        "text",
        b"",
        b"\xc1",
        msgpack.packb({"type": "Word", "text": "half of it", "start_time": 1.0})[:20],
        msgpack.packb([1]),
        msgpack.packb({"kind": "Ready"}),
        msgpack.packb({"type": "Word", "text": 3, "start_time": 1.0}),
        msgpack.packb({"type": "Word", "text": "oui", "start_time": float("nan")}),
        msgpack.packb({"type": "Word", "text": "oui"}),
        msgpack.packb({"type": "Marker", "id": float("inf")}),
        msgpack.packb({"type": "Step", "prs": None}),
        msgpack.packb({"type": []}),
    ],
)
def test_what_no_moshi_server_says_is_a_failure(packed: bytes | str) -> None:
    with pytest.raises(RecognitionFailed, match="does not speak as moshi-server does"):
        read_message(packed)
