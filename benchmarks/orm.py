"""The tables of ``models`` as SQLAlchemy and SQLModel declare them."""

from __future__ import annotations

from typing import Any, Optional

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlmodel import Field, SQLModel

__all__ = ["Base", "Imported", "OrmBand", "OrmSong", "OrmTune", "SqlModelSong", "engine_on"]


class Base(DeclarativeBase):
    """The root of SQLAlchemy's tables."""


class OrmSong(Base):
    """A song of SQLAlchemy's ORM."""

    __tablename__ = "songs"

    song_id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    tempo: Mapped[int]
    rating: Mapped[float]
    is_standard: Mapped[bool]
    note: Mapped[Optional[str]]  # noqa: UP045 - as SQLAlchemy reads it on every Python


class SqlModelSong(SQLModel, table=True):  # type: ignore[call-arg]  # SQLModel counts as untyped
    """A song of SQLModel."""

    __tablename__ = "songs"

    song_id: int = Field(primary_key=True)
    title: str
    tempo: int
    rating: float
    is_standard: bool
    note: str | None = None


def engine_on(dsn: str, *, isolation: str | None = "AUTOCOMMIT") -> Any:
    """Make SQLAlchemy's engine on psycopg, for a DSN as libpq takes it.

    In autocommit it sends no BEGIN and ROLLBACK around each use, as it does with ``isolation=None``: so its
    documentation has it, and so most programs run.
    """
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    url = make_url("postgresql+psycopg://").set(query={key: str(value) for key, value in parts.items()})
    return create_engine(url) if isolation is None else create_engine(url, isolation_level=isolation)


class Imported(Base):
    """A row of the table without a key in the database, which SQLAlchemy must be told of."""

    __tablename__ = "imported"

    song_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str]
    tempo: Mapped[int]
    rating: Mapped[float]
    is_standard: Mapped[bool]
    note: Mapped[Optional[str]]  # noqa: UP045 - as above


class OrmBand(Base):
    """A parent, with its songs."""

    __tablename__ = "bands"

    band_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    tunes: Mapped[list[OrmTune]] = relationship(order_by="OrmTune.tune_id")


class OrmTune(Base):
    """A child."""

    __tablename__ = "tunes"

    tune_id: Mapped[int] = mapped_column(primary_key=True)
    band_id: Mapped[int] = mapped_column(ForeignKey("bands.band_id"))
    title: Mapped[str]
    tempo: Mapped[int]
