"""What ``sqlkit generate`` writes passes the tools unchanged: ruff, mypy --strict, pyright, ``sqlkit check``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import JsonValue, TypeAdapter, ValidationError

from sqlkit.checking.project import Project
from sqlkit.checking.run import check
from sqlkit.generating.generate import generate
from sqlkit.generating.placing import layout_for
from sqlkit.statements import read_statements
from sqlkit.testing import TestServer, dropped_afterwards

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data" / "generate"
PROGRAMS = Path(sys.executable).parent
COLOURS = [("sync",), ("sync", "async")]  # async alone is what reuses models
KINDS = ["_".join(colours) for colours in COLOURS]
SOLEIL = sorted((ROOT / "sql" / "soleil").glob("*.sql"))
#: Names that are keywords, builtins or methods of pydantic's, and a column of nearly every kind of type.
NASTY = DATA / "nasty.sql"


@pytest.fixture(scope="module")
def nasty_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with the tables of the nasty statements."""
    with dropped_afterwards(server) as name:
        dsn = server.dsn_for(name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute((DATA / "nasty.schema.sql").read_bytes())
        yield dsn


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, soleil_shared_dsn: str, nasty_dsn: str) -> Path:
    """Give a project of modules that were generated for soleil's and the nasty files, in each colour."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    package = folder / "generated_queries"
    package.mkdir()
    (package / "__init__.py").write_text('"""Generated."""\n', "utf-8")
    for dsn, paths in ((soleil_shared_dsn, SOLEIL), (nasty_dsn, [NASTY])):
        with psycopg.connect(dsn, autocommit=True) as conn:
            for path, colours in product(paths, COLOURS):
                output = package / f"{path.stem}_{'_'.join(colours)}.py"
                layout = layout_for(path, output, colours=colours)
                output.write_text(generate(conn, read_statements(path), layout), "utf-8")
            for path in paths if paths is SOLEIL else []:
                output = package / f"{path.stem}_reusing.py"
                layout = layout_for(path, output, colours=("async",))
                text = generate(conn, read_statements(path), layout, models_from="sqlkit.apps.soleil.models")
                output.write_text(text, "utf-8")
    return folder


def run(project: Path, program: str, *options: str) -> str:
    """Run a tool on the generated modules; return what it said where it was not content."""
    done = subprocess.run(
        [str(PROGRAMS / program), *options], cwd=project, capture_output=True, text=True, check=False, timeout=110
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff_finds_nothing(project: Path) -> None:
    """Neither the rules of this project nor its format ask for a change."""
    assert run(project, "ruff", "check", ".") == ""
    assert run(project, "ruff", "format", "--check", ".") == ""


def test_mypy_finds_nothing(project: Path) -> None:
    """Mypy accepts them strictly."""
    python = ("--python-executable", sys.executable, "--cache-dir", os.devnull)
    assert run(project, "mypy", "--strict", "--config-file=", *python, "generated_queries") == ""


def test_pyright_finds_nothing(project: Path) -> None:
    """Pyright accepts them."""
    (project / "pyrightconfig.json").write_text('{"include": ["generated_queries"], "typeCheckingMode": "strict"}')
    assert run(project, "pyright", "--pythonpath", sys.executable) == ""


@pytest.mark.parametrize(
    ("files", "kind"), [*((SOLEIL, kind) for kind in [*KINDS, "reusing"]), *(([NASTY], kind) for kind in KINDS)]
)
def test_check_finds_nothing(
    project: Path, soleil_shared_dsn: str, nasty_dsn: str, files: list[Path], kind: str
) -> None:
    """Loaded, they agree with what PostgreSQL says of the statements."""
    modules = tuple(f"generated_queries.{path.stem}_{kind}" for path in files)
    dsn, schema = (soleil_shared_dsn, "soleil") if files is SOLEIL else (nasty_dsn, None)
    report = check(Project(project, modules=modules, schema=schema), dsn)
    assert report.counts.statements == sum(len(read_statements(path)) for path in files)
    assert [(found.code, found.query, found.message) for found in report.findings] == []
    assert report.troubles == ()


def test_models_that_exist_are_reused(project: Path) -> None:
    """Soleil's own models, written by hand, have the fields that its statements want."""
    text = (project / "generated_queries" / "bands_reusing.py").read_text("utf-8")
    # Where a page ends is written anew: the model by hand takes any band, and what is generated refuses other fields.
    assert re.findall(r"^class (\w+)", text, re.MULTILINE) == ["ListBandsAfter", "BandQueries"]
    assert "from sqlkit.apps.soleil.models import (" in text


def test_nasty_names_work(project: Path, nasty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go in and come back through fields whose columns have names that Python or pydantic cannot have."""
    monkeypatch.syspath_prepend(project)
    module: Any = import_module("generated_queries.nasty_sync")
    with psycopg.connect(nasty_dsn) as conn:
        word_id = module.nasty.add_word(conn, word=module.NewWord(copy="abc", json={"x": 1}, from_="there", list=["q"]))
        word = module.nasty.get_word(conn, id=word_id)
        assert (word.copy_, word.json_, word.from_, word.list, word.int, word.Größe) == (
            "abc",
            {"x": 1},
            "there",
            ["q"],
            7,
            Decimal("1.5"),
        )
        assert module.nasty.change_word(conn, _id=word_id, date=date(2020, 2, 2)) == 1
        assert module.nasty.change_word(conn, _id=word_id) == 1
        assert module.nasty.date(conn, date=word_id) == date(2020, 2, 2)
        spot = module.Spot(x=1, label="a", at=None)
        thing = module.NewThing(spot=spot, code="ABC", state=module.MoodState.N1ST, tags=["new"], mail="a@b.de")
        assert module.nasty.import_things(conn, [thing, module.NewThing(code="ABD")]) == 2
        assert module.nasty.all_spots(conn)[0].spot == spot
        assert module.nasty.state_of(conn, thing_id=1) is module.MoodState.N1ST
        assert [row.parent for row in module.nasty.with_children(conn)] == [None, None]
        conn.rollback()


def test_documents_keep_their_digits(project: Path, nasty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document's numbers come back with all digits, which pydantic's JsonValue would refuse."""
    monkeypatch.syspath_prepend(project)
    module: Any = import_module("generated_queries.nasty_sync")
    document = {"share": Decimal("0.1234567890123456789012345")}
    with psycopg.connect(nasty_dsn) as conn:
        thing_id = module.nasty.add_thing(conn, states=[], tags=[], doc=document, code="ABC")
        assert module.nasty.get_thing(conn, thing_id=thing_id).doc == document
        conn.rollback()
    with pytest.raises(ValidationError):
        TypeAdapter(dict[str, JsonValue]).validate_python(document)


def test_input_models_refuse_what_the_database_would(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constraint is refused before it is sent, with the field's name."""
    monkeypatch.syspath_prepend(project)
    module: Any = import_module("generated_queries.nasty_sync")
    for name, value in {"code": "abc", "level": 10, "amount": -1, "mail": "nobody", "kind": "other"}.items():
        with pytest.raises(ValidationError) as caught:
            module.NewThing(**{"code": "ABC", name: value})
        assert {error["loc"][0] for error in caught.value.errors()} == {name}
