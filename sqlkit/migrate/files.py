"""A folder of migrations: what is in its files, and what would go wrong with them.

yoyo reads the same files: its splitter finds the statements, its first comment block the directives. What
it would misread or half apply is an error here, with the place, before anything is applied.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from yoyo import exceptions, migrations  # type: ignore[import-untyped]
from yoyo.migrations import Migration  # type: ignore[import-untyped]

from sqlkit.errors import MigrationError

__all__ = ["MigrationFile", "MigrationFolder", "Script", "ScriptStatement", "new_migration", "read_folder"]

ROLLBACK_SUFFIX = ".rollback.sql"
DIRECTIVE = re.compile(r"--\s*(transactional|depends)\s*:(.*)")
BLANK = re.compile(r"(?:\s+|--[^\n]*)+")
COPY_FROM_STDIN = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
# Statements that would end or begin a transaction in the middle of the one that holds file and mark together.
TRANSACTION_WORDS = {"begin", "start", "commit", "end", "rollback", "abort", "prepare transaction"}
READING = threading.Lock()  # yoyo resolves dependencies through one table of its class


@dataclass(frozen=True, slots=True)
class ScriptStatement:
    """One statement of a file: ``text``, and ``start``, its offset in the file's text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Script:
    """A ``.sql`` file: its text with plain newlines, and its statements in order."""

    path: Path
    text: str
    statements: tuple[ScriptStatement, ...]

    def place(self, offset: int) -> str:
        """Return ``path:line:column`` of an offset in the text."""
        before = self.text[:offset]
        return f"{self.path}:{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"

    def error(self, offset: int, reason: str) -> MigrationError:
        """Return the error for a place in the file."""
        return MigrationError(f"{self.place(offset)}: {reason}")


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One migration of a folder; ``step`` is yoyo's own object for it.

    ``migration_id`` is the file's name without its ending. A ``.py`` file has no script: yoyo runs it.
    """

    step: Migration
    path: Path

    @property
    def migration_id(self) -> str:
        """The migration's name: that of its file, without the ending."""
        return str(self.step.id)

    @property
    def is_sql(self) -> bool:
        """Whether it is a ``.sql`` file."""
        return self.path.suffix == ".sql"

    @property
    def transactional(self) -> bool:
        """Whether it runs in a transaction, as it does unless it says ``-- transactional: false``."""
        return bool(self.step.use_transactions)

    @property
    def rollback_path(self) -> Path:
        """The file that undoes it."""
        return self.path.with_suffix("").with_name(self.path.stem + ROLLBACK_SUFFIX)

    def checksum(self) -> str:
        """Return the SHA-256 of the content, whatever its newlines are."""
        return hashlib.sha256(self.path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()

    def script(self) -> Script:
        """Read and check the statements that apply it."""
        script = read_script(self.path)
        if not script.statements:
            raise script.error(0, "has no statement: write what it does")
        return script

    def rollback_script(self) -> Script:
        """Read and check the statements that undo it; MigrationError when there are none."""
        if not self.rollback_path.exists():
            raise MigrationError(
                f"{self.path}: cannot be rolled back: write {self.rollback_path.name}, "
                "or yoyo would forget the migration and leave its tables"
            )
        script = read_script(self.rollback_path)
        if not script.statements:
            raise script.error(0, "has no statement: write what undoes it (select; where nothing does)")
        return script


@dataclass(frozen=True, slots=True)
class MigrationFolder:
    """The migrations of a folder in the order in which they are applied, and the hooks that run after any."""

    path: Path
    migrations: tuple[MigrationFile, ...]
    post_apply: tuple[MigrationFile, ...]


def read_folder(folder: str | os.PathLike[str]) -> MigrationFolder:
    """Read a folder of migrations; MigrationError when there is none, or its files do not fit together."""
    path = Path(folder)
    if not path.is_dir():
        raise MigrationError(f"{path}: no such folder of migrations")
    check_names(path)
    with READING:
        try:
            # A folder's name may hold what glob would take for a pattern.
            found = migrations.read_migrations(re.sub(r"([*?[])", r"[\1]", str(path)))
            for step in (*found, *found.post_apply):
                load(step, {other.id for other in found})
            ordered = migrations.MigrationList(migrations.topological_sort(found), found.post_apply)
        except (exceptions.MigrationConflict, exceptions.BadMigration) as error:
            raise MigrationError(f"{path}: {error}") from error
        except ValueError as error:  # CycleError among them
            raise MigrationError(f"{path}: its migrations depend on each other in a circle: {error}") from error
    return MigrationFolder(
        path,
        tuple(MigrationFile(step, Path(step.path)) for step in ordered),
        tuple(MigrationFile(step, Path(step.path)) for step in ordered.post_apply),
    )


def check_names(folder: Path) -> None:
    """Refuse a rollback without its migration: one of the two has another name than was meant."""
    for path in sorted(folder.glob(f"*{ROLLBACK_SUFFIX}")):
        name = path.name.removesuffix(ROLLBACK_SUFFIX)
        if not (folder / f"{name}.sql").exists():
            raise MigrationError(f"{path}: undoes nothing: there is no {name}.sql")


def load(step: Migration, known: set[str]) -> None:
    """Let yoyo load a migration, after the checks of what it would trip over."""
    path = Path(step.path)
    if path.suffix == ".sql":
        check_directives(path, read_text(path), known)
    step.load()


def check_directives(path: Path, text: str, known: set[str]) -> None:
    """Check the directives of a file: in the first comment block, with values that mean something."""
    in_first_block = True
    for number, line in enumerate(text.split("\n"), start=1):
        in_first_block = in_first_block and bool(re.fullmatch(r"\s*(--.*)?", line))
        found = DIRECTIVE.match(line)
        if not found:
            continue
        name, value = found[1], found[2].strip()
        if not in_first_block:
            raise MigrationError(f"{path}:{number}: `{name}` is read in the first comment block only")
        if name == "transactional" and value.lower() not in ("true", "false"):
            raise MigrationError(f"{path}:{number}: transactional is true or false, not {value!r}")
        if name == "depends" and (missing := sorted(set(value.split()) - known)):
            names = ", ".join(missing)
            raise MigrationError(f"{path}:{number}: depends on {names}, which is not in {path.parent}")


def read_text(path: Path) -> str:
    """Read a file as UTF-8, with plain newlines; MigrationError with the place of what is no text."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise MigrationError(f"{path}:{line}: is not UTF-8: save it as UTF-8 without a BOM") from None
    except OSError as error:
        raise MigrationError(f"{path}: cannot be read: {error.strerror}") from error
    if text.startswith("\ufeff"):
        raise MigrationError(f"{path}:1:1: begins with a BOM, which is no SQL: save it without one")
    if "\0" in text:
        raise MigrationError(f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}: holds a zero byte")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_script(path: Path) -> Script:
    """Read a file's statements, as yoyo splits them; MigrationError for those that cannot be run."""
    text = read_text(path)
    _, _, pieces = migrations.read_sql_migration(str(path))
    statements = []
    end = 0
    for piece in pieces:
        begin = text.index(piece, end)
        end = begin + len(piece)
        start = begin + leading_blank(piece)
        if start < end:
            statements.append(ScriptStatement(text[start:end], start))
    script = Script(path, text, tuple(found for found in statements if found.text.strip(" ;\n\t")))
    for statement in script.statements:
        check_statement(script, statement)
    return script


def leading_blank(text: str) -> int:
    """Return the length of the blank space and comments that a text begins with."""
    position = 0
    while position < len(text):
        if found := BLANK.match(text, position):
            position = found.end()
        elif text.startswith("/*", position):
            position = comment_end(text, position)
        else:
            break
    return position


def comment_end(text: str, start: int) -> int:
    """Return the end of a block comment, which may hold others."""
    depth = 0
    for found in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return start + found.end()
    return len(text)


def check_statement(script: Script, statement: ScriptStatement) -> None:
    """Refuse a statement that cannot run in a migration."""
    words = statement.text.lower().split(None, 2)
    first = words[0].rstrip(";")
    if first in TRANSACTION_WORDS or " ".join(words[:2]) in TRANSACTION_WORDS:
        raise script.error(
            statement.start,
            f"`{first}` in a migration: a file is one transaction by itself; leave it out "
            "(a statement that takes none wants `-- transactional: false`)",
        )
    if COPY_FROM_STDIN.match(statement.text):
        raise script.error(
            statement.start,
            "`copy from stdin` in a migration: there is no stdin; write an insert, or import by a program",
        )
    if first.startswith("\\"):
        raise script.error(statement.start, f"`{first}` is a command of psql, not SQL")


def new_migration(folder: str | os.PathLike[str], slug: str) -> tuple[Path, Path]:
    """Write the next numbered migration of a folder and its rollback, to be filled in; return their paths.

    ``slug`` says what it does, in lower-case words with hyphens: ``create-songs``. The folder is made if it
    is not there.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        near = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-") or "create-songs"
        raise MigrationError(f"{folder}: {slug!r} is no name for a migration: write {near}")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    numbered = sorted(file for file in path.glob("[0-9]*.*") if not file.name.endswith(ROLLBACK_SUFFIX))
    last = numbered[-1].stem if numbered else None
    found = re.match(r"\d+", last) if last else None
    number = (int(found[0]) if found else 0) + 1
    name = f"{number:04}.{slug}"
    apply, rollback = path / f"{name}.sql", path / f"{name}{ROLLBACK_SUFFIX}"
    depends = f"-- depends: {last}\n\n" if last else ""
    apply.write_text(f"{depends}-- {slug.replace('-', ' ').capitalize()}.\n\n", encoding="utf-8")
    rollback.write_text(f"-- Undoes {name}.\n\n", encoding="utf-8")
    return apply, rollback
