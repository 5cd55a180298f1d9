"""The statements that the tests of replicas run, in both colours."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlkit import Affected, AsyncExecutor, AsyncRows, Executor, Rows, load

SQL = """
-- name: here
--@ replica: ok
select current_setting('cluster_name');
-- name: here_lately
--@ replica: ok 600ms
select current_setting('cluster_name');
-- name: here_at_once
--@ replica: ok 1ms
select current_setting('cluster_name');
-- name: unmarked
select current_setting('cluster_name');
-- name: latest
--@ replica: ok
select current_setting('cluster_name') as "server", coalesce(max(n), 0) as n from notes where author = :author;
-- name: slowly
--@ replica: ok
select coalesce(max(current_setting('cluster_name')), current_setting('cluster_name')) as "server", count(*) as n
from (select pg_sleep(0.05) from slow_rows) as slow;
-- name: counting
--@ replica: ok
select current_setting('cluster_name') as "server", n from generate_series(1, :last) as n;
-- name: counting_slowly
--@ replica: ok
select current_setting('cluster_name') as "server", slow.n
from (select pg_sleep(0.05), n from slow_rows) as slow order by slow.n;
-- name: tenant
--@ replica: ok
select current_setting('cluster_name') as "server", n from things where n = current_setting('app.n')::bigint;
-- name: newcomers
--@ replica: ok
select current_setting('cluster_name') as "server", n from newcomers;
-- name: next_number
--@ replica: ok
select nextval('numbers');
-- name: write
insert into notes (author, n) values (:author, :n);
"""


class Found(NamedTuple):
    """A number, and the server that said it: a standby is called standby_0, standby_1."""

    server: str
    n: int


class Queries(Protocol):
    """The statements, for threads."""

    def here(self, db: Executor) -> str: ...
    def here_lately(self, db: Executor) -> str: ...
    def here_at_once(self, db: Executor) -> str: ...
    def unmarked(self, db: Executor) -> str: ...
    def latest(self, db: Executor, *, author: str) -> Found: ...
    def slowly(self, db: Executor) -> Found: ...
    def counting(self, db: Executor, *, last: int) -> Rows[Found]: ...
    def counting_slowly(self, db: Executor) -> Rows[Found]: ...
    def tenant(self, db: Executor) -> Found: ...
    def newcomers(self, db: Executor) -> list[Found]: ...
    def next_number(self, db: Executor) -> int: ...
    def write(self, db: Executor, *, author: str, n: int) -> Affected: ...


class AsyncQueries(Protocol):
    """The statements, for tasks."""

    async def here(self, db: AsyncExecutor) -> str: ...
    async def here_lately(self, db: AsyncExecutor) -> str: ...
    async def here_at_once(self, db: AsyncExecutor) -> str: ...
    async def unmarked(self, db: AsyncExecutor) -> str: ...
    async def latest(self, db: AsyncExecutor, *, author: str) -> Found: ...
    async def slowly(self, db: AsyncExecutor) -> Found: ...
    def counting(self, db: AsyncExecutor, *, last: int) -> AsyncRows[Found]: ...
    def counting_slowly(self, db: AsyncExecutor) -> AsyncRows[Found]: ...
    async def tenant(self, db: AsyncExecutor) -> Found: ...
    async def newcomers(self, db: AsyncExecutor) -> list[Found]: ...
    async def next_number(self, db: AsyncExecutor) -> int: ...
    async def write(self, db: AsyncExecutor, *, author: str, n: int) -> Affected: ...


TABLES = """
create table notes (author text not null, n bigint not null);
create index notes_author_n_idx on notes (author, n);
create table slow_rows (n int);
create sequence numbers;
create schema extensions; create schema tenant_7;
create table tenant_7.things (n bigint); insert into tenant_7.things values (7), (8);
"""

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "replicas.sql"
    path.write_text(SQL)
    queries: Queries = load(Queries, path)
    async_queries: AsyncQueries = load(AsyncQueries, path)
