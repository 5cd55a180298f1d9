"""The benchmarks, with few rows and one round: each work runs, and its contenders give the same answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.families import FAMILIES, family
from benchmarks.report import draw, markdown, table
from benchmarks.work import SHORT, Limit, Measured, Verdict, Work, measure

ALONE = {"check"}  # makes databases of its own on a server of its own


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ALONE])
def test_a_work_runs_and_its_contenders_agree(name: str, dsn: str) -> None:
    """Every contender answers as the baseline does, and every limit names contenders that there are."""
    try:
        works = family(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed: the peers come with make bench")
    with works(dsn, SHORT) as found:
        assert found
        for work in found:
            measured = measure(work, SHORT.rounds)
            assert list(measured.medians) == list(work.contenders)
            assert len(measured.verdicts) >= len(work.limits)
            assert all(verdict.figure > 0 for verdict in measured.verdicts)


def test_a_contender_that_answers_otherwise_is_not_timed() -> None:
    """A wrong row is an error, whatever time it took."""
    work = Work("point", "", 1, {"one": lambda: [(1, "a")], "two": lambda: [(1, "b")]})
    with pytest.raises(AssertionError, match="point: two does not answer as one does"):
        measure(work, 1)


@pytest.mark.parametrize(
    ("limit", "figure", "met"),
    [
        (Limit("peer", at_most=0.5), 0.25, True),
        (Limit("peer", at_most=0.2), 0.25, False),
        (Limit("peer", at_least=4), 4, True),
        (Limit("peer", at_least=4.1), 4, False),
    ],
)
def test_limits(limit: Limit, figure: float, met: bool) -> None:
    """A time is held against the most that it may be, a rate against the least."""
    verdict = limit.verdict({"peer": 0.4, "sqlkit": 0.1})
    assert verdict.figure == pytest.approx(figure)
    assert verdict.met is met


MEASURED = Measured(
    "point", "a look-up", {"peer": 0.002, "sqlkit": 0.001}, "said", [Verdict("memory", 50, at_most=40, unit=" MiB")]
)


def test_a_work_as_a_table() -> None:
    """Ratios stand beside bars, figures beside their limits."""
    lines = table(MEASURED).splitlines()
    assert lines[1] == "point: a look-up"
    assert lines[3].split() == ["sqlkit", "0.50", "█" * 20]
    assert lines[4].endswith("50.00  ≤ 40.00 MiB: NOT met")


def test_a_run_as_markdown() -> None:
    """The limits stand first, then the ratios of each work."""
    text = markdown([MEASURED], "on something")
    assert "| point: a look-up | memory | 50.00 MiB | ≤ 40.00 MiB | NOT met |" in text
    assert "| sqlkit | 0.50 |" in text


def test_a_run_as_a_picture(tmp_path: Path) -> None:
    """A chart of each work is drawn into one PNG."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: it comes with make bench")
    draw([MEASURED, MEASURED], tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
