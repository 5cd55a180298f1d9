"""What ``sqlkit generate`` writes passes the tools unchanged: ruff, mypy --strict, pyright, ``sqlkit check``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from sqlkit.checking.project import Project
from sqlkit.checking.run import check
from sqlkit.generating.generate import generate
from sqlkit.generating.placing import layout_for
from sqlkit.statements import read_statements

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
COLOURS = [("sync",), ("async",), ("sync", "async")]
SOLEIL = sorted((ROOT / "sql" / "soleil").glob("*.sql"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, soleil_shared_dsn: str) -> Path:
    """Give a project of modules that were generated for soleil's files, in each colour."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    package = folder / "generated_soleil"
    package.mkdir()
    (package / "__init__.py").write_text('"""Generated."""\n', "utf-8")
    with psycopg.connect(soleil_shared_dsn, autocommit=True) as conn:
        for path in SOLEIL:
            for colours in COLOURS:
                output = package / f"{path.stem}_{'_'.join(colours)}.py"
                layout = layout_for(path, output, colours=colours)
                output.write_text(generate(conn, read_statements(path), layout), "utf-8")
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
    assert run(project, "mypy", "--strict", "--config-file=", *python, "generated_soleil") == ""


def test_pyright_finds_nothing(project: Path) -> None:
    """Pyright accepts them."""
    (project / "pyrightconfig.json").write_text('{"include": ["generated_soleil"], "typeCheckingMode": "strict"}')
    assert run(project, "pyright", "--pythonpath", sys.executable) == ""


@pytest.mark.parametrize("colours", COLOURS, ids="_".join)
def test_check_finds_nothing(project: Path, soleil_shared_dsn: str, colours: tuple[str, ...]) -> None:
    """Loaded, they agree with what PostgreSQL says of the statements."""
    modules = tuple(f"generated_soleil.{path.stem}_{'_'.join(colours)}" for path in SOLEIL)
    report = check(Project(project, modules=modules, schema="soleil"), soleil_shared_dsn)
    assert report.counts.statements == sum(len(read_statements(path)) for path in SOLEIL)
    assert [(found.code, found.query, found.message) for found in report.findings] == []
    assert report.troubles == ()
