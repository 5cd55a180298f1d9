"""Reports, whole: of small wrong projects, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlkit.checking.findings import CODES, Finding, Place, Severity, Trouble
from sqlkit.checking.project import read_projects
from sqlkit.checking.report.machines import github_report, json_report
from sqlkit.checking.report.people import plain, report_lines
from sqlkit.checking.run import Counts, Report, check
from sqlkit.migrate import migrate
from sqlkit.testing import TestServer
from tests.wrong_projects import CASES, WRONG, Databases, databases


@pytest.fixture(scope="module")
def wrong(server: TestServer) -> Iterator[Databases]:
    """Give databases for the wrong projects."""
    with databases(server) as found:
        yield found


@pytest.mark.parametrize("case", CASES)
def test_wrong_projects(case: str, wrong: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong project gets its report, to the letter."""
    monkeypatch.chdir(WRONG / case)
    report = wrong.report(case)
    assert plain(report_lines(report)) == Path("report.txt").read_text(encoding="utf-8")
    assert report.status() == 1


@pytest.mark.parametrize(("form", "spell"), [("json", json_report), ("github", github_report)], ids=["json", "github"])
def test_other_formats(form: str, spell: object, wrong: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """The formats for programs say the same, to the letter."""
    monkeypatch.chdir(WRONG / "refused")
    assert callable(spell)
    assert spell(wrong.report("refused")) == Path(f"report.{form}").read_text(encoding="utf-8")


SONGS = """
insert into songs
select number, 'Song ' || number, 'Artist ' || number % 500, number % 200 from generate_series(1, 20000) as number;
create index songs_artist_idx on songs (artist);
analyze songs;
"""


def test_plans(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large table that is read from end to end, since its index went, gets its report, to the letter."""
    monkeypatch.chdir(WRONG / "planned")
    (project,) = read_projects()
    project = project.replaced(plans=tmp_path / "plans.json")
    migrate(dsn, WRONG / "migrations")
    with psycopg.connect(dsn) as conn:
        conn.execute(SONGS)
    assert check(project, dsn, update_plans=True).status() == 0
    assert check(project, dsn, plans=True).status() == 0
    with psycopg.connect(dsn) as conn:
        conn.execute("drop index songs_artist_idx")
    report = check(project, dsn, plans=True)
    assert plain(report_lines(report)) == Path("plans.txt").read_text(encoding="utf-8")
    lenient = check(project.replaced(large_table=100_000), dsn, plans=True)
    assert [finding.code for finding in lenient.findings] == ["SK016"]


# What no wrong project shows


def text(*findings: Finding) -> str:
    """Return the report of some findings, for people."""
    return plain(report_lines(Report(findings)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_clean(here: Path) -> None:
    """A clean report is the line of counts."""
    report = Report(counts=Counts(1, 2, 3, 1))
    assert plain(report_lines(report)) == "1 statement, 2 variants, 3 columns (1 never NULL): clean\n"
    assert report.status() == 0


def test_python_alone(here: Path) -> None:
    """A finding without SQL begins with its place in Python, and shows what it rests on."""
    (here / "app.py").write_text("class Song:\n    title: str\n", encoding="utf-8")
    place = Place(here / "app.py", 2, 5, 15)
    finding = Finding("SK007", "title takes no None", "get", python=place, variant="with a", reason="nullable: x")
    assert text(finding).split("\n\n")[0] == (
        "app.py:2:5: get: error SK007: title takes no None\n"
        "   2 |     title: str\n"
        "     |     ^^^^^^^^^^\n"
        "     = reason: nullable: x\n"
        "     = variant: with a"
    )


MARKS = {
    "tab": ("\tselect é, b\r\n", (1, 9, 10), "   1 | \tselect é, b\n     | \t       ^"),
    "carriage return": ("select 'ü', b\rfrom a", (1, 13, 14), "   1 | select 'ü', b\n     |             ^"),
    "beyond the line": ("select a\n", (1, 8, 99), "   1 | select a\n     |        ^"),
    "without an end": ("select a\n", (1, 8, None), "   1 | select a\n     |        ^"),
    "wide letter": ("select '曲', b", (1, 13, 14), "   1 | select '曲', b\n     |              ^"),
    "byte-order mark": ("\ufeffselect a", (1, 1, 7), "   1 | select a\n     | ^^^^^^"),
    "long line": (
        f"{'a' * 1000} bad {'c' * 1000}",
        (1, 1002, 1005),
        f"   1 | ...{'a' * 79} bad {'c' * 156}...\n     | {' ' * 83}^^^",
    ),
    "long mark": ("a" * 500, (1, 1, 501), f"   1 | {'a' * 240}...\n     | {'^' * 240}"),
    "end of a long line": (f"{'a' * 500} b", (1, 502, 503), f"   1 | ...{'a' * 238} b\n     | {' ' * 242}^"),
    "wide number": ("\n" * 99 + "select a", (100, 1, 7), "   100 | select a\n       | ^^^^^^"),
}


@pytest.mark.parametrize(("content", "place", "marked"), MARKS.values(), ids=MARKS)
def test_marks(here: Path, content: str, place: tuple[int, int, int | None], marked: str) -> None:
    """The mark stands under what is meant, whatever stands before it."""
    (here / "a.sql").write_bytes(content.encode())
    shown = text(Finding("SK001", "x", "q", sql=Place(Path("a.sql"), *place)))
    assert "\n".join(shown.split("\n")[1:3]) == marked


def test_file_that_is_away(here: Path) -> None:
    """A finding in a file that cannot be read keeps its heading."""
    shown = text(Finding("SK001", "x", "q", sql=Place(Path("/nowhere/a.sql"), 3, 2)))
    assert shown.startswith("/nowhere/a.sql:3:2: q: error SK001: x\n\n0 statements")


def test_troubles(here: Path) -> None:
    """What could not be checked stands below the findings, and decides the status."""
    troubles = (Trouble("no server"), Trouble("a.py:1: a does not import: ValueError", "billing"))
    report = Report(troubles=troubles)
    assert plain(report_lines(report)) == (
        "could not check: no server\n"
        "could not check: billing: a.py:1: a does not import: ValueError\n"
        "\n"
        "0 statements, 0 variants, 0 columns (0 never NULL): not all checked\n"
    )
    assert report.status() == 2
    assert github_report(report).splitlines()[0] == "::error title=sqlkit could not check::no server"
    assert json.loads(json_report(report))["troubles"] == [
        {"project": None, "reason": "no server"},
        {"project": "billing", "reason": "a.py:1: a does not import: ValueError"},
    ]


@pytest.mark.parametrize(
    ("code", "strict", "status"), [("SK001", False, 1), ("SK009", False, 1), ("SK008", False, 0), ("SK008", True, 1)]
)
def test_status(code: str, strict: bool, status: int) -> None:
    """Errors and warnings are findings; hints are with --strict alone."""
    report = Report((Finding(code, "x", "q"),))
    assert report.status(strict=strict) == status
    assert json.loads(json_report(report, strict=strict))["status"] == status


def test_github_escapes(here: Path) -> None:
    """What the runner would take for its own syntax is escaped, in properties more than in messages."""
    sql, python = Place(Path("a,b:c.sql"), 1, 2, 3), Place(Path("a.py"), 4, 1)
    assert github_report(Report((Finding("SK008", "50%: a, b\nc\r", "q", sql, python),))) == (
        "::notice file=a%2Cb%3Ac.sql,line=1,col=2,endColumn=3,title=SK008::q: 50%25: a, b%0Ac%0D%0A--> a.py:4\n"
    )


def test_every_code_is_documented() -> None:
    """Each code stands in docs/check.md with its weight."""
    page = (Path(__file__).parent.parent / "docs" / "check.md").read_text(encoding="utf-8")
    for code, (severity, _) in CODES.items():
        assert f"| {code} | {severity.value} |" in page
    assert {severity for severity, _ in CODES.values()} == set(Severity)
