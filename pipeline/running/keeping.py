"""Between a running meeting and its store: what was said survives the process, and a full disk stops no captions."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.domain import Caption, Gap, ParticipantId, Pause, Presence, RecordText, UtteranceId
from pipeline.errors import NotFound, Superseded
from pipeline.ports import MeetingStore

_log = logging.getLogger("greffier.store")

_AT_ONCE = 50
_LATER = 1000
_SLOW = 1.0
"""Seconds after which a flush leaves the rest to the next one: a database that is locked takes 5 s to say so."""


@dataclass(slots=True)
class Keeping:
    """A ``TranscriptStore`` for a session: keeps finals before they are shown, and open utterances at every ``flush``.

    Where the store fails, the meeting goes on: a final that is not kept is not ``kept`` yet, is shown as unfinished,
    tried again at every ``flush`` and given to ``announce`` once the store has it, unless its session waits to show
    it. None is dropped: each is a few hundred bytes that the feed holds anyway; no presence either. Record texts, gaps,
    pauses and the end wait too, the newest 1,000 of them, the oldest dropped: their speech still has its caption text.

    ``lost`` is told of every gap. Once the store says that another session has the meeting, or that it was deleted,
    ``superseded`` is set, and nothing is written any more: whatever still waits is the other's to write.
    """

    store: MeetingStore
    announce: Callable[[Caption], None]
    lost: Callable[[Gap], None] = lambda gap: None
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    failing: bool = False
    _worked: bool = True
    _open: dict[UtteranceId, Caption] = field(default_factory=dict)
    _changed: set[UtteranceId] = field(default_factory=set)
    _unkept: dict[UtteranceId, Caption] = field(default_factory=dict)
    _later: deque[Callable[[], Awaitable[None]]] = field(default_factory=lambda: deque(maxlen=_LATER))
    _presences: dict[tuple[ParticipantId, float], Presence] = field(default_factory=dict)
    _forced: set[UtteranceId] = field(default_factory=set)
    _coming: set[UtteranceId] = field(default_factory=set)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    # --- what a session keeps ---------------------------------------------------------------------------------

    async def keep_final(self, caption: Caption) -> None:
        if self.closed(caption.utterance) or self.superseded.is_set():
            return
        self._open.pop(caption.utterance, None)
        self._changed.discard(caption.utterance)
        self._unkept[caption.utterance] = caption
        if self.failing:
            return  # the next flush tries it: captions do not wait for a store that fails
        self._coming.add(caption.utterance)
        try:
            async with self._writing:  # nobody tries it a second time meanwhile
                if caption.utterance in self._unkept and not self.failing:
                    await self._keep_unkept(caption)
        finally:
            self._coming.discard(caption.utterance)

    async def keep_record(self, record: RecordText) -> None:
        await self.do(partial(self.store.keep_record, record))

    async def keep_gap(self, gap: Gap) -> None:
        await self.do(partial(self.store.keep_gap, gap))
        self.lost(gap)

    # --- and what a meeting keeps -----------------------------------------------------------------------------

    async def keep_pause(self, pause: Pause) -> None:
        await self.do(partial(self.store.keep_pause, pause))

    def keep_presence(self, presence: Presence) -> None:
        """At the next ``flush``, with all that changed until then."""
        self._presences[presence.participant, presence.joined] = presence

    async def do(self, act: Callable[[], Awaitable[None]]) -> None:
        """Does ``act`` now, or at a later ``flush`` where the store fails; ``act`` may be done twice."""
        if self.failing or not await self._tried(act):
            self.do_later(act)

    def do_later(self, act: Callable[[], Awaitable[None]]) -> None:
        """Does ``act`` at the next ``flush``, once, however often it was asked for until then."""
        if act not in self._later:
            self._later.append(act)

    def see(self, caption: Caption) -> None:
        """Takes the newest state of an utterance that has no final."""
        before = self._open.get(caption.utterance)
        self._open[caption.utterance] = caption
        if len(caption.words) > (len(before.words) if before else 0):
            self._changed.add(caption.utterance)

    async def flush(self) -> bool:
        """Keeps the committed words of open utterances that changed, and tries again what failed.

        Whether the store now has all captions, record texts and gaps that were given before.
        """
        finals, acts = set(self._unkept), tuple(self._later)
        async with self._writing:
            slow_at = asyncio.get_running_loop().time() + _SLOW
            opened = await self._keep_open()
            await self._keep_presences()
            for caption in list(self._unkept.values())[:_AT_ONCE]:
                if asyncio.get_running_loop().time() > slow_at:
                    break
                if await self._keep_unkept(caption) and caption.utterance not in self._coming:
                    self.announce(caption)
            for act in list(self._later)[:_AT_ONCE]:
                if asyncio.get_running_loop().time() > slow_at:
                    break
                await self._do_again(act)
        if self.failing and self._worked and not self.waiting:
            self.failing = False
            _log.warning("store.recovered")
        return opened and finals.isdisjoint(self._unkept) and not any(act in self._later for act in acts)

    def finish(self) -> list[Caption]:
        """Finals of all open utterances, from their committed words; what a session finds out later is ignored."""
        finals = [
            replace(caption, revision=caption.revision + 1, final=True, tail=()) for caption in self._open.values()
        ]
        self._forced |= {final.utterance for final in finals}
        self._unkept |= {final.utterance: final for final in finals}
        self._open.clear()
        self._changed.clear()
        self._coming.clear()  # the session tells nothing any more
        return finals

    def kept(self, utterance: UtteranceId) -> bool:
        """Whether the final of ``utterance``, which was to be kept, is."""
        return utterance not in self._unkept

    def closed(self, utterance: UtteranceId) -> bool:
        """Whether ``finish`` made its final."""
        return utterance in self._forced

    @property
    def waiting(self) -> bool:
        """Whether something is still to be kept."""
        return bool(self._unkept or self._later or self._presences) and not self.superseded.is_set()

    async def _keep_open(self) -> bool:
        changed = [self._open[name] for name in self._changed]
        self._changed.clear()
        kept = not changed
        try:
            kept = kept or await self._tried(partial(self.store.keep_open, changed))
        finally:
            if not kept:  # it failed, or whoever flushed was cancelled
                self._changed |= {caption.utterance for caption in changed if caption.utterance in self._open}
        return kept

    async def _keep_presences(self) -> None:
        changed = dict(self._presences)
        if changed and await self._tried(partial(self.store.keep_presences, tuple(changed.values()))):
            for key, presence in changed.items():
                if self._presences[key] is presence:  # else it changed meanwhile
                    del self._presences[key]

    async def _do_again(self, act: Callable[[], Awaitable[None]]) -> None:
        """It waits until it is done, also when this is cancelled; asked for meanwhile, it is done once more."""
        if act not in self._later:
            return
        self._later.remove(act)
        done = False
        try:
            done = await self._tried(act)
        finally:
            if not done:
                self.do_later(act)

    async def _keep_unkept(self, caption: Caption) -> bool:
        """Where it fails it goes to the end of those that wait, so that one that always fails holds up none."""
        kept = await self._tried(partial(self.store.keep_final, caption))
        waited = self._unkept.pop(caption.utterance, None)
        if not kept and waited is not None:
            self._unkept[caption.utterance] = caption
        return kept and waited is not None

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> bool:
        if self.superseded.is_set():
            return False
        try:
            await act()
        except (Superseded, NotFound) as refusal:
            _log.warning("store.superseded", extra={"error": type(refusal).__name__})
            self.superseded.set()
            return False
        except Exception as failure:  # noqa: BLE001 - whatever a store raises, the meeting goes on
            if not self.failing:
                _log.error("store.failed", extra={"error": type(failure).__name__})
            self.failing, self._worked = True, False
        else:
            self._worked = True
        return self._worked
