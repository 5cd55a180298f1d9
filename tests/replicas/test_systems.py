"""The five systems read from a replica what may be a moment old: what is searched, counted and summed up."""

from __future__ import annotations

from sqlkit import Database
from sqlkit.apps import soleil
from sqlkit.apps.soleil import sync
from sqlkit.folders import MIGRATIONS
from tests.replicas.stage import POOL, serving, wait_until
from tests.replicas.standby import Pair


def test_soleil_counts_on_a_replica_and_reads_its_writes(pair: Pair) -> None:
    """Statistics come from a replica, even one that is behind; who follows a write sees it, a list always does."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], schema="soleil", replica_wait=0.1, **POOL) as db:
        db.migrate(MIGRATIONS / "soleil")
        user = sync.users.create_user(db, user=soleil.NewUser(email="a@b", google_id="g", display_name="Ann"))
        pair.catch_up()
        wait_until(lambda: serving(db))
        pair.standby.pause()
        try:
            with db.following():
                song = sync.songs.create_song(db, song=soleil.NewSong(user_id=user.user_id, title="Misty"))
                followed = sync.repertoire.get_repertoire_stats(db, user_id=user.user_id)
            behind = sync.repertoire.get_repertoire_stats(db, user_id=user.user_id)
            listed = sync.songs.list_songs(db, user_id=user.user_id)
        finally:
            pair.standby.resume()
        assert (followed.total_songs, behind.total_songs, listed) == (1, 0, [song])
