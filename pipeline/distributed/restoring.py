"""What a meeting was when its worker let go of it: out of the store, and out of the feed that readers saw."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from pipeline.domain import (
    Caption,
    Meeting,
    Participant,
    ParticipantId,
    Track,
    TrackId,
    UtteranceId,
)
from pipeline.export.event import Event, Reading, word_of
from pipeline.ports import KeptMeetings
from pipeline.running.past import Past, Resumed
from pipeline.running.telling import participant_of

KEPT_SOUND = 60.0
"""Seconds of sound that gateways keep: no record text can be made of what was said before."""


async def past_of(
    store: KeptMeetings,
    meeting: Meeting,
    fence: int,
    first: int,
    history: Iterable[Reading],
    tracks: Collection[Track],
    now: float,
) -> Past:
    """The past of a claimed meeting. ``tracks`` are open; ``now`` is meeting time. Raises what the store raises."""
    finals, opened, unrecorded = await asyncio.gather(
        store.finals(meeting.id),
        store.open_captions(meeting.id),
        store.unrecorded(meeting.id, now - KEPT_SOUND),
    )
    participants, pauses, presences, languages = await asyncio.gather(
        store.participants(meeting.id),
        store.pauses(meeting.id),
        store.presences(meeting.id),
        store.languages(meeting.id),
    )
    voices, runs = await asyncio.gather(store.voices(meeting.id), store.runs(meeting.id))
    events = [reading.event for reading in history]
    shown, older = _unfinished([*opened, *_shown_in(events)], {final.utterance for final in finals})
    for caption in older:  # the store refused their finals: nothing is said in them any more
        final = replace(caption, revision=caption.revision + 1, final=True, tail=())
        await store.for_meeting(meeting.id, fence).keep_final(final)
        finals.append(final)
    known = {track.id: track for track in tracks}
    people = {participant.id: participant for participant in participants}
    for name in {caption.track for caption in (*finals, *shown.values())} - known.keys():
        if name in shown or any(final.track == name for final in unrecorded):
            known[name] = _track(name, people, languages)
    return Past(
        first=first,
        finals=finals,
        participants=participants,
        pauses=pauses,
        languages=languages,
        resumed=tuple(_resumed(known, finals, shown, unrecorded)),
        voices=voices,
        runs=runs,
        presences=[presence for presence in presences if presence.left is None],
        newest=max((cast(float, event["sent_at"]) for event in events), default=0.0),
        fence=fence,
    )


def _shown_in(events: Iterable[Event]) -> list[Caption]:
    """The captions among ``events`` that are not final."""
    return [_caption(event) for event in events if event["type"] == "caption" and not event["final"]]


def _unfinished(captions: Iterable[Caption], closed: set[UtteranceId]) -> tuple[dict[TrackId, Caption], list[Caption]]:
    """The newest utterance of each track that has no final, and those before it, each as it was last."""
    newest: dict[UtteranceId, Caption] = {}
    for caption in captions:
        known = newest.get(caption.utterance)
        if caption.utterance not in closed and (known is None or _order(known) < _order(caption)):
            newest[caption.utterance] = caption
    ordered = sorted(newest.values(), key=_order)
    last = {caption.track: caption for caption in ordered}
    return last, [caption for caption in ordered if last[caption.track] is not caption]


def _order(caption: Caption) -> tuple[float, int, int]:
    words = caption.words or caption.tail
    return (words[-1].end if words else 0.0), len(caption.words), caption.revision


def _resumed(
    tracks: Mapping[TrackId, Track],
    finals: Iterable[Caption],
    shown: Mapping[TrackId, Caption],
    unrecorded: Iterable[Caption],
) -> Iterable[Resumed]:
    of_track: dict[TrackId, list[Caption]] = defaultdict(list)
    late: dict[TrackId, list[Caption]] = defaultdict(list)
    for final in finals:
        of_track[final.track].append(final)
    for final in unrecorded:
        late[final.track].append(final)
    for name, track in tracks.items():
        yield Resumed(track, of_track[name], shown.get(name), late[name])


def _track(
    name: TrackId,
    people: Mapping[ParticipantId, Participant],
    languages: Mapping[ParticipantId, tuple[str, ...]],
) -> Track:
    participant = participant_of(name)
    return Track(name, people.get(participant) or Participant(participant, participant), languages.get(participant, ()))


def _caption(event: Event) -> Caption:
    """The caption that ``caption_event`` wrote; its tail comes again by itself."""
    words = cast(list[Mapping[str, Any]], event["words"])
    return Caption(
        TrackId(cast(str, event["track"])),
        UtteranceId(cast(str, event["utterance"])),
        cast(int, event["revision"]),
        False,
        cast(str, event["language"]),
        tuple(word_of(word) for word in words),
    )
