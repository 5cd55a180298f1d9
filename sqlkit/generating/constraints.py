"""CHECK constraints as what pydantic's ``Field`` can say: bounds, lengths, patterns, lists of texts.

Only what means the same in both is taken over; for all else the database stays the judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlkit.generating.conditions import Call, Column, Condition, Items, Literal, Operation, parse_condition

__all__ = ["Demands", "demands_of", "same_in_rust"]

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_BOUNDS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_LENGTHS = frozenset(["length", "char_length", "character_length"])
_TRIMS = frozenset(["btrim", "ltrim", "rtrim"])


@dataclass(slots=True)
class Demands:
    """What a column's value must satisfy when it is not NULL.

    ``field`` has the arguments of pydantic's ``Field``: numbers, and texts for ``pattern``. ``texts`` are the only ones
    that a text may be, ``element_texts`` the only ones that stand in an array of texts, ``json_type`` is what
    ``jsonb_typeof`` says of a document, ``not_null`` that NULL is refused after all.
    """

    field: dict[str, Decimal | str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    element_texts: tuple[str, ...] = ()
    json_type: str | None = None
    not_null: bool = False

    def bound(self, name: str, value: Decimal) -> None:
        """Add a bound, of two of a kind the stricter one."""
        known = self.field.get(name)
        if isinstance(known, Decimal):
            value = min(known, value) if name in ("le", "lt", "max_length") else max(known, value)
        self.field[name] = value


def demands_of(checks: Iterable[str]) -> Mapping[str, Demands]:
    """Return what conditions, as ``pg_get_expr`` spells them, demand of each column; those of a domain of ``VALUE``."""
    found: dict[str, Demands] = {}
    for text in checks:
        condition = parse_condition(text)
        if condition is not None:
            for part in _conjuncts(condition):
                _add(part, found)
    return found


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, Operation) and condition.operator == "and":
        for operand in condition.operands:
            yield from _conjuncts(operand)
    else:
        yield condition


def _add(condition: Condition, found: dict[str, Demands]) -> None:
    if not isinstance(condition, Operation):
        return
    if condition.operator == "or":
        _add_alternatives(condition.operands, found)
    elif condition.operator == "is not null" and isinstance(condition.operands[0], Column):
        found.setdefault(condition.operands[0].name, Demands()).not_null = True
    elif len(condition.operands) == 2:
        left, right = condition.operands
        if isinstance(left, Literal) and condition.operator in _MIRRORED:
            left, right = right, left
            condition = Operation(_MIRRORED[condition.operator], (left, right))
        _add_comparison(condition.operator, left, right, found)


def _add_alternatives(operands: tuple[Condition, ...], found: dict[str, Demands]) -> None:
    """Read ``a is null or ...``, which a CHECK means anyway, and ``a = 'x' or a = 'y'``."""
    nulls = {each.operands[0] for each in operands if isinstance(each, Operation) and each.operator == "is null"}
    others = [each for each in operands if not (isinstance(each, Operation) and each.operator == "is null")]
    if len(others) == 1:
        inner: dict[str, Demands] = {}
        for part in _conjuncts(others[0]):
            _add(part, inner)
        if nulls <= {Column(name) for name in inner} and len(inner) == 1:
            for part in _conjuncts(others[0]):
                _add(part, found)
        return
    equal = [each for each in others if isinstance(each, Operation) and each.operator == "="]
    columns = {each.operands[0] for each in equal}
    if len(equal) == len(others) and len(columns) == 1 and nulls <= columns:
        items = Items(tuple(each.operands[1] for each in equal))
        _add_comparison("= any", columns.pop(), items, found)


def _add_comparison(operator: str, left: Condition, right: Condition, found: dict[str, Demands]) -> None:
    if isinstance(left, Column):
        _add_to_column(operator, found.setdefault(left.name, Demands()), right)
    elif isinstance(left, Call) and left.arguments and isinstance(left.arguments[0], Column):
        _add_to_call(operator, left, found.setdefault(left.arguments[0].name, Demands()), right)
    elif isinstance(left, Call) and left.function in _LENGTHS:
        inner = left.arguments[0]
        if (
            isinstance(inner, Call)
            and isinstance(right, Literal)
            and (operator, right.value) in ((">", 0), (">=", 1), ("<>", 0))
        ):
            _add_comparison("<>", inner, Literal(""), found)


def _add_to_column(operator: str, demands: Demands, right: Condition) -> None:
    if isinstance(right, Items):
        texts = tuple(item.value for item in right.items if isinstance(item, Literal) and isinstance(item.value, str))
        if len(texts) == len(right.items) and texts:
            if operator == "= any":
                demands.texts = texts
            elif operator == "<@":
                demands.element_texts = texts
    if not isinstance(right, Literal):
        return
    number = _number(right.value)
    if number is not None and operator in _BOUNDS:
        demands.bound(_BOUNDS[operator], number)
    elif right.value == "" and operator == "<>":
        demands.bound("min_length", Decimal(1))
    elif isinstance(right.value, str) and operator == "=":
        demands.texts = (right.value,)
    elif isinstance(right.value, str) and operator == "~" and "pattern" not in demands.field:
        pattern = same_in_rust(right.value)
        if pattern is not None:
            demands.field["pattern"] = pattern


def _number(value: object) -> Decimal | None:
    """Return a literal's number; a negative one stands between quotes."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return Decimal(value)
    return value if isinstance(value, Decimal) else None


def _add_to_call(operator: str, call: Call, demands: Demands, right: Condition) -> None:
    if not isinstance(right, Literal):
        return
    if call.function in _LENGTHS | {"cardinality"} and isinstance(right.value, Decimal) and len(call.arguments) == 1:
        _add_length(operator, demands, right.value)
    elif call.function in _TRIMS and len(call.arguments) == 1 and operator == "<>" and right.value == "":
        demands.field.setdefault("pattern", "[^ ]")
    elif call.function in ("jsonb_typeof", "json_typeof") and operator == "=" and isinstance(right.value, str):
        demands.json_type = right.value


def _add_length(operator: str, demands: Demands, value: Decimal) -> None:
    if operator in ("<=", "="):
        demands.bound("max_length", value)
    if operator in (">=", "="):
        demands.bound("min_length", value)
    if operator == "<":
        demands.bound("max_length", value - 1)
    if operator == ">" or (operator == "<>" and value == 0):
        demands.bound("min_length", value + 1)


#: One element of a regular expression that PostgreSQL and Rust read alike: no escape that means a class (the locale
#: decides there what \d is), no back reference, nothing that looks around, no class of POSIX.
_ALIKE = re.compile(
    r"""
    [^\\.*+?()\[\]{}|^$]                                 # a letter
    | \\[!"#%&',./:;=@`~^$*+?()\[\]{}|\\-]               # a sign
    | [.^$|)]
    | \( (?: \?: )? (?![*+?])
    | \[ \^? [^\]\[\\^&~-] (?: - (?=[^\]-]) | [^\]\[\\&~-] )* -? \]
    | [*+?] \??
    | \{ \d{1,3} (?: , \d{0,3} )? \} \??
    """,
    re.VERBOSE,
)


def same_in_rust(pattern: str) -> str | None:
    """Return the pattern that means to Rust's regex, which pydantic uses, what this one means to PostgreSQL, if any."""
    place = 0
    while place < len(pattern):
        found = _ALIKE.match(pattern, place)
        if found is None:
            return None
        place = found.end()
    if pattern.startswith("***") or pattern.count("(") != pattern.count(")"):
        return None
    # A dot is any character in PostgreSQL, a line end too.
    return f"(?s){pattern}" if "." in re.sub(r"\\.|\[[^\]]*\]", "", pattern) else pattern
