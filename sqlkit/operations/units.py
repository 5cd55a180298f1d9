"""Numbers as people read them: three digits and a unit. A value that is not known is a dash."""

from __future__ import annotations

__all__ = ["UNKNOWN", "bytes_text", "count_text", "counted", "milliseconds_text", "seconds_text", "share_text"]

UNKNOWN = "–"


def bytes_text(value: float | None) -> str:
    """Write a size: 8.0 kB, 1.25 GB, by powers of 1,024 as PostgreSQL counts."""
    return _scaled(value, 1024, ("B", "kB", "MB", "GB", "TB", "PB"))


def count_text(value: float | None) -> str:
    """Write a number: 950, 12.3 k, 1.25 M."""
    return _scaled(value, 1000, ("", "k", "M", "G", "T"))


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write how many there are of something: 1 session, 2 sessions."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _scaled(value: float | None, step: int, units: tuple[str, ...]) -> str:
    if value is None:
        return UNKNOWN
    scaled, level = float(value), 0
    while abs(scaled) >= step - 0.5 and level < len(units) - 1:
        scaled /= step
        level += 1
    number = f"{scaled:.0f}" if level == 0 else _three(scaled)
    return f"{number} {units[level]}".strip()


def _three(value: float) -> str:
    """Write three digits of a number, more only where it is larger."""
    size = abs(value)
    return f"{value:.2f}" if size < 9.995 else f"{value:.1f}" if size < 99.95 else f"{value:.0f}"


def milliseconds_text(value: float | None) -> str:
    """Write a time that is given in milliseconds: 25 µs, 1.25 ms, 3.20 s, 2 min."""
    return UNKNOWN if value is None else seconds_text(value / 1000)


def seconds_text(value: float | None) -> str:
    """Write a time: 25 µs, 1.25 ms, 3.20 s, 2 min, 5 h, 3 days."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size < 0.0009995:
        return f"{value * 1e6:.0f} µs" if size else "0 s"
    if size < 0.9995:
        return f"{_three(value * 1000)} ms"
    if size < 59.5:
        return f"{_three(value)} s"
    for seconds, unit, most in ((60, "min", 59.5), (3600, "h", 47.5)):
        if size / seconds < most:
            return f"{value / seconds:.0f} {unit}"
    return f"{value / 86_400:,.0f} days"


def share_text(value: float | None) -> str:
    """Write a part as a percentage: 99.5 %, and never 100 % for less than all."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    text = f"{percent:.1f}" if percent < 99.95 else f"{percent:.2f}"
    if text == "100.00" and value < 1:
        text = "99.99"
    return f"{text.removesuffix('.00').removesuffix('.0')} %"
