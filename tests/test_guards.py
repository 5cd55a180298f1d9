"""In update and delete a marker cannot let a forgotten argument reach every row."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlkit.errors import SqlFileError
from sqlkit.statements import Statement, parse_statements


def body(text: str) -> Statement:
    """Return the statement that a body under a name gives."""
    (statement,) = parse_statements("-- name: q\n" + text, Path("q.sql"))
    return statement


BESIDE = "stands beside an unmarked condition with a parameter, lest a forgotten argument reach every row"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delete from t\nwhere true\nand a = :a --? optional", f"4:1: a marker in `where` of delete {BESIDE}"),
        ("update t set b = 1\nwhere true\nand a = :a --? optional", f"4:1: a marker in `where` of update {BESIDE}"),
        ("DELETE FROM t\nWHERE c = 1\nAND a = :a --? optional", f"4:1: a marker in `where` of delete {BESIDE}"),
        (
            "delete from t\nwhere true\n--? optional {\nand a\n= :a\n--? }",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "delete from t\nwhere true\nand a = :a --| k: a\n-- and b = :b --| k: b",
            f"4:1: a marker in `where` of delete {BESIDE}",
        ),
        ('update "t" set b = :b\nwhere true\nand a = :a --? optional', f"4:1: a marker in `where` of update {BESIDE}"),
        ("update only t set b = 1\nwhere a = 1\nand a = :a --? optional", "4:1: a marker in `where` of update"),
        (
            "with gone as (\ndelete from t\nwhere true\nand a = :a --? optional\nreturning b\n)\n"
            "select * from gone where c = :c",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "with a as (select 1)\nupdate t set b = 1\nwhere true\nand a = :a --? optional",
            f"5:1: a marker in `where` of update {BESIDE}",
        ),
        (
            "explain analyze delete from t\nwhere true\nand a = :a --? optional",
            f"4:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "delete from t\nwhere id in (\nselect id from u where true\nand a = :a --? optional\n)",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        # a parameter that guards nothing: in another clause, in a marked line, behind an `or` that may stand alone
        (
            "update t set b = :b\nwhere true\nand a = :a --? optional\nreturning :c",
            f"4:1: a marker in `where` of update {BESIDE}",
        ),
        (
            "delete from t\nwhere (\ntrue\nand a = :a --? optional\nor b = :b\n)",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "delete from t\nwhere (\ntrue\nand a = :a --? optional\nor (b = :b)\n)",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "delete from t\nwhere (\nc or b = :b and (\ntrue\nand a = :a --? optional\n)\n)",
            f"6:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "begin atomic select 1;\ndelete from t where a\nand b --| k: b\n-- and c --| k: c\n; end",
            f"4:1: a marker in `where` of delete {BESIDE}",
        ),
        (
            "select 1 --| k: a\n-- delete from t --| k: b\nwhere true\nand a = :a --? optional",
            f"5:1: a marker in `where` of delete {BESIDE}",
        ),
        # where itself
        ("delete from t\nwhere a = :a --? optional", "3:1: `where` of delete stands in an unmarked line"),
        ("delete from t\nwhere a = :a --? optional\nand b = :b", "3:1: `where` of delete stands in an unmarked line"),
        (
            "update t set b = 1\n--? optional {\nwhere a = :a\n--? }",
            "4:1: `where` of update stands in an unmarked line",
        ),
        (
            "delete from t\nwhere a = :a --| k: a\n-- where b = :b --| k: b",
            "3:1: `where` of delete stands in an unmarked line",
        ),
        # or
        (
            "delete from t\nwhere a = :a or b = 1\nand c = :c --? optional",
            "3:14: `or` beside markers in the `where` of delete; put what it joins in parentheses",
        ),
        (
            "delete from t\nwhere a = :a\nor c = :c --? optional",
            "4:1: `or` beside markers in the `where` of delete; put what it joins in parentheses",
        ),
    ],
)
def test_unguarded(text: str, expected: str) -> None:
    """A marker in the condition of an update or delete wants an unmarked condition with a parameter beside it."""
    with pytest.raises(SqlFileError) as caught:
        body(text)
    assert str(caught.value).removeprefix("q.sql:").startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "delete from t\nwhere a = :a\nand b = :b --? optional",
        "delete from t\nwhere\na = :a\nand b = :b --? optional",
        "delete from t\nwhere true\nand b = :b --? optional\nand a = any(:a)",
        "delete from t\nwhere (a = :a or c = :c)\nand b = :b --? optional",
        "delete from t\nwhere a = :a\nand (\nb = :b --? optional\nor c = 1\n)",
        "delete from t\nwhere id in (select id from u where a = :a)\nand b = :b --? optional",
        "update t set\nb = :b, --? optional\nc = now()\nwhere a = :a",
        "update t set\nb = :b, --? optional\nc = now()",
        "update t set d = t.where,\nb = :b, --? optional\nc = now()\nwhere true",
        "update t set b = 1\nfrom u\nwhere u.a = :a\nand t.a = u.a\nand t.b = :b --? optional\nreturning t.b",
        "update t set b = (select 1 from u where true\nand c = :c --? optional\n)\nwhere a = :a",
        "with a as (delete from t where b = :b returning c)\nselect * from a where true\nand c = :c --? optional",
        "with a as (delete from t where b = 1 returning c)\nselect * from a where true\nand c = :c --? optional",
        "select 1\n--? optional {\n, exists (select 1 from u where b = :b)\n--? }",
        "with a as (select 1)\n--? optional {\n, b as (delete from t where c = :c returning 1)\n--? }\nselect 1 from a",
        "select 1 --| k: a\n-- delete from t where a = :a --| k: b\nand b = :b --? optional",
        "delete from t where a = :a --| k: a\n-- select 1 from t where b = 1 or c --| k: b\nand b = :b --? optional",
        # what is no update and no delete
        "select * from t where true\nand a = :a --? optional\nfor update",
        "select * from t where true\nand a = :a --? optional\nfor no key update of t",
        "select update, delete from t where true\nand a = :a --? optional",
        "select * from update where true\nand a = :a --? optional",
        "insert into t values (1) on conflict (a) do update set b = 2\nwhere t.c = 1\nand t.a = :a --? optional",
        "merge into t using u on true\nwhen matched and true\nand t.a = :a --? optional\nthen update set b = 1",
        "merge into t using (\nselect 1 where true\nand a = :a --? optional\n) as v on true when matched then delete",
    ],
)
def test_guarded(text: str) -> None:
    """A marker beside a guard, in another clause, or in a statement that is neither stands."""
    assert len(body(text).regions) == 1


def test_where_ends_with_its_statement() -> None:
    """In a function's body a marker behind the `;` of a delete is not in its condition."""
    text = "create function f() begin atomic delete from t where true;\nselect 1 --| k: a\n-- select 2 --| k: b\n; end"
    assert dict(body(text).choices) == {"k": ("a", "b")}
