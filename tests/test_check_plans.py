"""What plans show: large tables that are read from end to end, and plans that are not the committed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.checking.findings import Finding
from sqlkit.checking.plans import Plan, check_plans, explain, update_plans
from sqlkit.checking.plans.explaining import can_explain
from sqlkit.checking.sources import ProjectFacts
from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import parse_statement, read_statements
from sqlkit.testing import TestServer, dropped_afterwards

TABLES = """
create schema app;
set search_path = app;
create table songs (song_id int, user_id int, title text, genre text, constraint songs_pkey primary key (song_id));
create index songs_user_id_idx on songs (user_id);
create table users (user_id int, name text, constraint users_pkey primary key (user_id));
create table events (event_id int, day int, kind int) partition by range (day);
create index events_event_id_idx on events (event_id);
create table events_1 partition of events for values from (0) to (10);
create table events_2 partition of events for values from (10) to (20);
create table guesses (guess_id int, user_id int);
create index guesses_user_id_idx on guesses (user_id);
insert into songs select n, n / 20, 'title ' || n, case when n % 2 = 0 then 'jazz' end
from generate_series(1, 12000) as n;
insert into users select n, 'name ' || n from generate_series(1, 600) as n;
insert into events select n, n % 20, n % 3 from generate_series(1, 30000) as n;
insert into guesses select n, n from generate_series(1, 20000) as n;
analyze songs, users, events, events_1, events_2;
"""

FILE = """-- name: get_song
select title from songs where song_id = :song_id;

-- name: find_songs
-- By title, or by what else is given.
select song_id
from songs
where
    user_id = :user_id   --? optional
    and title <> :title
order by song_id         --| order: id
-- order by title        --| order: title
;
"""

SONGS = FILE.replace(
    "    user_id = :user_id   --? optional\n    and", "    true\n    and user_id = :user_id   --? optional\n    and"
)


@pytest.fixture(scope="module")
def standing(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to a database with rows and statistics, but for one table's."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute(TABLES)
        # Plans of one kind on a machine of any kind.
        conn.execute("set max_parallel_workers_per_gather = 0; set random_page_cost = 1.1; set jit = off")
        yield conn


@pytest.fixture
def conn(standing: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Give the connection, and undo what a test changes of the schema."""
    with standing.transaction(force_rollback=True):
        standing.execute("savepoint before")
        yield standing


def one(standing: psycopg.Connection[Any], sql: str) -> Plan:
    """Return the plan of a statement, which is described first."""
    (description,) = describe(standing, [parse_statement(sql)])
    assert can_explain(description), description.outcome
    return explain(standing, description)


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("select title from songs where song_id = :i", ["Index Scan using songs_pkey on songs"]),
        ("select title from songs where genre = :s", ["Seq Scan on songs"]),
        (
            "select song_id from songs order by song_id desc limit 1",
            ["Limit", "  Index Only Scan Backward using songs_pkey on songs"],
        ),
        (
            "select users.name from songs left join users using (user_id) where songs.song_id = :i",
            [
                "Nested Loop Left Join",
                "  Index Scan using songs_pkey on songs",
                "  Index Scan using users_pkey on users",
            ],
        ),
        (
            "with gone as (delete from songs where song_id = :i returning user_id) select user_id from gone",
            ["CTE Scan on gone", "  CTE gone: Delete on songs", "    Index Scan using songs_pkey on songs"],
        ),
        ("select kind from events where event_id = :i", ["Index Scan using events_event_id_idx on events"]),
        ("select count(*) from events", ["Aggregate", "  Seq Scan on events"]),
        ("select kind, count(*) from events group by kind", ["Aggregate (Hashed)", "  Seq Scan on events"]),
        ("insert into users (user_id) values (:i)", ["Insert on users", "  Result"]),
        ("values (1), (2)", ["Values Scan"]),
        ("select n from generate_series(1, :i) as n", ["Function Scan on generate_series"]),
        ("(select 1)", ["Result"]),
    ],
)
def test_a_plan_is_lines(standing: psycopg.Connection[Any], sql: str, lines: list[str]) -> None:
    """A plan has a line for each node, with tables and indexes, partitions by the table that they are of."""
    assert one(standing, sql).lines == tuple(lines)


def test_a_bitmap_is_of_the_table_above_it(conn: psycopg.Connection[Any]) -> None:
    """An index that EXPLAIN names without its table is found, a partition's by the index that it is of."""
    conn.execute("set local enable_indexscan = off; set local enable_seqscan = off")
    plan = explain(conn, described_before(conn, "select kind from events where event_id = :i"))
    assert plan.lines == ("Bitmap Heap Scan on events", "  Bitmap Index Scan using events_event_id_idx")


def described_before(conn: psycopg.Connection[Any], sql: str) -> Any:
    """Return a description made by hand: to describe takes a connection of its own."""
    from sqlkit.describing.description import Description

    return Description(parse_statement(sql), 0, (), Described((), ()))


def test_what_a_plan_scans(standing: psycopg.Connection[Any]) -> None:
    """Scans with a condition are told with the table's rows, those of partitions added up; others are not."""
    assert [(scan.table, scan.rows) for scan in one(standing, "select 1 from songs where genre = :s").scans] == [
        ("songs", 12000)
    ]
    assert [(scan.table, scan.rows) for scan in one(standing, "select 1 from events where kind = :i").scans] == [
        ("events", 30000)
    ]
    assert one(standing, "select count(*) from songs").scans == ()
    assert one(standing, "select 1 from songs where song_id = :i").scans == ()


def test_a_table_that_was_never_analysed_is_told(standing: psycopg.Connection[Any]) -> None:
    """Its plan says which one, and nothing of its rows."""
    plan = one(standing, "select guess_id from guesses where guess_id = :i")
    assert plan.unknown == ("guesses",)
    assert [scan.rows for scan in plan.scans] == [None]


@pytest.mark.parametrize(
    "sql", ["copy songs from stdin", "vacuum songs", "listen songs", "selekt 1", "select nothing from songs"]
)
def test_what_has_no_plan(standing: psycopg.Connection[Any], sql: str) -> None:
    """COPY, utility statements and what PostgreSQL refuses cannot be explained."""
    (description,) = describe(standing, [parse_statement(sql)])
    assert not can_explain(description)


def test_nothing_is_left_of_an_explanation(standing: psycopg.Connection[Any]) -> None:
    """Neither rows nor prepared statements nor settings nor locks."""
    deleted = "delete from songs where genre = :s"
    with standing.transaction():
        explain(standing, described_before(standing, deleted))
        held = "select count(*) from pg_locks where relation = 'songs'::regclass and pid = pg_backend_pid()"
        assert standing.execute(held).fetchone() == (0,)
        assert standing.execute("show plan_cache_mode").fetchone() == ("auto",)
    assert standing.execute("select count(*) from songs").fetchone() == (12000,)
    left = "select count(*) from pg_prepared_statements where not from_sql is false"
    assert standing.execute(left).fetchone() == (0,)


def facts_of(standing: psycopg.Connection[Any], path: Path, text: str) -> ProjectFacts:
    """Return the facts of a project of one file."""
    path.write_text(text)
    statements = read_statements(path)
    descriptions: dict[Any, list[Any]] = {statement: [] for statement in statements}
    for description in describe(standing, statements):
        descriptions[description.statement].append(description)
    return ProjectFacts(statements=statements, descriptions=descriptions)


@pytest.fixture
def facts(standing: psycopg.Connection[Any], tmp_path: Path) -> ProjectFacts:
    """Give the facts of two statements, one of them in four variants."""
    return facts_of(standing, tmp_path / "songs.sql", SONGS)


def said(findings: list[Finding]) -> list[tuple[str, str, str | None, str]]:
    """Return code, query, variant and message of findings."""
    return [(finding.code, finding.query, finding.variant, finding.message) for finding in findings]


def check(
    conn: psycopg.Connection[Any], facts: ProjectFacts, snapshot: Path, **options: int
) -> tuple[list[Finding], list[str]]:
    """Return findings and troubles."""
    troubles: list[str] = []
    return list(check_plans(conn, facts, snapshot, troubles.append, **options)), troubles


def test_a_large_table_that_is_read_to_find_some(
    standing: psycopg.Connection[Any], facts: ProjectFacts, tmp_path: Path
) -> None:
    """A sequential scan with a condition is found in the variants that have it, above the threshold."""
    update_plans(standing, facts, tmp_path / "plans.json")
    findings, troubles = check(standing, facts, tmp_path / "plans.json")
    message = "reads all of songs, about 12,000 rows, to find some: add an index for its condition"
    assert said(findings) == [("SK015", "find_songs", "without user_id, order: title", message)]
    assert str(findings[0].sql) == f"{tmp_path / 'songs.sql'}:6:1"
    assert troubles == []
    assert check(standing, facts, tmp_path / "plans.json", large=12000) == ([], [])


def test_the_snapshot(standing: psycopg.Connection[Any], facts: ProjectFacts, tmp_path: Path) -> None:
    """It has the lines of each variant by the file's place beside it, sorted, and is written only where it changes."""
    snapshot = tmp_path / "plans" / "plans.json"
    assert update_plans(standing, facts, snapshot)
    scan = "Index Scan using songs_user_id_idx on songs"
    written = json.loads(snapshot.read_text())
    assert written == {
        "postgresql": standing.info.server_version // 10000,
        "plans": {
            "../songs.sql: find_songs": {
                "with user_id, order: id": ["Sort", f"  {scan}"],
                "with user_id, order: title": ["Sort", f"  {scan}"],
                "without user_id, order: id": ["Index Scan using songs_pkey on songs"],
                "without user_id, order: title": ["Sort", "  Seq Scan on songs"],
            },
            "../songs.sql: get_song": {"": ["Index Scan using songs_pkey on songs"]},
        },
    }
    assert snapshot.read_text() == json.dumps(written, indent=2, sort_keys=True) + "\n"
    assert [path.name for path in snapshot.parent.iterdir()] == ["plans.json"]
    before = snapshot.stat().st_mtime_ns
    assert not update_plans(standing, facts, snapshot)
    assert snapshot.stat().st_mtime_ns == before


def test_a_plan_that_has_changed(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """It says where the plans part, and the variant."""
    conn.execute("rollback to before")
    snapshot = tmp_path / "plans.json"
    facts = by_hand(tmp_path / "songs.sql")
    update_plans(conn, facts, snapshot)
    assert [finding.code for finding in check(conn, facts, snapshot)[0]] == []
    conn.execute("drop index songs_user_id_idx")
    findings = [finding for finding in check(conn, facts, snapshot)[0] if finding.code == "SK016"]
    message = (
        "the plan has `Seq Scan on songs` now instead of `Index Scan using songs_user_id_idx on songs`: "
        "look whether that is meant, then run with --update-plans"
    )
    assert said(findings) == [("SK016", "of_user", None, message)]
    assert [finding.reason for finding in findings] == [None]
    other = json.loads(snapshot.read_text()) | {"postgresql": 9}
    snapshot.write_text(json.dumps(other))
    findings = [finding for finding in check(conn, facts, snapshot)[0] if finding.code == "SK016"]
    version = conn.info.server_version // 10000
    assert [finding.reason for finding in findings] == [f"the snapshot is of PostgreSQL 9, this is {version}"]


def by_hand(
    path: Path, text: str = "-- name: of_user\nselect title from songs where user_id = :user_id\n"
) -> ProjectFacts:
    """Return the facts of a project of one file that PostgreSQL was not asked about."""
    from sqlkit.describing.description import Description

    path.write_text(text)
    statements = read_statements(path)
    found = {statement: [Description(statement, 0, (), Described((), ()))] for statement in statements}
    return ProjectFacts(statements=statements, descriptions=found)


def test_partitions_come_and_go(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A new partition changes no plan, and neither does it when one alone is left."""
    snapshot = tmp_path / "plans.json"
    facts = by_hand(tmp_path / "events.sql", "-- name: find\nselect kind from events where event_id = :event_id\n")
    update_plans(conn, facts, snapshot)
    conn.execute("create table events_3 partition of events for values from (20) to (30); analyze events_3")
    assert check(conn, facts, snapshot) == ([], [])
    conn.execute("create table events_4 partition of events for values from (30) to (40)")  # not analysed yet
    assert check(conn, facts, snapshot) == ([], [])
    conn.execute("drop table events_4, events_3, events_2")
    assert check(conn, facts, snapshot) == ([], [])


def test_a_statement_that_the_snapshot_lacks(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A new statement has no plan to be compared with, which is a change too."""
    snapshot = tmp_path / "plans.json"
    snapshot.write_text(json.dumps({"postgresql": conn.info.server_version // 10000, "plans": {}}))
    findings, _ = check(conn, by_hand(tmp_path / "songs.sql"), snapshot)
    message = (
        "the snapshot has no plan for it, which is `Index Scan using songs_user_id_idx on songs`: "
        "look whether that is meant, then run with --update-plans"
    )
    assert said(findings) == [("SK016", "of_user", None, message)]


def test_no_snapshot_yet(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """It says how one is written, and compares nothing."""
    findings, troubles = check(conn, by_hand(tmp_path / "songs.sql"), tmp_path / "plans.json")
    assert findings == []
    assert troubles == [f"{tmp_path / 'plans.json'}: there is no snapshot yet: write it with --update-plans"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON; write it anew with --update-plans"),
        ("[]", "is no snapshot of plans; write it anew with --update-plans"),
        ('{"postgresql": 18, "plans": {"a": ["b"]}}', "is no snapshot of plans; write it anew with --update-plans"),
    ],
)
def test_a_file_that_is_no_snapshot(conn: psycopg.Connection[Any], tmp_path: Path, text: str, reason: str) -> None:
    """It is told, and compares nothing."""
    snapshot = tmp_path / "plans.json"
    snapshot.write_text(text)
    findings, troubles = check(conn, by_hand(tmp_path / "songs.sql"), snapshot)
    assert (findings, troubles) == ([], [f"{snapshot}: {reason}"])


def test_missing_statistics_are_said(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """Of a table that was never analysed nothing is found or compared; what to do is said once."""
    snapshot = tmp_path / "plans.json"
    text = "-- name: one\nselect user_id from guesses where guess_id = :i;\n"
    facts = by_hand(tmp_path / "guesses.sql", text + text.replace("one", "two"))
    snapshot.write_text(json.dumps({"postgresql": 18, "plans": {}}))
    findings, troubles = check(conn, facts, snapshot, large=10)
    assert findings == []
    advice = "guesses: never analysed, so the plans that read them say nothing: run analyze guesses"
    assert troubles == [advice]
    conn.execute("analyze guesses")
    findings, troubles = check(conn, facts, snapshot)
    assert {finding.code for finding in findings} == {"SK015", "SK016"}
    assert troubles == []


def test_what_cannot_be_explained_is_said(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """The rest is still looked at."""
    text = "-- name: gone\nselect a from nowhere;\n\n-- name: of_user\nselect title from songs where genre = :genre;\n"
    path = tmp_path / "songs.sql"
    facts = by_hand(path, text)
    snapshot = tmp_path / "plans.json"
    update_plans(conn, facts, snapshot)
    findings, troubles = check(conn, facts, snapshot)
    assert [(finding.code, finding.query) for finding in findings] == [("SK015", "of_user")]
    assert troubles == [f"{path}:1: gone: cannot be explained: UndefinedTable (42P01)"]
