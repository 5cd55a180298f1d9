"""What holds for the schemas of all five applications, read from the catalogue and from their statements."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import sqlkit
from sqlkit.apps import SQL

Connection = psycopg.Connection[Any]

FIXTURES = {
    "analysis": "analysis_shared_dsn",
    "openai_frontend": "frontend_shared_dsn",
    "presentations": "presentations_shared_dsn",
    "soleil": "soleil_shared_dsn",
    "voxstitch": "voxstitch_shared_dsn",
}

TABLES = """
select relations.relname, relations.relkind = 'p' as is_partitioned,
    array(
        select columns.attname::text from pg_attribute as columns
        where columns.attrelid = relations.oid and columns.attnum > 0 and not columns.attisdropped
    ) as columns,
    array(
        select columns.attname::text from pg_index as keys
        inner join pg_attribute as columns on columns.attrelid = keys.indrelid and columns.attnum = any(keys.indkey)
        where keys.indrelid = relations.oid and keys.indisprimary
    ) as keys
from pg_class as relations
where relations.relnamespace = %s::regnamespace and relations.relkind in ('r', 'p') and not relations.relispartition
    and relations.relname !~ '^(_yoyo_|_sqlkit_|yoyo_lock$)'
"""


@pytest.fixture(params=FIXTURES)
def app(request: pytest.FixtureRequest) -> str:
    """Give one application after the other."""
    return str(request.param)


@pytest.fixture
def migrated(app: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Give a connection to the application's migrated database."""
    with psycopg.connect(request.getfixturevalue(FIXTURES[app])) as conn:
        yield conn
        conn.rollback()


#: What writes to a row: an update's table and SET list, and an upsert's, up to the next clause, which begins a line.
UPDATE = re.compile(
    r"\bupdate\s+(\w+)(?:\s+as\s+\w+)?\s+set\b(.*?)(?=^\s*(?:where|from|returning)\b|\Z)"
    r"|\binsert\s+into\s+(\w+)(?:(?!\binsert\b).)*?\bdo\s+update\s+set\b(.*?)(?=^\s*(?:where|returning)\b|\Z)",
    re.DOTALL | re.MULTILINE,
)


def updates(app: str) -> list[tuple[str, str, str]]:
    """Return each statement that updates, with the table and what it sets."""
    found = []
    for file in sorted((SQL / app).glob("*.sql")):
        for statement in sqlkit.read_statements(file):
            text = re.sub(r"--[^\n]*", "", statement.text)
            for update in UPDATE.finditer(text):
                found.append((statement.label, update[1] or update[3], update[2] or update[4]))
    return found


def test_every_table_has_a_key_and_its_times(app: str, migrated: Connection) -> None:
    """Each table has a primary key and created_at, which is in the key of a partitioned one; updated_at if updated."""
    updated = {table for _, table, _ in updates(app)}
    tables = migrated.execute(TABLES.encode(), [app]).fetchall()
    assert len(tables) >= 3
    for table, is_partitioned, columns, keys in tables:
        assert keys, table
        assert "created_at" in columns, table
        assert ("created_at" in keys) == is_partitioned, table
        assert "updated_at" in columns or table not in updated, table
    assert updated <= {table for table, *_ in tables}


def test_every_update_sets_its_time(app: str) -> None:
    """Whatever statement writes to a row says when, by the database's clock."""
    found = updates(app)
    assert len(found) >= 5
    for label, table, written in found:
        assert re.search(r"\bupdated_at = (now\(\)|greatest\(now\(\))", written), f"{label}: {table}"


def test_times_have_a_zone(app: str, migrated: Connection) -> None:
    """Every time is a timestamptz, and those that say when a row came and changed are the database's."""
    times = migrated.execute(
        "select columns.attrelid::regclass::text, columns.attname, columns.atttypid::regtype::text, "
        "pg_get_expr(defaults.adbin, defaults.adrelid) from pg_attribute as columns "
        "inner join pg_class as relations on relations.oid = columns.attrelid "
        "left join pg_attrdef as defaults on defaults.adrelid = columns.attrelid and defaults.adnum = columns.attnum "
        "where relations.relnamespace = %s::regnamespace and relations.relkind in ('r', 'p') "
        "and relations.relname !~ '^(_yoyo_|_sqlkit_|yoyo_lock$)' and columns.attname like '%%\\_at'",
        [app],
    ).fetchall()
    assert times
    for table, column, kind, default in times:
        assert kind == "timestamp with time zone", (table, column)
        if column in ("created_at", "updated_at"):
            assert default == "now()", (table, column)


def test_nothing_but_statements_writes(app: str, migrated: Connection) -> None:
    """There is no trigger of ours: distributed PostgreSQL refuses them."""
    row = migrated.execute(
        "select count(*) from pg_trigger inner join pg_class on pg_class.oid = tgrelid "
        "where relnamespace = %s::regnamespace and not tgisinternal",
        [app],
    ).fetchone()
    assert row == (0,)


def test_no_partition_takes_whatever_comes(app: str, migrated: Connection) -> None:
    """A partitioned table has no default partition, and a partition for now."""
    rows = migrated.execute(
        "select relname, partdefid, (select count(*) from pg_inherits where inhparent = oid) from pg_class "
        "inner join pg_partitioned_table on partrelid = oid "
        "where relkind = 'p' and relnamespace = %s::regnamespace",
        [app],
    ).fetchall()
    wanted = {"analysis": 1, "openai_frontend": 2, "presentations": 2}
    assert len(rows) == wanted.get(app, 0)
    for table, default, partitions in rows:
        assert default == 0, table
        assert partitions >= 1, table


KINDS = {"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl"}


def test_every_name_says_its_kind(app: str, migrated: Connection) -> None:
    """Constraints and indexes begin with their table and end with their kind."""
    named = migrated.execute(
        "select relname, conname, contype::text from pg_constraint inner join pg_class on pg_class.oid = conrelid "
        "where connamespace = %(app)s::regnamespace and contype in ('p', 'u', 'f', 'c', 'x') "
        "and relkind in ('r', 'p') and not relispartition and relname !~ '^(_yoyo_|_sqlkit_|yoyo_lock$)' "
        "union all "
        "select tables.relname, indexes.relname, 'i' from pg_index "
        "inner join pg_class as tables on tables.oid = indrelid "
        "inner join pg_class as indexes on indexes.oid = indexrelid "
        "where tables.relnamespace = %(app)s::regnamespace and not tables.relispartition "
        "and tables.relname !~ '^(_yoyo_|_sqlkit_|yoyo_lock$)' "
        "and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))",
        {"app": app},
    ).fetchall()
    assert len(named) >= 15
    for table, name, kind in named:
        assert name.startswith(f"{table}_"), name
        assert name.endswith(("_idx", "_key") if kind == "i" else f"_{KINDS[kind]}"), name


def test_every_foreign_key_has_an_index(app: str, migrated: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = migrated.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = %s::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)",
        [app],
    ).fetchall()
    assert bare == []


def test_every_statement_is_proved() -> None:
    """Sqlkit check finds nothing in any statement of the five, in whichever variant."""
    command = [sys.executable, "-c", "from sqlkit.cli import main; main()", "check", "--format", "text"]
    root = Path(__file__).parent.parent
    for app in FIXTURES:
        assert f'name = "{app}"' in (root / "pyproject.toml").read_text(encoding="utf-8")
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    counted = re.search(r"^(\d+) statements, (\d+) variants, .*: clean$", result.stdout, re.MULTILINE)
    assert counted, result.stdout
    assert int(counted[1]) >= sum(
        len(sqlkit.read_statements(file)) for app in FIXTURES for file in (SQL / app).glob("*.sql")
    )
