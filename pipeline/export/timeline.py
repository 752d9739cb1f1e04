"""Who spoke when as a picture: SVG (W3C, SVG 2), a row for each attendee.

Inside a page it takes the colours of the page (``.hue-0`` to ``.hue-7``, as its speakers have them); alone it carries
its own, light and dark. Its title and description say in words what it shows (SVG Accessibility API Mappings).
"""

import re
from html import escape

from pipeline.export.clock import short
from pipeline.export.minutes import Labels, named, percent
from pipeline.record.minutes import Attendee, Minutes, Span, joined

HUES = (
    ("#1f4f96", "#abc9f0"),
    ("#8c3f0d", "#f6bf9b"),
    ("#1b5130", "#9fd8b0"),
    ("#693a94", "#d9bdf0"),
    ("#99264f", "#f4b6cb"),
    ("#114e58", "#93d6e0"),
    ("#6f4a2b", "#dec4a9"),
    ("#a02020", "#f4b7b0"),
)
"""Of the pages (``greffier.css``, a test holds them equal): on light ground, on dark ground."""

_WIDTH, _NAMES, _EDGE = 960, 200, 16
_ROW, _BAR, _THERE, _TOP, _FOOT = 32, 16, 4, 8, 28
_LONGEST_NAME = 24
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 8
_LEAST_WIDTH = 1.0
_NOT_IN_XML = re.compile("[\ufffe\uffff]")

_LIGHT = ".ground{fill:#fff}text{fill:#1b1c1d}.tick{stroke:#e1e2e5}.there{fill:#c4c7cb}"
_DARK = ".ground{fill:#1b1c1d}text{fill:#f0f1f2}.tick{stroke:#3a3b3e}.there{fill:#505356}"


def timeline(minutes: Minutes, labels: Labels, *, alone: bool = True) -> str:
    """``minutes`` as an ``svg`` element; ``alone``, it is a whole file."""
    scale = _Scale(minutes)
    rows = [_row(place, attendee, name, scale) for place, (attendee, name) in enumerate(named(minutes))]
    height = _TOP + _ROW * len(rows) + _FOOT
    told = [_said(minutes, attendee, name, labels) for attendee, name in named(minutes) if attendee.spoke]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 {_WIDTH} {height}"',
        ' role="img" aria-labelledby="timeline-title timeline-desc">',
        f'<title id="timeline-title">{escape(labels.timeline)}</title>',
        f'<desc id="timeline-desc">{_text(". ".join(told) or labels.silent)}</desc>',
        f"<style>{_style()}</style>" if alone else "",
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        *(_tick(at, scale, height) for at in scale.ticks()),
        *rows,
        "</svg>\n",
    ]
    return "".join(parts)


class _Scale:
    """Where a moment stands on the picture."""

    def __init__(self, minutes: Minutes) -> None:
        self._start = minutes.start
        self._length = max(minutes.end - minutes.start, 1.0)
        self._wide = _WIDTH - _NAMES - _EDGE

    def x(self, at: float) -> float:
        return round(_NAMES + (at - self._start) / self._length * self._wide, 1)

    @property
    def finest(self) -> float:
        """Seconds that are as wide as the narrowest thing drawn."""
        return self._length / self._wide * _LEAST_WIDTH

    def ticks(self) -> list[float]:
        """Meeting times that are said below, ``_MOST_TICKS`` or so."""
        step = next((step for step in _STEPS if step * _MOST_TICKS >= self._length), _STEPS[-1])
        first = -(-self._start // step)
        count = int((self._start + self._length) // step - first) + 1
        return [(first + number) * step for number in range(count)]


def _row(place: int, attendee: Attendee, name: str, scale: _Scale) -> str:
    middle = _TOP + _ROW * place + _ROW // 2
    shown = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…"
    bars = (
        _bars("there", attendee.present, middle, _THERE, scale),
        _bars("spoke", attendee.spoke, middle, _BAR, scale),
    )
    label = f'<text x="{_EDGE}" y="{middle + 5}">{_text(shown)}</text>'
    return f'<g class="hue-{place % len(HUES)}">{label}{"".join(bars)}</g>'


def _bars(kind: str, spans: tuple[Span, ...], middle: int, high: int, scale: _Scale) -> str:
    """One path for all ``spans``; those that could not be told apart are drawn as one."""
    drawn = []
    for start, end in joined(spans, scale.finest):
        left = scale.x(start)
        wide = max(round(scale.x(end) - left, 1), _LEAST_WIDTH)
        drawn.append(f"M{left:g} {middle - high // 2}h{wide:g}v{high}h-{wide:g}z")
    return f'<path class="{kind}" d="{"".join(drawn)}"/>' if drawn else ""


def _tick(at: float, scale: _Scale, height: int) -> str:
    x, foot = scale.x(at), height - _FOOT
    line = f'<path class="tick" d="M{x:g} {_TOP}V{foot}"/>'
    return f'{line}<text class="at" x="{x:g}" y="{foot + 18}" text-anchor="middle">{short(at)}</text>'


def _said(minutes: Minutes, attendee: Attendee, name: str, labels: Labels) -> str:
    return labels.spoke.format(name=name, time=short(attendee.speaking), share=percent(minutes, attendee))


def _style() -> str:
    light = "".join(f".hue-{number} .spoke{{fill:{hue}}}" for number, (hue, _) in enumerate(HUES))
    dark = "".join(f".hue-{number} .spoke{{fill:{hue}}}" for number, (_, hue) in enumerate(HUES))
    font = "text{font:14px system-ui,sans-serif}.at{font-size:12px}"
    return f"{font}{_LIGHT}{light}@media (prefers-color-scheme:dark){{{_DARK}{dark}}}"


def _text(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", text), quote=False)
