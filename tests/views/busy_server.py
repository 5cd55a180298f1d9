"""States of a server for the tests of its views: tables with all that may be wrong with them, and busy sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from sqlkit.testing import TestServer, dropped_afterwards

T = TypeVar("T")

#: 2 MB of orders, a tenth of them dead; indexes that are used, unused, superfluous; a foreign key without one.
SHOP = """
create table customers (customer_id integer primary key, name text not null);
create table orders (
    order_id integer primary key,
    customer_id integer not null references customers,
    note text not null,
    placed timestamptz not null default now()
);
create table order_lines (
    order_id integer not null references orders, line integer not null, what text, primary key (order_id, line)
);
create index orders_placed_idx on orders (placed);
create index orders_placed_again_idx on orders (placed);
create index orders_note_idx on orders (note);
create index orders_note_placed_idx on orders (note, placed);
alter table orders set (autovacuum_enabled = off);
insert into customers select n, 'customer ' || n from generate_series(1, 100) as n;
insert into orders select n, 1 + n % 100, repeat('x', 60), now() from generate_series(1, 20000) as n;
insert into order_lines select n, 1, 'thing' from generate_series(1, 1000) as n;
analyze;
delete from orders where order_id > 18000;
"""

#: A table whose partitions end in some days, one whose partitions are past, one without any, one with a gap.
PARTITIONED = """
create table ending (at timestamptz not null) partition by range (at);
create table past (at timestamptz not null) partition by range (at);
create table none_yet (at timestamptz not null) partition by range (at);
create table with_gap (at date not null) partition by range (at);
create table endless (at timestamp not null) partition by range (at);
create table by_number (number integer not null) partition by range (number);
create table by_number_1 partition of by_number for values from (1) to (2);
create table past_rest partition of past default;
create table endless_1 partition of endless for values from (minvalue) to (maxvalue);
do $$
declare
    today date := now() at time zone 'UTC';
    made record;
begin
    set timezone = 'UTC';
    for made in
        select *
        from (
            values
            ('ending', 1, -30, 0), ('ending', 2, 0, 3), ('past', 1, -30, 0), ('with_gap', 1, -30, -20),
            ('with_gap', 2, -1, 90)
        ) as spans (name, number, lower, upper)
    loop
        execute format(
            'create table %s_%s partition of %s for values from (%L) to (%L)',
            made.name, made.number, made.name, today + made.lower, today + made.upper
        );
    end loop;
end $$;
"""


@contextmanager
def opened_shop(server: TestServer) -> Iterator[str]:
    """Give the DSN of a new database with the shop and the partitioned tables, dropped after the block."""
    with dropped_afterwards(server, kind="shop") as database:
        dsn = server.dsn_for(database)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(SHOP)
            conn.execute(PARTITIONED)
            conn.execute("select pg_stat_force_next_flush()")
        yield dsn


class Actor:
    """A session that does what it is told, in a transaction; what waits, waits in a thread of its own."""

    def __init__(self, dsn: str, name: str) -> None:
        self.conn = psycopg.connect(dsn, application_name=name)
        self.pid = self.conn.info.backend_pid
        self._thread: threading.Thread | None = None

    def do(self, statement: Any) -> None:
        """Run a statement to its end."""
        self.conn.execute(statement)

    def start(self, statement: Any) -> None:
        """Begin a statement that has to wait."""
        self._thread = threading.Thread(target=self._run, args=(statement,))
        self._thread.start()

    def _run(self, statement: Any) -> None:
        with suppress(psycopg.Error):  # it is cancelled in the end
            self.conn.execute(statement)

    def end(self) -> None:
        """Cancel what waits, and close."""
        if self._thread is not None:
            while self._thread.is_alive():
                self.conn.cancel_safe(timeout=5)
                self._thread.join(timeout=0.05)
        self.conn.close()


@contextmanager
def actors(dsn: str, *names: str) -> Iterator[list[Actor]]:
    """Give sessions of these names, and end them afterwards."""
    with ExitStack() as stack:
        made = []
        for name in names:
            actor = Actor(dsn, name)
            stack.callback(actor.end)
            made.append(actor)
        yield made


@contextmanager
def chain_of_three(dsn: str) -> Iterator[list[Actor]]:
    """Give a session that holds a row, one that waits for it, and one that waits for that one."""
    with actors(dsn, "holder", "second", "third") as (holder, second, third):
        holder.do("update /* shop.orders.pay */ orders set note = 'paid' where order_id = 1")
        second.do("update orders set note = 'sent' where order_id = 2")
        second.start("update /* shop.orders.send */ orders set note = 'sent' where order_id = 1")
        until(dsn, "select count(*) from pg_locks where not granted", 1)
        third.start("update /* shop.orders.bill */ orders set note = 'billed' where order_id = 2")
        until(dsn, "select count(*) from pg_locks where not granted", 2)
        yield [holder, second, third]


def until(dsn: str, question: Any, value: Any) -> None:
    """Wait until a query answers with this value."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        eventually(lambda: conn.execute(question).fetchone() == (value,))


def eventually(look: Callable[[], T], within: float = 20.0) -> T:
    """Return what is true at last: statistics come a moment after what they count."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found
