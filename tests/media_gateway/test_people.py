"""Ids and names from whatever an SFU calls people."""

import re
import time

import pytest

from media_gateway.people import participant, participant_id, shown_name
from pipeline.domain import Participant, ParticipantId


@pytest.mark.parametrize("identity", ["11", "anne", "A-b_9", "x" * 64])
def test_an_identity_that_fits_is_the_id(identity: str) -> None:
    assert participant_id(identity) == identity


@pytest.mark.parametrize("identity", ["", "anne@example.org", "x" * 65, "é", "a b", "11\n", "\ud800"])
def test_another_gets_an_id_that_fits_and_stays(identity: str) -> None:
    made = participant_id(identity)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
    assert made == participant_id(identity)
    assert made != participant_id(identity + "!")


def test_nobody_takes_the_id_of_another_by_being_called_like_it() -> None:
    victims = participant_id("anne@example.org")
    assert participant_id(victims) != victims


def test_a_name_of_a_megabyte_holds_up_nobody() -> None:
    marks = "\u0315\u0300" * 100_000  # put in order, they take minutes
    began = time.perf_counter()
    assert shown_name("Anne " + marks).startswith("Anne")
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Anne", "Anne"),
        ("  Anne \n Martin ", "Anne Martin"),
        ("A\u202enne\x00", "Anne"),
        ("e\u0301", "é"),
        ("x" * 200, "x" * 100),
        ("\u200b\u00ad", ""),
        ("", ""),
    ],
)
def test_a_name_is_what_is_visible_of_it(name: str, shown: str) -> None:
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    ("identity", "name", "called"), [("11", "Anne", "Anne"), ("11", " ", "11"), ("\u200b", "\u200b", "?")]
)
def test_who_has_no_name_is_called_by_their_identity(identity: str, name: str, called: str) -> None:
    assert participant(identity, name) == Participant(ParticipantId(participant_id(identity)), called)
