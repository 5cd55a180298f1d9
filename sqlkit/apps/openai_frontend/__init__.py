"""The front end of a model's API: users and their tokens, API keys, logs, and what was used.

For threads; ``sqlkit.apps.openai_frontend.asynchronous`` has the same queries for asyncio::

    from sqlkit import Database
    from sqlkit.apps import openai_frontend as frontend
    from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings

    settings = OpenaiFrontendSettings()                # config.yml, the environment
    if not frontend.init_database(settings):
        raise SystemExit(1)
    db = Database.connect(settings)
    logging.getLogger().addHandler(handler := frontend.DatabaseLogHandler(db))
    issued = frontend.issue_api_key(db, key=frontend.NewApiKey(user_id=1, name="build server", scopes=["chat"]))
    caller = frontend.verify_api_key(db, issued.key)
    frontend.close_database(db, handler)

What its functions were called when they stood on an ORM:

================================== ==================================================================
old                                new
================================== ==================================================================
init_database                      init_database, prepare_database (tells of each table)
close_database                     close_database
get_db_session                     Database.transaction
get_db_connection                  Database.connection
get_db (FastAPI)                   fastapi.transaction_of, fastapi.database_of
get_engine, get_session_factory    Database.connect
get_connection_pool_status         Database.status (size, checked_out, overflow, available, waiting)
query(UserDB).filter_by(username)  users.get_user_by_username
ApiKeyDB ({prefix}_api_keys)       ApiKey, issue_api_key, verify_api_key, api_keys.revoke_api_key
UserDB ({prefix}_users)            User, register, log_in, users.update_user
RefreshTokenDB                     RefreshToken, rotate_refresh_token, log_out
LogDB, log_handler.py              LogLine, DatabaseLogHandler, write_log, copy_logs, logs.list_logs
UsageLogDB, usage/handler.py       Usage, record_usage, copy_usage, usage.usage_per_day
{prefix}_users                     users in the schema {prefix} (table_prefix in config.yml)
(table creation)                   sqlkit migrate, a chain for each module
================================== ==================================================================
"""

from __future__ import annotations

from sqlkit.apps.openai_frontend.chains import CHAINS, LOGS, USAGE, Chain, migrate_chain, rollback_chain
from sqlkit.apps.openai_frontend.errors import LoginRefused, RefreshRefused, TokenReused
from sqlkit.apps.openai_frontend.initializing import (
    InitReport,
    TableReport,
    close_database,
    init_database,
    prepare_database,
)
from sqlkit.apps.openai_frontend.keys import IssuedKey, issue_api_key, verify_api_key
from sqlkit.apps.openai_frontend.logwriter import DatabaseLogHandler
from sqlkit.apps.openai_frontend.models import (
    AfterLine,
    AfterUsage,
    ApiKey,
    ApiKeyChanges,
    Credentials,
    DayLines,
    KeyDigest,
    LevelLines,
    LogLevel,
    LogLine,
    NewApiKey,
    NewLogLine,
    NewRefreshToken,
    NewUsage,
    NewUser,
    RefreshToken,
    RequestedKey,
    Role,
    TotalUsage,
    Usage,
    UsageOfDay,
    UsageOfModel,
    UsageOfUser,
    User,
    UserChanges,
    VerifiedKey,
)
from sqlkit.apps.openai_frontend.queries import (
    ApiKeyQueries,
    LogQueries,
    RefreshTokenQueries,
    UsageQueries,
    UserQueries,
    api_keys,
    logs,
    refresh_tokens,
    usage,
    users,
)
from sqlkit.apps.openai_frontend.recording import (
    AT_A_TIME,
    ImportedLog,
    copy_logs,
    copy_usage,
    import_log_file,
    keep_all_partitions,
    record_usage,
    write_log,
)
from sqlkit.apps.openai_frontend.tokens import IssuedToken, log_in, log_out, register, rotate_refresh_token

__all__ = [
    "AT_A_TIME",
    "CHAINS",
    "LOGS",
    "USAGE",
    "AfterLine",
    "AfterUsage",
    "ApiKey",
    "ApiKeyChanges",
    "ApiKeyQueries",
    "Chain",
    "Credentials",
    "DatabaseLogHandler",
    "DayLines",
    "ImportedLog",
    "InitReport",
    "IssuedKey",
    "IssuedToken",
    "KeyDigest",
    "LevelLines",
    "LogLevel",
    "LogLine",
    "LogQueries",
    "LoginRefused",
    "NewApiKey",
    "NewLogLine",
    "NewRefreshToken",
    "NewUsage",
    "NewUser",
    "RefreshRefused",
    "RefreshToken",
    "RefreshTokenQueries",
    "RequestedKey",
    "Role",
    "TableReport",
    "TokenReused",
    "TotalUsage",
    "Usage",
    "UsageOfDay",
    "UsageOfModel",
    "UsageOfUser",
    "UsageQueries",
    "User",
    "UserChanges",
    "UserQueries",
    "VerifiedKey",
    "api_keys",
    "close_database",
    "copy_logs",
    "copy_usage",
    "import_log_file",
    "init_database",
    "issue_api_key",
    "keep_all_partitions",
    "log_in",
    "log_out",
    "logs",
    "migrate_chain",
    "prepare_database",
    "record_usage",
    "refresh_tokens",
    "register",
    "rollback_chain",
    "rotate_refresh_token",
    "usage",
    "users",
    "verify_api_key",
    "write_log",
]
