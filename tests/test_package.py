"""What a stranger meets before any query: the commands of the Makefile, the distributions, every Python 3.11."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.test_cli import clean_environment, spawn

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: A quantifier that gives nothing back, behind a group.
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+")


def test_cases_have_one_name_in_every_process(request: pytest.FixtureRequest) -> None:
    """No test is named by an object's address: pytest-xdist refuses to run when its workers' tests differ."""
    assert [item.nodeid for item in request.session.items if re.search(r" at 0x[0-9a-f]+", item.nodeid)] == []


def test_no_regular_expression_that_early_python_misreads() -> None:
    """No possessive quantifier stands behind a group: Python before 3.11.5 mismatches it (gh-106052)."""
    assert POSSESSIVE_GROUP.search(r"(?:''|\\.)*+")
    files = sorted((ROOT / "sqlkit").rglob("*.py"))
    assert len(files) > 50
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert found == []


def test_version_is_the_packages() -> None:
    """--version says what pyproject.toml says."""
    out, err = spawn("--version").communicate(timeout=60)
    assert (out, err) == (f"sqlkit {PYPROJECT['project']['version']}\n", "")


def test_extras_are_those_that_errors_name() -> None:
    """Every extra that a message or a page tells people to install is one of the package's."""
    named = set()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "sqlkit").rglob("*.py")]:
        for extras in re.findall(r"sqlkit\[([\w,]+)\]", path.read_text(encoding="utf-8")):
            named |= set(extras.split(","))
    assert {"cli", "embedded"} <= named
    assert named <= set(PYPROJECT["project"]["optional-dependencies"])
    assert named <= set(importlib.metadata.metadata("sqlkit").get_all("Provides-Extra") or [])


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> str:
    """Run make in the project, with none of the variables that an outer make sets."""
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@needs_make
def test_make_says_what_there_is() -> None:
    """Plain ``make`` installs nothing and lists every target with what it is for."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    listed = dict(line.split(maxsplit=1) for line in make().splitlines())
    assert set(listed) == set(phony[1].split())
    assert {"demo", "test", "lint", "bench"} <= set(listed)


@needs_make
@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_first_run_installs_and_a_second_does_not(target: str, tmp_path: Path) -> None:
    """The two commands make the virtual environment with the python3 of PYTHON, once."""
    fresh = make("-n", target, f"VENV={tmp_path}/none", "PYTHON=python3.99")
    assert f"python3.99 -m venv {tmp_path}/none" in fresh
    (tmp_path / ".installed").touch()
    assert " install " not in make("-n", target, f"VENV={tmp_path}")


@needs_make
def test_ci_runs_lint_and_tests() -> None:
    """``.ci/run`` may be run as it is, and calls make lint and test."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make lint test"


def test_source_distribution_is_whole(tmp_path: Path) -> None:
    """The sdist has what the wheel is built from, what tests it and what runs them, and nothing that git ignores."""
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [
        path.relative_to(ROOT).as_posix()
        for folder in ("sql", "migrations", "sqlkit", "tests", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".json", ".csv", ".md", ".typed"}
    ]
    assert len(wanted) > 100
    assert set(wanted) | {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", ".ci/run", "squawk.toml"} <= names
    assert not [name for name in names if re.search(r"(^|/)(\.venv|\.sqlkit|__pycache__|\.\w+_cache)/", name)]
