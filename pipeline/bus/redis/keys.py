"""What Greffier's keys in Redis are called. ``{meeting}`` stands in braces, so a cluster keeps a meeting on one shard.

====================== ======= =======================================================================================
``{m}:lease``          string  who captions the meeting (``RedisLeases``); absent while nobody does
``{m}:audio``          stream  what gateways hear, until it is no longer needed (``AudioOutlet``, ``AudioInbox``)
``{m}:tracks``         hash    track -> JSON: tracks that are open, or of which sound is still needed
``{m}:people``         hash    ``<gateway> <participant>`` -> JSON: who is there, by which gateway
``{m}:progress``       hash    track -> meeting time before which nothing of it is needed; ``inf``: nothing at all
``{m}:captions``       stream  the newest events of readers, ``<sequence>-0`` (``PublishedFeed``, ``MirroredFeed``)
``{m}:history``        hash    ``=<key>`` or ``#<sequence>`` -> event: what a new reader needs (``History``)
``{m}:control``        stream  what the owner and the gateways are asked to do (``Control``)
``{m}:wanted``         string  somebody reads the meeting or takes part
``{m}:offered``        string  an offer of the meeting is on its way
``process:<id>``       string  what a process says of itself (``Registry``)
``processes``          zset    ids of processes, by when they last said so
``life``               string  a word of its own for the content: another one, and Redis has been emptied
====================== ======= =======================================================================================
"""

from pipeline.domain import MeetingId

PREFIX = "greffier:"
LIFE = PREFIX + "life"
PROCESSES = PREFIX + "processes"

SECONDS_KEPT = 7 * 24 * 3600
"""How long what Redis holds of a meeting is there when nobody renews it."""

OF_MEETING = ("audio", "tracks", "people", "progress", "captions", "history", "control")
"""What a meeting leaves behind; leases and wishes end by themselves."""


def of_meeting(meeting: MeetingId, what: str) -> str:
    return f"{PREFIX}{{{meeting}}}:{what}"


def of_process(process: str) -> str:
    return f"{PREFIX}process:{process}"
