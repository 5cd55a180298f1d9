"""``generate``: from statements and a database to the text of a module."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg

from sqlkit.describing.describe import describe
from sqlkit.errors import ConfigurationError
from sqlkit.generating.annotating import Annotator
from sqlkit.generating.catalogue import Catalogue
from sqlkit.generating.inputs import InputModels
from sqlkit.generating.methods import method_of
from sqlkit.generating.naming import Names
from sqlkit.generating.outcomes import outcomes_of
from sqlkit.generating.plan import ModulePlan
from sqlkit.generating.reusing import reuse
from sqlkit.generating.rows import RowModels
from sqlkit.generating.writing import Layout, write_module
from sqlkit.statements import Statement

__all__ = ["generate", "plan_module"]

#: What a module imports or defines itself, besides Python's own names.
TAKEN = frozenset(
    """
    Affected Annotated Any AsyncExecutor AsyncRows BaseModel Changes ConfigDict Decimal Executor Field Iterable Literal
    One Path PgMultirange PgRange Protocol Rows StrEnum UNCHANGED UNSET UUID Unset dataclass date datetime dt sqlkit
    time timedelta IPv4Address IPv6Address IPv4Interface IPv6Interface IPv4Network IPv6Network
    """.split()  # noqa: SIM905
)


def plan_module(
    conn: psycopg.Connection[Any], statements: Sequence[Statement], taken: Sequence[str] = ()
) -> ModulePlan:
    """Plan the module for some statements; ``taken`` are names that no class may have.

    Raises SqlFileError for a statement that PostgreSQL refuses or that no model can be written for.
    """
    outcomes = outcomes_of(describe(conn, statements))
    columns = {part for outcome in outcomes for column in outcome.columns for part in column.name.split(".")}
    methods = {statement.name for statement in statements}
    plan = ModulePlan()
    names = Names({*vars(builtins), *TAKEN, *taken, *columns, *methods})
    annotator = Annotator(Catalogue(conn), plan, names)
    rows, inputs = RowModels(annotator), InputModels(annotator)
    for outcome in outcomes:
        rows.look(outcome)
    plan.methods = [method_of(outcome, rows, inputs) for outcome in outcomes]
    return plan


def generate(
    conn: psycopg.Connection[Any], statements: Sequence[Statement], layout: Layout, *, models_from: str | None = None
) -> str:
    """Return the text of the module for some statements of one file.

    Models and enums that the module ``models_from`` has already are imported from there. Raises ConfigurationError for
    a module that does not import, and for a Protocol that Python or the module's imports name otherwise.

    The connection is an idle one in autocommit, whose search path finds the tables; nothing is left behind on it.
    """
    name = layout.protocol
    if not name.isidentifier() or keyword.iskeyword(name) or name in TAKEN or hasattr(builtins, name):
        raise ConfigurationError(f"--protocol {name}: cannot be the Protocol's name; write one such as SongQueries")
    plan = plan_module(conn, statements, (layout.protocol, f"Async{layout.protocol}", layout.variable))
    if models_from is not None:
        reused = reuse(plan, models_from)
        used = plan.used()
        layout = replace(layout, reused=tuple((name, module) for name, module in reused if name in used))
    plan.prune()
    return write_module(plan, layout)
