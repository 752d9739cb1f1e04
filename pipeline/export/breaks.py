"""Where a line or a cue may end: a cost for every place, low at punctuation, high inside a phrase.

The rule of French and English subtitling practice (BBC subtitle guidelines; Netflix timed text guides, French and
English): break at punctuation, else before a conjunction or a preposition; never between article and noun,
preposition and phrase, conjunction and clause, pronoun and verb, nor inside a compound verb.
"""

SENTENCE_END = 0.0
CLAUSE_END = 1.0
BEFORE_PHRASE = 2.0
BEFORE_COMPLEMENT = 3.0
PLAIN = 4.0
INSIDE_VERB = 6.0
INSIDE_PHRASE = 9.0

_SENTENCE_MARKS = (".", "?", "!", "…", "。", "？", "！")
_CLAUSE_MARKS = (",", ";", ":", "–", "—", "、", "，", "；", "：")
_CLOSING = "\"'’”»)]}」』）\u00a0\u202f"
_OPENING = "\"'‘“«([{「『（\u00a0\u202f"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What introduces a phrase or a clause: a good place to break before, a bad one to break after.
_OPENERS = {
    "fr": _words(
        "et ou mais donc or ni car que qu' si comme quand lorsque lorsqu' puisque puisqu' quoique parce tandis afin "
        "qui dont où lequel laquelle lesquels lesquelles auquel duquel "
        "à de d' du des en dans par pour sur sous avec sans chez vers entre contre depuis pendant avant après dès "
        "jusque jusqu' jusqu'à jusqu'au malgré selon parmi hors envers devant derrière au aux"
    ),
    "en": _words(
        "and or but nor so yet because if when while although though that which who whom whose where than as "
        "of in on at by for with from to into onto over under about between through during before after without "
        "within against across around behind near toward towards until since"
    ),
}

# What completes the noun before it, closer than other phrases do: « réunion de travail ».
_COMPLEMENTS = {"fr": _words("de d' du des"), "en": _words("of")}

# What belongs to the word after it: articles and determiners, clitic pronouns, negation, degree.
_BOUND = {
    "fr": _words(
        "le la les l' un une ce cet cette ces mon ton son ma ta sa mes tes ses notre votre nos vos leur leurs quel "
        "quelle quels quelles chaque plusieurs quelques aucun aucune tout toute tous toutes "
        "je j' tu il elle on nous vous ils elles me m' te t' se s' lui y ne n' c' ça cela "
        "très plus moins trop si aussi m. mm. mme mmes mlle dr dr. pr st n°"
    ),
    "en": _words(
        "a an the this these those my your his her its our their each every some any no not "
        "i you he she it we they i'm you're he's she's it's we're they're very more most too "
        "mr mr. mrs mrs. ms ms. dr dr. st."
    ),
}

_AUXILIARIES = {
    "fr": _words(
        "ai as a avons avez ont suis es est sommes êtes sont avais avait avions aviez avaient étais était étions étiez "
        "étaient aurai auras aura aurons aurez auront serai seras sera serons serez seront aurait auraient serait "
        "seraient vais vas va allons allez vont peux peut pouvons pouvez peuvent dois doit devons devez doivent"
    ),
    "en": _words(
        "am is are was were be been being have has had do does did will would shall should can could may might must "
        "don't doesn't didn't won't wouldn't can't couldn't shouldn't isn't aren't wasn't weren't haven't hasn't"
    ),
}

_NONE: frozenset[str] = frozenset()


def break_cost(before: str, after: str, language: str) -> float:
    """What it costs to break between two pieces of text, from 0 (end of a sentence) to 9 (inside a phrase).

    ``language`` is a code such as ``fr`` or ``en-GB``; beyond French and English only punctuation counts.
    """
    code = language.lower().replace("_", "-").partition("-")[0]
    last, first = _last_word(before), _first_word(after)
    if last in _BOUND.get(code, _NONE):
        return INSIDE_PHRASE
    closed = before.rstrip(_CLOSING)
    if closed.endswith(_SENTENCE_MARKS):
        return SENTENCE_END
    if closed.endswith(_CLAUSE_MARKS):
        return CLAUSE_END
    return max(_cost_after(last, first, code), _cost_before(first, code))


def _cost_after(last: str, first: str, code: str) -> float:
    if last in _OPENERS.get(code, _NONE):
        return INSIDE_PHRASE
    return INSIDE_VERB if last in _AUXILIARIES.get(code, _NONE) or _counts(last, first) else 0.0


def _cost_before(first: str, code: str) -> float:
    begins = {first, first.partition("'")[0] + "'"}
    if begins & _COMPLEMENTS.get(code, _NONE):
        return BEFORE_COMPLEMENT
    return BEFORE_PHRASE if begins & _OPENERS.get(code, _NONE) else PLAIN


def _last_word(text: str) -> str:
    words = _plain(text).split()
    return words[-1] if words else ""


def _first_word(text: str) -> str:
    words = _plain(text).split()
    return words[0].rstrip(".,;:!?…") if words else ""


def _plain(text: str) -> str:
    return text.casefold().replace("’", "'").lstrip(_OPENING)


def _counts(number: str, unit: str) -> bool:
    """Whether a number stands before what it counts: ``12 euros``."""
    return number[-1:].isdigit() and unit[:1].isalpha()
