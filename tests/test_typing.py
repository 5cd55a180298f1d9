"""What type checkers say of users' code: nothing of ``typing/accepted.py``, each mistake of ``typing/refused.py``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ACCEPTED = "tests/typing/accepted.py"
REFUSED = "tests/typing/refused.py"
PROGRAMS = Path(sys.executable).parent

#: (file, line) of what a checker reported, with its message.
Findings = dict[tuple[str, int], str]


def mypy_findings() -> Findings:
    """Run mypy --strict."""
    options = ["--strict", "--output", "json", "--no-error-summary", "--cache-dir", os.devnull]
    lines = run("mypy", *options, "--python-executable", sys.executable).splitlines()
    found = [json.loads(line) for line in lines]
    return {(one["file"], one["line"]): one["message"] for one in found if one["severity"] == "error"}


def pyright_findings() -> Findings:
    """Run pyright, as strict as the project has it; its lines begin at 0, its paths at the root."""
    found = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]
    return {
        (Path(one["file"]).relative_to(ROOT).as_posix(), one["range"]["start"]["line"] + 1): one["message"]
        for one in found
        if one["severity"] in ("error", "warning")
    }


def ty_findings() -> Findings:
    """Run ty."""
    text = run("ty", "check", "--output-format", "concise", "--python", sys.prefix)
    return {(path, int(line)): message for path, line, message in re.findall(r"(?m)^(\S+?):(\d+):\d+: (.*)$", text)}


CHECKERS: dict[str, Callable[[], Findings]] = {"mypy": mypy_findings, "pyright": pyright_findings, "ty": ty_findings}


def run(program: str, *options: str) -> str:
    """Run a checker on both files; 1 is its exit code for errors in them, anything above is trouble of its own."""
    command = [str(PROGRAMS / program), *options, ACCEPTED, REFUSED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode <= 1, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=CHECKERS)
def checked(request: pytest.FixtureRequest) -> tuple[str, Findings]:
    """Give a checker's name and what it found in both files, in one run."""
    name: str = request.param
    if not (PROGRAMS / name).exists():
        pytest.skip(f"{name} is not installed beside python (dependency group lint)")
    return name, CHECKERS[name]()


def marked(checker: str) -> list[int]:
    """Return the lines where a checker is to see an error."""
    lines = (ROOT / REFUSED).read_text(encoding="utf-8").splitlines()
    marks = {number: mark[1] for number, line in enumerate(lines, 1) if (mark := re.search(r"\S  # error(.*)$", line))}
    return [number for number, mark in marks.items() if f"not {checker}" not in mark]


def test_correct_code_is_accepted(checked: tuple[str, Findings]) -> None:
    """Protocols and their calls, sync and async, the verbs and doubles need no ignore, and have the exact types."""
    _, found = checked
    assert {where: message for where, message in found.items() if where[0] == ACCEPTED} == {}


def test_mistakes_are_reported_at_their_lines(checked: tuple[str, Findings]) -> None:
    """Each mistake is reported at its line, and nothing else is."""
    name, found = checked
    lines = marked(name)
    assert lines
    assert sorted(line for path, line in found if path == REFUSED) == lines


def test_no_sample_silences_a_checker() -> None:
    """Neither file says that an error is to be ignored, or that a type is another."""
    for path in (ACCEPTED, REFUSED):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"type: ignore|pyright: ignore|ty: ignore|noqa|\bcast\b", text), path
