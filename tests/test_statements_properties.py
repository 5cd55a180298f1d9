"""Whatever a statement holds: literals stay, tokens tile, and variants change nothing but what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlkit.errors import SqlFileError
from sqlkit.lexer import BLANK, Kind, LexerError, tokenize
from sqlkit.statements import parse_statement, parse_statements

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# What would be a parameter, a comment, a quote or a header, were it not inside a literal.
NOISE = st.lists(
    st.sampled_from([":x", "--", "--?", "/*", "*/", "'", '"', "$$", "$a$", "\\", "\n-- name: q\n", ";", "(", "[", "é"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4),
    max_size=6,
).map("".join)


def dollar(content: str) -> str:
    """Quote by dollars with a tag that the content does not hold."""
    return f"$tag${content.replace('$tag', '')}$tag$"


def nested(content: str) -> str:
    """Make a block comment of a content without comment marks, with one nested in it."""
    bare = content.replace("/", "").replace("*", "")
    return f"/* {bare} /* {bare} */ :no */"


def line_comment(content: str) -> str:
    """Make a line comment that is neither header nor marker, with its line end."""
    return "-- c " + re.sub(r"[\n\r]|--", " ", content) + "\n"


STRINGS = st.one_of(
    NOISE.map(lambda content: "'" + content.replace("'", "''") + "'"),
    NOISE.map(lambda content: "e'" + content.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    NOISE.map(lambda content: "U&'" + content.replace("\\", "\\\\").replace("'", "''") + "'"),
)
LITERALS = st.one_of(STRINGS, NOISE.map(dollar), NOISE.map(lambda content: '"a' + content.replace('"', '""') + '"'))
COMMENTS = st.one_of(NOISE.map(nested), NOISE.map(line_comment))
PLAIN = st.sampled_from(
    ["a", "select", "größe", "b$c", "1_000", "1.5e3", "0x1F", "::", ":=", "=>", "->>", "?|", "<@", "a[1:n]",
     "a[lo :hi]", "(b, c)", "f(a := 1)", ",", ".", "=-1", "%", "case when a then b end"]
)  # fmt: skip
BLANKS = st.sampled_from([" ", "\n", "\r\n", "\t", " \n  "])


def joined(pieces: list[tuple[str, str]]) -> str:
    """Join pieces with blanks; two strings on two lines would be one, so something stands between."""
    return "".join(f"{piece}{blank}, " for piece, blank in pieces) + "z"


TEXTS = st.lists(st.tuples(st.one_of(PLAIN, LITERALS, COMMENTS), BLANKS), max_size=8).map(joined)


@QUICK
@given(TEXTS)
def test_statement_without_parameters_comes_back_unchanged(text: str) -> None:
    """A statement without parameters is sent as it stands in the file, in a file and by itself."""
    (statement,) = parse_statements("-- name: q\n\n" + text, Path("q.sql"))
    assert statement.parameters == ()
    assert statement.variant().text == text
    assert parse_statement(text).variant().text == text


@QUICK
@given(st.lists(st.tuples(LITERALS | COMMENTS, BLANKS), min_size=1, max_size=5))
def test_literals_comments_and_bodies_are_never_touched(pieces: list[tuple[str, str]]) -> None:
    """Between parameters each literal, comment and dollar body stays as it is, and hides what it holds."""
    text = "select " + "".join(f":p{i} {piece}{blank}, " for i, (piece, blank) in enumerate(pieces)) + ":last"
    statement = parse_statement(text)
    assert statement.parameters == (*(f"p{i}" for i in range(len(pieces))), "last")
    expected = "select " + "".join(f"${i} {piece}{blank}, " for i, (piece, blank) in enumerate(pieces, 1))
    assert statement.variant().text == f"{expected}${len(pieces) + 1}"


@QUICK
@given(
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("':\"$[]()-/*\\e\n"),
        max_size=40,
    )
)
def test_tokens_tile_any_text(text: str) -> None:
    """Any text either has something in it that never ends, or its tokens are the text, none of them empty."""
    try:
        tokens = tokenize(text)
    except LexerError as error:
        end = error.offset  # what stands before is whole
        tokens = tokenize(text, 0, end)
    else:
        end = len(text)
    assert "".join(text[token.start : token.end] for token in tokens) == text[:end]
    assert all(token.start < token.end for token in tokens)


SCRAPS = st.sampled_from(
    ["-- name: q", "-- name: r", "\n", "\n", "\n", "\r", "--? optional", "--? optional {", "--? }", "--| k: a",
     "--| k: b", "--", "--@ a: b", "select", "delete from t", "update t set", "where", "and", "or", ":a", ":b.c", "'",
     "$$", "/*", "*/", "(", ")", "[", "]", ":", ",", ";", "copy t", "from stdin", "begin atomic", "end", "as", ".",
     "\\", "$1", '"', "e'"]
)  # fmt: skip


@settings(QUICK, max_examples=600)
@given(st.lists(SCRAPS, max_size=30), st.booleans())
def test_any_text_is_read_or_refused(scraps: list[str], headed: bool) -> None:
    """Any file gives statements, each of whose variants can be made and read, or a SqlFileError at a place in it."""
    text = "-- name: first\nselect " * headed + " ".join(scraps)
    try:
        statements = parse_statements(text, Path("q.sql"))
    except SqlFileError as error:
        place, statements = (error.line, error.column), []
    else:
        place = (1, 1)
    lines = re.split("\r\n|\n|\r", text)
    assert 1 <= place[0] <= len(lines)
    assert 1 <= place[1] <= len(lines[place[0] - 1]) + 1
    for statement in statements:
        for arguments in statement.variants(limit=8):
            variant = statement.variant(*arguments)
            kinds = {kind for kind, _, _ in tokenize(variant.text)}
            assert (Kind.PARAMETER in kinds, Kind.POSITIONAL in kinds) == (False, bool(variant.references))


LINE = st.sampled_from(["and a = {} ", "and b in ({}, 1) ", "and '--? :no' <> {} ", "and $$:x$$ = {}::text "])
MARK = st.sampled_from(["", "", "  --? optional", "  --| k: a", "  --| k: b", "  --| k: c --? optional", "block"])
MARKED = st.lists(st.tuples(LINE, MARK), min_size=1, max_size=7)


def marked_file(lines: list[tuple[str, str]], newline: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Return a body with its lines marked, the labels b and c commented out, and for each line text, mark and body."""
    described: list[tuple[str, str, str]] = [("select 1 where true", "", "")]
    described += [(f"and k = :k{label} ", f"  --| k: {label}", "") for label in "abc"]
    for index, (line, mark) in enumerate(lines):
        if mark == "block":
            described.append(("--? optional {", "", ""))
            described.append((line.format(f":p{index}"), "", f"p{index}"))
            described.append((line.format(f":p{index}.x"), "", f"p{index}"))
            described.append(("--? }", "", ""))
        else:
            described.append((line.format(f":p{index}"), mark, f"p{index}"))
    described.append(("limit :last", "", ""))
    dead = ("--| k: b", "--| k: c")
    written = [("--" if any(each in mark for each in dead) else "") + line + mark for line, mark, _ in described]
    return newline.join(written), described


@QUICK
@given(MARKED, st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_variant_keeps_the_rest_byte_for_byte(lines: list[tuple[str, str]], newline: str, data: st.DataObject) -> None:
    """In any variant a line is as in the file but for `$n`, or empty, or freed of its two hyphens; line ends stay."""
    text, described = marked_file(lines, newline)
    statement = parse_statement(text)
    bits, chosen = data.draw(st.sampled_from(list(statement.variants(limit=16))))
    variant = statement.variant(bits, chosen)
    numbers = {str(reference): f"${i}" for i, reference in enumerate(variant.references, 1)}
    standing = {str(each) for bit, needed in enumerate(statement.needs(chosen)) if bits >> bit & 1 for each in needed}
    assert variant.text.count(newline) == text.count(newline)
    in_file, in_variant = text.split(newline), variant.text.split(newline)
    for written, got, (_, mark, owner) in zip(in_file, in_variant, described, strict=True):
        other_label = "--|" in mark and f"--| k: {chosen[0]}" not in mark
        optional = owner in {str(each).split(".")[0] for region in statement.regions for each in region.references}
        if other_label or (optional and owner not in {each.split(".")[0] for each in standing}):
            assert got == ""
            continue
        live = "  " + written[2:] if written.startswith("--") and not written.startswith("--?") else written
        pieces = tokenize(live)
        assert got == "".join(
            numbers[live[start + 1 : end]] if kind is Kind.PARAMETER else live[start:end] for kind, start, end in pieces
        )


@QUICK
@given(MARKED, st.data())
def test_variant_reads_as_the_lines_in_the_file_do(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    """The tokens of a variant are those of its lines: removing lines joins and splits none."""
    text, _ = marked_file(lines, "\n")
    statement = parse_statement(text)
    bits, chosen = data.draw(st.sampled_from(list(statement.variants(limit=16))))
    variant = statement.variant(bits, chosen).text
    by_line = [
        line[start:end] for line in variant.split("\n") for kind, start, end in tokenize(line) if kind not in BLANK
    ]
    assert [variant[start:end] for kind, start, end in tokenize(variant) if kind not in BLANK] == by_line


@settings(QUICK, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(STRINGS | NOISE.map(dollar), COMMENTS), min_size=1, max_size=4))
def test_postgresql_reads_the_same_literals(conn: psycopg.Connection[Any], pieces: list[tuple[str, str]]) -> None:
    """PostgreSQL finds in such a text as many columns and parameters as the lexer does."""
    columns = ", ".join(f"{literal} {comment}, :p{i}::text" for i, (literal, comment) in enumerate(pieces))
    variant = parse_statement(f"select {columns}").variant()
    prepared = conn.pgconn.prepare(b"", variant.text.encode())
    assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message
    described = conn.pgconn.describe_prepared(b"")
    assert (described.nfields, described.nparams) == (2 * len(pieces), len(pieces))
