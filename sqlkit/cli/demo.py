"""``sqlkit demo``: from nothing to answers, in one command."""

from __future__ import annotations

import pkgutil
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sqlkit.apps import MIGRATIONS
from sqlkit.apps.soleil import bandstand
from sqlkit.apps.soleil import sync as soleil
from sqlkit.apps.soleil.models import Band, KeyCount, MemberWithUser, RhythmCount, Song, User
from sqlkit.apps.soleil.songlist import TUNES, ListedSong, read_song_list
from sqlkit.cli import demos
from sqlkit.cli.asking import ask
from sqlkit.cli.output import answers
from sqlkit.cli.target import FolderOption, Target, opened_target
from sqlkit.database import Database
from sqlkit.errors import ConfigurationError

__all__ = ["demo"]

SCHEMA = "soleil"
MISSPELT = "sweet gorgia brown"


def demo(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="Which application: soleil, or another of sqlkit's.")
    ] = SCHEMA,
    songs: Annotated[
        Path | None, typer.Option("--songs", metavar="FILE", help="A song list, .json or .csv; else the demo's own.")
    ] = None,
    search: Annotated[str, typer.Option("--search", metavar="TERM", help="What to search for.")] = MISSPELT,
    logs: Annotated[
        Path | None,
        typer.Option("--logs", metavar="DIR", file_okay=False, help="Log files to import; else samples."),
    ] = None,
    folder: FolderOption = None,
    dsn: Annotated[
        str | None,
        typer.Option("--dsn", metavar="DSN", help="Use this database; a DATABASE_URL that is set is left alone."),
    ] = None,
) -> None:
    """Start a PostgreSQL, make an application's tables, fill them and ask typed questions about them.

    Without a name it is soleil's songs. Everything is kept in .sqlkit, or the --folder or database named; each run
    replaces the demo's own rows alone.
    """
    if app != SCHEMA:
        _show_other(app, dsn, folder, logs)
        return
    path = songs or TUNES
    listed = read_song_list(path)
    with opened_target(dsn, folder, schema=SCHEMA, configured=False, made=True) as target:
        _migrate(target)
        with Database.connect(target.settings, application_name="sqlkit demo") as db:
            leader, band = bandstand.assemble(db)
            _import(db, leader, path.name, listed)
            _show_repertoire(db, leader)
            _show_search(db, leader, search)
            _show_band(db, band)
        _say_where(target, SCHEMA)


def _show_other(app: str, dsn: str | None, folder: Path | None, logs: Path | None) -> None:
    """Run the demo of an application that is not soleil."""
    found = sorted(module.name for module in pkgutil.iter_modules(demos.__path__) if module.name != "tables")
    if app not in found:
        raise ConfigurationError(f"{app}: there is no such demo: {', '.join([SCHEMA, *found])}")
    with opened_target(dsn, folder, schema=app, configured=False, made=True) as target:
        import_module(f"{demos.__name__}.{app}").show(target, logs=logs)
        _say_where(target, app)


def _say_where(target: Target, schema: str) -> None:
    if target.server is not None:
        look = f"{_program()} psql --schema {schema} --folder {shlex.quote(str(target.server.folder))}"
        answers.print(f"\nLook around: {look}", markup=False, soft_wrap=True)


def _program() -> str:
    """Return what calls this program from a shell: its path, where its name alone is not found (``make demo``)."""
    called = Path(sys.argv[0])
    return shlex.quote(str(called)) if called.name == "sqlkit" and shutil.which("sqlkit") is None else "sqlkit"


def _migrate(target: Target) -> None:
    from sqlkit.migrate import migrate

    done = migrate(target.settings.dsn(), MIGRATIONS / SCHEMA, schema=SCHEMA)
    answers.print(f"Migrations: {len(done)} applied" if done else "Migrations: everything is applied")


def _import(db: Database, leader: User, name: str, listed: list[ListedSong]) -> None:
    """Replace the demo's songs by those of a list, in one transaction, and show how it goes."""
    columns = (
        TextColumn("Import: {task.fields[name]}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=answers) as progress:
        tracked = progress.track(listed, task_id=progress.add_task("", name=name, total=len(listed)))
        bandstand.rehearse(db, leader, (song.for_user(leader.user_id) for song in tracked))


def _show_repertoire(db: Database, leader: User) -> None:
    stats = soleil.repertoire.get_repertoire_stats(db, user_id=leader.user_id)
    answers.print(f"Repertoire: {stats.total_songs} songs by {stats.unique_artists} composers")
    keys = ask(soleil.repertoire.count_songs_by_key, db, user_id=leader.user_id)
    keys.show(answers, "Repertoire by key", _keys(keys.rows))
    rhythms = ask(soleil.repertoire.count_songs_by_rhythm, db, user_id=leader.user_id)
    rhythms.show(answers, "Repertoire by rhythm", _rhythms(rhythms.rows))


def _show_search(db: Database, leader: User, term: str) -> None:
    tolerant = soleil.songs.has_trigrams(db)
    query = soleil.songs.search_songs if tolerant else soleil.songs.search_songs_plainly
    title = f"Search for “{term}”" + ("" if tolerant else " (this server has no pg_trgm: no typing error is forgiven)")
    found = ask(query, db, user_id=leader.user_id, term=term, limit=10)
    found.show(answers, title, _songs(found.rows))


def _show_band(db: Database, band: Band) -> None:
    members = ask(soleil.bands.list_members, db, band_id=band.band_id)
    members.show(answers, f"{band.name}: who plays", _members(members.rows))


def _table(*columns: str) -> Table:
    """Return an empty table; a column that begins with > is aligned to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _keys(rows: list[KeyCount]) -> Table:
    most = max((row.songs for row in rows), default=1)
    table = _table("Key", ">Songs", "")
    for row in rows:
        table.add_row(_spell_key(row.key), str(row.songs), "▇" * max(1, round(24 * row.songs / most)))
    return table


def _rhythms(rows: list[RhythmCount]) -> Table:
    table = _table("Rhythm", ">Songs", ">Tempo")
    for row in rows:
        table.add_row(row.rhythm or "not known", str(row.songs), _spell_tempo(row.slowest, row.fastest))
    return table


def _songs(rows: list[Song]) -> Table:
    table = _table("Title", "Composer", "Key", "Rhythm", "Time", ">Tempo")
    for song in rows:
        facts = (song.title, song.artist, song.key and _spell_key(song.key), song.rhythm, song.time_signature)
        table.add_row(*(escape(fact or "") for fact in facts), _spell_tempo(song.tempo, song.tempo))
    return table


def _members(rows: list[MemberWithUser]) -> Table:
    table = _table("Name", "Instrument", "Role", "Since")
    for member in rows:
        instrument = str(member.user.profile_data.get("instrument", ""))
        table.add_row(member.user.display_name, instrument, member.role.value, f"{member.joined_at:%B %Y}")
    return table


def _spell_key(key: str | None) -> str:
    """Spell a key as it is spoken: ``Cmin`` is C minor."""
    if key is None:
        return "not known"
    return f"{key.removesuffix('min')} {'minor' if key.endswith('min') else 'major'}"


def _spell_tempo(slowest: int | None, fastest: int | None) -> str:
    if slowest is None or fastest is None:
        return ""
    return str(slowest) if slowest == fastest else f"{slowest} to {fastest}"
