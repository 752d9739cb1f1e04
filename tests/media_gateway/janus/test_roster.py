"""Who publishes, from what Janus tells."""

from typing import Any

from media_gateway.janus.roster import Closed, Opened, Roster
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Parting
from pipeline.domain import Participant, ParticipantId

ANNE = Participant(ParticipantId("11"), "Anne")
AUDIO = {"type": "audio", "mindex": 0, "mid": "0", "codec": "opus"}
VIDEO = {"type": "video", "mindex": 1, "mid": "1", "codec": "vp8"}
DATA = {"type": "data", "mindex": 2, "mid": "2"}


def publishing(*streams: dict[str, Any], feed: int = 11, name: str = "Anne", **more: Any) -> dict[str, Any]:
    return {
        "videoroom": "event",
        "room": 1,
        "publishers": [{"id": feed, "display": name, "streams": [*streams], **more}],
    }


def test_publishers_who_are_there_already_are_told_like_those_who_come() -> None:
    joined = publishing(AUDIO) | {"videoroom": "joined", "id": 99, "private_id": 1, "description": "Room"}
    assert Roster().told(joined) == [Arrived(ANNE), Opened(ANNE, 11, "0")]
    assert Roster().told(publishing(AUDIO)) == [Arrived(ANNE), Opened(ANNE, 11, "0")]


def test_the_first_audio_that_is_in_use_is_the_microphone() -> None:
    unused, second = AUDIO | {"disabled": True}, AUDIO | {"mid": "3"}
    assert Roster().told(publishing(VIDEO, unused, second, AUDIO | {"mid": "4"})) == [
        Arrived(ANNE),
        Opened(ANNE, 11, "3"),
    ]


def test_who_shows_pictures_alone_is_there_without_a_microphone() -> None:
    assert Roster().told(publishing(VIDEO)) == [Arrived(ANNE)]


def test_who_publishes_data_alone_or_nothing_or_holds_a_place_is_no_participant() -> None:
    roster = Roster()
    for told in (publishing(DATA), publishing(), publishing(AUDIO | {"disabled": True}), publishing(AUDIO, dummy=True)):
        assert roster.told(told) == []
    assert len(roster) == 0


def test_a_microphone_may_be_added_taken_away_and_changed() -> None:
    roster = Roster()
    roster.told(publishing(VIDEO))
    assert roster.told(publishing(VIDEO, AUDIO)) == [Opened(ANNE, 11, "0")]
    assert roster.told(publishing(VIDEO, AUDIO)) == []
    assert roster.told(publishing(VIDEO, AUDIO | {"mid": "5"})) == [Closed(11), Opened(ANNE, 11, "5")]
    assert roster.told(publishing(VIDEO)) == [Closed(11)]
    assert roster.told(publishing(DATA)) == [Departed(ANNE.id)]


def test_a_name_changes_by_itself_or_with_what_is_published() -> None:
    roster, other = Roster(), Participant(ANNE.id, "Anne M.")
    roster.told(publishing(AUDIO))
    assert roster.told({"videoroom": "event", "id": 11, "display": "Anne M."}) == [Changed(other)]
    assert roster.told({"videoroom": "event", "id": 11, "display": "Anne M."}) == []
    assert roster.told({"videoroom": "event", "id": 12, "display": "Nobody"}) == []
    assert roster.told(publishing(AUDIO)) == [Changed(ANNE)]
    assert roster.told({"videoroom": "event", "id": 11, "display": None}) == [Changed(Participant(ANNE.id, "11"))]


def test_who_stops_publishing_leaves_or_is_kicked_has_departed_once() -> None:
    for word in ("unpublished", "leaving", "kicked"):
        roster = Roster()
        roster.told(publishing(AUDIO))
        assert roster.told({"videoroom": "event", "room": 1, word: 11}) == [Closed(11), Departed(ANNE.id)]
        assert roster.told({"videoroom": "event", "room": 1, "leaving": 11}) == []
        assert roster.told({"videoroom": "event", "room": 1, word: 12}) == []


def test_being_kicked_and_the_end_of_the_room_part_us_from_it() -> None:
    kicked = {"videoroom": "event", "room": 1, "leaving": "ok", "reason": "kicked"}
    assert Roster().told(kicked) == [Parted(Parting.EVICTED)]
    assert Roster().told({"videoroom": "destroyed", "room": 1}) == [Parted(Parting.EMPTY)]
    assert Roster().told({"videoroom": "event", "room": 1, "leaving": "ok"}) == []


def test_what_is_about_something_else_changes_nothing() -> None:
    roster = Roster()
    for told in (
        {},
        {"videoroom": "talking", "room": 1, "id": 11},
        {"videoroom": "event", "room": 1, "configured": "ok"},
        {"videoroom": "event", "room": 1, "joining": {"id": 11, "display": "Anne"}},
        {"videoroom": "event", "room": 1, "id": 11, "mid": "0", "moderation": "muted"},
        {"videoroom": "event", "room": 1, "unpublished": "ok"},
    ):
        assert roster.told(told) == []
