"""``sqlkit demo voxstitch``: users import chats, search them, and run out of imports together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlkit.apps import MIGRATIONS, voxstitch
from sqlkit.apps.voxstitch.sample import SAMPLE_DOMAIN, sample_chats, sample_emails
from sqlkit.cli.asking import ask
from sqlkit.cli.demos.tables import bar, table_of
from sqlkit.cli.output import answers
from sqlkit.cli.target import Target
from sqlkit.database import Database
from sqlkit.security import hash_password

__all__ = ["show"]

PASSWORD = "a password to show"  # noqa: S105  of people who do not exist
USERS = 24
CHATS = 40  # for each of them
CALLERS = 50


def show(target: Target, logs: Path | None = None) -> None:  # noqa: ARG001  what other demos import
    """Make voxstitch's tables, fill them with invented users and chats, and ask about them."""
    from sqlkit.migrate import migrate

    done = migrate(target.settings.dsn(), MIGRATIONS / "voxstitch", schema="voxstitch")
    answers.print(f"Migrations: {len(done)} applied" if done else "Migrations: everything is applied")
    with Database.connect(target.settings, application_name="sqlkit demo") as db:
        user = _load(db)
        _show_chats(db, user)
        _show_race(db, user)
        _show_login(db, user)


def _load(db: Database) -> voxstitch.User:
    """Replace the invented users and their chats; return the first of them."""
    hashed = hash_password(PASSWORD)
    with db.transaction() as conn:
        # Two demos at once would each find nothing, and then meet in the same addresses.
        conn.execute("select pg_advisory_xact_lock(hashtext('sqlkit.demo.voxstitch'))")
        users = []
        for number, email in enumerate(sample_emails(USERS)):
            old = voxstitch.users.get_user_by_email(conn, email=email)
            if old is not None:
                voxstitch.users.remove_user_with_chats(conn, user_id=old.user_id)
            new = voxstitch.NewUser(email=email, hashed_password=hashed, remaining_imports=CHATS + 2)
            users.append(voxstitch.users.create_user(conn, user=new))
            voxstitch.import_chats(conn, user_id=users[-1].user_id, chats=sample_chats(CHATS, seed=number))
    answers.print(f"Imported: {USERS * CHATS} chats of {USERS} users at {SAMPLE_DOMAIN}, a batch for each")
    return users[0]


def _show_chats(db: Database, user: voxstitch.User) -> None:
    platforms = ask(voxstitch.chats.count_chats_by_platform, db)
    most = max((row.chats for row in platforms.rows), default=0)
    cells = [(row.platform, row.chats, bar(row.chats, most)) for row in platforms.rows]
    platforms.show(answers, "Chats by platform", table_of(("Platform", ">Chats", ""), cells))
    for term in ("fado", "deadlock -timeout", '"random pause" or squid'):
        found = ask(voxstitch.chats.search_chats, db, term=term, user_id=user.user_id, limit=4)
        rows = [(row.title, row.platform, f"{row.rank:.3f}") for row in found.rows]
        found.show(answers, f"Search of {user.email} for “{term}”", table_of(("Title", "Platform", ">Rank"), rows))
    page = ask(voxstitch.chats.list_chats, db, user_id=user.user_id, limit=5)
    newest = [(row.chat_id, row.title, row.platform) for row in page.rows]
    page.show(answers, f"The newest chats of {user.email}", table_of((">Chat", "Title", "Platform"), newest))


def _show_race(db: Database, user: voxstitch.User) -> None:
    """Let many callers import at once for a user who may import two chats more."""
    together = threading.Barrier(CALLERS)
    (chat,) = sample_chats(1, seed=99)
    new = voxstitch.NewChat(user_id=user.user_id, **dict(chat))

    def attempt(_: int) -> bool:
        together.wait()
        try:
            voxstitch.import_chat(db, chat=new)
        except voxstitch.NoImportsLeft:
            return False
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        succeeded = sum(pool.map(attempt, range(CALLERS)))
    left = voxstitch.users.get_remaining_imports(db, user_id=user.user_id)
    answers.print(
        f"\n{CALLERS} imports at once of a user with 2 left: {succeeded} succeeded, "
        f"{CALLERS - succeeded} were refused, {left} are left",
        highlight=False,
        soft_wrap=True,
    )


def _show_login(db: Database, user: voxstitch.User) -> None:
    assert user.email is not None  # noqa: S101  of no guest
    login = voxstitch.log_in(db, email=user.email.upper(), password=PASSWORD)
    sessions = ask(voxstitch.login_sessions.list_sessions, db, user_id=user.user_id)
    rows = [(row.session_id, f"{row.expires_at:%Y-%m-%d %H:%M}") for row in sessions.rows]
    sessions.show(answers, f"Logins of {user.email}", table_of((">Session", "Good until (UTC)"), rows))
    voxstitch.log_out(db, login.token)
