"""Analysis: data analyses with their files, generated tools, the log of the services, cached values.

::

    from sqlkit import Database
    from sqlkit.apps import analysis
    from sqlkit.apps.analysis.settings import AnalysisSettings

    analysis.setup_database(AnalysisSettings())
    with Database.connect(AnalysisSettings()) as db:
        user = analysis.sign_up(db, "john_doe", "john@example.com", password)
        page = analysis.analyses.list_analyses(db, user_id=user.user_id, order="newest", limit=20)
        analysis.log_system_event(db, "data_analyzer", "INFO", "Analysis completed", {"duration": 5.2})

What its functions were called when they stood on an ORM:

========================================= =================================================================
old                                       new
========================================= =================================================================
get_db, next(get_db())                    Database.connect(AnalysisSettings()), db.transaction()
UserRepository, user_repo.create          users.create_user; with a password sign_up
user_repo.get_by_id, update, delete       users.get_user, update_user (only what is given), delete_user
DataAnalysisRepository                    analyses.create_analysis, get_, update_, delete_, list_analyses
AnalysisFileRepository                    files.create_file, get_, update_, delete_, list_files
ToolGenerationRepository                  tools.create_tool, get_, update_, delete_, list_tools
SystemLogRepository                       logs.create_log, get_, update_, delete_, list_logs, count_logs
CacheEntryRepository                      cache.put_entry, get_, update_, delete_, list_entries
get_cache_manager()                       AnalysisCache.opened(db, redis_url()): memory, Redis, cache_entries
cache_analysis_result, cache_user_data    the same, of an AnalysisCache; its get_user, ... keep what they read
get_cached_analysis_result, ...           the same: get_cached_analysis_result, get_cached_user_data
invalidate_user_cache(user_id)            the same; a write's own transaction invalidates: tags_of, invalidate
setup_database, reset_database            the same; reset_database wants the name of the database
check_database_health()["status"]         check_database_health(db)["status"], and ["reasons"]
validate_user_data, validate_analysis_... the same: "valid", "data", "errors"
log_system_event(db=, service=, ...)      the same
get_database_stats(db)["users"]           get_database_stats(db).users
cleanup_old_data(db, days=30)             the same: the number of rows by table
backup_database_data(db, "backup.json")   the same; restore_database_data brings it back
passlib's bcrypt hashes                   sign_in verifies them, and makes them argon2id's
DataAnalysis, AnalysisFile, ...           Analysis, AnalysisFile, Tool, SystemLog, CacheEntry (id is analysis_id, ...)
========================================= =================================================================
"""

from __future__ import annotations

from sqlkit.apps.analysis.accounts import (
    sign_in,
    sign_up,
)
from sqlkit.apps.analysis.backups import (
    BackupError,
    backup_database_data,
    restore_database_data,
)
from sqlkit.apps.analysis.caches import AnalysisCache, tags_of
from sqlkit.apps.analysis.events import (
    SYSTEM_LOGS,
    import_log_lines,
    keep_logs,
    log_system_event,
)
from sqlkit.apps.analysis.keeping import (
    CleanupStats,
    DatabaseHealth,
    check_database_health,
    cleanup_old_data,
    get_database_stats,
    reset_database,
    setup_database,
    with_retries,
)
from sqlkit.apps.analysis.models import (
    AfterAnalysis,
    AfterEntry,
    AfterFile,
    AfterLog,
    AfterTool,
    AfterUser,
    Analysis,
    AnalysisChanges,
    AnalysisFile,
    CacheEntry,
    Credentials,
    DatabaseStats,
    DayCount,
    EntryChanges,
    FileChanges,
    LogChanges,
    LogCount,
    LogLevel,
    NewAnalysis,
    NewEntry,
    NewFile,
    NewLog,
    NewTool,
    NewUser,
    PastLog,
    StatusCount,
    SystemLog,
    Tool,
    ToolChanges,
    User,
    UserChanges,
    WorkStatus,
)
from sqlkit.apps.analysis.queries import (
    AnalysisQueries,
    FileQueries,
    ToolQueries,
    UserQueries,
    analyses,
    files,
    tools,
    users,
)
from sqlkit.apps.analysis.system import (
    BackupQueries,
    CacheQueries,
    LogQueries,
    UpkeepQueries,
    backup,
    cache,
    logs,
    upkeep,
)
from sqlkit.apps.analysis.validation import (
    Validation,
    validate_analysis_data,
    validate_user_data,
)

__all__ = [
    "SYSTEM_LOGS",
    "AfterAnalysis",
    "AfterEntry",
    "AfterFile",
    "AfterLog",
    "AfterTool",
    "AfterUser",
    "Analysis",
    "AnalysisCache",
    "AnalysisChanges",
    "AnalysisFile",
    "AnalysisQueries",
    "BackupError",
    "BackupQueries",
    "CacheEntry",
    "CacheQueries",
    "CleanupStats",
    "Credentials",
    "DatabaseHealth",
    "DatabaseStats",
    "DayCount",
    "EntryChanges",
    "FileChanges",
    "FileQueries",
    "LogChanges",
    "LogCount",
    "LogLevel",
    "LogQueries",
    "NewAnalysis",
    "NewEntry",
    "NewFile",
    "NewLog",
    "NewTool",
    "NewUser",
    "PastLog",
    "StatusCount",
    "SystemLog",
    "Tool",
    "ToolChanges",
    "ToolQueries",
    "UpkeepQueries",
    "User",
    "UserChanges",
    "UserQueries",
    "Validation",
    "WorkStatus",
    "analyses",
    "backup",
    "backup_database_data",
    "cache",
    "check_database_health",
    "cleanup_old_data",
    "files",
    "get_database_stats",
    "import_log_lines",
    "keep_logs",
    "log_system_event",
    "logs",
    "reset_database",
    "restore_database_data",
    "setup_database",
    "sign_in",
    "sign_up",
    "tags_of",
    "tools",
    "upkeep",
    "users",
    "validate_analysis_data",
    "validate_user_data",
    "with_retries",
]
