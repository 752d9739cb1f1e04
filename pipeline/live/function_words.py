"""Which of French and English a word is, by the small words that only one of them has.

For recognisers that write down both and do not say which it was. Words that both languages write alike (on, or, but,
a) say nothing, nor do names and nouns, which travel.
"""

_FRENCH = frozenset(
    "ai alors au aussi aux avec avez avons beaucoup bien bonjour c'est ça ce cela ces cet cette comme dans des donc "
    "du elle elles est et êtes était être fait faut il ils je la le les leur leurs ma mais merci mes mon ne nos notre "
    "nous ont où oui par parce pas peu peut peux pour pourquoi qu'il quand que quel quelle qui rien sa sans se sera "
    "ses si sommes sont suis sur tous tout très tu un une va vais voilà vos votre vous y".split()
)
_ENGLISH = frozenset(
    "about and are at be because been by can could did do does for from get going had has have he hello her his how i "
    "if in into is it its just know like my no not of our out she should so thank thanks that the their them then "
    "there these they this those to up us very was we were what when where which who why will with would yes you "
    "your".split()
)
_ELIDED = ("c'", "d'", "j'", "l'", "m'", "n'", "qu'", "s'", "t'")
_SHORTENED = ("'d", "'ll", "'m", "'re", "'s", "'ve", "n't")
_SURE = 0.97


def language_of(text: str) -> str | None:
    """``fr``, ``en``, or None where the word says nothing."""
    word = text.strip(' \t.,;:!?…"«»()[]').replace("’", "'").casefold()
    if word in _FRENCH or (word.startswith(_ELIDED) and not word.endswith("'")):
        return "fr"
    if word in _ENGLISH or word.endswith(_SHORTENED):
        return "en"
    return None


def scores_of(text: str, languages: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """How likely each of ``languages`` is by this word; nothing where it does not say."""
    found = language_of(text)
    if found not in languages:
        return ()
    rest = (1.0 - _SURE) / max(1, len(languages) - 1)
    return tuple((name, _SURE if name == found else rest) for name in languages)
