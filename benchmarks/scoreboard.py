"""``make scoreboard``: how often the nullability prover is wrong, and how often it says less than is so."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from sqlkit.embedded import Embedded
from sqlkit.migrate import database_url, migrate
from tests.nullability.cases import ROOT, create_given, create_schema, given_cases, read_cases
from tests.nullability.scores import Score, score, soleil_score

#: Of the 41 given columns: wrongly called NOT NULL, exact. Figures that we were given; these tools are not run here.
PEERS = {"sqlc": (7, 30), "SafeQL": (6, 29), "PgTyped": (5, 22), "sqlx": (4, 20)}

#: Needlessly nullable columns in a hundred that never are NULL, at most.
LIMITS = {"ordinary": 3, "soleil": 3, "hard": 15}


def main() -> int:
    """Print the tables; 1 if a column is wrongly called NOT NULL or a limit is passed."""
    scores = measured()
    print(table(scores))
    bad = any(each.wrong for each in scores.values())
    bad = bad or any(scores[group].needless_in_100 > limit for group, limit in LIMITS.items())
    return int(bad)


def measured() -> dict[str, Score]:
    """Start a server and ask the prover about every group: ``given``, ``ordinary``, ``soleil``, ``hard``."""
    with tempfile.TemporaryDirectory(prefix="sqlkit-score-") as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)  # the server runs as another user
        with Embedded.start(f"{folder}/server", durable=False) as server:
            given = fresh(server.dsn, "given", create_given)
            scratch = fresh(server.dsn, "scratch", create_schema)
            soleil = fresh(server.dsn, "soleil", lambda _: None)
            migrate(soleil, ROOT / "migrations" / "soleil", schema="soleil")
            soleil = database_url(soleil, database="soleil", schema="soleil")
            with psycopg.connect(scratch, autocommit=True) as conn:
                version = conn.info.server_version
                own = {
                    group: score(conn, [case for case in read_cases(group) if case.stands_on(version)])
                    for group in ("ordinary", "hard")
                }
            with psycopg.connect(given, autocommit=True) as conn:
                own["given"] = score(conn, given_cases())
            with psycopg.connect(soleil, autocommit=True) as conn:
                own["soleil"] = soleil_score(conn)
    return own


def fresh(dsn: str, name: str, load: Callable[[psycopg.Connection[Any]], None]) -> str:
    """Create a database and fill it; return its DSN."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = database_url(dsn, database=name)
    with psycopg.connect(made) as conn:
        load(conn)
    return made


def table(scores: dict[str, Score]) -> str:
    """Return what is printed: the given columns beside the peers, then our own cases, then what is needless."""
    given = scores["given"]
    lines = [
        f"{len(given.verdicts)} given columns           wrongly NOT NULL  exact  needlessly nullable",
        f"  {'sqlkit':24}  {len(given.wrong):16}  {given.exact:5}  {len(given.needless):19}",
    ]
    for peer, (wrong, exact) in PEERS.items():
        needless = len(given.verdicts) - wrong - exact
        lines.append(f"  {peer + ' (not run here)':24}  {wrong:16}  {exact:5}  {needless:19}")
    lines.append("")
    lines.append("sqlkit on our own        columns  wrongly NOT NULL  never NULL  of 100 needlessly nullable  limit")
    for group, limit in LIMITS.items():
        each = scores[group]
        lines.append(
            f"  {group:20}  {len(each.verdicts):8}  {len(each.wrong):16}  {each.never_null:10}"
            f"  {each.needless_in_100:26.1f}  {limit:5}"
        )
    for title, verdicts in (("wrongly NOT NULL", "wrong"), ("needlessly nullable", "needless")):
        listed = [f"  {verdict}" for each in scores.values() for verdict in getattr(each, verdicts)]
        if listed:
            lines += ["", f"{title}:", *sorted(listed)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
