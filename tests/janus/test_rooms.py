"""Rooms of the real Janus, as the gateway is told of them and hears them."""

from collections.abc import Callable
from typing import Any

from media_gateway.people import participant_id

Seen = Callable[[str], dict[str, Any]]


def test_two_speakers_are_heard_each_on_their_own(seen: Seen) -> None:
    assert min(seen("two_speakers")["likenesses"]) > 0.7


def test_a_room_is_joined_at_once(seen: Seen) -> None:
    assert seen("two_speakers")["joined_in"] < 5


def test_people_come_change_their_names_leave_and_come_again(seen: Seen) -> None:
    told = [event for event in seen("two_speakers")["told"] if " 11" in event]
    once = ["Arrived 11 Anne", "Published 11"]
    assert told == [*once, "Changed 11 Anne M.", "Departed 11", *once, "Departed 11"]


def test_what_a_microphone_gave_ends_when_its_participant_leaves(seen: Seen) -> None:
    assert sum(seen("two_speakers")["ended"]) == 1


def test_captions_and_notices_reach_every_participant_as_they_are(seen: Seen) -> None:
    """The captions feed itself is no participant; events of other types are shown to nobody."""
    for captions in seen("two_speakers")["captions"]:
        assert [caption["type"] for caption in captions] == ["caption", "caption", "notice"]
        assert captions[0]["committed"] == "Bonjour, ça va ?"
        assert captions[1]["committed"] == "é" * 20_000
    assert not any("captions" in event for event in seen("two_speakers")["told"])


def test_a_muted_microphone_is_a_pause_and_no_loss(seen: Seen) -> None:
    mute = seen("mute")
    assert (mute["microphones"], mute["lost"]) == (1, 0)
    assert min(mute["before"], mute["after"]) > 0.7


def test_the_first_word_after_muting_is_heard_at_its_time(seen: Seen) -> None:
    assert -0.1 <= seen("mute")["late"] < 1


def test_whoever_vanishes_has_left_and_an_empty_room_is_over(seen: Seen) -> None:
    vanishing = seen("vanishing")
    assert vanishing["told"] == ["Arrived 31 Anne", "Published 31", "Departed 31", "Parted empty"]
    assert vanishing["ended"]
    assert vanishing["noticed_in"] < 5


def test_a_gateway_that_is_kicked_is_evicted(seen: Seen) -> None:
    assert seen("putting_out")["kicked"] == "Parted evicted"


def test_a_room_that_is_destroyed_is_over_and_shows_nothing_more(seen: Seen) -> None:
    assert seen("putting_out")["destroyed"] == "Parted empty"
    assert seen("putting_out")["shown_after"] == "GatewayFailed"


def test_a_microphone_whose_connection_failed_is_heard_again_as_the_same(seen: Seen) -> None:
    assert seen("hangups")["microphones"] == 1
    assert seen("hangups")["likeness"] > 0.7


def test_who_stops_publishing_has_left_until_they_publish_again(seen: Seen) -> None:
    once = ["Arrived 61 Anne", "Published 61"]
    assert seen("hangups")["told"] == [*once, "Departed 61", *once, "Parted lost"]


def test_a_room_that_is_not_there_is_not_found(seen: Seen) -> None:
    assert seen("refusals")["no_room"][0] == "NotFound"
    assert seen("refusals")["no_number"][0] == "NotFound"


def test_a_refusal_names_the_setting_that_opens(seen: Seen) -> None:
    refusals = seen("refusals")
    assert "GREFFIER_JANUS_PIN" in refusals["no_pin"][1]
    assert "GREFFIER_JANUS_SECRET" in refusals["no_secret"][1]
    assert "publishers" in refusals["full"][1]
    assert refusals["pin"] == ["joined"]
    assert refusals["no_server"][0] == "GatewayFailed"


def test_a_room_that_wants_encryption_end_to_end_is_left(seen: Seen) -> None:
    assert seen("refusals")["encrypted"] == ["Parted encrypted"]


def test_ids_may_be_texts_and_become_ids_of_participants(seen: Seen) -> None:
    """What does not fit an id gets one of its own; who has no name is called by their id."""
    told = seen("text_ids")["told"]
    arrived = sorted(event for event in told if event.startswith("Arrived"))
    assert arrived == [f"Arrived {participant_id('anne@example.org')} Anne", "Arrived bruno bruno"]
    assert seen("text_ids")["number"] == ["joined"]


def test_a_closed_janus_is_captioned_with_its_secret_and_pin(seen: Seen) -> None:
    assert seen("text_ids")["likeness"] > 0.7
    assert [caption["code"] for caption in seen("text_ids")["captions"]] == ["paused"]


def test_a_janus_that_dies_is_lost_at_once_and_joined_again_when_it_is_back(seen: Seen) -> None:
    restart = seen("restart")
    assert restart["told"][-1] == "Parted lost"
    assert restart["lost_in"] < 5
    assert restart["ended"]
    assert restart["away"] == "GatewayFailed"
    assert restart["likeness"] > 0.7
