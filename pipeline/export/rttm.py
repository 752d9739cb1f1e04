"""Who spoke when as RTTM, the format of NIST's evaluations (Rich Transcription 2009, appendix A)."""

import re
from collections.abc import Iterable

from pipeline.domain import VoiceSpan


def rttm(spans: Iterable[VoiceSpan], uri: str) -> str:
    """One line a span; fields are parted by spaces, so those of ``uri`` become underscores."""
    name = re.sub(r"\s+", "_", uri) or "recording"
    return "".join(
        f"SPEAKER {name} 1 {span.start:.3f} {span.end - span.start:.3f} <NA> <NA> voice_{span.voice} <NA> <NA>\n"
        for span in sorted(spans, key=lambda span: (span.start, span.voice))
    )
