"""Which backups stay and which leave."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from sqlkit import ArgumentError, BackupError
from sqlkit.operations.backups import (
    backup,
    keep_backups,
    list_backups,
)
from tests import backup_stage
from tests.backup_stage import aged, flip

DAY = timedelta(days=1)
shop = backup_stage.shop
again = backup_stage.again


@pytest.fixture
def shelf(shop: str, tmp_path: Path) -> list[Path]:
    """Give four backups of 30, 20, 10 and 1 days ago."""
    taken = backup(shop, tmp_path, schema="shop").path
    made = []
    for days in (30, 20, 10, 1):
        path = tmp_path / f"shop-{days}-days"
        shutil.copytree(taken, path)
        aged(path, days * DAY)
        made.append(path)
    shutil.rmtree(taken)
    return made


def test_older_ones_leave(shelf: list[Path], tmp_path: Path) -> None:
    """What is older than the time goes, what is younger stays, and nothing else lies about."""
    assert keep_backups(tmp_path, 15 * DAY) == tuple(shelf[:2])
    assert [one.path for one in list_backups(tmp_path)] == shelf[2:]
    assert sorted(tmp_path.iterdir()) == sorted(shelf[2:])
    assert keep_backups(tmp_path, 15 * DAY) == ()


def test_the_last_good_one_stays(shelf: list[Path], tmp_path: Path) -> None:
    """However old the newest is, it is the only one that can be restored: it stays."""
    assert keep_backups(tmp_path, timedelta(0)) == tuple(shelf[:3])
    assert [one.path for one in list_backups(tmp_path)] == shelf[3:]


def test_what_is_damaged_is_no_reason_to_delete(shelf: list[Path], tmp_path: Path) -> None:
    """The last good one is the newest whose checksums are right: newer ones that are damaged do not count."""
    for path in shelf[2:]:
        flip(next((path / "dump").glob("*.dat.gz")))
    assert keep_backups(tmp_path, timedelta(0)) == (shelf[0],)
    assert sorted(tmp_path.iterdir()) == sorted(shelf[1:])


def test_where_all_are_damaged_nothing_goes(shelf: list[Path], tmp_path: Path) -> None:
    """Something may be got out of them yet."""
    for path in shelf:
        flip(next((path / "dump").glob("*.dat.gz")))
    assert keep_backups(tmp_path, timedelta(0)) == ()
    assert sorted(tmp_path.iterdir()) == sorted(shelf)


def test_only_complete_ones_go(shelf: list[Path], tmp_path: Path) -> None:
    """What has no manifest, or lacks a file, is left for a person, and so is whatever else stands there."""
    (shelf[0] / "manifest.json").unlink()
    next((shelf[1] / "dump").glob("*.dat.gz")).unlink()
    (tmp_path / "backup_20240101_120000.sql.gz").write_bytes(b"")
    (tmp_path / "link").symlink_to(shelf[3])
    assert keep_backups(tmp_path, DAY / 2) == (shelf[2],)
    left = {"backup_20240101_120000.sql.gz", "link", *(path.name for path in (shelf[0], shelf[1], shelf[3]))}
    assert {entry.name for entry in tmp_path.iterdir()} == left


def test_each_schema_has_its_last_good_one(shelf: list[Path], shop: str, tmp_path: Path) -> None:
    """A newer backup of another schema is none of this one."""
    with psycopg.connect(shop) as conn:
        conn.execute("create schema other")
    backup(shop, tmp_path, schema="other", keep=timedelta(0))
    assert [one.path for one in list_backups(tmp_path, schema="shop")] == shelf[3:]
    assert len(list_backups(tmp_path, schema="other")) == 1
    assert list_backups(tmp_path, database="elsewhere") == []


def test_keeping_comes_after_a_backup_that_is_whole(shelf: list[Path], shop: str, tmp_path: Path) -> None:
    """With keep, a backup tells which older ones left; one that fails removes none."""
    with pytest.raises(BackupError):
        backup(shop, tmp_path, schema="nothing", keep=timedelta(0))
    assert sorted(tmp_path.iterdir()) == sorted(shelf)
    taken = backup(shop, tmp_path, schema="shop", keep=7 * DAY)
    assert taken.removed == tuple(shelf[:3])
    assert sorted(tmp_path.iterdir()) == sorted([shelf[3], taken.path])


def test_a_clock_that_ran_ahead(shelf: list[Path], tmp_path: Path) -> None:
    """Backups of the future are not old."""
    aged(shelf[3], -900 * DAY)
    assert shelf[3] not in keep_backups(tmp_path, DAY)
    with pytest.raises(ArgumentError):
        keep_backups(tmp_path, -DAY)
