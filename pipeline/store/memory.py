"""The finals, record texts and gaps of one meeting, in memory."""

from dataclasses import dataclass, field

from pipeline.domain import Caption, Gap, RecordText, UtteranceId


@dataclass(slots=True)
class MemoryTranscriptStore:
    """A ``TranscriptStore``. A final is kept once: what comes again under its utterance is ignored."""

    finals: dict[UtteranceId, Caption] = field(default_factory=dict)
    records: list[RecordText] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    async def keep_final(self, caption: Caption) -> None:
        self.finals.setdefault(caption.utterance, caption)

    async def keep_record(self, record: RecordText) -> None:
        self.records.append(record)

    async def keep_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)
