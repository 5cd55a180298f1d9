"""The five systems at work while a backup is taken: each with rows to begin with, and with writers that never rest."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from sqlkit import Database
from sqlkit.apps.analysis.events import log_system_event
from sqlkit.apps.analysis.models import AnalysisChanges, WorkStatus
from sqlkit.apps.analysis.models import NewUser as AnalysisUser
from sqlkit.apps.analysis.queries import analyses, files, tools
from sqlkit.apps.analysis.queries import users as analysis_users
from sqlkit.apps.analysis.sample import sample_analyses, sample_files, sample_tools
from sqlkit.apps.openai_frontend import queries as frontend
from sqlkit.apps.openai_frontend.models import LogLevel, NewLogLine
from sqlkit.apps.openai_frontend.models import NewUser as FrontendUser
from sqlkit.apps.openai_frontend.recording import copy_usage, write_log
from sqlkit.apps.openai_frontend.sample import sample_usage
from sqlkit.apps.presentations.application import Presentations
from sqlkit.apps.soleil import bandstand
from sqlkit.apps.soleil import sync as soleil
from sqlkit.apps.soleil.models import NewSong
from sqlkit.apps.voxstitch import queries as voxstitch
from sqlkit.apps.voxstitch.models import NewUser as VoxstitchUser
from sqlkit.apps.voxstitch.sample import sample_chats
from tests.presentations_stage import RESULT, STEPS, new_job, new_user, new_voice

__all__ = ["LOADS", "Load", "rows_of", "shape_of", "written"]

#: One step of a writer: on a database, with what ``begin`` returned, and a number that is nobody else's.
Step = Callable[[Database, Any, int], None]


@dataclass
class Load:
    """A system's rows to begin with, and what its writers do."""

    app: str
    begin: Callable[[Database], Any]
    step: Step


def _begin_soleil(db: Database) -> Any:
    leader, _ = bandstand.assemble(db)
    bandstand.rehearse(db, leader, _repertoire(leader.user_id, 0))
    return leader


def _repertoire(user_id: Any, number: int) -> Iterator[NewSong]:
    for place in range(1500):
        yield NewSong(user_id=user_id, title=f"Number {number}, {place}", genre="Swing", tempo=60 + place % 200)


def _step_soleil(db: Database, leader: Any, number: int) -> None:
    """Replace the whole repertoire in one transaction: a backup of two moments would have songs of two of them."""
    bandstand.rehearse(db, leader, _repertoire(leader.user_id, number))
    soleil.songs.create_song(db, song=NewSong(user_id=leader.user_id, title=f"Single {number}"))


def _begin_voxstitch(db: Database) -> Any:
    new = VoxstitchUser(email="ada@example.org", hashed_password="$argon2id$x", remaining_imports=1_000_000)
    user = voxstitch.users.create_user(db, user=new)
    voxstitch.chats.import_chats(db, user_id=user.user_id, chats=list(sample_chats(600)))
    return user


def _step_voxstitch(db: Database, user: Any, number: int) -> None:
    """Import chats, which takes as many imports from their user in the same statement, and remove one."""
    chats = voxstitch.chats.import_chats(db, user_id=user.user_id, chats=list(sample_chats(20, number)))
    voxstitch.chats.remove_chat(db, chat_id=chats[0].chat_id)


def _begin_frontend(db: Database) -> Any:
    new = FrontendUser(username="ada", email="ada@example.org", hashed_password="$argon2id$x")
    user = frontend.users.create_user(db, user=new)
    copy_usage(db, sample_usage(3000, [user.user_id], until=datetime.now(UTC)))
    return user


def _step_frontend(db: Database, user: Any, number: int) -> None:
    """Note usage in whatever months, and lines of the log."""
    copy_usage(db, sample_usage(50, [user.user_id], until=datetime.now(UTC), seed=number))
    write_log(db, line=NewLogLine(level=LogLevel.INFO, logger="load", message=f"line {number}"))


def _begin_presentations(db: Database) -> Any:
    voice = new_voice(db, new_user(db))
    for _ in range(300):
        new_job(db, voice)
    return voice


def _step_presentations(db: Database, voice: Any, number: int) -> None:
    """Bring a job to its end: each step writes the job, its history and the audit log in one statement."""
    app = Presentations(db)
    new_job(db, voice)
    for job in app.work.claim_jobs(db, limit=1):
        for step in STEPS:
            app.work.advance_job(db, job_id=job.job_id, status=step)
        if number % 3:
            app.work.complete_job(db, job_id=job.job_id, result=RESULT)
        else:
            app.work.fail_job(db, job_id=job.job_id, error_message="no audio")


def _begin_analysis(db: Database) -> Any:
    user = analysis_users.create_user(db, user=AnalysisUser(username="ada", email="a@b.org", hashed_password="x"))
    for new in sample_analyses(300, [user.user_id]):
        analyses.create_analysis(db, analysis=new)
    return user


def _step_analysis(db: Database, user: Any, number: int) -> None:
    """Make an analysis with its files in one transaction, change it, drop a tool, write the log."""
    with db.transaction() as conn:
        (new,) = sample_analyses(1, [user.user_id], seed=number)
        analysis = analyses.create_analysis(conn, analysis=new)
        for file in sample_files([analysis.analysis_id], seed=number):
            files.create_file(conn, file=file)
    changes = AnalysisChanges(status=WorkStatus.COMPLETED)
    analyses.update_analysis(db, analysis_id=analysis.analysis_id, changes=changes)
    (tool,) = sample_tools(1, [user.user_id], seed=number)
    tools.delete_tool(db, tool_id=tools.create_tool(db, tool=tool).tool_id)
    log_system_event(db, "load", "INFO", f"step {number}")


LOADS = {
    "soleil": Load("soleil", _begin_soleil, _step_soleil),
    "voxstitch": Load("voxstitch", _begin_voxstitch, _step_voxstitch),
    "openai_frontend": Load("openai_frontend", _begin_frontend, _step_frontend),
    "presentations": Load("presentations", _begin_presentations, _step_presentations),
    "analysis": Load("analysis", _begin_analysis, _step_analysis),
}


@dataclass
class Written:
    """What the load began with, how many steps its writers have done, and what went wrong."""

    begun: Any = None
    steps: int = 0
    errors: list[BaseException] = field(default_factory=list)


@contextmanager
def written(load: Load, dsn: str, writers: int = 2) -> Iterator[Written]:
    """Let writers work for the block, from before it begins to after it ends."""
    done, stop, first = Written(), threading.Event(), threading.Event()
    numbers = itertools.count(1)
    with Database.connect(dsn, schema=load.app, pool_min_size=1, pool_max_size=writers + 1) as db:
        done.begun = load.begin(db)

        def write() -> None:
            try:
                while not stop.is_set():
                    load.step(db, done.begun, next(numbers))
                    done.steps += 1
                    first.set()
            except BaseException as error:
                done.errors.append(error)
                first.set()

        threads = [threading.Thread(target=write) for _ in range(writers)]
        for thread in threads:
            thread.start()
        try:
            assert first.wait(30)
            yield done
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def rows_of(conn: psycopg.Connection[Any], schema: str) -> dict[str, list[str]]:
    """Return all rows of each table of a schema, as PostgreSQL spells them, sorted; of partitions, each one's."""
    listed = conn.execute(
        "select relname from pg_class where relkind = 'r' and relnamespace = %s::regnamespace order by 1", [schema]
    ).fetchall()
    query = sql.SQL("select tables::text from only {} as tables order by 1")
    return {
        name: [row for (row,) in conn.execute(query.format(sql.Identifier(schema, name))).fetchall()]
        for (name,) in listed
    }


SHAPE = {
    "indexes": "select indexdef from pg_indexes where schemaname = %s order by 1",
    "constraints": """
        select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
        where connamespace = %s::regnamespace order by 1
    """,
    "policies": "select concat(tablename, policyname, roles, qual) from pg_policies where schemaname = %s order by 1",
    "rights": """
        select concat_ws(' ', relname, relkind, relrowsecurity, relacl)
        from pg_class where relnamespace = %s::regnamespace order by 1
    """,
    "functions": "select pg_get_functiondef(oid) from pg_proc where pronamespace = %s::regnamespace order by 1",
    "comments": """
        select concat_ws(' ', relname, objsubid, description) from pg_description join pg_class on pg_class.oid = objoid
        where relnamespace = %s::regnamespace order by 1
    """,
}


def shape_of(conn: psycopg.Connection[Any], schema: str) -> dict[str, list[str]]:
    """Return what a schema is made of beside rows: indexes, constraints, policies, rights, functions, comments."""
    return {kind: [one for (one,) in conn.execute(query, [schema]).fetchall()] for kind, query in SHAPE.items()}
