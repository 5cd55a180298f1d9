"""An application's queries on a connection of either colour, so that one test body shows both."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psycopg

import sqlkit
from sqlkit import AsyncRows, Rows


class Api:
    """The queries by topic (``api.chats.get_chat(chat_id=...)``), the connection left out, run to their end."""

    def __init__(self, module: ModuleType, topics: tuple[str, ...], db: Any, finish: Callable[[Any], Any]) -> None:
        self._db = db
        self._finish = finish
        for topic in topics:
            methods = getattr(module, topic)
            names = [name for name in dir(methods) if not name.startswith("_")]
            setattr(self, topic, SimpleNamespace(**{name: self._bind(getattr(methods, name)) for name in names}))

    def __getattr__(self, topic: str) -> Any:
        raise AttributeError(topic)

    def _bind(self, method: Any) -> Callable[..., Any]:
        return lambda *arguments, **keywords: self._finish(method(self._db, *arguments, **keywords))

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run raw SQL."""
        cursor = self._finish(self._db.execute(statement, values))
        return list(self._finish(cursor.fetchall())) if cursor.description else []


def opened(colour: str, dsn: str, sync: ModuleType, asynchronous: ModuleType, topics: tuple[str, ...]) -> Iterator[Api]:
    """Yield the queries on a connection in a transaction that is rolled back."""
    if colour == "sync":
        with psycopg.connect(dsn) as conn:
            yield Api(sync, topics, conn, lambda found: list(found) if isinstance(found, Rows) else found)
            conn.rollback()
        return

    async def collected(rows: AsyncRows[Any]) -> list[Any]:
        return [row async for row in rows]

    with asyncio.Runner() as runner:

        def finish(found: Any) -> Any:
            if isinstance(found, AsyncRows):
                return runner.run(collected(found))
            return runner.run(found) if asyncio.iscoroutine(found) else found

        aconn = runner.run(psycopg.AsyncConnection.connect(dsn))
        yield Api(asynchronous, topics, aconn, finish)
        runner.run(aconn.rollback())
        runner.run(aconn.close())


def assert_colours_agree(sync: ModuleType, asynchronous: ModuleType, topic: str, path: Path) -> None:
    """Both colours have the same queries with the same parameters, rows and docstrings, for every statement."""
    ours, theirs = type(getattr(asynchronous, topic)), type(getattr(sync, topic))
    names = [statement.name for statement in sqlkit.read_statements(path)]
    for interface in (ours, theirs):
        assert {name for name in dir(interface) if not name.startswith("_")} == set(names)
    for name in names:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert str(inspect.signature(one)).replace("Async", "") == str(inspect.signature(other))
        assert one.__doc__ == other.__doc__


def untested(path: Path, *modules: str) -> set[str]:
    """Return the statements of a file that no module calls, by their names."""
    called: set[str] = set()
    for module in modules:
        tree = ast.parse((Path(__file__).parent / module).read_text(encoding="utf-8"))
        called |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {statement.name for statement in sqlkit.read_statements(path)} - called
