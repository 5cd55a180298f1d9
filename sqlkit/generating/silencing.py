"""Names that ruff would have otherwise, where the SQL's own is what counts: comments that say so.

Only for rules that the project has on: ruff finds a comment for any other one needless.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["RULES", "for_argument", "for_field", "for_function", "noqa", "rules_on"]

#: A parameter with the name of a builtin; a function, a parameter, a field whose name is not in lower case.
RULES = ("A002", "N802", "N803", "N815")


def rules_on(lint: Mapping[str, Any]) -> frozenset[str]:
    """Return which of the rules are on by a table ``[tool.ruff.lint]``: the longer prefix wins."""
    selected = [*lint.get("select", ()), *lint.get("extend-select", ())]
    ignored = [*lint.get("ignore", ()), *lint.get("extend-ignore", ())]
    return frozenset(rule for rule in RULES if _length(rule, selected) > _length(rule, ignored))


def _length(rule: str, prefixes: Iterable[Any]) -> int:
    """Return the length of the longest of some prefixes that a rule has, -1 for none; ALL is the shortest."""
    found = [0 if prefix == "ALL" else len(prefix) for prefix in map(str, prefixes) if _has(rule, prefix)]
    return max(found, default=-1)


def _has(rule: str, prefix: str) -> bool:
    return prefix == "ALL" or rule.startswith(prefix)


def for_function(name: str) -> list[str]:
    """Return the rules that a function's name breaks."""
    return ["N802"] if name != name.lower() else []


def for_argument(name: str) -> list[str]:
    """Return the rules that a parameter's name breaks."""
    return ["A002"] * hasattr(builtins, name) + ["N803"] * (name != name.lower())


def for_field(name: str) -> list[str]:
    """Return the rules that a field's name breaks."""
    return ["N815"] if name != name.lower() and name.lstrip("_")[:1].islower() else []


def noqa(rules: Iterable[str], watched: frozenset[str]) -> str:
    """Return the comment for the rules that are on."""
    found = sorted({rule for rule in rules if rule in watched})
    return f"  # noqa: {', '.join(found)}" if found else ""
