"""The lexer reads PostgreSQL's text as PostgreSQL does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.lexer import BLANK, Kind, LexerError, tokenize
from sqlkit.statements import parse_statement, parse_statements

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "lexer_cases.json").read_text("utf-8"))
HEADED = "\ufeff-- name: q\nSELECT :p"


def kinds(text: str) -> list[tuple[str, str]]:
    """Return the significant tokens of a text as (kind, text)."""
    return [(kind.name, text[start:end]) for kind, start, end in tokenize(text) if kind not in BLANK]


def parameters(text: str) -> list[str]:
    """Return the parameters of a text in order, repetitions included."""
    return [written[1:] for kind, written in kinds(text) if kind == "PARAMETER"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_case_has_its_parameters(case: dict[str, Any]) -> None:
    """Each of the cases has exactly the parameters that it states, with a header and without."""
    headed = case["sql"] if case["sql"] == HEADED else "-- name: q\n" + case["sql"]
    (statement,) = parse_statements(headed, Path("q.sql"))
    assert list(statement.parameters) == case["params"]
    if case["sql"] != HEADED:
        assert list(parse_statement(case["sql"]).parameters) == case["params"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_tokens_tile_the_case(case: dict[str, Any]) -> None:
    """Joined, the tokens are the text again."""
    sql = case["sql"]
    assert "".join(sql[start:end] for _, start, end in tokenize(sql)) == sql


WHOLE = [case for case in CASES if case["sql"] != ":a"]  # a fragment, no statement


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["why"])
def test_case_is_no_syntax_error_to_postgresql(case: dict[str, Any], conn: psycopg.Connection[Any]) -> None:
    """PostgreSQL's parser takes the text of each case, whatever it then says of tables that are not there."""
    headed = case["sql"] if case["sql"] == HEADED else "-- name: q\n" + case["sql"]
    text = parse_statements(headed, Path("q.sql"))[0].variant().text
    result = conn.pgconn.prepare(b"case", text.encode())
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    # 42601 is the syntax error; its class has the names and types that do not fit.
    assert state is None or (state.startswith(b"42") and state != b"42601"), result.error_message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'it''s :no'", [("STRING", "'it''s :no'")]),
        (r"'a\' :p", [("STRING", r"'a\'"), ("PARAMETER", ":p")]),
        (r"e'a\\' :p", [("STRING", r"e'a\\'"), ("PARAMETER", ":p")]),
        (r"E'a\'' :p", [("STRING", r"E'a\''"), ("PARAMETER", ":p")]),
        ("E'a''b' :p", [("STRING", "E'a''b'"), ("PARAMETER", ":p")]),
        ("U&'d\\0061t :no' uescape '!'", [("STRING", "U&'d\\0061t :no'"), ("WORD", "uescape"), ("STRING", "'!'")]),
        ('u&"d\\0061t :no"', [("QUOTED", 'u&"d\\0061t :no"')]),
        ("B'01' X'1F' N'x'", [("STRING", "B'01'"), ("STRING", "X'1F'"), ("STRING", "N'x'")]),
        ("B'0''1' x'2''3'", [("STRING", "B'0'"), ("STRING", "'1'"), ("STRING", "x'2'"), ("STRING", "'3'")]),
        ("type'x'", [("WORD", "type"), ("STRING", "'x'")]),
        ('"a""b:c"', [("QUOTED", '"a""b:c"')]),
        ("$$ :no $$", [("DOLLAR", "$$ :no $$")]),
        ("$a$ $b$ $$ $a$", [("DOLLAR", "$a$ $b$ $$ $a$")]),
        ("$a$ $ab$a$", [("DOLLAR", "$a$ $ab$a$")]),
        ("a$b$ :c", [("WORD", "a$b$"), ("PARAMETER", ":c")]),
        ("$1 $23", [("POSITIONAL", "$1"), ("POSITIONAL", "$23")]),
        ("$1$ x", [("POSITIONAL", "$1"), ("OTHER", "$"), ("WORD", "x")]),
        ("\\", [("OTHER", "\\")]),
        ("größe", [("WORD", "größe")]),
    ],
)
def test_literals_and_names(text: str, expected: list[tuple[str, str]]) -> None:
    """Each form of literal, identifier and quote is one token, by its own rules."""
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_000 0x1F 0b01 0o17", ["1_000", "0x1F", "0b01", "0o17"]),
        ("1. .5 1.5 1e5 1.e-5 .5E+3", ["1.", ".5", "1.5", "1e5", "1.e-5", ".5E+3"]),
        ("1..10", ["1", "..", "10"]),
        ("1e", ["1", "e"]),
        ("t.1", ["t", ".1"]),
        ("1.else", ["1.", "else"]),
        ("۱", ["۱"]),
    ],
)
def test_numbers(text: str, expected: list[str]) -> None:
    """Numbers end where PostgreSQL ends them; a digit of another script is a letter."""
    assert [written for _, written in kinds(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a->>'k'", ["a", "->>", "'k'"]),
        ("a=-1", ["a", "=", "-", "1"]),
        ("a ?- b", ["a", "?-", "b"]),
        ("a @-+ b", ["a", "@-+", "b"]),
        ("a +- b", ["a", "+", "-", "b"]),
        ("a*/* c */b", ["a", "*", "b"]),
        ("a+--c\nb", ["a", "+", "b"]),
        ("a<>-b", ["a", "<>", "-", "b"]),
        ("f(a => 1, b := 2)", ["f", "(", "a", "=>", "1", ",", "b", ":=", "2", ")"]),
        ("a::int", ["a", "::", "int"]),
    ],
)
def test_operators(text: str, expected: list[str]) -> None:
    """An operator stops before a comment, and gives back a plus or minus at its end (scan.l)."""
    assert [written for _, written in kinds(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a'\n'b'", ["STRING", "CONTINUATION"]),
        ("'a' \t\r 'b'", ["STRING", "CONTINUATION"]),
        ("'a' -- c\n -- :d\n'b'", ["STRING", "CONTINUATION"]),
        ("'a' 'b'", ["STRING", "STRING"]),
        ("'a' -- c\n", ["STRING"]),
        ("'a' /* c */\n'b'", ["STRING", "STRING"]),
        ("'a'\nE'b'", ["STRING", "STRING"]),
        ("E'a'\n'\\''\n'\\''", ["STRING", "CONTINUATION", "CONTINUATION"]),
        ("'a'\n'b\\' -- '", ["STRING", "CONTINUATION"]),
        ("B'0'\n'1'", ["STRING", "CONTINUATION"]),
        ("U&'0'\n'1'", ["STRING", "CONTINUATION"]),
    ],
)
def test_strings_continue_on_a_later_line(text: str, expected: list[str]) -> None:
    """A string goes on behind a line end, in the mode in which it began; blanks and -- comments may stand between."""
    assert [kind for kind, _ in kinds(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/* a /* b */ :no */ :p", ["p"]),
        ("/*/ :no */ :p", ["p"]),
        ("/***/ :p", ["p"]),
        ("/* -- */ :p", ["p"]),
        ("-- /*\n:p", ["p"]),
        ("-- :no\r:p", ["p"]),
        ("--:no\r\n:p", ["p"]),
        ("/* ' */ :p /* ' */", ["p"]),
    ],
)
def test_comments(text: str, expected: list[str]) -> None:
    """Comments hold no parameter, nest, and end at either line end."""
    assert parameters(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":a.b.c", ["a.b.c"]),
        (":a.b$$x$$", ["a.b"]),
        (":a .b", ["a"]),
        (":a.5", ["a"]),
        (":a.*", ["a"]),
        (":a$$ :no $$", ["a"]),
        (":a::int", ["a"]),
        (":a:=1", ["a"]),
        ("a:=:b", ["b"]),
        ("a::b", []),
        ("json_object('k' : v)", []),
        (":a:b", ["a", "b"]),
        (":é1_", ["é1_"]),
        ("like:a", ["a"]),
    ],
)
def test_parameter_ends(text: str, expected: list[str]) -> None:
    """A name takes letters, digits and underscores of any script, and dots with a name behind; nothing else."""
    assert parameters(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a[:i]", ["i"]),
        ("a[:lo:hi]", ["lo"]),
        ("a[:lo : :hi]", ["lo", "hi"]),
        ("a[lo :hi]", []),
        ("a[lo: :hi]", ["hi"]),
        ("a[lo:hi]", []),
        ("a[1:n]", []),
        ("a[: :hi]", ["hi"]),
        ("a[:1]", []),
        ("a[1 + :i]", ["i"]),
        ("a[(lo):hi]", []),
        ("a[f(x, :y):hi]", ["y"]),
        ("a[(x :y)]", ["y"]),
        ("a[b[1]:hi]", []),
        ("a['1':hi]", []),
        ('a["lo":hi]', []),
        ("a[$$1$$:hi]", []),
        ("a[case when :x then :a else :b end:hi]", ["x", "a", "b"]),
        ("a[t.order:hi]", []),
        ("a[x is null:hi]", []),
        ("a[not :x]", ["x"]),
        ("array[:a, :b]", ["a", "b"]),
        ("array[[:a, x], [:b, y]]", ["a", "b"]),
        ("a[lo /* c */ :hi]", []),
        ("a[1][:i]", ["i"]),
        ("a[:i] || :b", ["i", "b"]),
        ("a[:'1']", []),
    ],
)
def test_slice_or_parameter(text: str, expected: list[str]) -> None:
    """In a subscript a colon behind a bound is a slice; one at the start of a bound begins a parameter."""
    assert parameters(text) == expected


@pytest.mark.parametrize(
    ("text", "offset", "reason"),
    [
        ("select 'abc", 7, "unterminated string"),
        (r"select e'abc\'", 7, "unterminated string"),
        ("select 'a'\n'b", 11, "unterminated string"),
        ('select "abc', 7, "unterminated quoted identifier"),
        ('select U&"abc""', 7, "unterminated quoted identifier"),
        ("select /* /* */", 7, "unterminated block comment"),
        ("select $a$ $b$ $$", 7, r"unterminated dollar quote \$a\$"),
    ],
)
def test_unterminated(text: str, offset: int, reason: str) -> None:
    """What never ends is an error at the place where it opened."""
    with pytest.raises(LexerError, match=reason) as caught:
        tokenize(text)
    assert caught.value.offset == offset


def test_a_part_of_a_text() -> None:
    """A stretch is read by itself: what stands behind its end does not end what it opens."""
    text = "-- 'a' :b -- c\n'"
    assert [kind for kind, *_ in tokenize(text, 2, 14)] == [
        Kind.SPACE, Kind.STRING, Kind.SPACE, Kind.PARAMETER, Kind.SPACE, Kind.LINE_COMMENT,
    ]  # fmt: skip
    with pytest.raises(LexerError):
        tokenize("'a'", 0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "'" + "a''" * 340_000 + "'",
        "/*" * 150_000 + "*/" * 150_000,
        "select " + ", ".join(f":a{i % 9} + b.c[{i}:d]" for i in range(50_000)),
        "'a'\n-- c\n" * 100_000,
        "$a$" + "$b" * 500_000 + "$a$",
        "(" * 500_000 + "[" * 500_000,
    ],
    ids=["quotes", "nested comments", "ordinary", "continued strings", "dollars", "brackets"],
)
def test_a_megabyte_takes_no_more_than_seconds(text: str) -> None:
    """Time grows with the length alone, whatever the text holds."""
    begin = time.process_time()
    assert tokenize(text)[-1].end == len(text)
    assert time.process_time() - begin < 5
