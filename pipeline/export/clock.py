"""Meeting time as people and formats write it."""


def milliseconds(seconds: float) -> int:
    """The nearest millisecond; nothing is written before the meeting began."""
    return max(0, round(seconds * 1000))


def exact(seconds: float, decimal: str = ".") -> str:
    """``hh:mm:ss.ttt``, hours always written and as many digits as they need (WebVTT, section 3.3)."""
    whole, rest = divmod(milliseconds(seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{decimal}{rest:03}"


def short(seconds: float) -> str:
    """``mm:ss``, and ``h:mm:ss`` from one hour on, cut to the second."""
    whole = milliseconds(seconds) // 1000
    if whole < 3600:
        return f"{whole // 60:02}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
