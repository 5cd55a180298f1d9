"""The functions that are said never to answer NULL: each is called with values that functions stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest

from sqlkit.describing.nullability.total import NEVER_NULL, TOTAL
from sqlkit.testing import TestServer, dropped_afterwards

#: What a value of a type may be: empty, extreme, infinite, of another shape.
VALUES = {
    "text": [
        "",
        "a",
        "a,b",
        "1",
        "{}",
        "UTC",
        "day",
        "hour",
        "epoch",
        "NFC",
        "(a)|b",
        "\\",
        "öß",
        "english",
        "pg_class",
        "escape",
        "UTF8",
    ],
    "integer": ["0", "1", "-1", "2", "2147483647", "-2147483648", "30"],
    "bigint": ["0", "1", "-1", "9223372036854775807", "-9223372036854775808"],
    "smallint": ["0", "1", "-32768", "32767"],
    "numeric": ["0", "1", "-1.50", "NaN", "Infinity", "-Infinity", "1e100"],
    "double precision": ["0", "1", "-1.5", "NaN", "Infinity", "-Infinity"],
    "real": ["0", "1", "-1.5", "NaN", "Infinity", "-Infinity"],
    "boolean": ["t", "f"],
    "date": ["2020-02-29", "infinity", "-infinity", "0001-01-01 BC"],
    "timestamp without time zone": ["2020-02-29 12:00", "infinity", "-infinity"],
    "timestamp with time zone": ["2020-02-29 12:00+01", "infinity", "-infinity"],
    "time without time zone": ["00:00", "24:00", "12:34:56.789"],
    "time with time zone": ["00:00+00", "24:00-05"],
    "interval": ["0", "1 day", "-1 month", "1 mon 2 days 03:04:05"],
    "bytea": ["", "\\x00", "\\xdeadbeef", "\\xffffffffffffffffff"],
    "json": ["{}", "[]", "null", '{"a": null}', "1", '"a"'],
    "jsonb": ["{}", "[]", "null", '{"a": null}', "1", '"a"', "true"],
    "jsonpath": ["$", "$.a", "strict $.a", "$.a == 1"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
    "inet": ["0.0.0.0", "10.0.0.1/8", "::1", "1.2.3.4/32"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit": ["0", "1"],
    "bit varying": ["", "101", "0"],
    "money": ["0", "1.5", "-2"],
    "oid": ["0", "1", "1259"],
    "xid": ["3"],
    "xid8": ["3"],
    "tid": ["(0,1)"],
    "pg_lsn": ["0/0", "1/1"],
    "name": ["", "a"],
    '"char"': ["", "a"],
    "character": ["", "a"],
    "character varying": ["", "a"],
    "point": ["(0,0)", "(1,NaN)", "(Infinity,1)"],
    "line": ["{1,1,1}", "{0,1,2}", "{1,0,3}"],
    "lseg": ["((0,0),(1,1))", "((0,0),(0,0))", "((5,0),(5,9))"],
    "box": ["((0,0),(1,1))", "((5,5),(6,6))"],
    "path": ["((0,0),(1,1),(2,0))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(2,0))", "((9,9))"],
    "circle": ["<(0,0),1>", "<(5,5),0>"],
    "int4range": ["empty", "(,)", "[1,5)", "[3,)", "(,2)"],
    "int8range": ["empty", "(,)", "[1,5)"],
    "numrange": ["empty", "(,)", "[1,5)"],
    "daterange": ["empty", "(,)", "[2020-01-01,infinity)"],
    "tsrange": ["empty", "(,)"],
    "tstzrange": ["empty", "(,)"],
    "int4multirange": ["{}", "{(,)}", "{[1,5)}"],
    "tsvector": ["", "a:1", "a:1A b:2"],
    "tsquery": ["", "a", "a & !b", "!a"],
    "regconfig": ["english", "simple"],
    "regclass": ["pg_class", "0"],
    "regtype": ["integer", "0"],
    "txid_snapshot": ["1:1:"],
    "pg_snapshot": ["1:1:"],
    "anyarray": ["{}", "{1,2}", "{NULL}", "{{1},{2}}"],
    "anyelement": ["0", "1"],
    "anycompatiblearray": ["{}", "{1,2}", "{NULL}"],
    "anycompatible": ["0", "1"],
    "anynonarray": ["0"],
    "anyenum": ["a", "b"],
    "anyrange": ["empty", "(,)", "[1,5)", "(,2)"],
    "anymultirange": ["{}", "{(,)}", "{[1,5)}"],
    "anycompatiblerange": ["empty", "(,)"],
    "text[]": ["{}", "{a,b}", "{NULL}", "{{a,b},{c,d}}"],
    "integer[]": ["{}", "{1}", "{NULL}"],
    '"char"[]': ["{A}", "{}"],
}

#: What a polymorphic type is taken for.
STANDS_FOR = {
    "anyarray": "integer[]", "anyelement": "integer", "anycompatiblearray": "integer[]", "anycompatible": "integer",
    "anynonarray": "integer", "anyenum": "letter", "anyrange": "int4range", "anymultirange": "int4multirange",
    "anycompatiblerange": "int4range",
}  # fmt: skip

FUNCTIONS = """
select
    proname, prosrc,
    array(select format_type(argument, null) from unnest(proargtypes) as arguments (argument)) as arguments
from pg_proc
where
    pronamespace = 'pg_catalog'::regnamespace and prolang = (select oid from pg_language where lanname = 'internal')
    and prokind = 'f' and prosrc = any(%s) and provariadic = 0
order by pg_proc.oid
"""

TRY = """
create function pg_temp.is_null(call text) returns boolean language plpgsql as $$
declare
    answer boolean;
begin
    execute 'select (' || call || ') is not distinct from null' into answer;
    return answer;
exception when others then
    return null;
end
$$
"""

#: What must not be called: it waits, or does something to the server or its session.
LEFT_OUT = {"nextval_oid", "setval_oid", "setval3_oid", "pg_sleep", "database_to_xml", "lastval"}


@pytest.fixture(scope="module")
def functions(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection on which a call can be tried."""
    with (
        dropped_afterwards(server, kind="functions") as database,
        psycopg.connect(server.dsn_for(database), autocommit=True) as conn,
    ):
        conn.execute("create type letter as enum ('a', 'b')")
        conn.execute(TRY)
        conn.execute("set statement_timeout = '20s'")
        yield conn


def calls(random: Random, name: str, arguments: list[str], number: int) -> set[str]:
    """Return calls of a function, with random values of its arguments' types."""
    made = set()
    for _ in range(number if arguments else 1):
        values = (f"'{random.choice(VALUES[each])}'::{STANDS_FOR.get(each, each)}" for each in arguments)
        made.add(f'"{name}"({", ".join(values)})')
    return made


def tried(
    conn: psycopg.Connection[Any], sources: frozenset[str], number: int
) -> tuple[dict[str, bool | None], set[str]]:
    """Call functions by their C names.

    Returns which calls answered NULL (None where they failed), and the functions that answered.
    """
    random = Random(1)
    made: dict[str, str] = {}
    for name, source, arguments in conn.execute(FUNCTIONS, [sorted(sources - LEFT_OUT)]):
        if all(each in VALUES for each in arguments):
            made |= dict.fromkeys(calls(random, name, arguments, number), source)
    answers = dict(
        conn.execute("select call, pg_temp.is_null(call) from unnest(%s::text[]) as calls (call)", [list(made)])
    )
    return answers, {made[call] for call, answer in answers.items() if answer is not None}


def test_total_functions_never_answer_null(functions: psycopg.Connection[Any]) -> None:
    """No call of a function that is said to be total answers NULL, and most of them could be called."""
    answers, answered = tried(functions, TOTAL, 40)
    assert "\n".join(sorted(call for call, answer in answers.items() if answer)) == ""
    assert len(answered) > 0.75 * len(TOTAL)


def test_functions_that_answer_null_are_seen(functions: psycopg.Connection[Any]) -> None:
    """Functions that are known to answer NULL are found to, by the same values."""
    known = frozenset({"timestamp_to_char", "array_length", "range_lower", "json_object_field", "textregexsubstr"})
    answers, _ = tried(functions, known, 40)
    null = {call.split("(")[0].strip('"') for call, answer in answers.items() if answer}
    assert null == {"to_char", "array_length", "lower", "json_object_field", "substring"}


def test_functions_that_are_never_null_take_null(functions: psycopg.Connection[Any]) -> None:
    """What is said never to answer NULL whatever it is given does not, given NULL."""
    rows = functions.execute(
        "select proname, array(select format_type(argument, null) from unnest(proargtypes) as arguments (argument)) "
        "from pg_proc where prosrc = any(%s) and pronamespace = 'pg_catalog'::regnamespace",
        [sorted(NEVER_NULL)],
    ).fetchall()
    assert rows
    made = [
        f'"{name}"({", ".join(f"null::{STANDS_FOR.get(each, each)}" for each in arguments)})'
        for name, arguments in rows
        if '"any"' not in arguments
    ]
    answers = functions.execute(
        "select call from unnest(%s::text[]) as calls (call) where pg_temp.is_null(call)", [made]
    ).fetchall()
    assert answers == []
