"""PostgreSQL's trees: real ones are read whole, damaged ones end in a TreeError or prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from sqlkit.describing.nullability.prover import Prover
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node, TreeError, parse_tree, walk
from sqlkit.testing import TestServer, dropped_afterwards, test_server
from tests.nullability.cases import Case, create_schema, read_cases

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

#: Cases whose trees have what trees have: joins, groups, windows, CTEs, subqueries, writes.
DAMAGED = [
    "authors_with_counts", "numbered_orders", "recursive_null_in_step", "author_totals",
    "list_books_with_authors", "next_order",
    "where_reduces_chain", "foreign_key_chain", "case_forms", "in_subqueries", "having_proves", "grouping_sets",
    "grouping_set_expression", "update_sets", "insert_literals", "recursive_search", "nested_set_operations",
    "composite_fields", "unnested_constant_array", "scalar_subquery_by_foreign_key", "full_join_coalesced",
    "filtered_aggregates", "sums_over_frames", "rows_from",
]  # fmt: skip


class Trees:
    """Trees of the cases on a server, and what it knows of its schema."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.schema = Schema(conn)
        version = conn.info.server_version
        self.cases = {
            case.name: case
            for group in ("ordinary", "hard")
            for case in read_cases(group)
            if case.stands_on(version) and not case.statement.parameters
        }

    def text(self, case: Case) -> str:
        """Return the tree of a statement without parameters, as the catalogue keeps it."""
        body = case.statement.variant().text.rstrip().rstrip(";")
        with self.conn.transaction(force_rollback=True):
            self.conn.execute(
                f"create function pg_temp.told() returns setof record language sql begin atomic {body}; end".encode()
            )
            row = self.conn.execute(
                "select prosqlbody::text from pg_proc where proname = 'told' and pronamespace = pg_my_temp_schema()"
            ).fetchone()
        assert row is not None
        return str(row[0])

    def never_null(self, tree: Any) -> set[int]:
        """Return the columns that the prover calls NOT NULL."""
        query = next((node for node in walk(tree) if node.tag == "QUERY"), None)
        if query is None:
            return set()
        verdicts = Prover(self.schema).columns(query)
        return {number for number, verdict in enumerate(verdicts) if verdict.certain}


@pytest.fixture(scope="module", params=["tests' own", "15"])
def trees(request: pytest.FixtureRequest, server: TestServer) -> Iterator[Trees]:
    """Give the trees of the tests' server, then those of PostgreSQL 15."""
    if request.param == "tests' own":
        yield from trees_of(server)
        return
    if server.version < 160000:
        pytest.skip("the server of the tests is PostgreSQL 15 already")
    if not DEBIAN_15.is_dir():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15}: apt-get install postgresql-15")
    with test_server(str(DEBIAN_15)) as older:
        yield from trees_of(older)


def trees_of(server: TestServer) -> Iterator[Trees]:
    """Give the trees of a server."""
    with dropped_afterwards(server, kind="trees") as database:
        with psycopg.connect(server.dsn_for(database)) as conn:
            create_schema(conn, rows=False)
        with psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
            yield Trees(conn)


def test_real_trees_are_read_to_their_end(trees: Trees) -> None:
    """The tree of each case is read, and says as many columns as the statement has."""
    for case in trees.cases.values():
        tree = parse_tree(trees.text(case))
        query = next(node for node in walk(tree) if node.tag == "QUERY")
        listed = query.nodes("returningList" if query["commandType"] != "1" else "targetList")
        assert len([entry for entry in listed if not entry.flag("resjunk")]) == len(case.columns), case.name


def test_a_tree_that_is_cut_short_is_refused(trees: Trees) -> None:
    """Wherever a tree ends too early, a TreeError says so."""
    text = trees.text(trees.cases["grouping_sets"])
    for end in range(len(text)):
        if text[:end].strip():
            with pytest.raises(TreeError):
                parse_tree(text[:end])


def test_a_tree_with_a_character_changed_is_read_or_refused(trees: Trees) -> None:
    """Whatever stands in a tree, it is read, or a TreeError says that it cannot be; the prover takes what is read."""
    random = Random(1)
    for name in DAMAGED:
        text = trees.text(trees.cases[name])
        for _ in range(60):
            place = random.randrange(len(text))
            changed = text[:place] + random.choice('(){}[]:<> "\\bx1') + text[place + random.randrange(3) :]
            try:
                tree = parse_tree(changed)
            except TreeError:
                continue
            trees.never_null(tree)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_field_that_is_missing_proves_nothing(name: str, trees: Trees) -> None:
    """Without any one of its fields a tree proves no more than with it, and raises nothing."""
    tree = parse_tree(trees.text(trees.cases[name]))
    whole = trees.never_null(tree)
    fields = [(node, field) for node in walk(tree) for field in node]
    for node, field in Random(2).sample(fields, min(len(fields), 250)):
        value = node.pop(field)
        assert trees.never_null(tree) <= whole, f"{node.tag} without {field}"
        node[field] = value


@pytest.mark.parametrize("name", DAMAGED)
def test_a_node_that_is_not_known_proves_nothing(name: str, trees: Trees) -> None:
    """With any one of its nodes of an unknown kind a tree proves no more, and raises nothing."""
    tree = parse_tree(trees.text(trees.cases[name]))
    whole = trees.never_null(tree)
    for node in list(walk(tree)):
        tag, node.tag = node.tag, "LATERINVENTION"
        assert trees.never_null(tree) <= whole, f"an unknown node for {tag}"
        node.tag = tag


@pytest.mark.parametrize("name", DAMAGED)
def test_a_node_that_is_missing_raises_nothing(name: str, trees: Trees) -> None:
    """With any one of its nodes gone from its field a tree is still read."""
    tree = parse_tree(trees.text(trees.cases[name]))
    for node in list(walk(tree)):
        for field, value in list(node.items()):
            if isinstance(value, Node):
                node[field] = None
                trees.never_null(tree)
                node[field] = value


@pytest.mark.parametrize(
    "text", ["", "{", "}", "(", ")", "{QUERY", "{QUERY :a", "({QUERY :a 1)", "{A :b [1 2}", "{A :b [x]}"]
)
def test_what_is_no_tree_is_refused(text: str) -> None:
    """What ends before it began, or is crossed, is no tree."""
    with pytest.raises(TreeError):
        parse_tree(text)


def test_names_with_blanks_and_brackets_are_read() -> None:
    """Blanks and brackets in a name are escaped, and are read as they were."""
    node = parse_tree(r"{TARGETENTRY :resname a\ \(b\)\ \{c\}\\ :resno 1 :none <>}")
    assert dict(node) == {"resname": "a (b) {c}\\", "resno": "1", "none": None}
