"""The words of the pages, one catalogue per language (``web/locales/*.json``), and which language a visitor gets."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from starlette.requests import HTTPConnection

LANGUAGE_COOKIE = "greffier-language"
DEFAULT_LANGUAGE = "en"
_SCRIPTS = "script."
_LOCALES = Path(__file__).parent / "web" / "locales"


@cache
def catalogues() -> Mapping[str, Mapping[str, str]]:
    """By language: sentences by key, with ``{holes}``; ``name`` is what the language calls itself."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(_LOCALES.glob("*.json"), reverse=True)
    }


class Words:
    """The sentences of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = catalogues()[language]

    def say(self, key: str, **values: object) -> str:
        return re.sub(r"\{(\w+)\}", lambda hole: str(values.get(hole[1], hole[0])), self._words[key])

    def of_scripts(self) -> dict[str, str]:
        """What scripts say, for the page to carry."""
        return {key: text for key, text in self._words.items() if key.startswith(_SCRIPTS)}


def language_of(request: HTTPConnection) -> str:
    """The language that its answer is written in."""
    remembered, accepted = request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")
    return chosen_language(request.query_params.get("language"), remembered, accepted)


def chosen_language(asked: str | None, remembered: str | None, accepted: str) -> str:
    """The language asked for in the address, else the remembered one, else the best that the browser accepts."""
    for language in (asked, remembered, *_by_preference(accepted)):
        if language is not None and language in catalogues():
            return language
    return DEFAULT_LANGUAGE


def _by_preference(accepted: str) -> list[str]:
    """Primary subtags of an Accept-Language header, best first (RFC 9110, section 12.5.4)."""
    found = re.findall(r"([a-zA-Z]{1,8})[\w-]*\s*(?:;\s*q=(\d(?:\.\d{0,3})?))?\s*(?:,|$)", accepted[:1000])
    weighed = [(float(weight or 1), language.lower()) for language, weight in found]
    return [language for weight, language in sorted(weighed, key=lambda each: -each[0]) if weight > 0]
