"""What is measured in a LiveKit room: finals that are lost, changed, doubled or out of order are counted."""

from typing import Any

import pytest

from tests.benchmarks.livekit_room import delivered_of
from tests.livekit.people import Text

KEPT = {"anne.1#1": "Bonjour à tous.", "anne.1#2": "Oui.", "anne.1#3": "Oui."}


def streams(*finals: tuple[str, str]) -> list[Text]:
    return [
        Text("anne", text, {"lk.segment_id": f"m/{name}", "lk.transcription_final": "true"}, 0.0)
        for name, text in [*finals, ("anne.1#9", "")]  # of an utterance in which nothing was said
    ]


def packets(*texts: str) -> list[dict[str, Any]]:
    return [{"segments": [{"id": f"m/anne.1#1.{number}", "text": text}]} for number, text in enumerate(texts)]


def test_what_is_delivered_once_in_order_is_not_amiss() -> None:
    figures = delivered_of(KEPT, streams(*KEPT.items()), packets("Bonjour", "à", "tous.", "Oui.", "Oui."))
    assert (figures["finals"], figures["streams_amiss"], figures["packets_amiss"]) == (3, 0, 0)


@pytest.mark.parametrize(
    "finals",
    [
        list(KEPT.items())[:2],
        [*KEPT.items(), ("anne.1#3", "Oui.")],
        list(KEPT.items())[::-1],
        [("anne.1#1", "Bonjour."), *list(KEPT.items())[1:]],
    ],
    ids=["lost", "doubled", "disordered", "changed"],
)
def test_what_is_not_is_counted(finals: list[tuple[str, str]]) -> None:
    assert delivered_of(KEPT, streams(*finals), [])["streams_amiss"] > 0


def test_words_that_packets_lack_are_counted() -> None:
    assert delivered_of(KEPT, [], packets("Bonjour", "à", "tous.", "Oui."))["packets_amiss"] == 1


def test_a_room_in_which_nothing_was_heard_is_no_success() -> None:
    with pytest.raises(AssertionError):
        delivered_of({}, [], [])
