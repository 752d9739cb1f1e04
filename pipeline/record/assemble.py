"""The transcript of a meeting from everything that was kept of it.

One segment per final utterance, or per piece of one voice where several share its microphone, with every text it ever
had. Times stay seconds of meeting time, as the live core gave them, and never run backwards within a text.
"""

from collections.abc import Iterable, Iterator, Mapping

from pipeline.domain import (
    Caption,
    Gap,
    MeetingId,
    Participant,
    ParticipantId,
    RecordText,
    Segment,
    SegmentId,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
)
from pipeline.errors import InvalidInput
from pipeline.record.attribution import at_microphone_of
from pipeline.record.copies import measured
from pipeline.record.crosstalk import fold
from pipeline.record.division import (
    Changes,
    Division,
    Known,
    changes_by_utterance,
    divided,
    segment_id,
    settled_voice,
)
from pipeline.record.shares import has_text, in_order, shares_of

ADJOINING_S = 0.2
"""Gaps of one track no further apart than this are one gap; no utterance fits in between."""

WHOLE = Division()

Spoken = tuple[TrackId, UtteranceId]


def assemble(
    meeting: MeetingId,
    tracks: Mapping[TrackId, Participant],
    finals: Iterable[Caption],
    records: Iterable[RecordText] = (),
    gaps: Iterable[Gap] = (),
    division: Division = WHOLE,
    title: str = "",
) -> Transcript:
    """The transcript of ``meeting``: segments by start, gaps by start, and everybody who was there.

    Of a final delivered twice the highest revision counts; of record texts that share an utterance the last one
    given that can be used. A record text of no known final is not used, and a final without words, in caption
    or record, makes no segment. A track nobody announced is a participant named after the track: its words are
    not lost. Words that ``division`` gives to a voice of its participant are segments of their own, and the voice is a
    participant; the rest keeps the participant's name alone. Raises ``InvalidInput`` for a caption that is not final.
    """
    latest = _latest(finals)
    texts = _record_words(records, latest)
    changed = changes_by_utterance(division.changed, {utterance for _, utterance in latest})
    said_by = _by_utterance(division.runs)
    known = {(voice.participant, voice.voice): voice for voice in division.voices}
    segments = [
        segment
        for (track, utterance), caption in latest.items()
        for segment in _segments(
            caption,
            texts.get((track, utterance)),
            tracks.get(track) or Participant(ParticipantId(track), track),
            said_by.get(utterance, ()),
            changed.get(utterance, {}),
            known,
        )
    ]
    segments.sort(key=lambda segment: (segment.start, segment.end, segment.track, segment.id))
    joined = _joined(gaps)
    participants: dict[ParticipantId, Participant] = {}
    speaking = (segment.participant for segment in segments)
    missed = (gap.participant for gap in joined)
    for participant in (*tracks.values(), *speaking, *missed):
        participants.setdefault(participant.id, participant)
    return fold(Transcript(meeting, tuple(segments), joined, title, tuple(participants.values())))


def _latest(finals: Iterable[Caption]) -> dict[Spoken, Caption]:
    latest: dict[Spoken, Caption] = {}
    for caption in finals:
        if not caption.final:
            raise InvalidInput(f"the caption of utterance {caption.utterance} is not final: give finals only")
        known = latest.get((caption.track, caption.utterance))
        if known is None or known.revision <= caption.revision:
            latest[caption.track, caption.utterance] = caption
    return latest


def _record_words(records: Iterable[RecordText], latest: Mapping[Spoken, Caption]) -> dict[Spoken, RecordText]:
    """The share of each utterance in its record text, as a record text of its own; only where it has text."""
    shared: dict[Spoken, RecordText] = {}
    claimed: set[Spoken] = set()
    for record in reversed([record for record in records if has_text(record.words)]):
        known = [(record.track, utterance) for utterance in record.utterances if (record.track, utterance) in latest]
        if not known or not claimed.isdisjoint(known):
            continue
        captions = {spoken: in_order(latest[spoken].words) for spoken in known}
        by_start = sorted(captions.items(), key=lambda item: item[1][0].start if item[1] else float("inf"))
        shares = shares_of(in_order(record.words), {utterance: words for (_, utterance), words in by_start})
        claimed.update(known if shares else ())
        for utterance, words in shares.items():
            if has_text(words):
                shared[record.track, utterance] = RecordText(record.track, (utterance,), record.language, words)
    return shared


def _by_utterance(runs: Iterable[VoiceRun]) -> dict[UtteranceId, list[VoiceRun]]:
    found: dict[UtteranceId, list[VoiceRun]] = {}
    for run in runs:
        found.setdefault(run.utterance, []).append(run)
    return found


def _segments(
    caption: Caption,
    record: RecordText | None,
    owner: Participant,
    runs: Iterable[VoiceRun],
    changes: Changes,
    voices: Known,
) -> Iterator[Segment]:
    """One for each piece of the utterance that has text."""
    heard = measured(in_order(caption.words), caption.levels)
    pieces = {
        UtteranceId(segment_id(caption.utterance, piece.first)): piece for piece in divided(len(heard), runs, changes)
    }
    said = {name: heard[piece.first : piece.end] for name, piece in pieces.items()}
    shares = shares_of(record.words, said) if record else {}
    for name, piece in pieces.items():
        share = measured(shares.get(name, ()), caption.levels)
        recorded = has_text(share)
        words = share if recorded else said[name]
        if not has_text(words):
            continue
        change = changes.get(piece.first)
        yield Segment(
            id=SegmentId(name),
            track=caption.track,
            participant=_speaker(owner, piece.voice, voices),
            start=words[0].start,
            end=words[-1].end,
            language=record.language if record and recorded else caption.language,
            caption=said[name],
            record=share if recorded else (),
            correction=change.text if change else None,
            count=piece.end - piece.first,
        )


def _speaker(owner: Participant, voice: int | None, voices: Known) -> Participant:
    if voice is None:
        return owner
    settled = settled_voice(voices, owner.id, voice)
    known = voices.get((owner.id, settled))
    return at_microphone_of(owner, settled, known.name if known else None)


def _joined(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Gaps by start, adjoining ones of one track and reason as one; a gap of no length is none."""
    joined: list[Gap] = []
    open_gaps: dict[tuple[TrackId, str], int] = {}
    for gap in sorted(gaps, key=lambda gap: (gap.start, gap.end, gap.track)):
        if gap.end <= gap.start:
            continue
        place = open_gaps.get((gap.track, gap.reason))
        if place is not None and gap.start <= joined[place].end + ADJOINING_S:
            before = joined[place]
            joined[place] = Gap(gap.track, gap.participant, before.start, max(before.end, gap.end), gap.reason)
        else:
            open_gaps[gap.track, gap.reason] = len(joined)
            joined.append(gap)
    return tuple(joined)
