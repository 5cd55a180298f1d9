"""A row type and the columns of a result become a compiled row maker.

A maker takes rows as tuples, as psycopg loads them, and gives objects of the row type. It is generated once for each
(row type, columns): where every column is trusted (see ``trust``) the objects are built directly (``building``), else
pydantic validates the batch (``validating``). Both give equal objects. What does not fit is a ``Mismatch``, which
``execution`` turns into a ``RowError`` with the query's name; the values themselves are in neither.
"""

from __future__ import annotations

from sqlkit.rows.building import building_maker
from sqlkit.rows.groups import group_columns
from sqlkit.rows.shapes import Column, RowMaker, RowType
from sqlkit.rows.validating import validating_maker

__all__ = ["row_maker"]


def row_maker(row: RowType, columns: tuple[Column, ...]) -> RowMaker:
    """Return the maker for these columns, compiled at the first call; Mismatch if they cannot fit the row type."""
    maker = row.makers.get(columns)
    if maker is None:
        maker = row.makers[columns] = _compile(row, columns)
    return maker


def _compile(row: RowType, columns: tuple[Column, ...]) -> RowMaker:
    group = group_columns(row, columns)
    maker = None if row.validate else building_maker(group, columns)
    return maker or validating_maker(row, group, columns)
