"""The numbers that shape live captions; defaults come from the sweep in docs/benchmarks.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """All in seconds of audio.

    step: least new audio between two windows of one track.
    first: least audio of an utterance before its first window; on less, recognisers guess.
    first_look: the same while the participant's language is not known; it is mistaken on less.
    window: longest live window; older committed words leave it, with their audio.
    keep: how much audio stays in a window that had to be shortened.
    margin: words that end closer than this to the end of the audio stay in the tail.
    doubt: the margin of words whose confidence is under ``sure`` (a probability).
    stretch: how much of the update interval beyond ``step`` both margins grow by.
    join: speech that resumes within this pause is heard together with the speech before it; on a busy machine, within a
        longer one (``captioner``).
    soft_utterance: an utterance longer than this ends at the next end of a sentence.
    hard_utterance: an utterance longer than this ends at the next committed word.
    record_join: utterances closer than this are recognised together for the record.
    record_window: longest window for the record; Whisper hears at most 30 s.
    detect_every: how often the language of a participant is looked at again; in doubt, with every window.
    """

    step: float = 0.4
    first: float = 0.7
    first_look: float = 1.5
    window: float = 14.0
    keep: float = 10.0
    margin: float = 0.5
    doubt: float = 1.0
    sure: float = 0.5
    stretch: float = 1.5
    join: float = 1.5
    soft_utterance: float = 12.0
    hard_utterance: float = 24.0
    record_join: float = 2.5
    record_window: float = 28.0
    detect_every: float = 0.3
