"""CHECK conditions as PostgreSQL spells them back, read into small trees.

``pg_get_expr`` writes every operator between parentheses and a cast behind every literal, so little grammar is enough.
What is not understood is None: it says nothing, and the database still checks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from sqlkit.lexer import BLANK, Kind, LexerError, Token, tokenize

__all__ = ["Call", "Column", "Condition", "Items", "Literal", "Operation", "parse_condition"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name; ``value`` in a domain's condition."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, a boolean or NULL, whatever it is cast to."""

    value: str | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Items:
    """``array[...]``, or the text of an array's literal."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function, in lower case."""

    function: str
    arguments: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its operands: ``and`` and ``or`` have two or more, ``= any``, ``is null`` are operators too."""

    operator: str
    operands: tuple[Condition, ...]


Condition: TypeAlias = Column | Literal | Items | Call | Operation

#: Words that go on with a type's name behind ``::``.
_TYPE_WORDS = frozenset(["varying", "precision", "with", "without", "time", "zone"])
_WORDS = {"true": True, "false": False, "null": None}


class _Unread(Exception):
    """The rest of a condition is not understood."""


def parse_condition(text: str) -> Condition | None:
    """Return a condition as a tree, None where it is not understood."""
    try:
        tokens = [token for token in tokenize(text) if token.kind not in BLANK]
        reader = _Reader(text, tokens)
        found = reader.expression()
        return found if reader.taken == len(tokens) else None
    except (LexerError, _Unread, ArithmeticError):
        return None


class _Reader:
    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.taken = 0

    def word(self, ahead: int = 0) -> str:
        index = self.taken + ahead
        if index >= len(self.tokens):
            return ""
        kind, start, end = self.tokens[index]
        return self.text[start:end].lower() if kind is Kind.WORD else self.text[start:end]

    def take(self, expected: str) -> None:
        if self.word() != expected:
            raise _Unread
        self.taken += 1

    def takes(self, *words: str) -> bool:
        if all(self.word(index) == word for index, word in enumerate(words)):
            self.taken += len(words)
            return True
        return False

    def expression(self) -> Condition:
        """Read operands between operators; ``and`` and ``or`` are never mixed without parentheses."""
        found = self.comparison()
        for word in ("and", "or"):
            operands = [found]
            while self.takes(word):
                operands.append(self.comparison())
            if len(operands) > 1:
                found = Operation(word, tuple(operands))
        return found

    def comparison(self) -> Condition:
        left = self.operand()
        if self.takes("is", "null"):
            return Operation("is null", (left,))
        if self.takes("is", "not", "null"):
            return Operation("is not null", (left,))
        if self.taken < len(self.tokens) and self.tokens[self.taken].kind is Kind.OPERATOR:
            operator = self.word()
            self.taken += 1
            if self.takes("any") or self.takes("all"):
                operator += f" {self.word(-1)}"
            return Operation(operator, (left, self.operand()))
        return left

    def operand(self) -> Condition:
        found = self.cast(self.primary())
        while self.taken < len(self.tokens) and self.tokens[self.taken].kind is Kind.CAST:
            found = self.cast(found)
        return found

    def cast(self, value: Condition) -> Condition:
        """Read ``::type`` behind a value, which then means the same."""
        if self.taken >= len(self.tokens) or self.tokens[self.taken].kind is not Kind.CAST:
            return value
        self.taken += 1
        self._type_name()
        array = self.takes("[", "]")
        return _array_literal(value) if array and isinstance(value, Literal) else value

    def _type_name(self) -> None:
        self._name()
        while self.takes("."):
            self._name()
        while self.word() in _TYPE_WORDS or (self.word() == "(" and self.word(2) in (")", ",")):
            if self.takes("("):
                while not self.takes(")"):
                    self.taken += 1
            else:
                self.taken += 1

    def _name(self) -> str:
        if self.taken >= len(self.tokens):
            raise _Unread
        kind, start, end = self.tokens[self.taken]
        written = self.text[start:end]
        if kind not in (Kind.WORD, Kind.QUOTED):
            raise _Unread
        self.taken += 1
        return written[1:-1].replace('""', '"') if kind is Kind.QUOTED else written

    def primary(self) -> Condition:
        if self.taken >= len(self.tokens):
            raise _Unread
        kind, start, end = self.tokens[self.taken]
        written = self.text[start:end]
        if written == "(":
            self.taken += 1
            found = self.expression()
            self.take(")")
            return found
        if kind is Kind.STRING and written[0] == "'":
            self.taken += 1
            return Literal(written[1:-1].replace("''", "'"))
        if kind is Kind.STRING and written[:2] in ("E'", "e'"):
            self.taken += 1
            return Literal(_unescaped(written[2:-1]))
        if kind is Kind.NUMBER or written == "-":
            return self._number()
        if self.takes("array"):
            return Items(self._items("[", "]"))
        if kind is Kind.WORD and written.lower() in _WORDS:
            self.taken += 1
            return Literal(_WORDS[written.lower()])
        name = self._name()
        return Call(name.lower(), self._items("(", ")")) if self.word() == "(" else Column(name)

    def _number(self) -> Literal:
        sign = -1 if self.takes("-") else 1
        if self.taken >= len(self.tokens) or self.tokens[self.taken].kind is not Kind.NUMBER:
            raise _Unread
        self.taken += 1
        return Literal(sign * Decimal(self.word(-1)))

    def _items(self, opening: str, closing: str) -> tuple[Condition, ...]:
        self.take(opening)
        items: list[Condition] = []
        while not self.takes(closing):
            items.append(self.expression())
            if not self.takes(",") and self.word() != closing:
                raise _Unread
        return tuple(items)


def _unescaped(written: str) -> str:
    """Return the text of an ``E''`` literal; ``pg_get_expr`` doubles backslashes and quotes in it, and no more."""
    return written.replace("''", "'").replace("\\\\", "\\")


def _array_literal(value: Literal) -> Condition:
    """Return the items of ``'{a,b}'::text[]`` where they are plain, else the literal as it is."""
    text = value.value
    if isinstance(text, str) and text[:1] == "{" and not set(text[1:-1]) & set('{}"\\'):
        return Items(tuple(Literal(item) for item in text[1:-1].split(",") if item))
    return value
