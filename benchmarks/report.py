"""What a run says: a table with bars on the terminal, a Markdown file and a chart."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.work import ROUNDS, Measured, Verdict

__all__ = ["conditions", "draw", "markdown", "table"]

PEERS = ("psycopg", "psycopg-pool", "pydantic", "aiosql", "asyncpg", "SQLAlchemy", "sqlmodel", "uvloop")

CLIP = 10.0  # bars end here, lest one slow peer make all others vanish


def conditions(server: object) -> str:
    """Say on what the ratios were measured."""
    versions = [f"PostgreSQL {server}", f"Python {platform.python_version()}"]
    for name in PEERS:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    return (
        f"{', '.join(versions)}; {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; medians of up to {ROUNDS} "
        "interleaved rounds, as ratios of time to the first line of each work"
    )


def ratios(measured: Measured) -> dict[str, float]:
    """Return the medians in times of the first."""
    baseline = next(iter(measured.medians.values()))
    return {name: median / baseline for name, median in measured.medians.items()}


def judged(verdict: Verdict) -> str:
    """Say whether a limit is met."""
    return "met" if verdict.met else "NOT met"


def bar(share: float) -> str:
    """Draw a share of the longest bar; what is longer still ends in dots."""
    return "█" * max(1, round(min(share, 1) * 40)) + ("…" if share > 1 else "")


def table(measured: Measured) -> str:
    """Lay one work out, with bars, then its limits."""
    found = ratios(measured)
    width = max(28, *map(len, found), *(len(verdict.what) for verdict in measured.verdicts))
    longest = min(CLIP, max(1.0, *found.values()))
    lines = [f"\n{measured.name}: {measured.title}"]
    for name, ratio in found.items():
        lines.append(f"  {name:{width}} {ratio:7.2f}  {bar(ratio / longest)}")
    for verdict in measured.verdicts:
        lines.append(f"  {verdict.what:{width}} {verdict.figure:7.2f}  {verdict.limit}: {judged(verdict)}")
    if measured.said:
        lines.append(f"  {measured.said}")
    return "\n".join(lines)


def markdown(every: list[Measured], said: str) -> str:
    """Lay a run out for a file: each work's ratios, each limit and whether it is met."""
    lines = [
        "# Results",
        "",
        f"{said}.",
        "",
        "Smaller is faster. `make bench` writes this file.",
        "",
        "![The bars of each work](results.png)",
        "",
    ]
    limits = [(measured, verdict) for measured in every for verdict in measured.verdicts]
    if limits:
        lines += ["| work | figure | measured | limit | |", "|---|---|---|---|---|"]
        for measured, verdict in limits:
            work = f"{measured.name}: {measured.title}"
            figure = f"{verdict.figure:.2f}{verdict.unit}"
            lines.append(f"| {work} | {verdict.what} | {figure} | {verdict.limit} | {judged(verdict)} |")
        lines.append("")
    for measured in every:
        lines += [f"## {measured.name}: {measured.title}", "", "| contender | ratio |", "|---|---|"]
        lines += [f"| {name} | {ratio:.2f} |" for name, ratio in ratios(measured).items()]
        lines += ["", *([measured.said, ""] if measured.said else [])]
    return "\n".join(lines)


def draw(every: list[Measured], path: Path) -> None:
    """Draw the bars of each work into one picture."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    sizes = [len(measured.medians) + 2 for measured in every]
    figure, axes = pyplot.subplots(
        len(every), 1, figsize=(9, 0.28 * sum(sizes) + 0.5), height_ratios=sizes, squeeze=False, layout="constrained"
    )
    for axis, measured in zip(axes[:, 0], every, strict=True):
        found = ratios(measured)
        colours = ["#2a7f62" if name.startswith("sqlkit") else "#9aa5b1" for name in found]
        bars = axis.barh(list(found), [min(ratio, CLIP) for ratio in found.values()], color=colours)
        axis.bar_label(bars, [f"{ratio:.2f}" for ratio in found.values()], padding=3, fontsize=8)
        axis.axvline(1, color="#444444", linewidth=0.6)
        axis.invert_yaxis()
        axis.margins(x=0.1)
        axis.set_title(f"{measured.name}: {measured.title}", fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
