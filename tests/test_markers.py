"""Markers remove or choose whole lines, and nothing that they do is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.errors import SqlFileError
from sqlkit.statements import Reference, Statement, parse_statements

SEARCH = """\
select song_id, title
from songs
where
    user_id = :user_id
    and genre = :genre                        --? optional
    and tempo between :slowest and :fastest   --? optional
order by title, song_id                       --| order: title
-- order by created_at desc, song_id          --| order: newest
limit :limit;
"""

PAGE = """\
select song_id
from songs
where user_id = :user_id
--? optional {
    and (title, song_id) > (:title, :song_id)            --| order: title
    --and (created_at, song_id) < (:created_at, :song_id)  --| order: newest
--? }
order by title, song_id                      --| order: title
-- order by created_at desc, song_id desc    --| order: newest
limit :limit
"""


def body(text: str) -> Statement:
    """Return the statement that a body under a name gives."""
    (statement,) = parse_statements("-- name: q\n" + text, Path("q.sql"))
    return statement


def failure(text: str) -> str:
    """Return the message of the error that a body gives, with line and column in it."""
    with pytest.raises(SqlFileError) as caught:
        parse_statements("-- name: q\n" + text, Path("q.sql"))
    return str(caught.value).removeprefix("q.sql:")


def names(references: tuple[Reference, ...]) -> list[str]:
    """Return references as they are written."""
    return [str(reference) for reference in references]


def test_optional_lines_stand_with_their_parameters() -> None:
    """Each optional line stands or leaves by its own bit; the others keep their place and their text."""
    statement = body(SEARCH)
    assert [(names(region.references), region.line) for region in statement.regions] == [
        (["genre"], 6),
        (["slowest", "fastest"], 7),
    ]
    variant = statement.variant(0b10)
    assert names(variant.references) == ["user_id", "slowest", "fastest", "limit"]
    assert variant.text.splitlines() == [
        "select song_id, title",
        "from songs",
        "where",
        "    user_id = $1",
        "",
        "    and tempo between $2 and $3   --? optional",
        "order by title, song_id                       --| order: title",
        "",
        "limit $4;",
    ]


def test_choice_replaces_hyphens_by_blanks() -> None:
    """The chosen line that is commented out stands with its columns kept, and the live one leaves."""
    lines = body(SEARCH).variant(0, ("newest",)).text.splitlines()
    assert lines[6:8] == ["", "   order by created_at desc, song_id          --| order: newest"]


def test_choices_and_what_stands_in_the_file() -> None:
    """The labels of a key keep their order, and without a choice the file stands as it is."""
    statement = body("select 1\n-- order by b --| by: b-2\norder by a --| by: a\n-- order by c --| by: c")
    assert dict(statement.choices) == {"by": ("b-2", "a", "c")}
    assert statement.standing == ("a",)
    assert statement.variant().text == statement.variant(0, ("a",)).text == "select 1\n\norder by a --| by: a\n"


def test_parameters_of_marked_lines() -> None:
    """Parameters come in order of appearance, those of optional and commented-out lines included."""
    statement = body("select :a\nwhere :b --? optional\norder by :c --| by: c\n-- order by :d, :a --| by: d\nlimit :e")
    assert statement.parameters == ("a", "b", "c", "d", "e")
    assert statement.required == {Reference("a"), Reference("e")}
    assert {choice: names(each) for choice, each in statement.chosen_references.items()} == {
        ("by", "c"): ["c"],
        ("by", "d"): ["d", "a"],
    }


def test_choice_within_a_block() -> None:
    """A block asks for what its lines hold that stand under the choice (keyset pages)."""
    statement = body(PAGE)
    assert [names(each) for each in statement.needs(("title",))] == [["title", "song_id"]]
    assert [names(each) for each in statement.needs(("newest",))] == [["created_at", "song_id"]]
    assert [names(region.references) for region in statement.regions] == [["title", "song_id", "created_at"]]
    assert statement.regions[0].line == 5
    variant = statement.variant(1, ("newest",))
    assert names(variant.references) == ["user_id", "created_at", "song_id", "limit"]
    assert variant.text.splitlines()[3:9] == [
        "--? optional {",
        "",
        "      and (created_at, song_id) < ($2, $3)  --| order: newest",
        "--? }",
        "",
        "   order by created_at desc, song_id desc    --| order: newest",
    ]


@pytest.mark.parametrize("markers", ["--| by: a --? optional", "--? optional --| by: a", "--|by:a--?optional"])
def test_two_markers_on_a_line(markers: str) -> None:
    """A line may be optional and belong to a choice, in either order."""
    statement = body(f"select 1 where true\nand a > :a {markers}\n-- and b > :b --? optional --| by: b\n")
    assert [[names(each) for each in statement.needs((label,))] for label in "ab"] == [[["a"], []], [[], ["b"]]]
    assert names(statement.variant(0b10, ("b",)).references) == ["b"]
    assert statement.variant(0b01, ("b",)).references == ()


def test_block_keeps_line_ends_and_spanning_tokens() -> None:
    """A block that leaves leaves its line ends, those within a literal too; one that stands is as in the file."""
    text = "select 1\r\n--? optional {\r\n, ':x\r\n--? }', /* :y\r\n*/ :z\r\n--? }\r\nfrom t"
    statement = body(text)
    assert statement.variant(1).text == text.replace(":z", "$1")
    assert statement.variant(0).text == "select 1\r\n--? optional {\r\n\r\n\r\n\r\n--? }\r\nfrom t"


def test_marker_behind_the_semicolon() -> None:
    """The line that ends the statement may be marked; its marker is not part of the text."""
    assert [body("select 1\nwhere a = :a;  --? optional").variant(given).text for given in (0, 1)] == [
        "select 1\n",
        "select 1\nwhere a = $1;",
    ]
    assert body("select 1\n--? optional {\nwhere a = :a;\n--? }").variant(0).text == "select 1\n--? optional {\n"


def test_whole_reference_is_optional() -> None:
    """What is optional is the whole reference, so another attribute of the parameter may be required."""
    statement = body("update t set\na = :song.a, --? optional\nb = now()\nwhere c = :song.c")
    assert statement.required == {Reference("song", ("c",))}
    assert names(statement.regions[0].references) == ["song.a"]


def test_commented_out_line_directly_behind_the_header() -> None:
    """A choice line is no documentation, wherever it stands."""
    statement = body("-- select 1 --| k: a\nselect 2 --| k: b")
    assert (statement.doc, statement.standing) == ("", ("b",))
    assert statement.variant(0, ("a",)).text == "   select 1 --| k: a\n"


def test_block_that_closes_behind_the_semicolon() -> None:
    """What a block holds behind the `;` is no part of the text."""
    statement = body("select 1\n--? optional {\nwhere a = :a;\n\n-- behind\n--? }")
    assert [statement.variant(given).text for given in (0, 1)] == [
        "select 1\n--? optional {\n",
        "select 1\n--? optional {\nwhere a = $1;",
    ]


def test_commented_out_slice() -> None:
    """A commented-out line within a subscript is read as standing in it."""
    statement = body("select a[\n:low --| k: a\n-- 1:high --| k: b\n]")
    assert statement.parameters == ("low",)
    assert statement.variant(0, ("b",)).text == "select a[\n\n   1:high --| k: b\n]"


@pytest.mark.parametrize(
    "comment",
    [
        "-- and b = :b --? optional",
        "-- plain",
        "-- select '--| by: a'",
        "/* --? optional */",
        "---- order by b",
        "-- a--b",
    ],
)
def test_comment_that_is_no_marker(comment: str) -> None:
    """A comment on a line of its own that holds no choice is a comment, a commented-out optional line too."""
    statement = body(f"select 1\n{comment}\nfrom t")
    assert (statement.parameters, statement.regions, dict(statement.choices)) == ((), (), {})
    assert statement.variant().text == f"select 1\n{comment}\nfrom t"


OPTIONAL = "a marker that does not parse; write --? optional, --? optional { or --? }, once on a line"
CHOICE = "a marker that does not parse; write --| key: label, once on a line"
NO_SQL = "a marker on a line without SQL; it stands at the end of the line it marks"
SILENT = "an optional line or block without a parameter"
BALANCE = "brackets balance within a marked line or block"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what does not parse
        ("select :a --? optionl", f"2:11: {OPTIONAL}"),
        ("select :a --?", f"2:11: {OPTIONAL}"),
        ("select :a --? Optional", f"2:11: {OPTIONAL}"),
        ("select :a --? optional since v2", f"2:11: {OPTIONAL}"),
        ("select :a --? optional --? optional", f"2:24: {OPTIONAL}"),
        ("select :a --? optional -- note", f"2:11: {OPTIONAL}"),
        ("select :a --? optional { --| k: l", f"2:11: {OPTIONAL}"),
        ("select :a --| order", f"2:11: {CHOICE}"),
        ("select :a --| order: a b", f"2:11: {CHOICE}"),
        ("select :a --| : a", f"2:11: {CHOICE}"),
        ("select :a --| k: a --| l: b", f"2:20: {CHOICE}"),
        ("select 1\n-- order by a --| order", f"3:15: {CHOICE}"),
        ("select :a --? optional --@ replica: ok", f"2:24: {OPTIONAL}"),
        ("select 1 --| class: a", "2:10: 'class' cannot be a parameter in Python; choose another key"),
        ("select 1 --| a-b: a", "2:10: 'a-b' cannot be a parameter in Python; choose another key"),
        ("select 1 --| a: 1b", "2:10: '1b' is no label; write a letter, then letters, digits, _ or -"),
        # what stands in the wrong place
        ("--? optional\nselect 1", f"2:1: {NO_SQL}"),
        ("select 1\n--? optional\n", f"3:1: {NO_SQL}"),
        ("select 1\n--| k: a\n", f"3:1: {NO_SQL}"),
        ("select 1\n-- --| k: a\n", f"3:4: {NO_SQL}"),
        ("select 1\n/* c */ --? optional\n", f"3:9: {NO_SQL}"),
        ("select 1;\n--? optional", f"3:1: {NO_SQL}"),
        ("select :a -- note --? optional", "2:19: a marker stands directly behind the SQL, before other comments"),
        ("select 1 -- note --| k: a", "2:18: a marker stands directly behind the SQL, before other comments"),
        ("select 1\n-- from t -- note --| k: a", "3:19: a marker stands directly behind the SQL"),
        ("select :a --? optional {\n--? }", "2:11: --? optional { stands on a line of its own"),
        ("--? optional {\nselect :a --? }", "3:11: --? } stands on a line of its own"),
        ("--? }\nselect 1", "2:1: --? } without --? optional { above it"),
        ("select 1\n--? optional {\n, :a", "3:1: --? optional { is never closed; write --? } below its lines"),
        (
            "--? optional {\n--? optional {\nselect :a\n--? }\n--? }",
            "3:1: an optional block within the one of line 2; blocks do not nest",
        ),
        ("--? optional {\nselect :a --? optional\n--? }", "3:11: an optional line within the optional block of line 2"),
        (
            "select 1;\n-- order by b --| by: b",
            "3:15: a choice line stands between the directives and the closing `;`",
        ),
        (
            "-- select 1 --| by: b\n--@ replica: ok\nselect 2 --| by: a",
            "2:13: a choice line stands between the directives and the closing `;`",
        ),
        (
            "select 1\n-- order by b; --| by: b\norder by a; --| by: a",
            "3:14: a `;` in a commented-out line; write it below, on a line of its own",
        ),
        # what asks for nothing
        ("select 1\n, 2 --? optional", f"3:5: {SILENT}; nothing would say when it stands"),
        ("select 1\n--? optional {\n, 2\n--? }", f"3:1: {SILENT}; nothing would say when it stands"),
        ("select 1\n--? optional {\n--? }", f"3:1: {SILENT}; nothing would say when it stands"),
        (
            "select 1\n--? optional {\n, :a --| k: a\n-- , 2 --| k: b\n--? }",
            f"3:1: {SILENT} under k: b; nothing would say when it stands",
        ),
        (
            "select 1\n--? optional {\n, 2\n, :a --| k: a\n--? }\n-- , :b --| k: b",
            f"3:1: {SILENT}; nothing would say when it stands",
        ),
        # parameters
        (
            "select 1 where a = :a\nand b = :a --? optional",
            "3:9: :a is optional here and stands in line 2 too, which is unmarked;"
            " an optional parameter stands in marked lines only",
        ),
        (
            "select 1 where\nb = :s.a and --? optional\na = :s.a",
            "3:5: :s.a is optional here and stands in line 4 too, which is unmarked;"
            " an optional parameter stands in marked lines only",
        ),
        ("select :k\norder by 1 --| k: a\n-- order by 2 --| k: b", "3:12: k is a parameter of the statement"),
        ("select 1\n-- , :class --| k: a\n, 2 --| k: b", "3:6: 'class' cannot be a name in Python; choose another"),
        ("select 1\n-- , $1 --| k: a\n, 2 --| k: b", "3:6: $1 is sqlkit's own to number; write :name"),
        # choices
        ("select 1\norder by 1 --| k: a", "3:12: the choice k has one label; give it two or more"),
        (
            "select 1\n-- order by 1 --| k: a\n-- order by 2 --| k: b",
            "3:15: every line of the choice k is commented out; leave one label's lines live",
        ),
        (
            "select 1\norder by 1 --| k: a\nlimit 2 --| k: b",
            "4:9: the choice k has a and b live at once; comment out all but one",
        ),
        (
            "select 1\nwhere 1 --| k: a\n-- order by 1 --| k: a\n-- order by 2 --| k: b",
            "4:15: the lines of k: a are partly commented out; comment out all of them or none",
        ),
        (
            "select 1\n-- from 'a --| k: a\nfrom b --| k: b",
            "3:9: a commented-out choice line must be whole by itself: unterminated string",
        ),
        # boundaries
        ("select (1 --| k: a\n)\n-- , 2 --| k: b", f"2:8: ( is closed in line 3; {BALANCE}"),
        ("select (\n1), :a --? optional", f"3:2: ) is opened in line 2; {BALANCE}"),
        ("select a[\n--? optional {\n:b]\n--? }", f"4:3: ] is opened in line 2; {BALANCE}"),
        ("select 1\n-- , (2 --| k: a\n, 3 --| k: b\n)", f"3:6: ( is closed in line 5; {BALANCE}"),
        ("select 'a\nb', :a --? optional", "2:8: this spans lines, of which only some are marked"),
        ("select /* a\n */ :a --? optional", "2:8: this spans lines, of which only some are marked"),
        ("select $$a\nb$$, :a --? optional", "2:8: this spans lines, of which only some are marked"),
        ("select 'a'\n'b', :a --? optional", "3:1: without marked lines between, this string would continue that of"),
        ("select\n'a', :b || 'b' --? optional\n'c'", "4:1: without marked lines between, this string would continue"),
        ("select 'a'\n, :b, --? optional\n'c'", "4:1: without marked lines between, this string would continue"),
        ("select 'a'\n-- , 1 --| k: a\n'c'\n, 2 --| k: b", "4:1: without marked lines between, this string would"),
        ("select a[\nb --| k: a\n-- b, --| k: b\n:c]", "5:1: with some marked lines this colon is a slice"),
        ("select a[\nb\n-- :c --| k: a\n, :d --| k: b\n]", "4:4: with some marked lines this colon is a slice"),
    ],
)
def test_bad_marker(text: str, expected: str) -> None:
    """Each breach of the markers' rules is an error with its line and column."""
    message = failure(text)
    assert message.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "select date_trunc(\n'day' --| unit: day\n-- 'week' --| unit: week\n, now())",
        "select date_trunc(\n-- 'week' --| unit: week\n'day' --| unit: day\n, now())",
        "select array[\n1\n, :a --? optional\n, :b\n]",
        "select 'a'\n'b', 1\n, :c --? optional",
        "select 'a'\n|| :b || --? optional\ne'c'",
        "select 'a' 'b'\n, :c --? optional",
        "select case when true\nthen 'a' --| k: a\n-- then 'b' --| k: b\nelse 'c' end",
        "select (array[1, 2, 3])[\n:lo --| k: a\n-- :hi --| k: b\n: 3]",
    ],
)
def test_marked_lines_that_change_nothing_else(text: str) -> None:
    """Alternatives and optional parts that read the same in each variant are no error."""
    statement = body(text)
    assert len({statement.variant(*each).text for each in statement.variants()}) == 2


def test_variants_up_to_the_limit_are_all() -> None:
    """Every set of regions meets every set of labels, while there are no more than the limit."""
    assert list(body(SEARCH).variants()) == [
        (given, (label,)) for label in ("title", "newest") for given in (0b00, 0b10, 0b01, 0b11)
    ]
    assert list(body("select 1").variants()) == [(0, ())]


def test_variants_above_the_limit() -> None:
    """Above the limit there are none, all, each alone and each missing, with each label alone."""
    optional = "".join(f"and a = :a{i} --? optional\n" for i in range(3))
    orders = "order by 1 --| by: a\n-- order by 2 --| by: b\n-- order by 3 --| by: c\n"
    limits = "-- limit 1 --| top: one\nlimit 2 --| top: two\n"
    statement = body(f"select 1 where true\n{optional}{orders}{limits}")
    givens = [0b000, 0b111, 0b001, 0b010, 0b100, 0b110, 0b101, 0b011]
    labels = [("a", "two"), ("b", "two"), ("c", "two"), ("a", "one")]
    assert list(statement.variants(limit=47)) == [(given, chosen) for chosen in labels for given in givens]
    assert len(list(statement.variants(limit=48))) == 48


def test_variants_of_many_choices_are_not_counted_out() -> None:
    """Thirty choices of two labels do not take the time of a thousand million combinations."""
    choices = "".join(f", {i} --| k{i}: a\n-- , -{i} --| k{i}: b\n" for i in range(30))
    assert len(list(body(f"select 1\n{choices}").variants())) == 31


def test_regions_that_share_a_parameter_stand_together() -> None:
    """Given to one region, a parameter is given to all, so no variant has one of them alone."""
    statement = body("select 1 where true\nand a = :a --? optional\nand b = :b --? optional\nand c > :a --? optional")
    assert [given for given, _ in statement.variants()] == [0b000, 0b010, 0b101, 0b111]


def test_regions_that_share_by_way_of_others_stand_together() -> None:
    """Two regions that share nothing but each shares with a third stand and leave together."""
    statement = body(
        "select 1 where true\nand :a --? optional\nand :b --? optional\nand :c --? optional\nand :b = :a --? optional"
    )
    assert [given for given, _ in statement.variants()] == [0b0000, 0b0100, 0b1011, 0b1111]


def test_region_without_lines_under_a_choice_is_no_variant() -> None:
    """A region all of whose lines belong to another label makes no difference and is not asked for."""
    statement = body("select 1 where true\nand a > :a --| k: a --? optional\n-- and true --| k: b\n")
    assert list(statement.variants()) == [(0, ("a",)), (1, ("a",)), (0, ("b",))]


TABLE = """
create temporary table songs (
    song_id int, user_id int, title text, genre text, tempo int, created_at timestamptz, updated_at timestamptz
)
"""
PARTIAL = """\
update songs
set
    title = :song.title,  --? optional
    genre = :song.genre,  --? optional
    updated_at = now()
where song_id = :song_id
--? optional {
    and exists (
        select 1
        from songs as others
        where others.tempo > :tempo
    )
--? }
returning song_id
"""
SLICES = """\
select (array[1, 2, 3])[:low::int : :high::int], (array[1, 2])[1:2], json_build_object('k', :value::text)
from songs
where title like:pattern
    and (genre = 'it''s :no' or genre = e'\\':no' or genre = $$:no$$)  -- :no
"""


@pytest.mark.direct("it is about what a session keeps prepared")
@pytest.mark.parametrize("text", [SEARCH, PAGE, PARTIAL, SLICES], ids=["search", "page", "partial", "slices"])
def test_postgresql_prepares_every_variant(text: str, conn: psycopg.Connection[Any]) -> None:
    """PostgreSQL prepares each variant, and finds as many parameters as the variant has references."""
    conn.execute(TABLE)
    statement = body(text)
    for index, arguments in enumerate(statement.variants()):
        variant = statement.variant(*arguments)
        name = f"variant_{index}".encode()
        prepared = conn.pgconn.prepare(name, variant.text.encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message
        assert conn.pgconn.describe_prepared(name).nparams == len(variant.references)
