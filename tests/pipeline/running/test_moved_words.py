"""What people do with the words of a shared microphone while its meeting goes on."""

from pathlib import Path

from pipeline.domain import SegmentId
from pipeline.speakers import NOBODY
from tests.pipeline.running.shared import ROOM, RoomStage
from tests.pipeline.running.stage import MEETING, eventually, finals, until
from tests.pipeline.running.test_shared_rooms import BOTH, FIRST, labelled, say, voices


async def test_words_that_people_move_are_told_so_and_stay_so_whatever_is_heard_then(tmp_path: Path) -> None:
    async with RoomStage(tmp_path) as stage:
        meeting = await stage.open()
        room = await stage.talker(meeting, ROOM)
        await say(stage, room, (7, FIRST))
        await until(lambda: finals(meeting) and labelled(meeting) == BOTH[:1])
        (heard,) = await eventually(lambda: stage.store.runs(MEETING), bool)
        await stage.store.move_segment_to_voice(MEETING, SegmentId(heard.utterance), NOBODY)
        await meeting.voices_changed()
        assert [event["runs"] for event in voices(meeting)] == [[]]
        await meeting.rename(ROOM.id, "Salle Pascal")
        assert [(event["speaker"], event["runs"]) for event in voices(meeting)] == [("Salle Pascal", [])]
        meeting._kept_rooms._told(room.track, (heard,))
        assert [event["runs"] for event in voices(meeting)] == [[]]
        await meeting.voices_changed()
        assert [event["runs"] for event in voices(meeting)] == [[]], "also before it is kept"
        await stage.store.move_segment_to_voice(MEETING, SegmentId(heard.utterance), 1)
        await meeting.voices_changed()
        assert labelled(meeting) == [("Salle Pascal (voix 1)", FIRST)]
