"""A turn as pieces: the smallest parts that lines are made of, each with its time.

A piece is what stands between two spaces where a line may break, cut further where no line could hold it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain import SegmentId, Turn, Word
from pipeline.export.characters import allowed, closes, is_attached, is_breaking_space, may_break, opens
from pipeline.record.texts import words_of

LINE_CHARACTERS = 42
"""Characters on a line, spaces included (Netflix, French timed text guide; METHODS.md, section 5.1)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of 1 to ``LINE_CHARACTERS`` characters that stays on one line.

    ``start`` and ``end`` are seconds of meeting time; ``spaced`` says whether a space stands before it.
    """

    text: str
    start: float
    end: float
    spaced: bool
    segment: SegmentId
    language: str


Timed = tuple[str, float, float]
"""One character with its start and end in seconds."""


def pieces_of(turn: Turn) -> tuple[Piece, ...]:
    """The pieces of ``turn``, in order of text, with starts that never run backwards."""
    pieces: list[Piece] = []
    reached = float("-inf")
    for segment in turn.segments:
        for piece in pieces_of_words(words_of(segment), segment.id, segment.language):
            reached = max(reached, piece.start)
            pieces.append(replace(piece, start=reached, end=max(piece.end, reached)))
    return tuple(pieces)


def pieces_of_words(words: Iterable[Word], segment: SegmentId, language: str) -> Iterator[Piece]:
    """The pieces of ``words`` in order; what follows them can only change the last one."""
    return _held(_unheld(words, segment, language))


def joined(pieces: Iterable[Piece]) -> str:
    """The text of ``pieces`` as it stands on one line."""
    return "".join(f" {piece.text}" if piece.spaced else piece.text for piece in pieces).strip()


def _unheld(words: Iterable[Word], segment: SegmentId, language: str) -> Iterator[Piece]:
    for between_spaces in _between_spaces(_characters(words)):
        spaced = True
        for part in _parts(between_spaces):
            text = "".join(character for character, _, _ in part)
            yield Piece(text, part[0][1], part[-1][2], spaced, segment, language)
            spaced = False


def _characters(words: Iterable[Word]) -> Iterator[Timed]:
    """Every character; those of a word share its time evenly, the spaces around it have its start and end."""
    for word in words:
        text = allowed(word.text)
        leading = len(text) - len(text.lstrip())
        step = (word.end - word.start) / max(1, len(text.strip()))
        for place, character in enumerate(text):
            start = min(word.start + step * max(0, place - leading), word.end)
            yield character, start, min(start + step, word.end)


def _between_spaces(characters: Iterable[Timed]) -> Iterator[Sequence[Timed]]:
    run: list[Timed] = []
    for timed in characters:
        if not is_breaking_space(timed[0]):
            run.append(timed)
            continue
        yield from _stripped(run)
        run = []
    yield from _stripped(run)


def _stripped(run: Sequence[Timed]) -> Iterator[Sequence[Timed]]:
    """``run`` without no-break spaces at its ends; nothing where it holds nothing else."""
    visible = [place for place, (character, _, _) in enumerate(run) if not character.isspace()]
    if visible:
        yield run[visible[0] : visible[-1] + 1]


def _parts(run: Sequence[Timed]) -> Iterator[Sequence[Timed]]:
    """``run`` cut between ideographs, and hard where it is longer than a line: addresses, endless words."""
    begin = 0
    for place in range(1, len(run)):
        if may_break(run[place - 1][0], run[place][0]):
            yield from _hard_cut(run[begin:place])
            begin = place
    yield from _hard_cut(run[begin:])


def _hard_cut(part: Sequence[Timed]) -> Iterator[Sequence[Timed]]:
    while len(part) > LINE_CHARACTERS:
        cut = LINE_CHARACTERS
        while cut > 1 and is_attached(part[cut - 1][0], part[cut][0]):
            cut -= 1
        if cut == 1:  # nothing but marks on one character
            cut = LINE_CHARACTERS
        yield part[:cut]
        part = part[cut:]
    yield part


def _held(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """``pieces`` with lone punctuation held to its word: ``Vraiment ?``, ``« Oui``."""
    held: Piece | None = None
    for piece in pieces:
        if held is None:
            held = piece
        elif (closes(piece.text) or opens(held.text)) and len(joined((held, piece))) <= LINE_CHARACTERS:
            held = replace(held, text=joined((held, piece)), end=max(held.end, piece.end))
        else:
            yield held
            held = piece
    if held is not None:
        yield held
