"""A session goes on where another one of its meeting stopped."""

from pipeline.running.keeping import Keeping
from pipeline.running.past import Past
from pipeline.running.presence import Attendance
from pipeline.running.telling import Telling
from pipeline.running.voice_keeping import KeptRooms
from pipeline.session import Session


def restore(
    past: Past,
    session: Session,
    keeping: Keeping,
    attendance: Attendance,
    telling: Telling,
    rooms: KeptRooms,
    *,
    paused: bool,
) -> None:
    """Readers are told what the feed does not hold: all of it where it is new, else the finals that were kept last."""
    going_on = any(reading.event["type"] == "meeting" for reading in telling.feed.history())
    attendance.go_on(past.presences)
    shown = []
    for each in past.resumed:
        session.resume(each.track, each.finals, each.open, each.unrecorded)
        rooms.resume(each, past)
        if each.open is not None:
            keeping.see(each.open)
            shown.append(each.open)
    telling.again((*past.finals, *shown))
    rooms.again(past.voices, past.runs)
    if going_on:
        return
    telling.state("running", paused)
    if past.cut:
        telling.notice("cut")
    if paused:
        telling.notice("paused")
