"""``sqlkit reset``: all tables away with their rows, and made anew."""

from __future__ import annotations

from sqlkit.cli.confirming import ConfirmOption, confirm
from sqlkit.cli.migrate import AppOption, FilesOption, chosen_migrations, rolled_back
from sqlkit.cli.output import answers
from sqlkit.cli.partitions import tables_of_app
from sqlkit.cli.target import DsnOption, FolderOption, SchemaOption, opened_target
from sqlkit.database import Database
from sqlkit.operations import keep_partitions
from sqlkit.operations.units import counted

__all__ = ["reset"]


def reset(
    app: AppOption = None,
    migrations: FilesOption = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: SchemaOption = None,
    confirmed: ConfirmOption = None,
) -> None:
    """Roll all migrations back and apply them again: every table goes with its rows, and comes back empty.

    It asks for the database's name, or takes it by --confirm, so that nobody empties the wrong one. For example:

    sqlkit reset --app soleil --confirm soleil_test
    """
    from sqlkit.migrate import migrate

    places, default_schema = chosen_migrations(app, migrations)
    with opened_target(dsn, folder, schema=schema) as target:
        where = target.settings.schema or default_schema
        listed = app or ", ".join(map(str, places))
        confirm(target, confirmed, f"This drops all tables of {listed} with their rows")
        undone = rolled_back(target.settings.dsn(), places, where, None)
        done = [name for place in places for name in migrate(target.settings.dsn(), place, schema=where)]
        if app is not None:
            with Database.connect(target.settings.replace(schema=where), pool_min_size=0, pool_max_size=2) as db:
                for table in tables_of_app(app):
                    keep_partitions(db, table)
    answers.print(f"{counted(len(undone), 'migration')} rolled back, {len(done)} applied", markup=False, soft_wrap=True)
