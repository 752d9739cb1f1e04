"""The meetings that run in this process: sound in from any number of sources, captions to the feed and the store."""

from pipeline.running.equipment import Equipment
from pipeline.running.live import LiveMeeting, LiveMeetings
from pipeline.running.meeting import RunningMeeting
from pipeline.running.meetings import RunningMeetings

__all__ = ["Equipment", "LiveMeeting", "LiveMeetings", "RunningMeeting", "RunningMeetings"]
