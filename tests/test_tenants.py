"""Two tenants in two schemas, with an enum each, over one pool and two: never a row, plan or type of the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql
from pydantic import BaseModel

from sqlkit import Affected, AsyncExecutor, AsyncRows, Executor, Rows, load
from sqlkit.database import AsyncDatabase, AsyncView, Database, View
from sqlkit.testing import TestServer

TENANTS = ("acme", 'Zoë"s, & co')

SQL = """
-- name: paint
insert into walls (owner, paint, layers) values (:owner, :paint, :layers) returning wall_id, owner, paint, layers;
-- name: walls
select wall_id, owner, paint, layers from walls where paint = :paint order by wall_id;
-- name: by_paints
select wall_id, owner, paint, layers from walls where paint = any(:paints) order by wall_id limit 3;
-- name: owners
select distinct owner from walls;
-- name: paints
select paint from walls order by wall_id;
-- name: repaint
update walls set paint = :paint where wall_id = (select min(wall_id) from walls);
-- name: fill
copy walls (owner, paint, layers) from stdin;
"""


class Paint(Enum):
    """What both tenants' enums have in common; their labels stand in another order, and their OIDs differ."""

    RED = "red"
    BLUE = "blue"


class NewWall(BaseModel):
    """A wall to be."""

    owner: str
    paint: Paint
    layers: list[Paint]


class Wall(NewWall):
    """A wall."""

    wall_id: int


class Walls(Protocol):
    """The tenants' statements."""

    def paint(self, db: Executor, *, owner: str, paint: Paint, layers: list[Paint]) -> Wall: ...
    def walls(self, db: Executor, *, paint: Paint) -> list[Wall]: ...
    def by_paints(self, db: Executor, *, paints: list[Paint]) -> list[Wall]: ...
    def owners(self, db: Executor) -> list[str]: ...
    def paints(self, db: Executor) -> Rows[Paint]: ...
    def repaint(self, db: Executor, *, paint: Paint) -> Affected: ...
    def fill(self, db: Executor, walls: Iterable[NewWall]) -> Affected: ...


class AsyncWalls(Protocol):
    """The tenants' statements, asynchronous."""

    async def paint(self, db: AsyncExecutor, *, owner: str, paint: Paint, layers: list[Paint]) -> Wall: ...
    async def walls(self, db: AsyncExecutor, *, paint: Paint) -> list[Wall]: ...
    async def by_paints(self, db: AsyncExecutor, *, paints: list[Paint]) -> list[Wall]: ...
    async def owners(self, db: AsyncExecutor) -> list[str]: ...
    def paints(self, db: AsyncExecutor) -> AsyncRows[Paint]: ...
    async def repaint(self, db: AsyncExecutor, *, paint: Paint) -> Affected: ...
    async def fill(self, db: AsyncExecutor, walls: Iterable[NewWall]) -> Affected: ...


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file with the tenants' statements."""
    path = tmp_path_factory.mktemp("tenants") / "walls.sql"
    path.write_text(SQL)
    return path


@pytest.fixture(scope="module")
def module_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with two tenants, whose enums list their labels in opposite orders."""
    name = server.create("tenants")
    dsn = server.dsn_for(name)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create schema extensions")
        for tenant, labels in zip(TENANTS, ("'red', 'blue'", "'blue', 'green', 'red'"), strict=True):
            conn.execute(sql.SQL("create schema {0}; set search_path = {0}").format(sql.Identifier(tenant)))
            conn.execute(f"create type paint as enum ({labels})".encode())
            conn.execute(
                "create table walls (wall_id int generated always as identity primary key,"
                " owner text not null, paint paint not null, layers paint[] not null)"
            )
            conn.execute("insert into walls (owner, paint, layers) values (%s, 'red', '{blue,red}')", [tenant])
    yield dsn
    server.drop(name)


class Step:
    """What the tenants do, one random step after the other, sync and async by one table."""

    def __init__(self, number: int) -> None:
        chance = random.Random(number)
        self.tenant = TENANTS[number % 2]
        self.other = TENANTS[(number + 1) % 2]
        self.kind = chance.choice(
            ("paint", "walls", "by_paints", "owners", "paints", "repaint", "fill", "raw", "block")
        )
        self.paint = chance.choice(list(Paint))
        self.wall = NewWall(owner=self.tenant, paint=self.paint, layers=[Paint.BLUE, self.paint])


def take(walls: Walls, db: Database, view: View, step: Step) -> None:
    """Take one step and look that only the tenant's own comes back."""
    owned: list[str] = []
    if step.kind == "paint":
        wall = walls.paint(view, owner=step.tenant, paint=step.paint, layers=[step.paint])
        assert (wall.paint, wall.layers) == (step.paint, [step.paint])
        owned = [wall.owner]
    elif step.kind == "walls":
        found = walls.walls(view, paint=step.paint)
        assert all(wall.paint is step.paint for wall in found)
        owned = [wall.owner for wall in found]
    elif step.kind == "by_paints":
        owned = [wall.owner for wall in walls.by_paints(view, paints=list(Paint))]
    elif step.kind == "owners":
        owned = walls.owners(view)
    elif step.kind == "paints":
        with walls.paints(view) as paints:
            assert all(isinstance(paint, Paint) for paint in paints)
    elif step.kind == "repaint":
        assert walls.repaint(view, paint=step.paint) == 1
    elif step.kind == "fill":
        with view.transaction() as conn:
            assert walls.fill(conn, [step.wall, step.wall]) == 2
            owned = walls.owners(conn)
    elif step.kind == "raw":
        with db.connection() as conn:  # a borrower who sets the other's path by hand, and runs both kinds of SQL
            conn.execute(sql.SQL("set search_path = {}, extensions").format(sql.Identifier(step.other)))
            assert walls.owners(conn) == [step.other]
            conn.execute("select paint from walls", prepare=True)
            conn.execute(sql.SQL("set search_path = {}, extensions").format(sql.Identifier(step.tenant)))
            assert walls.by_paints(conn, paints=list(Paint))[0].owner == step.tenant
            owned = walls.owners(conn)
    else:
        with view.connection() as conn:
            owned = walls.owners(conn)
            walls.repaint(conn, paint=step.paint)
            conn.commit()
            owned += walls.owners(conn)
            owned += [wall.owner for wall in walls.by_paints(conn, paints=[step.paint])]
    assert set(owned) <= {step.tenant}


async def take_async(walls: AsyncWalls, db: AsyncDatabase, view: AsyncView, step: Step) -> None:
    """Take one step asynchronously."""
    owned: list[str] = []
    if step.kind == "paint":
        wall = await walls.paint(view, owner=step.tenant, paint=step.paint, layers=[step.paint])
        assert (wall.paint, wall.layers) == (step.paint, [step.paint])
        owned = [wall.owner]
    elif step.kind == "walls":
        found = await walls.walls(view, paint=step.paint)
        assert all(wall.paint is step.paint for wall in found)
        owned = [wall.owner for wall in found]
    elif step.kind == "by_paints":
        owned = [wall.owner for wall in await walls.by_paints(view, paints=list(Paint))]
    elif step.kind == "owners":
        owned = await walls.owners(view)
    elif step.kind == "paints":
        async with walls.paints(view) as paints:
            assert all([isinstance(paint, Paint) async for paint in paints])
    elif step.kind == "repaint":
        assert await walls.repaint(view, paint=step.paint) == 1
    elif step.kind == "fill":
        async with view.transaction() as conn:
            assert await walls.fill(conn, [step.wall, step.wall]) == 2
            owned = await walls.owners(conn)
    elif step.kind == "raw":
        async with db.connection() as conn:
            await conn.execute(sql.SQL("set search_path = {}, extensions").format(sql.Identifier(step.other)))
            assert await walls.owners(conn) == [step.other]
            await conn.execute("select paint from walls", prepare=True)
            await conn.execute(sql.SQL("set search_path = {}, extensions").format(sql.Identifier(step.tenant)))
            assert (await walls.by_paints(conn, paints=list(Paint)))[0].owner == step.tenant
            owned = await walls.owners(conn)
    else:
        async with view.connection() as conn:
            owned = await walls.owners(conn)
            await walls.repaint(conn, paint=step.paint)
            await conn.commit()
            owned += await walls.owners(conn)
            owned += [wall.owner for wall in await walls.by_paints(conn, paints=[step.paint])]
    assert set(owned) <= {step.tenant}


STEPS = 400


def test_tenants_by_bound_views_of_one_pool(module_dsn: str, path: Path) -> None:
    """Both tenants take random steps over one pool of three connections, with raw `set search_path` in between."""
    walls: Walls = load(Walls, path)
    with Database.connect(module_dsn, pool_max_size=3) as db, ThreadPoolExecutor(6) as threads:
        views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}

        def one(number: int) -> None:
            step = Step(number)
            take(walls, db, views[step.tenant], step)

        list(threads.map(one, range(STEPS)))
        assert db.status().checked_out == 0


def test_tenants_by_two_pools(module_dsn: str, path: Path) -> None:
    """Each tenant has a pool of its own; statements and Protocols are shared."""
    walls: Walls = load(Walls, path)
    with (
        Database.connect(module_dsn, pool_max_size=2, schema=TENANTS[0]) as first,
        Database.connect(module_dsn, pool_max_size=2, schema=TENANTS[1]) as second,
        ThreadPoolExecutor(6) as threads,
    ):
        pools = dict(zip(TENANTS, (first, second), strict=True))

        def one(number: int) -> None:
            step = Step(number)
            take(walls, pools[step.tenant], pools[step.tenant], step)

        list(threads.map(one, range(STEPS)))


def test_tenants_behind_a_pooler(module_dsn: str, path: Path) -> None:
    """With pooler="transaction" the path goes with each transaction, and a view has its own over it."""
    walls: Walls = load(Walls, path)
    settings: dict[str, Any] = {"pooler": "transaction", "schema": TENANTS[0]}
    with Database.connect(module_dsn, pool_max_size=2, **settings) as db:
        views = {TENANTS[0]: db, TENANTS[1]: db.bound(schema=TENANTS[1])}
        for number in range(100):
            step = Step(number)
            if step.kind != "raw":
                take(walls, db, views[step.tenant], step)


def test_nothing_is_prepared_behind_a_pooler(module_dsn: str, path: Path) -> None:
    """With pooler="transaction" no statement is left on the server, where another client would meet it."""
    walls: Walls = load(Walls, path)
    with Database.connect(module_dsn, pool_max_size=1, pooler="transaction", schema=TENANTS[0]) as db:
        walls.owners(db)
        with db.connection() as conn:
            conn.execute("select 1", prepare=True)
            assert conn.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)


def test_async_tenants_by_bound_views_of_one_pool(module_dsn: str, path: Path) -> None:
    """The same with tasks over one pool."""
    walls: AsyncWalls = load(AsyncWalls, path)

    async def main() -> None:
        async with opened(module_dsn) as db:
            views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}

            async def one(number: int) -> None:
                step = Step(number)
                await take_async(walls, db, views[step.tenant], step)

            await asyncio.gather(*map(one, range(STEPS)))
            assert db.status().checked_out == 0

    asyncio.run(main())


def test_async_tenants_by_two_pools(module_dsn: str, path: Path) -> None:
    """The same with tasks over two pools."""
    walls: AsyncWalls = load(AsyncWalls, path)

    async def main() -> None:
        async with opened(module_dsn, schema=TENANTS[0]) as first, opened(module_dsn, schema=TENANTS[1]) as second:
            pools = dict(zip(TENANTS, (first, second), strict=True))

            async def one(number: int) -> None:
                step = Step(number)
                await take_async(walls, pools[step.tenant], pools[step.tenant], step)

            await asyncio.gather(*map(one, range(STEPS)))

    asyncio.run(main())


@asynccontextmanager
async def opened(dsn: str, **settings: Any) -> AsyncIterator[AsyncDatabase]:
    """Open a database of three connections."""
    async with AsyncDatabase.connect(dsn, pool_max_size=3, **settings) as db:
        yield db
