"""What programs say of their end, and what an error makes of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from sqlkit import BackupError
from sqlkit.operations.backups.processes import Child, started

SAID = [
    ("pg_dump: error: query failed: ERROR:  no\npg_dump: detail: Query was: select 1", "query failed: ERROR: no"),
    ('pg_restore: error: a\nDETAIL:  Key (email)=(ada@x) exists.\nCONTEXT:  COPY users, line 1: "error: b"', "a"),
    ("psql:<stdin>:3: ERROR:  division by zero", "division by zero"),
    ("pg_dump:pg_dump: finished item 1\n error: could not obtain it\npg_dump: error: a worker process died", None),
    ("pg_dump: error: a\npg_dump: error: a\npg_dump: error: b", "a; b"),
    ('pg_dump: dumping contents of table "error: x"', "it ended with status 3"),
    ("", "it ended with status 3"),
]


@pytest.mark.parametrize(("said", "reason"), SAID, ids=range(len(SAID)))
def test_the_sentence_without_the_row(tmp_path: Path, said: str, reason: str | None) -> None:
    """Of what is said, the sentences that are errors are told, each once; what rows hold is not."""
    child, status = ended(tmp_path, said, 3)
    wanted = reason or "could not obtain it; a worker process died"
    assert str(child.failure(status)) == f"pg_dump: {wanted}"


def ended(folder: Path, said: str, status: int) -> tuple[Child, int]:
    """Run a program that says something and ends."""
    program = folder / "pg_dump"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write({said!r})\nsys.exit({status})\n")
    program.chmod(0o755)
    with started([program], {}) as child:
        return child, child.wait()


def test_what_was_forgiven_is_forgotten(tmp_path: Path) -> None:
    """A complaint about one statement is forgotten with it, and no other is."""
    harmless = "pg_restore: error: could not execute query: ERROR:  unknown\nCommand was: SET a = 0;\n"
    child, _ = ended(tmp_path, harmless + harmless, 1)
    assert child.forget("Command was: SET a = 0;")
    assert child.lines == []
    child, status = ended(tmp_path, harmless + "pg_restore: error: b\nCommand was: create table b;\n" + harmless, 1)
    assert child.forget("Command was: SET a = 0;")
    assert not child.forget("Command was: SET b = 0;")
    assert str(child.failure(status)) == "pg_dump: b"


def test_a_refused_lock_is_heard_in_pieces(tmp_path: Path) -> None:
    """Words of a worker are heard though the words of another stand before them."""
    said = 'pg_dump:pg_dump: x\n error: could not obtain lock on relation "a"\npg_dump: error: a worker process died'
    child, _ = ended(tmp_path, said, 1)
    assert child.has_said(re.compile("could not obtain lock"))
    assert not child.has_said(re.compile("could not obtain a dog"))


def test_what_cannot_be_run(tmp_path: Path) -> None:
    """A file that is no program is told by its name."""
    program = tmp_path / "pg_dump"
    program.write_bytes(b"\x7fELF nothing")
    program.chmod(0o755)
    with (
        pytest.raises(BackupError, match=r"^pg_dump: cannot be run: Exec format error$"),
        started([program], {}) as child,
    ):
        raise child.failure(child.wait())
