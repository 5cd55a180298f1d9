"""The pieces of ``sqlkit generate`` that need no database: names, sentences, conditions, targets, aiosql's files."""

from __future__ import annotations

import ast
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter

from sqlkit.errors import SqlFileError
from sqlkit.generating.aiosql import convert, is_aiosql
from sqlkit.generating.conditions import parse_condition
from sqlkit.generating.constraints import Demands, demands_of, same_in_rust
from sqlkit.generating.naming import Names, camel, identifier, member_name, singular
from sqlkit.generating.plan import quoted
from sqlkit.generating.sentences import docstring, method_sentences
from sqlkit.generating.targets import Target, targets_of
from sqlkit.sqlfile.sqltext import SqlText
from sqlkit.statements import parse_statements

D = Decimal


# Names


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("songs", "song"),
        ("band_members", "band_member"),
        ("companies", "company"),
        ("movies", "movie"),
        ("addresses", "address"),
        ("boxes", "box"),
        ("statuses", "status"),
        ("houses", "house"),
        ("people", "person"),
        ("children", "child"),
        ("news", "news"),
        ("status", "status"),
        ("class", "class"),
        ("data_analyses", "data_analysis"),
        ("staff", "staff"),
        ("sheep", "sheep"),
    ],
)
def test_singular(plural: str, expected: str) -> None:
    """A table's name becomes what one of its rows is."""
    assert singular(plural) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("title", "title"),
        ("class", "class_"),
        ("two words", "two_words"),
        ("_id", "id"),
        ("2nd", "n2nd"),
        ("Größe", "Größe"),
        ("?column?", "column_"),
        ("__", "column"),
        ("ﬁeld", "field"),
    ],
)
def test_identifier(written: str, expected: str) -> None:
    """A column's name becomes a field's, which pydantic takes for none of its private ones."""
    assert identifier(written) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("calm", "CALM"),
        ("on hold", "ON_HOLD"),
        ("1st", "N1ST"),
        ("", "EMPTY"),
        ("★", "OTHER"),
        ("größe", "GRÖSSE"),
    ],
)
def test_member_name(label: str, expected: str) -> None:
    """A label becomes a member's name in capitals."""
    assert member_name(label) == expected


def test_class_names() -> None:
    """Words are put together, and what begins with a digit gets a letter."""
    assert camel("get_song", "row") == "GetSongRow"
    assert camel("2nd") == "N2nd"
    assert camel("★") == "Row"


def test_names_are_taken_once() -> None:
    """The first free name is taken, else the last with a number, and never a keyword."""
    names = Names(["Song"])
    assert names.take("Song", "SongRow") == "SongRow"
    assert names.take("Song", "SongRow") == "SongRow2"
    assert names.take("None", "Nothing") == "Nothing"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("it's", '"it\'s"'),
        ('say "a"', "'say \"a\"'"),
        ('"it\'s"', "'\"it\\'s\"'"),
        ("\"it's", '"\\"it\'s"'),
        ("a\n\tb\x00\\", '"a\\n\\tb\\x00\\\\"'),
        ("ÄÖ漢", '"ÄÖ漢"'),
    ],
)
def test_texts_are_quoted_as_ruff_does_it(text: str, written: str) -> None:
    """A text has the quotes that need fewer escapes, double ones where both need as many."""
    assert quoted(text) == written
    assert ast.literal_eval(written) == text


# Sentences


@pytest.mark.parametrize(
    ("comment", "first"),
    [
        ("One song, by its id.", "Return one song, by its id."),
        ("Deletes one song.", "Delete one song."),
        ("Delete one song", "Delete one song."),
        ("Carries on.", "Return carries on."),
        ("Lend the book to a reader.", "Lend the book to a reader."),
        ("charter a bus.", "Charter a bus."),
        ("Not a song.", "Return not a song."),
        ("Using a window, all songs.", "Return using a window, all songs."),
        ("Price the customer pays.", "Return price the customer pays."),
        ("Counts of songs.", "Return counts of songs."),
        ("Orders beside their customers.", "Return orders beside their customers."),
        ("Orders, the newest first.", "Return orders, the newest first."),
        ("UUIDs that are free.", "Return UUIDs that are free."),
        ("Is it there?", "Return is it there."),
        ("", "Run the statement ``q``."),
    ],
)
def test_the_first_sentence(comment: str, first: str) -> None:
    """A comment becomes a sentence in the imperative."""
    found, _ = method_sentences(comment, "q", "Return")
    assert found == first


def test_a_comment_without_rows_and_verb() -> None:
    """What returns nothing does not say that it does."""
    assert method_sentences("The fastest way in.", "q", "Insert") == ("Insert: the fastest way in.", "")


def test_the_rest_of_a_comment() -> None:
    """Further sentences and paragraphs stay behind the first."""
    first, rest = method_sentences("Get it. E.g. this.\nAnd that.\n\nA paragraph.", "q", "Return")
    assert (first, rest) == ("Get it.", "E.g. this. And that.\n\nA paragraph.")


@pytest.mark.parametrize(
    ("first", "rest", "expected"),
    [
        ("Get it.", "", ['    """Get it."""']),
        ("Get it.", "More.", ['    """Get it.', "", "    More.", '    """']),
        (r"Get \d.", "", [r'    r"""Get \d."""']),
        ('Get """it""".', "", ["    \"\"\"Get '''it'''.\"\"\""]),
        ("Get " + "x " * 20 + "; or not.", "", ['    """Fallback.', ""]),
    ],
)
def test_docstrings(first: str, rest: str, expected: list[str]) -> None:
    """A docstring has one line, or its first sentence and the rest between blank lines, within the width."""
    lines = docstring(first, rest, "    ", 40, "Fallback.")
    assert lines[: len(expected)] == expected
    assert max(map(len, lines)) <= 40


def test_a_long_sentence_is_cut_at_a_semicolon() -> None:
    """What does not fit into one line goes on behind a full stop."""
    lines = docstring("Get the songs; the likest first, of all that there are.", "", "", 40, "Fallback.")
    assert lines == ['"""Get the songs.', "", "The likest first, of all that there are.", '"""']


def test_a_long_sentence_is_cut_at_a_comma_else() -> None:
    """Without a semicolon a comma does, and the fragment stands behind."""
    lines = docstring("Get the songs, without what they are made of.", "", "", 30, "Fallback.")
    assert lines == ['"""Get the songs.', "", "Without what they are made of.", '"""']


# Conditions and what they demand


@pytest.mark.parametrize(
    ("condition", "column", "expected"),
    [
        ("((tempo >= 20) AND (tempo <= 400))", "tempo", Demands({"ge": D(20), "le": D(400)})),
        ("(price > (0)::numeric)", "price", Demands({"gt": D(0)})),
        ("((0)::numeric < price)", "price", Demands({"gt": D(0)})),
        ("(price < '-1.5'::numeric)", "price", Demands({"lt": D("-1.5")})),
        ("(price < (- 1.5))", "price", Demands({"lt": D("-1.5")})),
        ("((level IS NULL) OR (level > 0))", "level", Demands({"gt": D(0)})),
        ("(title <> ''::text)", "title", Demands({"min_length": D(1)})),
        (
            "((length(title) >= 2) AND (char_length(title) < 9))",
            "title",
            Demands({"min_length": D(2), "max_length": D(8)}),
        ),
        ("(length((name)::text) > 0)", "name", Demands({"min_length": D(1)})),
        ("(length(btrim(title)) > 0)", "title", Demands({"pattern": "[^ ]"})),
        ("(btrim(title) <> ''::text)", "title", Demands({"pattern": "[^ ]"})),
        ("(email ~ '^[^@ ]+@[^@ ]+$'::text)", "email", Demands({"pattern": "^[^@ ]+@[^@ ]+$"})),
        ("(email ~* '^a$'::text)", "email", None),
        (r"(code ~ '^\d+$'::text)", "code", None),
        ("(role = ANY (ARRAY['a'::text, 'b'::text]))", "role", Demands(texts=("a", "b"))),
        (
            "((role)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "role",
            Demands(texts=("a", "b")),
        ),
        ("((role = 'a'::text) OR (role = 'b'::text))", "role", Demands(texts=("a", "b"))),
        ("(role = 'it''s'::text)", "role", Demands(texts=("it's",))),
        ("(tags <@ ARRAY['a'::text, 'b'::text])", "tags", Demands(element_texts=("a", "b"))),
        ("(cardinality(tags) <= 3)", "tags", Demands({"max_length": D(3)})),
        ("(jsonb_typeof(doc) = 'object'::text)", "doc", Demands(json_type="object")),
        ("(title IS NOT NULL)", "title", Demands(not_null=True)),
        ('("two words" > 1)', "two words", Demands({"gt": D(1)})),
        ("((a > 0) OR (b > 0))", "a", None),
        ("(a > b)", "a", None),
        ("(a % 2 = 0)", "a", None),
        ("((VALUE >= (0)::numeric) AND (VALUE <= (100)::numeric))", "VALUE", Demands({"ge": D(0), "le": D(100)})),
        ("CASE WHEN (a > 0) THEN (b > 0) ELSE false END", "a", None),
        ("(lower(title) = title)", "title", None),
    ],
)
def test_demands(condition: str, column: str, expected: Demands | None) -> None:
    """What a condition demands of a column is taken over where pydantic can say it, and nothing else is."""
    found = demands_of([condition]).get(column, Demands())
    assert found == (expected or Demands())


def test_the_stricter_bound_wins() -> None:
    """Of two bounds of one column both hold."""
    found = demands_of(["(a > 0)", "(a > 5)", "(a < 9)", "(a < 7)"])["a"]
    assert found.field == {"gt": D(5), "lt": D(7)}


@pytest.mark.parametrize("text", ["", "(", "a >", "(a > 0))", "'abc", "a ~~ 'x' escape", "f(", "a::"])
def test_what_is_no_condition_says_nothing(text: str) -> None:
    """A text that is not understood is None, never an exception."""
    assert parse_condition(text) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d",
        r"\mword",
        r"(a)\1",
        r"(?=a)",
        r"(?i)a",
        "[[:alpha:]]",
        "[a&&b]",
        "[a--b]",
        "a{1",
        "[a",
        "(a",
        "***=a",
        r"[\w]",
        "[a~~b]",
    ],
)
def test_patterns_that_differ_are_left_out(pattern: str) -> None:
    """A pattern that Rust would read otherwise, or not at all, is not taken over."""
    assert same_in_rust(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^[A-Z]{3}$", ["ABC"], ["AB", "ABCD", "abc", "ABC\n"]),
        (r"^a.c\.d$", ["abc.d", "a\nc.d"], ["abcxd"]),
        ("x|^y+?$", ["axb", "yy"], ["yz"]),
        ("^(ab)*(?:c|d)$", ["abababc", "d"], ["abe"]),
        ("[^@ ]", ["a"], ["@", " "]),
        ("^[a-z-]+$", ["a-b"], ["a_b"]),
    ],
)
def test_patterns_mean_the_same(pattern: str, good: list[str], bad: list[str]) -> None:
    """What is taken over accepts and refuses what PostgreSQL does."""
    adapter = TypeAdapter(Annotated[str, Field(pattern=same_in_rust(pattern))])
    assert [text for text in good if adapter.validate_python(text) == text] == good
    for text in bad:
        with pytest.raises(ValueError, match="string_pattern_mismatch"):
            adapter.validate_python(text)


# Targets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "insert into songs (title, tempo) values ($1, $2)",
            {1: Target("songs", "title", "insert"), 2: Target("songs", "tempo", "insert")},
        ),
        ('insert into app."My songs" as s (a) values ($1::text)', {1: Target('app."My songs"', "a", "insert")}),
        ("insert into songs (a, b) values (lower($1), $2 || 'x')", {}),
        ("insert into songs (at) values (coalesce($1, now()))", {1: Target("songs", "at", "insert", True)}),
        ("insert into t (a, b) select 1, $1::int from u", {1: Target("t", "b", "insert")}),
        ("insert into t (a) select $1 as x from u", {1: Target("t", "a", "insert")}),
        ("insert into t (a) values ($1), ($2)", {1: Target("t", "a", "insert"), 2: Target("t", "a", "insert")}),
        ("update songs set title = $1, tempo = $2 + 1 where id = $3", {1: Target("songs", "title", "update")}),
        ('update only songs set "Title" = $1', {1: Target("songs", "Title", "update")}),
        (
            "insert into songs (a) values ($1) on conflict (a) do update set b = $2",
            {1: Target("songs", "a", "insert"), 2: Target("songs", "b", "update")},
        ),
        (
            "merge into songs using t on true when matched then update set a = $1 when not matched then "
            "insert (b) values ($2)",
            {1: Target("songs", "a", "update"), 2: Target("songs", "b", "insert")},
        ),
        ("with x as (update songs set a = $1 returning a) select a from x", {1: Target("songs", "a", "update")}),
        ("update songs set a = $1, b = $1", {}),
        ("select $1, 'insert into songs (a) values ($2)'", {}),
        ("set search_path to x", {}),
        ("insert into songs default values", {}),
    ],
)
def test_targets(text: str, expected: dict[int, Target]) -> None:
    """A parameter that is written to a column as it is has that column as its target."""
    assert targets_of(text) == expected


# aiosql's files


AIOSQL = """\
-- name: get-user^
-- record_class: User
-- One user.
select user_id, name from users where user_id = :user_id;

-- name: all_users
select user_id, name from users;

-- name: count_users$
select count(*) from users where name like 'a%%';

-- name: rename!
update users set name = :name where user_id = :user_id;

-- name: add_user<!
insert into users (name) values (:name) returning user_id;

-- name: add_users*!
insert into users (name) values (:name);

-- name: find(name, limit)
select user_id from users where name = :name limit :limit;

-- name: clean#
delete from users where name = ';';
truncate users;
"""

SQLKIT = """\
-- name: get_user :optional
-- One user.
select user_id, name from users where user_id = :user_id;

-- name: all_users :many
select user_id, name from users;

-- name: count_users :optional
select count(*) from users where name like 'a%';

-- name: rename :execrows
update users set name = :name where user_id = :user_id;

-- name: add_user :optional
insert into users (name) values (:name) returning user_id;

-- name: add_users :batchexec
insert into users (name) values (:name);

-- name: find :many
select user_id from users where name = :name limit :limit;

-- name: clean_1 :exec
delete from users where name = ';';

-- name: clean_2 :exec
truncate users;
"""


def test_a_file_of_aiosql_is_rewritten() -> None:
    """Operators become words; hyphens, record classes, lists of parameters and doubled percent signs go."""
    converted = convert(AIOSQL, Path("users.sql"))
    assert converted.text == SQLKIT
    assert [line for line, _ in converted.remarks] == [2, 10, 24]
    assert "record_class is dropped" in converted.remarks[0][1]


def test_what_is_rewritten_is_a_file_of_sqlkits() -> None:
    """The result parses, and is in aiosql's form no more."""
    statements = parse_statements(SQLKIT, Path("users.sql"))
    assert statements[0].doc == "One user."
    assert statements[0].directives == {"cardinality": "optional"}
    assert is_aiosql(SqlText(AIOSQL, Path("users.sql")))
    assert not is_aiosql(SqlText(SQLKIT, Path("users.sql")))


@pytest.mark.parametrize("header", ["-- name: q^", "-- name: q!", "-- name: a-b", "-- name:q(a)", "-- name: q <!"])
def test_what_is_in_aiosqls_form(header: str) -> None:
    """One name with an operator, a hyphen or a list of parameters tells."""
    assert is_aiosql(SqlText(f"{header}\nselect 1", Path("q.sql")))


@pytest.mark.parametrize("text", ["-- name: q\nselect 1", "-- name: q\nselect '\n-- name: x^\n'"])
def test_what_is_not_in_aiosqls_form(text: str) -> None:
    """A file of sqlkit's is none, nor what looks like a name within a literal."""
    assert not is_aiosql(SqlText(text, Path("q.sql")))


def test_a_name_that_python_cannot_have_is_refused() -> None:
    """The error names the place."""
    with pytest.raises(SqlFileError, match=re.escape("q.sql:1:1: 'class' cannot be a name in Python")):
        convert("-- name: class^\nselect 1", Path("q.sql"))
