"""Statements described by a real server: what each variant takes and returns, and what its analysed tree proves.

Each text is prepared and described, many in one pipeline. Those that stand are then wrapped, again many at once, as the
bodies of functions in ``pg_temp`` (``begin atomic``, PostgreSQL 14 and later), whose analysed trees the catalogue
keeps, and the transaction is rolled back: nothing is left behind. While the server works on one batch, the trees of
the one before are read here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sqlkit.describing.description import Description, Refused, Undescribed
from sqlkit.describing.reading import Reader, Shape
from sqlkit.describing.schema import Schema
from sqlkit.describing.servertypes import ServerTypes
from sqlkit.rows.collector import paused_collector
from sqlkit.statements import Reference, Statement

__all__ = ["describe"]

#: Texts in one pipeline: enough that a round trip costs nothing, few enough that what is read fits the buffers.
BATCH = 50

#: SQLSTATE classes that say nothing against a statement: what is missing, or a server that goes away.
UNABLE = frozenset({"08", "53", "54", "55", "57", "58", "F0", "XX"})

#: What CREATE FUNCTION ... BEGIN ATOMIC takes as its body.
WRAPPED = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table"})

FIRST_WORD = re.compile(r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)

#: SQLSTATEs of a parameter whose type PostgreSQL cannot tell, and how its messages call parameters in any language.
UNTYPED = frozenset({"42P18", "42P08"})
NUMBERED = re.compile(r"\$(\d+)(?!\w)")

READ_TREES = b"select p.proname, p.prosqlbody from pg_catalog.pg_proc as p where p.pronamespace = pg_my_temp_schema()"


@dataclass(eq=False, slots=True)
class _Item:
    """A text on its way; ``why_not`` says why there is no tree."""

    statement: Statement
    given: int
    chosen: tuple[str, ...]
    text: str
    shape: Shape | None = None
    failed: Refused | Undescribed | None = None
    tree: str | None = None
    why_not: str | None = None


def describe(
    conn: psycopg.Connection[Any], statements: Iterable[Statement], *, limit: int = 64
) -> Iterator[Description]:
    """Describe each variant of statements, in order.

    The connection is an idle one, in autocommit, whose search path finds the tables; nothing is left behind on it.
    ``limit`` is that of ``Statement.variants``. Raises psycopg's errors where the connection is lost.
    """
    waiting = (
        _Item(statement, given, chosen, statement.variant(given, chosen).text)
        for statement in statements
        for given, chosen in statement.variants(limit)
    )
    describer = _Describer(conn)
    try:
        while batch := list(islice(waiting, BATCH * 4)):
            yield from describer.batch(batch)
    finally:
        describer.close()


class _Describer:
    """Describes batches on one connection; ``_sent`` are the parts whose trees the server is still at."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._types = ServerTypes(conn, self._idle)
        self._reader = Reader(Schema(conn, self._idle), self._types)
        self._began = False
        self._no_trees = ""
        self._sent: deque[list[_Item]] = deque()

    def batch(self, items: list[_Item]) -> Iterator[Description]:
        self._prepare(items)
        self._types.learn(pair for item in items if item.shape for pair in item.shape.oids())
        parts = list(_parts(items, BATCH))
        self._send(parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            if following is not None:
                self._send(following)  # the server is at it while what came before is read here
            self._fetch(part)
            self._reader.learn([item.tree for item in part if item.tree is not None])
            with paused_collector():  # a tree is a thousand objects, and gone when it is read
                found = [Description(item.statement, item.given, item.chosen, self._outcome(item)) for item in part]
            yield from found
        self._idle()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._conn.closed:
            return
        self._idle()
        if self._began:
            self._began = False
            self._conn.rollback()
            self._conn.autocommit = True

    def _outcome(self, item: _Item) -> Any:
        if item.failed is not None:
            return item.failed
        assert item.shape is not None  # noqa: S101 - it is one or the other
        variant = item.statement.variant(item.given, item.chosen)
        return self._reader.read(item.statement, variant, item.shape, item.tree, item.why_not)

    # Prepare and describe.

    def _prepare(self, items: list[_Item]) -> None:
        """Outside of a transaction, for what one statement does wrong would end it for the others."""
        self.close()
        for part in _parts(items, BATCH):
            self._conn.wait(_prepared(self._conn.pgconn, part))

    # Trees.

    def _wanted(self, items: list[_Item]) -> list[_Item]:
        """Return the items whose trees are to be had, and note why not of the others."""
        for item in items:
            if item.failed is None and item.why_not is None:
                item.why_not = self._no_trees or _unwrappable(item.statement, item.text) or None
        return [item for item in items if item.failed is None and item.why_not is None]

    def _send(self, items: list[_Item]) -> None:
        """Have functions made of those that can be wrapped."""
        wanted = self._wanted(items)
        if wanted and self._begin():
            if not self._sent:
                self._conn.pgconn.enter_pipeline_mode()
            self._conn.wait(_asked(self._conn.pgconn, self._commands(wanted)))
            self._sent.append(wanted)
        elif wanted:
            self._wanted(items)

    def _fetch(self, items: list[_Item]) -> None:
        """Wait for the trees of a part, if it was sent and they are not there yet."""
        wanted = [item for item in items if item.failed is None and item.why_not is None and item.tree is None]
        if not wanted or not self._sent or self._sent[0][0] is not wanted[0]:
            return
        sent = self._sent.popleft()
        failed = self._conn.wait(_trees(self._conn.pgconn, sent))
        if not self._sent:
            self._conn.pgconn.exit_pipeline_mode()
        if failed is not None:
            self._again(sent, *failed)

    def _again(self, items: list[_Item], index: int, message: str) -> None:
        """Say of one item that it has no tree, and ask for the others' anew."""
        items[index].why_not = message
        left = items[:index] + items[index + 1 :]
        self._idle()
        self._send(left)
        self._fetch(left)

    def _idle(self) -> None:
        """Wait until the server has done what it was sent."""
        while self._sent:
            self._fetch(self._sent[0])
        if self._conn.pgconn.transaction_status == TransactionStatus.INERROR:
            self._conn.execute("rollback to savepoint sqlkit")

    def _begin(self) -> bool:
        """Open the transaction in which functions are made; False where none can be."""
        if self._began:
            return True
        self._conn.autocommit = False
        self._began = True
        try:
            self._conn.execute("create function pg_temp.sqlkit() returns void language sql begin atomic end")
            self._conn.execute("savepoint sqlkit")
        except psycopg.Error as error:
            self._conn.rollback()  # there is no savepoint yet to go back to
            self.close()
            self._no_trees = f"no function can be made in pg_temp ({error.sqlstate}: {_first_line(error)})"
            return False
        return True

    def _commands(self, items: list[_Item]) -> list[bytes]:
        encoding = self._conn.pgconn._encoding
        return [
            f"create function pg_temp.sqlkit_{number}({self._takes(item)}) returns {_returns(item)} "
            f"language sql begin atomic {_body(item.text)}\n; end".encode(encoding)
            for number, item in enumerate(items)
        ]

    def _takes(self, item: _Item) -> str:
        assert item.shape is not None  # noqa: S101 - only what was described is wrapped
        return ", ".join(self._types.type(oid).name for oid in item.shape.parameters)


def _prepared(pgconn: PGconn, items: list[_Item]) -> PQGen[None]:
    """Describe texts in one pipeline, each with a sync of its own, so that one that is wrong is alone with it."""
    pgconn.enter_pipeline_mode()
    try:
        for item in items:
            pgconn.send_prepare(b"", item.text.encode(pgconn._encoding))
            pgconn.send_describe_prepared(b"")
            pgconn.pipeline_sync()
        yield from generators.send(pgconn)
        for item in items:
            results: list[PGresult] = []
            while not results or results[-1].status != ExecStatus.PIPELINE_SYNC:
                results.extend((yield from generators.fetch_many(pgconn)))
            _note(item, results[:-1], pgconn)
    finally:
        pgconn.exit_pipeline_mode()


def _note(item: _Item, results: list[PGresult], pgconn: PGconn) -> None:
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            item.failed = _refused(psycopg.errors.error_from_result(result, encoding=pgconn._encoding), item)
            return
    described = results[-1]
    item.shape = Shape.of(described, pgconn._encoding)


def _refused(error: psycopg.Error, item: _Item) -> Refused | Undescribed:
    diag = error.diag
    if (error.sqlstate or "")[:2] in UNABLE:
        return Undescribed(f"{error.sqlstate}: {diag.message_primary}")
    position = diag.statement_position
    references = item.statement.variant(item.given, item.chosen).references
    message = diag.message_primary or str(error)
    named = [references[number - 1] for number in map(int, NUMBERED.findall(message)) if 0 < number <= len(references)]
    untyped = named[0] if named and error.sqlstate in UNTYPED else None
    return Refused(
        error.sqlstate or "",
        NUMBERED.sub(lambda match: _named(match, references), message),
        f"write :{untyped}::text, with the type that it has" if untyped else diag.message_hint,
        int(position) - 1 if position else None,
        untyped,
    )


def _named(match: re.Match[str], references: Sequence[Reference]) -> str:
    """Return the name of a parameter that a message calls by its number."""
    number = int(match[1])
    return f":{references[number - 1]}" if 0 < number <= len(references) else match[0]


def _asked(pgconn: PGconn, commands: list[bytes]) -> PQGen[None]:
    """Send for functions and their trees; where one cannot be made, the server skips what follows up to the sync."""
    for command in (b"rollback to savepoint sqlkit", *commands, READ_TREES):
        pgconn.send_query_params(command, None)
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)


def _trees(pgconn: PGconn, items: list[_Item]) -> PQGen[tuple[int, str] | None]:
    """Read the trees; return the first item that no function can be made of, and why."""
    results: list[PGresult] = []
    while not results or results[-1].status != ExecStatus.PIPELINE_SYNC:
        results.extend((yield from generators.fetch_many(pgconn)))
    for index, result in enumerate(results[1 : len(items) + 1]):
        if result.status == ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result, encoding=pgconn._encoding)
            return index, f"PostgreSQL keeps no tree of it ({error.sqlstate}: {_first_line(error)})"
    trees = results[-2]
    for row in range(trees.ntuples):
        name = (trees.get_value(row, 0) or b"").decode()
        if name.startswith("sqlkit_"):
            items[int(name.removeprefix("sqlkit_"))].tree = (trees.get_value(row, 1) or b"").decode(pgconn._encoding)
    return None


def _unwrappable(statement: Statement, text: str) -> str:
    if statement.copy is not None:
        return "copy has no tree"
    match = FIRST_WORD.match(text)
    first = match[1].lower() if match else ""
    return "" if first in WRAPPED or not match else f"{first} has no tree"


def _returns(item: _Item) -> str:
    assert item.shape is not None  # noqa: S101 - only what was described is wrapped
    return "setof record" if item.shape.columns else "void"


def _body(text: str) -> str:
    return re.sub(r";\s*\Z", "", text)


def _parts(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).partition("\n")[0]
