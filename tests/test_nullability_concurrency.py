"""What another transaction does to a proof: a row that waits for its lock comes in a version newer than the snapshot.

Such a row is joined with rows of the old snapshot, so that its foreign key may point to a row that the statement does
not see. Each case is a statement that waits for another session and then returns a NULL.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import parse_statement
from sqlkit.testing import TestServer, dropped_afterwards
from tests.nullability.cases import create_schema, nulls, run

#: What the other session does before the statement begins, and commits while it waits.
NEW_AUTHOR = (
    "insert into authors (author_id, name) overriding system value values (50, 'New');"
    "update books set author_id = 50 where book_id = 3"
)
OTHER_AUTHOR = "update books set author_id = 1 where book_id = 3"

NAME = "(select authors.name from authors where authors.author_id = books.author_id)"
JOINED = "select books.book_id, authors.name from books left join authors on authors.author_id = books.author_id"

CASES = {
    "for_update": (f"{JOINED} where books.book_id = 3 for update of books", NEW_AUTHOR),
    "for_share": (f"{JOINED} where books.book_id = 3 for share of books", OTHER_AUTHOR),
    "for_no_key_update_of_all_that_can_be": (
        f"select found.book_id, found.name from ({JOINED} where books.book_id = 3 for no key update of books) as found",
        OTHER_AUTHOR,
    ),
    "subquery": (f"select books.book_id, {NAME} from books where books.book_id = 3 for update", NEW_AUTHOR),
    "update_returning": (f"update books set pages = 1 where book_id = 3 returning book_id, {NAME}", NEW_AUTHOR),
    "update_sets": (
        f"update books set subtitle = {NAME} where book_id = 3 returning book_id, subtitle",
        NEW_AUTHOR,
    ),
    "update_of_a_view": ("update book_cards set pages = 1 where book_id = 3 returning book_id, name", NEW_AUTHOR),
    "upsert": (
        "insert into books (book_id, author_id, title, price) values (3, 1, 'x', 1) "
        f"on conflict (book_id) do update set pages = 1 returning book_id, {NAME}",
        NEW_AUTHOR,
    ),
    "insert_in_the_place_of_a_row": (
        "insert into books (book_id, author_id, title, price) overriding system value values (3, 50, 'x', 1) "
        f"returning book_id, {NAME}",
        f"delete from order_items where book_id = 3; {NEW_AUTHOR}; delete from books where book_id = 3",
    ),
    "delete_returning": (
        f"with gone as (delete from reviews) delete from books where book_id = 3 returning book_id, {NAME}",
        f"delete from order_items where book_id = 3; {NEW_AUTHOR}",
    ),
    "locked_rows_are_skipped": (
        "select books.book_id, found.name from books "
        "left join (select author_id, name from authors for update skip locked) as found "
        "on found.author_id = books.author_id",
        "select * from authors for update",
    ),
}


@pytest.fixture
def scratch_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of the scratch schema with its standing rows, committed."""
    with dropped_afterwards(server, kind="concurrent") as database:
        with psycopg.connect(server.dsn_for(database)) as conn:
            create_schema(conn)
            conn.execute("truncate parcels, shipments")
        yield server.dsn_for(database)


@pytest.mark.parametrize("name", CASES)
def test_a_newer_row_may_lack_its_partner(name: str, scratch_dsn: str) -> None:
    """The second column comes as NULL after the other session's commit, and the prover says that it can."""
    sql, before = CASES[name]
    statement = parse_statement(sql, name=name)
    with psycopg.connect(scratch_dsn) as other, psycopg.connect(scratch_dsn, autocommit=True) as conn:
        other.execute(before.encode())
        with ThreadPoolExecutor(1) as pool:
            rows = pool.submit(run, conn, statement, {})
            wait_for_lock(other, conn, rows.done)
            other.commit()
            assert nulls(rows.result(timeout=10)) == {1}
        (description,) = describe(conn, [statement])
    assert isinstance(description.outcome, Described)
    assert [column.nullable for column in description.outcome.columns] == [False, True]


def wait_for_lock(other: psycopg.Connection[Any], conn: psycopg.Connection[Any], done: Any) -> None:
    """Return when the connection's statement waits for the other session, or has ended."""
    deadline = time.monotonic() + 10
    waits = "select cardinality(pg_blocking_pids(%s)) > 0"
    while not done() and other.execute(waits, [conn.info.backend_pid]).fetchone() == (False,):
        assert time.monotonic() < deadline
        time.sleep(0.005)
