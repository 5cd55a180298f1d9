"""Random expressions over the scratch schema, of a type that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

KINDS = ("number", "text", "boolean", "date", "list", "json")

#: A type for each kind, for casts that tell NULL, parameters and empty subqueries what they are.
TYPES = {
    "number": "integer", "text": "text", "boolean": "boolean", "date": "date", "list": "text[]", "json": "jsonb",
}  # fmt: skip

LITERALS = {
    "number": ["0", "1", "2", "5"],
    "text": ["''", "'a'", "'Ann'", "'a,b'"],
    "boolean": ["true", "false"],
    "date": ["date '2020-01-01'", "date 'infinity'"],
    "list": ["'{}'::text[]", "'{a}'::text[]", "'{a,NULL}'::text[]"],
    "json": ["""'{"a": null}'::jsonb""", """'{"a": {"b": 1}}'::jsonb""", "'[1, null]'::jsonb", "'null'::jsonb"],
}


@dataclass(frozen=True)
class Column:
    """A column in scope: how it is written, and its kind."""

    sql: str
    kind: str


@dataclass
class Maker:
    """Makes random SQL; ``query`` is how an expression gets a subquery of some kind over a scope.

    ``parameters`` counts the parameters of the statement so far. ``aggregates`` says that the expression being made
    stands where aggregates may, ``windows`` that window functions may.
    """

    random: Random
    query: Callable[[list[Column], str | None, int], str]
    parameters: list[str] = field(default_factory=list)

    def pick(self, *choices: str) -> str:
        """Return one of some texts."""
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return self.random.random() < probability

    def parameter(self, kind: str) -> str:
        """Return a parameter, cast to the kind's type."""
        if self.parameters and self.chance(0.3):
            name = self.random.choice(self.parameters)
        else:
            name = f"p{len(self.parameters)}_{kind}"
            self.parameters.append(name)
        return f":{name}::{TYPES[name.partition('_')[2]]}" if name.endswith(f"_{kind}") else self.literal(kind)

    def literal(self, kind: str) -> str:
        """Return a constant of a kind, which may be NULL."""
        return f"null::{TYPES[kind]}" if self.chance(0.15) else self.random.choice(LITERALS[kind])

    def leaf(self, kind: str, scope: list[Column]) -> str:
        """Return a column, a constant or a parameter."""
        fitting = [column.sql for column in scope if column.kind == kind]
        if fitting and self.chance(0.8):
            return self.random.choice(fitting)
        return self.parameter(kind) if self.chance(0.2) else self.literal(kind)

    def expression(self, kind: str, scope: list[Column], depth: int) -> str:
        """Return an expression of a kind."""
        if depth <= 0 or self.chance(0.3):
            return self.leaf(kind, scope)
        if self.chance(0.45):
            return self.common(kind, scope, depth - 1)
        made: str = getattr(self, f"some_{kind}")(scope, depth - 1)
        return made

    def common(self, kind: str, scope: list[Column], depth: int) -> str:
        """Return a form that there is for every kind."""

        def one() -> str:
            return self.expression(kind, scope, depth)

        def condition() -> str:
            return self.expression("boolean", scope, depth)

        form = self.random.randrange(9 if kind != "json" else 7)
        match form:
            case 0:
                return f"coalesce({one()}, {one()})"
            case 1:
                return f"case when {condition()} then {one()} else {one()} end"
            case 2:
                return f"case when {condition()} then {one()} when {condition()} then {one()} end"
            case 3:
                tested = self.leaf(kind, scope)
                test = self.pick("is not null", "is null")
                arms = (tested, one()) if test == "is not null" else (one(), tested)
                return f"case when {tested} {test} then {arms[0]} else {arms[1]} end"
            case 4:
                return f"nullif({one()}, {one()})"
            case 5 | 6:
                inner = self.query(scope, kind, depth)
                return f"({inner})" if self.chance(0.3) else f"(select only_one.* from ({inner}) as only_one limit 1)"
            case 7:
                return f"greatest({one()}, {one()})"
            case _:
                return f"least({one()}, {one()})"

    def some_number(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is a number."""
        number, text, many, date, json = (
            self.expression(kind, scope, depth) for kind in ("number", "text", "list", "date", "json")
        )
        return self.pick(
            f"({number} + {self.expression('number', scope, depth)})", f"length({text})", f"cardinality({many})",
            f"array_length({many}, 1)", f"array_position({many}, {text})", f"abs({number})",
            f"extract(year from {date})", f"extract(month from {date})", f"round({number}::numeric, 1)",
            f"strict_null(({number})::integer)", f"lax_one(({number})::integer)", f"(({number})::integer ## 1)",
            f"num_nulls({number}, {text})", f"strpos({text}, 'a')", f"({json} ->> 'b')::integer",
            f"jsonb_array_length({json} -> 'list')", f"width_bucket({number}::numeric, 0, 10, 3)",
            f"ascii({text})", f"array_upper({many}, 1)", f"lower(int4range(({number})::integer, null))",
        )  # fmt: skip

    def some_text(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is a text."""
        text, other, number, many, json = (
            self.expression(kind, scope, depth) for kind in ("text", "text", "number", "list", "json")
        )
        return self.pick(
            f"({text} || {other})", f"upper({text})", f"concat({text}, {other})", f"concat_ws({text}, {other})",
            f"({json} ->> 'a')", f"({json} #>> '{{a,b}}')", f"({many})[1]", f"left({text}, 2)",
            f"substring({text} from 'A.*')", f"split_part({text}, ',', 2)", f"({number})::text",
            f"array_to_string({many}, ',')", f"format('%s', {text})", f"replace({text}, 'a', {other})",
            f"(regexp_match({text}, '(a)'))[1]", f"jsonb_typeof({json})", "current_setting('no.such', true)",
            f"coalesce({text}, {other}, 'x')", f"(row({text}, {other})::address).street", f"md5({text})",
            f"quote_nullable({text})", f"quote_literal({text})", f"regexp_replace({text}, 'a', {other})",
            f"lpad({text}, 3, {other})",
        )  # fmt: skip

    def some_boolean(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is a condition."""
        if self.chance(0.4):
            kind = self.random.choice(KINDS)
            return f"({self.expression(kind, scope, depth)} {self.pick('is null', 'is not null')})"
        kind = self.pick("number", "number", "text", "date")
        one, other, third = (self.expression(kind, scope, depth) for _ in range(3))
        condition, second = (self.expression("boolean", scope, depth) for _ in range(2))
        operator = self.pick("=", "<>", "<", ">=")
        return self.pick(
            f"({one} {operator} {other})", f"({one} {operator} {other})", f"({condition} and {second})",
            f"({condition} or {second})", f"(not {condition})", f"({one} is distinct from {other})",
            f"({one} is not distinct from {other})", f"({one} in ({other}, {third}))",
            f"({one} not in ({other}, {third}))", f"({one} between {other} and {third})",
            f"({condition} is {self.pick('true', 'not true', 'false', 'not false', 'unknown', 'not unknown')})",
            f"({one} in ({self.query(scope, kind, depth)}))", f"({one} not in ({self.query(scope, kind, depth)}))",
            f"exists({self.query(scope, kind, depth)})", f"({one} > all({self.query(scope, kind, depth)}))",
            f"({self.expression('text', scope, depth)} like '%a%')",
            f"({self.expression('text', scope, depth)} = any({self.expression('list', scope, depth)}))",
            f"({self.expression('text', scope, depth)} <> all({self.expression('list', scope, depth)}))",
            f"(row({one}, {other}) is {self.pick('null', 'not null')})", f"(({one}, {other}) = ({other}, {third}))",
            f"(({one}, {other}) < ({other}, {third}))", f"({self.expression('json', scope, depth)} ? 'a')",
            f"(strict_plus(({self.expression('number', scope, depth)})::integer, 1) > 0)",
        )  # fmt: skip

    def some_date(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is a date."""
        date, number, text = (self.expression(kind, scope, depth) for kind in ("date", "number", "text"))
        return self.pick(
            f"({date} + 1)", f"({date} + ({number})::integer)", "current_date", f"date_trunc('month', {date})::date",
            f"to_date(left({text}, 0) || '2020-01-01', 'YYYY-MM-DD')", f"({date})::timestamptz::date",
        )  # fmt: skip

    def some_list(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is an array of texts."""
        text, many, number = (self.expression(kind, scope, depth) for kind in ("text", "list", "number"))
        return self.pick(
            f"array[({text})::text, {text}]", f"string_to_array({text}, ',')",
            f"array({self.query(scope, 'text', depth)})",
            f"({many})[1:2]", f"({many})[1:({number})::integer]", f"array_append({many}, {text})",
            f"({many} || {text})", f"array_remove({many}, {text})", f"regexp_match({text}, 'a')",
            f"array_cat({many}, {many})",
        )  # fmt: skip

    def some_json(self, scope: list[Column], depth: int) -> str:
        """Return an expression that is a document."""
        kind = self.random.choice(KINDS)
        value, text, json = (self.expression(each, scope, depth) for each in (kind, "text", "json"))
        return self.pick(
            f"to_jsonb(({value})::{TYPES[kind]})", f"jsonb_build_object('a', {value})", f"({json} -> 'a')",
            f"({json} -> 0)", f"jsonb_build_array({value}, {text})", f"({json} #> '{{a,b}}')",
            f"jsonb_path_query_first({json}, '$.a')", f"({json} || {json})",
        )  # fmt: skip

    def aggregate(self, kind: str, scope: list[Column], depth: int) -> str:
        """Return an aggregate that gives a kind, perhaps inside something."""
        number, text, condition = (self.expression(each, scope, depth) for each in ("number", "text", "boolean"))
        made = {
            "number": self.pick(
                "count(*)", f"count({number})", f"sum({number})", f"max({number})", f"min(length({text}))",
                f"count(distinct {number})", f"avg({number})", f"last_but_one(({number})::integer)",
                f"stddev({number})", f"mode() within group (order by {number})",
                f"percentile_cont(0.5) within group (order by ({number})::float8)", f"bit_or(({number})::integer)",
            ),
            "text": self.pick(f"max({text})", f"string_agg({text}, ',')", f"min({text})"),
            "boolean": self.pick(f"bool_and({condition})", f"every({condition})", f"bool_or({condition})"),
            "date": f"max({self.expression('date', scope, depth)})",
            "list": f"array_agg(({text})::text)",
            "json": f"jsonb_agg({number})",
        }[kind]  # fmt: skip
        if self.chance(0.2):
            made = f"{made} filter (where {condition})"
        return f"coalesce({made}, {self.literal(kind)})" if self.chance(0.2) else made

    def window(self, kind: str, scope: list[Column], depth: int) -> str:
        """Return a window function that gives a kind."""
        value = self.expression(kind, scope, depth)
        function = self.pick(
            f"lag({value})", f"lead({value}, 1, {self.leaf(kind, scope)})", f"lag({value}, 0)", f"first_value({value})",
            f"last_value({value})", f"nth_value({value}, 1)", f"nth_value({value}, 2)",
            *({"number": [f"sum({value})", f"max({value})", "row_number()", "ntile(2)", "count(*)", "rank()",
                          f"count({value}) filter (where {self.expression('boolean', scope, depth)})"],
               "text": [f"string_agg({value}, ',')", f"max({value})"], "list": [], "date": [f"min({value})"],
               "boolean": [f"bool_or({value})"], "json": [f"jsonb_agg({value})"]}[kind]),
        )  # fmt: skip
        keys = [column.sql for column in scope if column.kind in ("number", "text", "date")]
        order = self.random.choice(keys) if keys else "1"
        partition = f"partition by {self.random.choice(keys)} " if keys and self.chance(0.3) else ""
        return f"{function} over ({partition}order by {order}{self.frame()})"

    def frame(self) -> str:
        """Return a frame of a window, or nothing for the one that it has by itself."""
        if self.chance(0.4):
            return ""
        mode = self.pick("rows", "groups", "rows")
        starts = ["unbounded preceding", "1 preceding", "current row", "1 following"]
        ends = ["1 preceding", "current row", "1 following", "unbounded following"]
        first = self.random.randrange(4)
        last = self.random.choice([end for end in range(4) if end >= first - 1])
        if self.chance(0.2):
            return f" range between {self.pick('unbounded preceding', 'current row')} and unbounded following"
        exclude = self.pick("", "", " exclude current row", " exclude group", " exclude ties")
        return f" {mode} between {starts[first]} and {ends[last]}{exclude}"
