"""A file gives its statements: names, docs, parameters, texts; what does not follow the grammar is an error."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest

import sqlkit
from sqlkit.errors import ArgumentError, SqlFileError
from sqlkit.statements import (
    CopyTarget,
    Reference,
    Statement,
    parse_statement,
    parse_statements,
    read_statements,
)

SONGS = """\
-- name: get_song
-- One song, by its id.
select song_id, title
from songs
where song_id = :song_id;

-- name: search_songs
--@ replica: ok
-- The user's songs,
--
--   narrowed by whichever filters are given.
--@ allow: SK012

-- not part of the doc
select song_id, title
from songs
where user_id = :user_id
limit :limit;
"""


MISTAKEN = " is no parameter; write :name (a colon of SQL/JSON takes a blank behind it)"


def only(text: str) -> Statement:
    """Return the one statement of a file."""
    (statement,) = parse_statements(text, Path("q.sql"))
    return statement


def body(text: str) -> Statement:
    """Return the statement that a body under a name gives."""
    return only("-- name: q\n" + text)


def failure(text: str) -> str:
    """Return the message of the error that a file gives, without the file's name."""
    with pytest.raises(SqlFileError) as caught:
        parse_statements(text, Path("q.sql"))
    return str(caught.value).removeprefix("q.sql:")


def test_names_docs_and_places() -> None:
    """Each statement knows its name, documentation, directives, parameters, file and line."""
    get, search = parse_statements(SONGS, Path("sql/songs.sql"))
    assert (get.name, get.line, get.text_line, get.doc) == ("get_song", 1, 3, "One song, by its id.")
    assert get.text == "select song_id, title\nfrom songs\nwhere song_id = :song_id;"
    assert (search.name, search.line, search.text_line) == ("search_songs", 7, 14)
    assert search.doc == "The user's songs,\n\n  narrowed by whichever filters are given."
    assert dict(search.directives) == {"replica": "ok", "allow": "SK012"}
    assert search.text.startswith("-- not part of the doc\nselect song_id")
    assert (get.parameters, search.parameters) == (("song_id",), ("user_id", "limit"))
    assert (search.place, search.label) == ("sql/songs.sql:7", "sql/songs.sql:7: search_songs")


def test_statement_cannot_be_changed() -> None:
    """A statement is immutable, its mappings too."""
    statement = only(SONGS.split("\n\n")[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        statement.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        statement.directives["replica"] = "ok"  # type: ignore[index]


@pytest.mark.parametrize(
    "header", ["-- name: q", "--name:q", "--  name :\tq  ", "  -- name: q", "\t-- name: q", "\ufeff-- name: q"]
)
def test_header_is_lenient_with_blanks(header: str) -> None:
    """Blanks around the parts of a header, before it, and a byte-order mark do not matter."""
    assert only(f"{header}\nselect 1").name == "q"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(newline: str) -> None:
    """Each convention of line ends gives the same statements at the same lines, its texts unchanged."""
    statements = parse_statements(SONGS.replace("\n", newline), Path("q.sql"))
    plain = parse_statements(SONGS, Path("q.sql"))
    assert [(each.name, each.line, each.doc) for each in statements] == [
        (each.name, each.line, each.doc) for each in plain
    ]
    assert [each.text for each in statements] == [each.text.replace("\n", newline) for each in plain]
    assert failure(f"-- name: q{newline}select{newline}  $1").startswith("3:3: ")


@pytest.mark.parametrize(
    "text",
    [
        "insert into notes values ('\n-- name: no\n') returning 1",
        "select $$\n-- name: no\n$$",
        "select /*\n-- name: no\n*/ 1",
        'select 1 as "\n-- name: no\n"',
        "select 1 -- name: no header, for SQL stands before it",
    ],
)
def test_header_is_a_comment_first_on_its_line(text: str) -> None:
    """What looks like a header within a literal or a comment, or behind SQL, is none."""
    assert body(text).text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1;", "select 1;"),
        ("select 1", "select 1"),
        ("select 1  \n\n", "select 1"),
        ("select 1;  \n-- behind\n/* it */\n", "select 1;"),
        ("select 1 -- behind  \n\n", "select 1 -- behind"),
        ("\n\n  select 1\n;", "select 1\n;"),
        ("select a\u00a0", "select a\u00a0"),
        ("/*+ hint */ select 1;", "/*+ hint */ select 1;"),
        ("-- doc\n/* before */ select 1;", "/* before */ select 1;"),
        ("\n-- before\nselect 1;", "-- before\nselect 1;"),
    ],
)
def test_text_is_as_in_the_file(text: str, expected: str) -> None:
    """The text begins behind header, doc and directives, and ends with the `;` or the last token."""
    assert body(text).text == expected
    assert body(text).variant().text == expected


@pytest.mark.parametrize(
    "text",
    [
        "create function f() returns int begin atomic select 1; select 2; end;",
        "create function f() returns int begin atomic select case when true then 1 end; select 2; end;",
        "create function f() BEGIN -- c\n ATOMIC select case case a when b then 1 end when 1 then 2 end; END",
        "create function f() returns int begin atomic select 1 as end; select t.case from t; end;",
        "create rule r as on insert to t do also (delete from u; delete from v);",
        "create function f() returns int language plpgsql as $$ begin return 1; end $$;",
        "select 'a;b', \"c;d\", $$e;f$$ /* ; */ -- ;\n;",
    ],
)
def test_inner_semicolon_ends_no_statement(text: str) -> None:
    """A `;` in a function's SQL body, in parentheses, in a literal or in a comment belongs to the statement."""
    assert body(text.rstrip(";") + ";\n-- behind").text == text.rstrip(";") + ";"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: no statement; begin each with a line -- name: some_name"),
        ("-- only a comment\n", "1:1: no statement; begin each with a line -- name: some_name"),
        ("select 1", "1:1: SQL before the first -- name: line"),
        ("--@ replica: ok\n-- name: q\nselect 1", "1:1: a marker before the first -- name: line"),
        ("-- name: q\n", "1:1: an empty statement"),
        ("-- name: q\n-- doc\n/* c */\n", "1:1: an empty statement"),
        ("-- name: q\n;\n", "1:1: an empty statement"),
        ("-- name: p\nselect 1;\n-- name: q\n-- name: r\nselect 1", "3:1: an empty statement"),
        ("-- name: q\nselect 1;\nselect 2;", "3:1: two statements under one name; give each its own -- name: line"),
        ("-- name: q\nselect 1;;", "2:10: two statements under one name; give each its own -- name: line"),
        ("-- name: q\nselect 1;\n-- name: q\nselect 2", "3:1: the name q is taken by the statement in line 1"),
        ("-- name:\nselect 1", "1:1: '' cannot be a name in Python; write -- name: some_name"),
        ("-- name: a b\nselect 1", "1:1: 'a b' cannot be a name in Python; write -- name: some_name"),
        ("-- name: get$\nselect 1", "1:1: 'get$' cannot be a name in Python; write -- name: some_name"),
        ("-- name: class\nselect 1", "1:1: 'class' cannot be a name in Python; write -- name: some_name"),
        ("-- name: q\nselect 'abc", "2:8: unterminated string"),
        ("-- name: q\nselect \"abc", "2:8: unterminated quoted identifier"),
        ("-- name: q\nselect 1 /* abc", "2:10: unterminated block comment (they nest in PostgreSQL)"),
        ("-- name: q\nselect $x$ abc $$", "2:8: unterminated dollar quote $x$"),
        ("-- name: q\nselect :class", "2:8: 'class' cannot be a name in Python; choose another"),
        ("-- name: q\nselect :None", "2:8: 'None' cannot be a name in Python; choose another"),
        ("-- name: q\nselect :a.if", "2:11: 'if' cannot be a name in Python; choose another"),
        ("-- name: q\nselect :a€", "2:8: 'a€' cannot be a name in Python; choose another"),
        ("-- name: q\nselect é, $1", "2:11: $1 is sqlkit's own to number; write :name"),
        ("-- name: q\nselect :'a'", "2:8: :'name'" + MISTAKEN),
        ('-- name: q\nselect :"a"', '2:8: :"name"' + MISTAKEN),
        ("-- name: q\nselect :1", "2:8: :1" + MISTAKEN),
        ("-- name: q\nselect :a$b", "2:10: '$' means nothing to PostgreSQL here; a parameter's name ends before it"),
        ("-- name: q\nselect 1 \\gx", r"2:10: '\\' means nothing to PostgreSQL here"),
        ("-- name: q\nselect (1", "2:8: ( is never closed"),
        ("-- name: q\nselect 1)", "2:9: ) closes nothing"),
        ("-- name: q\nselect (1]", "2:10: ] closes nothing"),
        ("-- name: q\nselect '\0'", "2:9: a NUL character, which PostgreSQL cannot take"),
        ("-- name: q\n--@ replica\nselect 1", "2:1: a directive that does not parse; write --@ key: value"),
        ("-- name: q\n--@ : ok\nselect 1", "2:1: a directive that does not parse; write --@ key: value"),
        ("-- name: q\n--@replica:\nselect 1", "2:1: a directive that does not parse; write --@ key: value"),
        ("-- name: q\n--@ a: 1\n--@ a: 2\nselect 1", "3:1: the directive a is given twice"),
        (
            "-- name: q\nselect 1\n--@ replica: ok",
            "3:1: a directive stands directly under the name, before the SQL",
        ),
        (
            "-- name: q\nselect 1 --@ replica: ok",
            "2:10: a directive stands directly under the name, before the SQL",
        ),
    ],
)  # fmt: skip
def test_bad_file(text: str, expected: str) -> None:
    """Each breach of the grammar is an error with its line and column."""
    assert failure(text) == expected


def test_columns_count_characters() -> None:
    """A tab, a byte-order mark, and a letter beyond ASCII or the basic plane are one column or none."""
    assert failure("\ufeff-- name: q\nselect '𝄞é',\t$1").startswith("2:14: ")
    assert failure("\ufeffselect 1").startswith("1:1: ")


def test_names_are_normalised_as_python_does() -> None:
    """A name in another form of Unicode is the name that Python reads."""
    statement = only("-- name: ﬁnd\nselect :ﬁ, :fi, :a.ﬁ")
    assert (statement.name, statement.parameters) == ("find", ("fi", "a"))
    assert statement.variant().text == "select $1, $1, $2"
    assert failure("-- name: ﬁnd\nselect 1;\n-- name: find\nselect 1").startswith("3:1: the name find is taken")


def test_references() -> None:
    """What is asked of a parameter is a reference; each has one number, whichever way it repeats."""
    statement = body("insert into songs values (:song.title, :owner, :song.key.name, :song.title)")
    title, owner, key = Reference("song", ("title",)), Reference("owner"), Reference("song", ("key", "name"))
    assert statement.references == (title, owner, key)
    assert statement.parameters == ("song", "owner")
    assert statement.required == {title, owner, key}
    assert statement.variant().text == "insert into songs values ($1, $2, $3, $1)"
    assert statement.variant().references == (title, owner, key)
    assert [str(reference) for reference in statement.references] == ["song.title", "owner", "song.key.name"]


def test_number_keeps_off_a_word() -> None:
    """PostgreSQL would read `like$1` as one identifier, so a blank goes between; nothing else changes."""
    text = body("select a where b like:c and d in(:e)and f =:g::int and h$:i").variant().text
    assert text == "select a where b like $1 and d in($2)and f =$3::int and h$ $4"


def test_percent_is_not_doubled() -> None:
    """A literal % stays as it is."""
    assert body("select '100%' where a % :m = 0").variant().text == "select '100%' where a % $1 = 0"


def test_variant_is_made_once() -> None:
    """A variant is one object for each combination, made at its first use."""
    statement = body("select 1 where true and a = :a --? optional")
    assert statement.variant(1) is statement.variant(1)
    assert statement.variant(1) is not statement.variant(0)


def test_variant_of_nothing_there_is() -> None:
    """A region or a label that a statement lacks is an ArgumentError that names the statement and shows no value."""
    statement = body("select 1\nwhere a = :a --? optional\norder by a --| by: a\n-- order by b --| by: b")
    with pytest.raises(ArgumentError, match=r"^q\.sql:1: q: by is one of: a, b$"):
        statement.variant(0, ("secret",))
    with pytest.raises(ArgumentError, match=r"^q\.sql:1: q: one label for each of: by$"):
        statement.variant(0, ("a", "b"))
    with pytest.raises(ArgumentError, match=r"^q\.sql:1: q: given has a bit for each of 1 optional regions$"):
        statement.variant(2)
    with pytest.raises(ArgumentError, match="one label for each of: no choice"):
        body("select 1").variant(0, ("a",))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1", False),
        ("(select 1) union (select 2)", False),
        ("values (1)", False),
        ("table songs", False),
        ("with a as (select 1) select * from a", False),
        ("show search_path", False),
        ("explain select 1", False),
        ("select * from songs for update", False),
        ("select * from songs for no key update skip locked", False),
        ("select update, delete, insert, merge from t", False),
        ("select t.update from t", False),
        ("select t.into, 1 as into from t", False),
        ("select count(*) delete from t", False),
        ("select 1 as update from t", False),
        ("with update as (select 1) select * from update", False),
        ("with update (a) as (select 1) select * from update", False),
        ("select 'delete from t', \"update\" /* update t */ from t -- delete from t", False),
        ("insert into t values (1)", True),
        ("INSERT INTO t SELECT 1", True),
        ("update t set a = 1", True),
        ('update "t" set a = 1', True),
        ("update only t set a = 1", True),
        ("delete from t", True),
        ("merge into t using u on true when matched then delete", True),
        ("insert into t values (1) on conflict do update set a = 1", True),
        ("with a as (delete from t returning *) select * from a", True),
        ("with a as (select 1) update t set b = 1", True),
        ("with a as materialized (insert into t values (1) returning b) select b from a", True),
        ("explain analyze update t set a = 1", True),
        ("explain (analyze) delete from t", True),
        ("select * into u from t", True),
        ("copy t from stdin", True),
        ("create table t (a int)", True),
        ("call p()", True),
        ("lock table t", True),
        ("refresh materialized view v", True),
        ("select 1 --| what: look\n-- delete from t --| what: remove", True),
    ],
)
def test_writes(sql: str, expected: bool) -> None:
    """A statement writes if it inserts, updates, deletes or merges anywhere, or is no query at all."""
    assert body(sql).writes is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("copy songs from stdin;", CopyTarget("songs", ())),
        ("COPY songs (title, ARTIST) FROM STDIN", CopyTarget("songs", ("title", "artist"))),
        (
            'copy soleil . "Song""s" /* c */ ("Ti tle", É, "a""b") from stdin',
            CopyTarget('soleil."Song""s"', ("Ti tle", "É", 'a"b')),
        ),
        ("copy songs to stdout", None),
        ("copy (select * from stdin) to stdout", None),
        ("copy songs from '/tmp/songs'", None),
        ("select * from stdin", None),
    ],
)
def test_copy_target(sql: str, expected: CopyTarget | None) -> None:
    """The table of a copy from stdin is kept as written, its columns as the catalogue has them."""
    assert body(sql).copy == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("copy t from stdin csv", "2:19: write copy from stdin without options: sqlkit chooses the format"),
        ("copy t from stdin with (format csv);", "2:19: write copy from stdin without options"),
        ("copy t from stdin where a > 1", "2:19: write copy from stdin without options"),
        ("copy binary t from stdin", "2:13: write copy from stdin without options"),
        ("copy t (a b) from stdin", "2:11: write copy from stdin without options"),
        ("copy :t from stdin", "2:6: copy from stdin wants a plain name here"),
        ('copy t (u&"a") from stdin', "2:9: copy from stdin wants a plain name here"),
        ("copy t from stdin --| to: t\n-- copy u from stdin --| to: u", "2:1: copy from stdin takes no markers"),
    ],
)
def test_copy_with_more(sql: str, expected: str) -> None:
    """A copy from stdin with options, parameters or markers is an error."""
    assert failure("-- name: q\n" + sql).startswith(expected)


def test_ad_hoc_words_in_the_wrong_order() -> None:
    """A type where the SQL should stand is told as that."""
    swapped: Any = (None, "select 1", int)
    with pytest.raises(TypeError, match="the SQL is a text, and stands behind the type of a row"):
        sqlkit.fetch_all(*swapped)


def test_ad_hoc_statement() -> None:
    """One statement without a header follows the same rules, under a name for its errors."""
    statement = parse_statement("  select :a --? optional\n;", name="fetch_all")
    assert (statement.label, statement.text, statement.doc) == ("<sql>:1: fetch_all", "select :a --? optional\n;", "")
    with pytest.raises(SqlFileError, match=r"^<sql>:1:1: a -- name: line belongs in a file"):
        parse_statement("-- name: q\nselect 1")
    with pytest.raises(SqlFileError, match=r"^<sql>:1:1: an empty statement"):
        parse_statement("")
    with pytest.raises(SqlFileError, match=r"^<sql>:1:11: two statements"):
        parse_statement("select 1; select 2")


def test_read_statements(tmp_path: Path) -> None:
    """A file is read by its path, a string or not, with a byte-order mark or without."""
    file = tmp_path / "songs.sql"
    file.write_bytes(b"\xef\xbb\xbf" + SONGS.encode())
    assert [each.name for each in read_statements(file)] == ["get_song", "search_songs"]
    assert [each.line for each in read_statements(str(file))] == [1, 7]


def test_path_is_as_the_caller_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays relative, in statements and in errors."""
    (tmp_path / "q.sql").write_text(SONGS + "\n-- name: bad\nselect $1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SqlFileError, match=r"^q\.sql:21:8: ") as caught:
        read_statements("q.sql")
    assert caught.value.path == Path("q.sql")
    assert (caught.value.line, caught.value.column) == (21, 8)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"-- name: q\nselect '\xe9'", ":2:9: not UTF-8; save the file in that encoding"),
        (b"-- name: q\r\nselect '\xc3\xa9\xff'", ":2:10: not UTF-8; save the file in that encoding"),
        ("-- name: q".encode("utf-16"), ":1:1: not UTF-8; save the file in that encoding"),
        ("-- name: q".encode("utf-16-le"), ":1:2: a NUL character, which PostgreSQL cannot take"),
    ],
)
def test_file_of_another_encoding(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that is not UTF-8 is an error at its first bad byte."""
    file = tmp_path / "q.sql"
    file.write_bytes(content)
    with pytest.raises(SqlFileError) as caught:
        read_statements(file)
    assert str(caught.value) == f"{file}{expected}"


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a directory and a file that may not be read are errors that name the path."""
    with pytest.raises(SqlFileError, match=r"^missing\.sql:1:1: no such file in the working directory$"):
        read_statements("missing.sql")
    with pytest.raises(SqlFileError, match=r"missing\.sql:1:1: no such file$"):
        read_statements(tmp_path / "missing.sql")
    with pytest.raises(SqlFileError, match=r":1:1: is a directory; name one \.sql file$"):
        read_statements(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SqlFileError, match=r"q\.sql:1:1: cannot be read: Not a directory$"):
        read_statements(os.fspath(tmp_path / "file" / "q.sql"))


def test_a_megabyte_takes_no_more_than_seconds() -> None:
    """Files of a megabyte, of many statements or of one with many markers, are input like any other."""
    many = "".join(
        f"-- name: q{i}\nselect a\nfrom b\nwhere c = :d\nand e = :f --? optional\n;\n" for i in range(15_000)
    )
    one = "-- name: q\nselect a from b where true\n" + "".join(
        f"    and column_{i} = :parameter_{i}  --? optional\n" for i in range(18_000)
    )
    begin = time.process_time()
    assert len(parse_statements(many, Path("q.sql"))) == 15_000
    (statement,) = parse_statements(one, Path("q.sql"))
    assert statement.variant((1 << 18_000) - 1).text.count("$") == 18_000
    assert time.process_time() - begin < 20
