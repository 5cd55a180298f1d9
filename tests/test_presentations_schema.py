"""Presentations' tables: their columns, names, constraints and indexes, the way up and down, two schemas at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from sqlkit.apps import MIGRATIONS
from sqlkit.apps.presentations import models, queries, records
from sqlkit.migrate import migrate, rollback

FOLDER = MIGRATIONS / "presentations"
Connection = psycopg.Connection[Any]

COLUMNS = {
    "users": {
        "user_id": "bigint not null",
        "name": "character varying(255) not null",
        "email": "character varying(255)",
        "password_hash": "text",
        "phone_encrypted": "text",
        "is_active": "boolean not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "voice_clones": {
        "voice_clone_id": "bigint not null",
        "owner_id": "bigint not null",
        "name": "character varying(255) not null",
        "s3_path": "character varying(1000) not null",
        "file_size": "bigint",
        "duration_seconds": "double precision",
        "sample_rate": "integer",
        "is_active": "boolean not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "presentation_jobs": {
        "job_id": "bigint not null",
        "owner_id": "bigint not null",
        "voice_clone_id": "bigint not null",
        "status": "job_status not null",
        "s3_pptx_path": "character varying(1000) not null",
        "s3_video_path": "character varying(1000)",
        "slides_count": "integer",
        "video_duration_seconds": "double precision",
        "file_size_bytes": "bigint",
        "processing_time_seconds": "double precision",
        "error_message": "text",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
        "started_at": "timestamp with time zone",
        "completed_at": "timestamp with time zone",
    },
    "job_status_changes": {
        "change_id": "bigint not null",
        "job_id": "bigint not null",
        "owner_id": "bigint not null",
        "old_status": "job_status",
        "new_status": "job_status not null",
        "changed_at": "timestamp with time zone not null",
        "created_at": "timestamp with time zone not null",
    },
    "audit_log": {
        "audit_id": "bigint not null",
        "actor": "text not null",
        "action": "text not null",
        "table_name": "text not null",
        "row_id": "bigint not null",
        "owner_id": "bigint not null",
        "before": "jsonb",
        "after": "jsonb",
        "created_at": "timestamp with time zone not null",
    },
    "job_archives": {
        "archive_id": "bigint not null",
        "owner_id": "bigint not null",
        "jobs": "jsonb not null",
        "created_at": "timestamp with time zone not null",
    },
    "archived_jobs": {
        "job_id": "bigint not null",
        "owner_id": "bigint not null",
        "archive_id": "bigint not null",
        "completed_at": "timestamp with time zone not null",
        "created_at": "timestamp with time zone not null",
    },
}
PARTITIONED = ("job_status_changes", "audit_log")


def owned(conn: Connection, schema: str = "presentations") -> set[str]:
    """Return the names of all relations and types of a schema but those that keep its history."""
    rows = conn.execute(
        "select relname from pg_class where relnamespace = %(schema)s::regnamespace "
        "union select typname from pg_type where typnamespace = %(schema)s::regnamespace and typtype = 'e'",
        {"schema": schema},
    ).fetchall()
    return {name for (name,) in rows if not name.lstrip("_").startswith(("yoyo", "sqlkit"))}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns(presentations_conn: Connection, table: str) -> None:
    """Each table has exactly the columns, types and NOT NULLs that the system's page gives it."""
    found = presentations_conn.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    assert {name: type_ + " not null" * not_null for name, type_, not_null in found} == COLUMNS[table]


@pytest.mark.parametrize("table", PARTITIONED)
def test_logs_are_partitioned(presentations_conn: Connection, table: str) -> None:
    """The logs are partitioned by created_at, with it in their key, and there is no default partition."""
    row = presentations_conn.execute("select pg_get_partkeydef(%s::regclass)", [table]).fetchone()
    assert row == ("RANGE (created_at)",)
    default = "select partdefid from pg_partitioned_table where partrelid = %s::regclass"
    assert presentations_conn.execute(default, [table]).fetchone() == (0,)


def test_names_of_constraints_and_indexes(presentations_conn: Connection) -> None:
    """Every constraint and index is named for its table, its columns and its kind."""
    kinds = {"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl"}
    constraints = presentations_conn.execute(
        "select conrelid::regclass::text, conname, contype, conkey from pg_constraint "
        "where connamespace = 'presentations'::regnamespace and contype <> 'n' and conrelid::regclass::text = any(%s)",
        [list(COLUMNS)],
    ).fetchall()
    assert len(constraints) == 26
    for table, name, kind, numbers in constraints:
        columns = [list(COLUMNS[table])[number - 1] for number in numbers]
        wanted = f"{table}_pkey" if kind == "p" else f"{table}_{'_'.join(columns)}_{kinds[kind]}"
        assert name == wanted
    indexes = presentations_conn.execute(
        "select indexrelid::regclass::text from pg_index where indrelid::regclass::text = any(%s)", [list(COLUMNS)]
    ).fetchall()
    assert {name for (name,) in indexes} - {name for _, name, _, _ in constraints} == {
        "users_email_key",
        "users_name_idx",
        "users_name_fts_idx",
        "voice_clones_owner_id_name_idx",
        "voice_clones_name_idx",
        "voice_clones_name_fts_idx",
        "presentation_jobs_voice_clone_id_idx",
        "presentation_jobs_owner_id_status_idx",
        "presentation_jobs_status_idx",
        "presentation_jobs_created_at_idx",
        "presentation_jobs_owner_id_created_at_job_id_idx",
        "presentation_jobs_created_at_job_id_idx",
        "presentation_jobs_error_message_idx",
        "job_status_changes_job_id_created_at_idx",
        "job_status_changes_owner_id_created_at_idx",
        "audit_log_table_name_row_id_created_at_idx",
        "audit_log_owner_id_created_at_idx",
        "job_archives_owner_id_idx",
        "archived_jobs_owner_id_completed_at_idx",
        "archived_jobs_archive_id_idx",
    }


def test_every_foreign_key_has_an_index(presentations_conn: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = presentations_conn.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = 'presentations'::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
    ).fetchall()
    assert bare == []


def test_indexes_of_live_tables_are_made_concurrently() -> None:
    """Each index on a table of an earlier migration stands alone in a file without a transaction."""
    files = [path for path in FOLDER.glob("*.sql") if "index-" in path.name]
    assert len(files) == 2 * 11
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "-- transactional: false" in text
        assert text.count("index concurrently") == 1


def test_up_down_and_up_again(dsn: str) -> None:
    """All migrations go up, down to an empty schema, and up again to the same tables, types and indexes."""
    applied = migrate(dsn, FOLDER, schema="presentations")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
        assert set(COLUMNS) | {"job_status"} <= before
        assert rollback(dsn, FOLDER, schema="presentations", count=None) == applied[::-1]
        assert owned(conn) == set()
        assert migrate(dsn, FOLDER, schema="presentations") == applied
        assert owned(conn) == before


def test_down_one_by_one_and_up_again(dsn: str) -> None:
    """Each migration can be rolled back alone, and all applied again."""
    applied = migrate(dsn, FOLDER, schema="presentations")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
    for migration in reversed(applied):
        assert rollback(dsn, FOLDER, schema="presentations", count=1) == [migration]
    assert migrate(dsn, FOLDER, schema="presentations") == applied
    with psycopg.connect(dsn, autocommit=True) as conn:
        assert owned(conn) == before


def test_two_schemas_side_by_side(dsn: str) -> None:
    """Two schemas of one database each have their tables and policies; one goes and the other stays."""
    for schema in ("north", "south"):
        migrate(dsn, FOLDER, schema=schema)
    rollback(dsn, FOLDER, schema="north", count=None)
    with psycopg.connect(dsn) as conn:
        assert owned(conn, "north") == set()
        assert set(COLUMNS) <= owned(conn, "south")


NOW = datetime.now(UTC)
USER: dict[str, Any] = {"name": "Ada"}
VOICE: dict[str, Any] = {"owner_id": 1, "name": "calm", "s3_path": "/calm.wav"}
JOB: dict[str, Any] = {"owner_id": 1, "voice_clone_id": 1, "status": "pending", "s3_pptx_path": "/a.pptx"}
JOB |= {"created_at": NOW}
CHANGE: dict[str, Any] = {"job_id": 1, "owner_id": 1, "old_status": None, "new_status": "pending"}
CHANGE |= {"changed_at": NOW, "created_at": NOW}
PAST, CHANGED = models.PastJob, records.PastStatusChange
LATER = {"started_at": NOW, "completed_at": NOW - timedelta(seconds=1)}

#: Which CHECK, the table, the model and a good row of it, and what breaks it.
BROKEN: list[tuple[str, str, type[BaseModel], dict[str, Any], dict[str, Any]]] = [
    ("users_email_check", "users", models.NewUser, USER, {"email": "nobody"}),
    ("users_email_check", "users", models.NewUser, USER, {"email": ""}),
    ("voice_clones_s3_path_check", "voice_clones", models.NewVoice, VOICE, {"s3_path": "calm.wav"}),
    ("voice_clones_s3_path_check", "voice_clones", models.NewVoice, VOICE, {"s3_path": "/calm.mp3"}),
    ("voice_clones_s3_path_check", "voice_clones", models.NewVoice, VOICE, {"s3_path": "/calm.wav\n"}),
    ("voice_clones_file_size_check", "voice_clones", models.NewVoice, VOICE, {"file_size": 0}),
    ("voice_clones_duration_seconds_check", "voice_clones", models.NewVoice, VOICE, {"duration_seconds": 0}),
    ("voice_clones_duration_seconds_check", "voice_clones", models.NewVoice, VOICE, {"duration_seconds": 300.1}),
    ("voice_clones_duration_seconds_check", "voice_clones", models.NewVoice, VOICE, {"duration_seconds": float("nan")}),
    ("presentation_jobs_slides_count_check", "presentation_jobs", PAST, JOB, {"slides_count": 0}),
    ("presentation_jobs_video_duration_seconds_check", "presentation_jobs", PAST, JOB, {"video_duration_seconds": 0}),
    (
        "presentation_jobs_video_duration_seconds_check",
        "presentation_jobs",
        PAST,
        JOB,
        {"video_duration_seconds": float("nan")},
    ),
    (
        "presentation_jobs_video_duration_seconds_check",
        "presentation_jobs",
        PAST,
        JOB,
        {"video_duration_seconds": float("inf")},
    ),
    ("presentation_jobs_status_s3_video_path_check", "presentation_jobs", PAST, JOB, {"status": "completed"}),
    ("presentation_jobs_completed_at_started_at_check", "presentation_jobs", PAST, JOB, LATER),
    ("job_status_changes_old_status_new_status_check", "job_status_changes", CHANGED, CHANGE, {"new_status": "failed"}),
    (
        "job_status_changes_old_status_new_status_check",
        "job_status_changes",
        CHANGED,
        CHANGE,
        {"old_status": "completed", "new_status": "pending"},
    ),
]


def insert(conn: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is, past the models."""
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    conn.execute(statement, list(row.values()))


@pytest.mark.parametrize(("check", "table", "model", "row", "broken"), BROKEN)
def test_checks_hold_in_the_model_and_around_it(
    presentations_conn: Connection,
    check: str,
    table: str,
    model: type[BaseModel],
    row: dict[str, Any],
    broken: dict[str, Any],
) -> None:
    """What a CHECK refuses, the input model refuses too."""
    model(**row)
    with pytest.raises(ValidationError):
        model(**{**row, **broken})
    with pytest.raises(errors.CheckViolation) as violated:
        insert(presentations_conn, table, {**row, **broken})
    assert violated.value.diag.constraint_name == check


AUDIT = {"action": "insert", "table_name": "users", "row_id": 1, "owner_id": 1, "after": Jsonb({})}

#: CHECKs of what statements write and no caller gives.
INNER: list[tuple[str, str, dict[str, Any]]] = [
    ("audit_log_action_check", "audit_log", {**AUDIT, "action": "look", "before": Jsonb({})}),
    ("audit_log_action_before_after_check", "audit_log", {**AUDIT, "action": "update"}),
    ("job_archives_jobs_check", "job_archives", {"owner_id": 1, "jobs": Jsonb({})}),
]


@pytest.mark.parametrize(("check", "table", "row"), INNER)
def test_checks_of_what_statements_write(
    presentations_conn: Connection, check: str, table: str, row: dict[str, Any]
) -> None:
    """What no caller gives is checked too."""
    with pytest.raises(errors.CheckViolation) as violated:
        insert(presentations_conn, table, row)
    assert violated.value.diag.constraint_name == check


def test_every_check_is_broken_above(presentations_conn: Connection) -> None:
    """No CHECK of the schema is without its case."""
    found = presentations_conn.execute(
        "select conname from pg_constraint where contype = 'c' and connamespace = 'presentations'::regnamespace "
        "and coninhcount = 0"
    ).fetchall()
    assert {name for (name,) in found} == {case[0] for case in BROKEN} | {case[0] for case in INNER}


def test_bounds_are_allowed(presentations_conn: Connection) -> None:
    """The longest voice, one byte and one slide pass in the model and in the database; what is not known, too."""
    user = queries.users.create_user(presentations_conn, user=models.NewUser(name="x" * 255, email="@"))
    new = models.NewVoice(owner_id=user.user_id, name="v", s3_path="/\n.wav", file_size=1, duration_seconds=300)
    voice = queries.voices.create_voice(presentations_conn, voice=new)
    assert (voice.file_size, voice.duration_seconds, voice.sample_rate) == (1, 300.0, None)
    job = models.NewJob(owner_id=user.user_id, voice_clone_id=voice.voice_clone_id, s3_pptx_path="/p", slides_count=1)
    submitted = queries.jobs.submit_job(presentations_conn, job=job)
    assert submitted is not None
    assert submitted.slides_count == 1


@pytest.mark.parametrize(
    ("model", "row", "field", "longest"),
    [
        (models.NewUser, USER, "name", 255),
        (models.NewVoice, VOICE, "name", 255),
        (models.NewVoice, VOICE, "s3_path", 1000),
        (models.PastJob, JOB, "s3_pptx_path", 1000),
        (models.PastJob, JOB, "s3_video_path", 1000),
    ],
)
def test_what_is_too_long_is_refused(
    presentations_conn: Connection, model: type[BaseModel], row: dict[str, Any], field: str, longest: int
) -> None:
    """A text longer than its column is refused by the model, and by the database, which cuts nothing off."""
    value = "/" + "x" * (longest - 4) + ".wav"
    with pytest.raises(ValidationError, match=field):
        model(**{**row, field: value})
    table = {models.NewUser: "users", models.NewVoice: "voice_clones"}.get(model, "presentation_jobs")
    with pytest.raises(errors.StringDataRightTruncation):
        insert(presentations_conn, table, {**row, field: value})


def test_enums_are_equal(presentations_conn: Connection) -> None:
    """Python's statuses are PostgreSQL's, in its order."""
    row = presentations_conn.execute("select enum_range(null::job_status)::text[]").fetchone()
    assert row == ([status.value for status in models.JobStatus],)


def test_transitions_equal_their_check(presentations_conn: Connection) -> None:
    """Of all pairs of statuses the CHECK lets those pass that the model lets pass, and no others."""
    legal = {(old, new) for old, following in models.TRANSITIONS.items() for new in following}
    legal.add((None, models.JobStatus.PENDING))  # type: ignore[arg-type]
    passed = set()
    for old in (None, *models.JobStatus):
        for new in models.JobStatus:
            with presentations_conn.transaction(force_rollback=True):
                try:
                    statuses = {"old_status": old and old.value, "new_status": new.value}
                    insert(presentations_conn, "job_status_changes", {**CHANGE, **statuses})
                except errors.CheckViolation:
                    continue
                passed.add((old, new))
    assert passed == legal


def test_a_user_takes_voices_and_jobs_along(presentations_conn: Connection) -> None:
    """A plain delete of a user goes through, though their jobs hold their voices."""
    conn = presentations_conn
    user = queries.users.create_user(conn, user=models.NewUser(name="Ada"))
    new = models.NewVoice(owner_id=user.user_id, name="v", s3_path="/v.wav")
    voice = queries.voices.create_voice(conn, voice=new)
    job = models.NewJob(owner_id=user.user_id, voice_clone_id=voice.voice_clone_id, s3_pptx_path="/p")
    assert queries.jobs.submit_job(conn, job=job)
    conn.execute("delete from users where user_id = %s", [user.user_id])
    assert queries.voices.get_voice(conn, voice_clone_id=voice.voice_clone_id) is None
    assert queries.jobs.list_jobs(conn, owner_id=user.user_id) == []


def test_a_voice_with_jobs_stays(presentations_conn: Connection) -> None:
    """A voice that has jobs cannot be deleted."""
    conn = presentations_conn
    user = queries.users.create_user(conn, user=models.NewUser(name="Ada"))
    new = models.NewVoice(owner_id=user.user_id, name="v", s3_path="/v.wav")
    voice = queries.voices.create_voice(conn, voice=new)
    job = models.NewJob(owner_id=user.user_id, voice_clone_id=voice.voice_clone_id, s3_pptx_path="/p")
    assert queries.jobs.submit_job(conn, job=job)
    with pytest.raises(psycopg.IntegrityError) as refused:
        queries.voices.delete_voice(conn, voice_clone_id=voice.voice_clone_id)
    assert refused.value.diag.constraint_name == "presentation_jobs_voice_clone_id_fkey"
