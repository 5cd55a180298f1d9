"""yoyo's migrations with an atomic apply, a lock that a crash releases, and checksums of the files.

Plain yoyo works on the same folders and tables, before and after. Loads yoyo: import it where it is used.
"""

from sqlkit.migrate.adopt_compare import Difference, State
from sqlkit.migrate.adopting import Adoption, adopt
from sqlkit.migrate.backend import AppliedMigration
from sqlkit.migrate.files import new_migration
from sqlkit.migrate.run import history, migrate, pending, rollback
from sqlkit.migrate.urls import database_url, yoyo_url

__all__ = [
    "Adoption",
    "AppliedMigration",
    "Difference",
    "State",
    "adopt",
    "database_url",
    "history",
    "migrate",
    "new_migration",
    "pending",
    "rollback",
    "yoyo_url",
]

for _public in (
    Adoption,
    AppliedMigration,
    Difference,
    State,
    adopt,
    new_migration,
    history,
    migrate,
    pending,
    rollback,
    database_url,
    yoyo_url,
):
    _public.__module__ = "sqlkit.migrate"
