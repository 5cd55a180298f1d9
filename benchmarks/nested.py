"""Parents with their children, as nested models, beside SQLAlchemy's ``selectinload``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

import sqlkit
from benchmarks.orm import OrmBand, engine_on
from benchmarks.work import Limit, Size, Work
from sqlkit import Executor

__all__ = ["nested"]

CHILDREN = 10
SELECTIN = "SQLAlchemy selectinload"
SETUP = """
drop table if exists tunes, bands;
create table bands (band_id integer primary key, name text not null);
create table tunes (
    tune_id integer primary key, band_id integer not null references bands, title text not null, tempo integer not null
);
insert into bands select n, 'Band ' || n from generate_series(1, {parents}) as n;
insert into tunes
select n, 1 + (n - 1) / {children}, 'Tune ' || n, 60 + n % 200 from generate_series(1, {parents} * {children}) as n;
create index tunes_band_id_idx on tunes (band_id);
analyze bands, tunes;
"""


class Tune(BaseModel):
    """A child."""

    tune_id: int
    title: str
    tempo: int


class Band(BaseModel):
    """A parent, with its children."""

    band_id: int
    name: str
    tunes: list[Tune]


class BandQueries(Protocol):
    """The statements of ``bands.sql``."""

    def bands_with_tunes(self, db: Executor) -> list[Band]: ...


bands: BandQueries = sqlkit.load(BandQueries, Path(__file__).parent / "bands.sql")


class Loaded(list[Any]):
    """Bands of the ORM, made tuples only when they are compared."""

    def plainly(self) -> list[Any]:
        """Return the parents as those of a model are compared."""
        return [
            (band.band_id, band.name, [(tune.tune_id, tune.title, tune.tempo) for tune in band.tunes]) for band in self
        ]


@contextmanager
def nested(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work of loading every parent with its children."""
    with ExitStack() as stack:
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        typed.execute(SETUP.format(parents=size.parents, children=CHILDREN).encode())
        engine = engine_on(dsn)
        stack.callback(engine.dispose)

        def loaded(how: Any) -> Loaded:
            with Session(engine) as session:
                statement = select(OrmBand).options(how(OrmBand.tunes)).order_by(OrmBand.band_id)
                return Loaded(session.scalars(statement).unique())

        yield [
            Work(
                "nested",
                f"{size.parents:,} parents with {CHILDREN} children each",
                1,
                {
                    SELECTIN: lambda: loaded(selectinload),
                    "SQLAlchemy joinedload": lambda: loaded(joinedload),
                    "sqlkit": lambda: bands.bands_with_tunes(typed),
                },
                (Limit(SELECTIN, at_most=0.35),),
            )
        ]
