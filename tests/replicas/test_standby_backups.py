"""A backup is taken of a standby as of its primary, and of the one server of several that its DSN means."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sqlkit.operations.backups import backup, rehearse_restore
from tests.replicas.standby import Pair


@pytest.mark.parametrize("which", ["the standby", "the standby of both", "the primary of both"])
def test_a_backup_of_a_standby(pair: Pair, tmp_path: Path, which: str) -> None:
    """The standby bears the load; pg_dump asks the server that the snapshot is of, and the backup can be restored."""
    pair.run("create table if not exists shop as select i from generate_series(1, 500) i")
    pair.catch_up()
    attributes = "standby" if "standby" in which else "primary"
    dsn = pair.standby.dsn if which == "the standby" else f"{pair.either}&target_session_attrs={attributes}"
    taken = backup(dsn, tmp_path, schema="public")
    assert taken.manifest.tables["public.shop"] == 500
    assert rehearse_restore(pair.dsn, taken.path).tables == taken.manifest.tables
    with psycopg.connect(pair.standby.dsn) as conn:
        assert conn.execute("select pg_is_in_recovery()").fetchone() == (True,)
