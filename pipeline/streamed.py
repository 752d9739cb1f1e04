"""Streams of a session: one for each track where somebody speaks, and what happens when one is not to be had or fails.

The rule, in order: who speaks languages that the recogniser does not take is recognised by windows. A slot is taken
when speech starts, and given back once the last words have come and nobody has spoken again for ``linger``. Where all
slots are in use one is tried for again during ``opening``, while the sound is kept; then windows recognise the
utterance. A stream that is lost, gives no words for ``silence`` seconds of speech, or none for the last ``_CUT`` of it
when it says that it has heard all, is opened anew, and hears again what is not committed; when that one gives no words
either, windows go on in the same utterance, from its last committed word. With the next utterance streams are tried
again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pipeline.domain import AudioFrame, SpeechEnded, SpeechStarted, TrackClosed, TrackEvent, TrackId, Word
from pipeline.errors import NoFreeChannel, RecognitionFailed
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.streamed_sound import SpokenSpans, StreamedSound
from pipeline.ports import AudioMemory
from pipeline.streams import SpeechStream, StreamingRecognizer

_log = logging.getLogger("greffier.streams")

_LOOK = 0.1
_CUT = 1.0
_EXACT = 0.05
"""Seconds by which a stream may count its sound differently."""
_ATTEMPTS = 2
_FASTER = 3.0
"""Times real time in which a stream that was opened anew hears what came before, at least."""
_REMEMBERED = 30.0


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """In seconds.

    silence: speech without a word after which a stream is given up.
    again: the same for the stream that is opened then; and what it must hear again, three times as fast as it was said.
    longest: but no more than this: captions go on within ``silence`` and 3 s, opening and windows included.
    opening: how long a slot is tried for; the sound is kept meanwhile.
    retry: pause between two tries.
    answer: a stream that was told to flush gives the next words within this.
    linger: the slot is kept for so long after the last words: whoever takes a breath goes on in the same stream.
    """

    silence: float = 4.0
    again: float = 1.0
    longest: float = 1.6
    opening: float = 1.5
    retry: float = 0.1
    answer: float = 1.5
    linger: float = 1.0


class _End(Enum):
    """Why a stream is no longer followed; the value is what is logged."""

    GIVEN_BACK = "stream.given_back"
    LOST = "stream.lost"
    SILENT = "stream.silent"
    LATE = "stream.late"
    """It did not answer a flush."""
    OTHER_LANGUAGE = "stream.other_language"


@dataclass(slots=True)
class _Talk:
    """A track that has a slot or tries for one. Times are meeting time, but for those of ``steady``, the loop's.

    ``failures`` counts the streams that gave no words since one did. ``spoken`` is until when there was sound when
    the last word came, ``worded`` when that word ended, or speech began; ``doubted`` says that words are missing.
    """

    track: TrackId
    languages: tuple[str, ...]
    spans: SpokenSpans = field(default_factory=SpokenSpans)
    heard_to: float = 0.0
    spoken: float = 0.0
    worded: float = 0.0
    end: float = 0.0
    over: bool = False
    doubted: bool = False
    failures: int = 0
    moved_at: float = 0.0  # steady: when a stream last got on, or began
    worded_at: float = 0.0  # steady: when a word last came, or the stream began
    reached: float = 0.0  # seconds of the stream that it has heard
    replayed: float = 0.0  # seconds of sound that there were when the stream began
    flushed: float | None = None  # seconds of the stream that it was told to flush
    asked_at: float | None = None  # steady: since when the last words of speech that ended are waited for
    answered_at: float | None = None  # steady
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def starts(self, at: float) -> None:
        if self.asked_at is None:
            self.spoken, self.worded = max(self.heard_to, at), max(self.worded, at)
        elif self.flushed is None:
            self.asked_at = None  # the words of before come with those that follow
        self.over, self.answered_at = False, None

    def hears(self, frame: AudioFrame) -> None:
        self.spans.add(frame.start, frame.end)
        self.heard_to = max(self.heard_to, frame.end)
        self.woken.set()

    def ends(self, at: float, steady: float) -> None:
        if not self.over:
            self.over, self.end, self.flushed = True, at, None
            self.asked_at = self.asked_at or steady
        self.woken.set()

    def begins(self, at: float, steady: float) -> None:
        """A stream begins, whose sound is that from ``at`` on."""
        self.moved_at = self.worded_at = steady
        self.replayed = max(0.0, self.heard_to - at)
        self.reached, self.flushed, self.answered_at = 0.0, None, None
        self.asked_at = steady if self.over else None
        self.doubted = False

    def says(self, said: Sequence[Word], last: Sequence[Word], steady: float) -> None:
        """What was said before is no news: a stream that begins anew says it again. ``last`` is the newest word."""
        if any((word.start + word.end) / 2 > self.worded for word in said):
            self.worded_at, self.spoken, self.failures = steady, self.heard_to, 0
        self.worded = max([self.worded, *(word.end for word in last)])


@dataclass(slots=True)
class StreamedSpeech:
    """Drives the streams of one session; told of every event before the live core is.

    ``spawn`` runs a task that belongs to the session; ``changed`` is told whenever the core took something. It does not
    wait: streams are read, and stopped, however long a store takes. Nothing here holds sound: what goes into a stream
    is read from ``memory``, which is bounded.
    """

    core: MeetingCaptioner
    memory: AudioMemory
    recognizer: StreamingRecognizer
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    changed: Callable[[], None]
    settings: StreamSettings = StreamSettings()
    _talks: dict[TrackId, _Talk] = field(default_factory=dict)
    _parting: list[SpeechStream] = field(default_factory=list)  # those whose slots are being given back
    _closing: bool = False

    def take(self, event: TrackEvent) -> None:
        match event:
            case SpeechStarted(track=track, at=at):
                self._start(track, at)
            case AudioFrame(track=track) if track in self._talks:
                self._talks[track].hears(event)
            case SpeechEnded(track=track, at=at) if track in self._talks:
                self._talks[track].ends(at, _steady())
            case TrackClosed(track=track) if track in self._talks:
                self._talks[track].ends(self._talks[track].heard_to, _steady())

    def close(self) -> None:
        """No more sound comes, and the core has been told: slots are given back as soon as the last words have come."""
        self._closing = True
        for talk in self._talks.values():
            talk.ends(talk.heard_to, _steady())

    async def give_back(self) -> None:
        """The session is over: a task that was to close a stream may have been stopped before it began."""
        await asyncio.gather(*(stream.close() for stream in self._parting))

    # --- one track --------------------------------------------------------------------------------------------

    def _start(self, track: TrackId, at: float) -> None:
        talk = self._talks.get(track)
        if talk is None:
            languages = self.core.languages_of(track)
            takes = self.recognizer.takes(languages)
            self.core.streamed(track, takes)
            if not takes:
                return
            talk = self._talks[track] = _Talk(track, languages)
            self.spawn(self._caption(talk))
        talk.spans.forget(self.core.needed_from(track))
        talk.starts(at)

    async def _caption(self, talk: _Talk) -> None:
        """From the start of speech until the slot is given back, or windows go on."""
        try:
            while talk.failures < _ATTEMPTS and self.core.streaming(talk.track):
                stream = await self._open(talk)
                if stream is None or not await self._follow(talk, stream):
                    break
                talk.failures += 1
        except BaseException:
            self._drop(talk)  # the session is over: no windows go on
            raise
        self._leave(talk)
        self.changed()

    def _drop(self, talk: _Talk) -> bool:
        """Whoever speaks next on the track begins anew; False where that is so already."""
        if self._talks.get(talk.track) is not talk:
            return False
        del self._talks[talk.track]
        return True

    def _leave(self, talk: _Talk) -> None:
        """Drops it; what is still streamed is recognised by windows."""
        if self._drop(talk) and self.core.streaming(talk.track):
            _log.warning("stream.left", extra={"track": talk.track})
            if not talk.doubted:
                self.recognizer.given_up()
            self.core.streamed(talk.track, False)

    async def _open(self, talk: _Talk) -> SpeechStream | None:
        deadline = _steady() + self.settings.opening
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self.recognizer.open()
            except Exception as failure:  # noqa: BLE001 - whatever a recogniser raises, windows go on, and the meeting
                full = isinstance(failure, NoFreeChannel)
                if not full or _steady() + self.settings.retry >= deadline:
                    _log.warning("stream.refused", extra={"track": talk.track, "error": type(failure).__name__})
                    return None
            await asyncio.sleep(self.settings.retry)

    async def _follow(self, talk: _Talk, stream: SpeechStream) -> bool:
        """Gives the stream the sound of the track, and the core what it says; whether another one is to go on."""
        begin = self.core.stream_begins(talk.track)
        sound = StreamedSound(talk.heard_to if begin is None else begin)
        talk.begins(sound.position, _steady())
        try:
            end = await self._until_end(talk, self._send(talk, stream, sound), self._read(talk, stream, sound))
        except BaseException:
            await stream.close()
            raise
        self._parting.append(stream)
        self.spawn(self._part(stream))
        (_log.info if end is _End.GIVEN_BACK else _log.warning)(end.value, extra={"track": talk.track})
        return self._another(end)

    async def _part(self, stream: SpeechStream) -> None:
        await stream.close()
        self._parting.remove(stream)

    def _another(self, end: _End) -> bool:
        """Whether a stream that ended so is opened anew; at the end of a meeting nobody waits a second time."""
        return end in {_End.LOST, _End.SILENT} or (end is _End.LATE and not self._closing)

    async def _until_end(self, talk: _Talk, *work: Coroutine[Any, Any, None]) -> _End:
        """Does ``work`` until one of it fails, or a look at the track says that it is enough."""
        tasks = [asyncio.create_task(part) for part in work]
        try:
            end = None
            while end is None:
                done, _ = await asyncio.wait(tasks, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                end = _End.LOST if done else self._look(talk)
            if not self._another(end):
                self._leave(talk)  # before anything else happens to the track
        finally:
            for task in tasks:
                task.cancel()
            failures = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, Exception) and not isinstance(failure, RecognitionFailed):
                _log.error("stream.failed", extra={"track": talk.track}, exc_info=failure)  # and the meeting goes on
        return end

    def _look(self, talk: _Talk) -> _End | None:
        """Whether the stream is to be given up or back now."""
        now, settings = _steady(), self.settings
        languages = self.core.languages_of(talk.track)
        if languages != talk.languages:
            talk.languages = languages
            if not self.recognizer.takes(languages):
                return _End.OTHER_LANGUAGE
        again = min(settings.again + talk.replayed / _FASTER, settings.longest) if talk.failures else None
        if talk.asked_at is not None:
            patience = again or settings.answer
            if now - max(talk.asked_at, talk.moved_at) >= patience:
                return _End.LATE
        if talk.doubted:
            return _End.SILENT
        if not talk.over:
            patience = again or settings.silence
            wordless = talk.heard_to - talk.spoken >= settings.silence and now - talk.worded_at >= patience
            return _End.SILENT if wordless else None
        if talk.answered_at is None or self.core.streaming(talk.track):
            return None
        return _End.GIVEN_BACK if self._closing or now - talk.answered_at >= settings.linger else None

    async def _send(self, talk: _Talk, stream: SpeechStream, sound: StreamedSound) -> None:
        while True:
            talk.woken.clear()
            piece = sound.next_piece(talk.spans.spans)
            if piece is not None:
                samples = self.memory.read(talk.track, *piece)
                sound.sent(piece[0], len(samples))
                await stream.send(samples)
            elif talk.over and talk.flushed is None:
                talk.flushed = sound.seconds
                if talk.reached < sound.seconds - _EXACT:
                    await stream.flush()
                else:  # it was flushed, and nothing was sent since
                    self.core.words(talk.track, (), (), self._heard_until(talk, talk.reached, sound, _steady()))
                    self.changed()
            else:
                await talk.woken.wait()

    async def _read(self, talk: _Talk, stream: SpeechStream, sound: StreamedSound) -> None:
        shown: tuple[Word, ...] = ()
        async for heard in stream.heard():
            now = _steady()
            words, tail = _in_meeting_time(heard.words, sound), _in_meeting_time(heard.tail, sound)
            talk.says([*words, *(tail if heard.tail != shown else ())], words[-1:], now)
            shown = heard.tail
            if heard.until > talk.reached:
                talk.moved_at, talk.reached = now, heard.until
            self.core.words(talk.track, words, tail, self._heard_until(talk, heard.until, sound, now))
            sound.forget(heard.until - _REMEMBERED)
            self.memory.forget(talk.track, self.core.needed_from(talk.track))
            self.changed()

    def _heard_until(self, talk: _Talk, until: float, sound: StreamedSound, steady: float) -> float:
        """Until when all words of the track came, as far as the stream is to be believed."""
        believed = talk.worded + _CUT
        if talk.flushed is None or until < talk.flushed - _EXACT:
            return min(sound.end_of(until), believed)
        talk.asked_at = None
        if not talk.over:
            return min(sound.end_of(until), believed)
        if talk.end > believed:
            talk.doubted = True
            return believed
        talk.answered_at = talk.answered_at or steady
        return self.core.audio_end(talk.track)


def _in_meeting_time(words: Sequence[Word], sound: StreamedSound) -> list[Word]:
    return [replace(word, start=sound.begin_of(word.start), end=sound.end_of(word.end)) for word in words]


def _steady() -> float:
    return asyncio.get_running_loop().time()
