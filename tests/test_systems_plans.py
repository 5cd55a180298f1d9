"""The applications' own statements read the indexes that are there for them, as EXPLAIN says of their very text."""

from __future__ import annotations

import psycopg
import pytest

from sqlkit.apps import SQL
from sqlkit.statements import read_statements

FIXTURES = {
    "voxstitch": "voxstitch_shared_dsn",
    "openai_frontend": "frontend_shared_dsn",
    "presentations": "presentations_shared_dsn",
    "analysis": "analysis_shared_dsn",
    "soleil": "soleil_shared_dsn",
}

#: A statement, the optional parameters that are given, and the indexes that its plan names.
PLANS = [
    ("voxstitch/users.get_user_by_email", "", "users_email_key"),
    ("voxstitch/users.get_credentials", "", "users_email_key"),
    ("voxstitch/chats.list_chats", "user_id", "chats_user_id_chat_id_idx"),
    ("voxstitch/chats.list_chats_by_platform", "", "chats_platform_chat_id_idx"),
    ("voxstitch/chats.search_chats", "", "chats_title_content_idx"),
    ("voxstitch/users.get_user_with_chats", "", "users_pkey chats_user_id_chat_id_idx"),
    ("voxstitch/login_sessions.get_session", "", "login_sessions_token_hash_key"),
    ("voxstitch/login_sessions.cleanup_expired_sessions", "", "login_sessions_expires_at_idx"),
    ("openai_frontend/api_keys.verify_api_key", "", "api_keys_key_hash_key"),
    ("openai_frontend/api_keys.list_api_keys", "user_id", "api_keys_user_id_idx"),
    ("openai_frontend/refresh_tokens.get_token", "", "refresh_tokens_token_hash_key"),
    ("openai_frontend/refresh_tokens.revoke_family", "", "refresh_tokens_family_idx"),
    ("openai_frontend/refresh_tokens.cleanup_expired_tokens", "", "refresh_tokens_expires_at_idx"),
    ("openai_frontend/users.get_user_by_username", "", "users_username_key"),
    ("openai_frontend/users.get_user_by_email", "", "users_email_key"),
    ("presentations/work.claim_jobs", "", "presentation_jobs_created_at_job_id_idx"),
    ("presentations/jobs.list_jobs", "owner_id after", "presentation_jobs_owner_id_created_at_job_id_idx"),
    (
        "presentations/reports.search",
        "",
        "users_name_fts_idx voice_clones_name_fts_idx presentation_jobs_error_message_idx",
    ),
    ("presentations/voices.list_voices", "after", "voice_clones_owner_id_name_idx"),
    ("presentations/users.get_user_by_email", "", "users_email_key"),
    ("analysis/analyses.list_analyses", "user_id status", "data_analyses_user_id_status_created_at_idx"),
    ("analysis/analyses.list_newest_analyses", "", "data_analyses_user_id_status_created_at_idx"),
    ("analysis/files.list_files", "analysis_id file_type", "analysis_files_analysis_id_file_type_idx"),
    ("analysis/tools.list_tools", "user_id status tool_type", "tool_generations_user_id_status_tool_type_idx"),
    ("analysis/cache.get_entry", "", "cache_entries_pkey"),
    ("analysis/users.get_user_by_email", "", "users_email_key"),
    ("soleil/users.get_user_by_email", "", "users_email_key"),
    ("soleil/users.get_user_by_google_id", "", "users_google_id_key"),
    ("soleil/songs.list_songs", "after", "songs_user_id_title_idx"),
    ("soleil/songs.get_song_by_drive_file_id", "", "songs_drive_file_id_key"),
    ("soleil/users.get_user_with_repertoire", "", "users_pkey songs_user_id_title_idx"),
    ("soleil/bands.list_bands", "after", "bands_name_band_id_idx"),
    ("soleil/bands.list_bands_of_user", "", "band_members_user_id_idx"),
    ("soleil/bands.get_band_with_members", "", "bands_pkey band_members_pkey users_pkey"),
]


def text_of(name: str, given: set[str]) -> str:
    """Return a statement as it is sent where some of its optional parameters are given."""
    path, _, query = name.partition(".")
    statement = next(one for one in read_statements(SQL / f"{path}.sql") if one.name == query)
    always = {reference.name for reference in statement.variant().references}
    chosen, found = 0, set[str]()
    for bit in (1 << index for index in range(len(statement.regions))):
        wanted = {reference.name for reference in statement.variant(bit).references} - always
        if wanted <= given:
            chosen, found = chosen | bit, found | wanted
    assert found == given, f"{name} has no optional {given - found}"
    return statement.variant(chosen).text


@pytest.mark.parametrize(("name", "given", "indexes"), PLANS, ids=[plan[0] for plan in PLANS])
def test_a_statement_reads_its_indexes(request: pytest.FixtureRequest, name: str, given: str, indexes: str) -> None:
    """Whatever the values are: the plan is one for any of them, and reads no table from end to end if it need not."""
    app = name.partition("/")[0]
    with psycopg.connect(request.getfixturevalue(FIXTURES[app])) as conn:
        text = text_of(name, set(given.split()))
        conn.execute("set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan")
        conn.execute(f"prepare looked_at as {text}".encode())
        row = conn.execute("select cardinality(parameter_types) from pg_prepared_statements").fetchone()
        assert row is not None
        values = f"({', '.join(['null'] * row[0])})" if row[0] else ""
        plan = "\n".join(line for (line,) in conn.execute(f"explain execute looked_at{values}".encode()))
        conn.rollback()
        conn.execute("deallocate all")
    missing = [index for index in indexes.split() if index not in plan]
    assert not missing, plan
