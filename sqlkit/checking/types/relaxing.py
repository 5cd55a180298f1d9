"""pydantic's schema of a field without what its author adds: constraints and validators, which no type can tell.

A check must not run an author's validators (they may do anything), and a column that a constraint refuses today may
hold what it takes tomorrow. So constraints are dropped, a validator behind the type is taken off, and a validator in
front of it, which may turn anything into what fits, makes the schema take everything. pydantic's own functions and
ours stay, for they are the type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["relaxed", "relaxed_config"]

CONSTRAINTS = frozenset(
    {
        "ge",
        "gt",
        "le",
        "lt",
        "multiple_of",
        "min_length",
        "max_length",
        "pattern",
        "max_digits",
        "decimal_places",
        "now_op",
        "now_utc_offset",
        "ascii_only",
        "allowed_schemes",
    }
)

#: Keys whose values are no schemas, and those that only matter when a value is written.
KEPT = frozenset({"metadata", "config", "cls", "default", "expected", "members", "function", "default_factory"})
DROPPED = CONSTRAINTS | {"serialization", "metadata"}

TRUSTED = ("pydantic.", "pydantic_core.", "sqlkit.annotations", "ipaddress", "pathlib")

ANYTHING: Mapping[str, Any] = {"type": "any"}


def relaxed(schema: Any, *, strict: bool = False) -> Any:
    """Return a core schema that takes whatever the type takes, and runs no code of the author's.

    ``strict`` is what the configuration around it says.
    """
    if isinstance(schema, list | tuple):
        return [relaxed(part, strict=strict) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    kind = schema.get("type")
    if isinstance(kind, str) and kind.startswith("function-") and not _is_trusted(schema["function"]):
        return relaxed(schema["schema"], strict=strict) if kind == "function-after" else _taking_all(schema)
    if kind == "enum" and schema.get("strict", strict):
        # A strict field takes members only; sqlkit makes them of the labels, before it sees them.
        return {"type": "literal", "expected": [member.value for member in schema["members"]]}
    return {
        key: part if key in KEPT else relaxed(part, strict=strict) for key, part in schema.items() if key not in DROPPED
    }


def _taking_all(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**ANYTHING, **({"ref": schema["ref"]} if "ref" in schema else {})}


def _is_trusted(function: Any) -> bool:
    called = function["function"] if isinstance(function, Mapping) else function
    module = getattr(called, "__module__", None) or ""
    return f"{module}.".startswith(TRUSTED)


def relaxed_config(config: Any) -> dict[str, Any]:
    """Return a class's configuration without its constraints on all texts."""
    return {key: value for key, value in (config or {}).items() if key not in ("str_min_length", "str_max_length")}
