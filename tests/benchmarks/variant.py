"""Greffier with other defaults, for the sweep: ``python -m tests.benchmarks.variant NAME=VALUE... -- caption FILE...``.

``live.margin=0.3`` changes a field of ``LiveSettings``, ``engine.padding=2`` one of ``EngineSettings``,
``batch.callers=1`` one of ``BatchSettings``. What the environment can say (``GREFFIER_STEP`` and others) is said there.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from api import cli, wiring

PLACES = {"live": "LiveSettings", "engine": "EngineSettings", "batch": "BatchSettings"}


def main(given: Sequence[str]) -> int:
    cut = list(given).index("--")
    for change in given[:cut]:
        place, _, rest = change.partition(".")
        name, _, value = rest.partition("=")
        made = getattr(wiring, PLACES[place])
        setattr(wiring, PLACES[place], _with(made, name, float(value) if "." in value else int(value)))
    return cli.main(given[cut + 1 :])


def _with(made: Callable[..., Any], name: str, value: float) -> Callable[..., Any]:
    """A constructor in which one default is another."""
    return partial(made, **{name: value})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
