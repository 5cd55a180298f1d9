"""DSNs in the forms that libpq and yoyo read."""

from __future__ import annotations

import re
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from sqlkit.errors import MigrationError

__all__ = ["EXTENSIONS", "database_url", "quoted_name", "search_path", "yoyo_url"]

EXTENSIONS = "extensions"  # the schema for what belongs to the database, not to one application


def database_url(dsn: str, *, database: str | None = None, schema: str | None = None) -> str:
    """Return a DSN (a URL or ``key=value``) as a URL, for another ``database`` if one is given.

    With ``schema``, connections have ``schema, extensions`` as their search path; the DSN's other options
    stay.
    """
    return url("postgresql", dsn, database, search_path(schema) if schema else None)


def yoyo_url(dsn: str, schema: str | None = None) -> str:
    """Return a DSN as the URL for yoyo's command line: ``yoyo apply --batch -d URL folder``.

    With ``schema``, yoyo and the migrations see that one schema, which has to exist: its tables go there,
    too. With another in the path, yoyo would make everything in that one, without a word, if the first is
    missing.
    """
    return url("postgresql+psycopg", dsn, None, quoted_name(schema) if schema else None)


def url(scheme: str, dsn: str, database: str | None, path: str | None, **defaults: str) -> str:
    """Write a DSN as a URL whose query holds all but the user, the password and the database.

    ``path`` becomes its search path; ``defaults`` are parameters for what the DSN leaves open.
    """
    try:
        found = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.Error:  # whose message quotes what it could not read, which may be the password
        raise MigrationError(
            "dsn: not a PostgreSQL DSN: write postgresql://user@host/database or key=value words"
        ) from None
    found = defaults | found
    user, password, name = found.pop("user", ""), found.pop("password", None), found.pop("dbname", "")
    if path is not None:
        found["options"] = f"{found.get('options', '')} -csearch_path={escaped_option(path)}".strip()
    account = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    name = database if database is not None else name
    if name != quote(name, safe=""):
        found["dbname"], name = name, ""  # yoyo takes the path as it is written
    query = "&".join(f"{key}={quote(value, safe='/,')}" for key, value in found.items())
    return f"{scheme}://{account}{'@' if account else ''}/{name}{'?' if query else ''}{query}"


def search_path(schema: str) -> str:
    """Return the search path for a schema's connections."""
    return f"{quoted_name(schema)},{EXTENSIONS}"


def quoted_name(name: str) -> str:
    """Return an identifier, quoted if it has to be."""
    if not name or "\0" in name:
        raise MigrationError(f"schema: {name!r} is no name")
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def escaped_option(value: str) -> str:
    """Escape a value for libpq's ``options``, which ends a word at a space."""
    return re.sub(r"([\\\s])", r"\\\1", value)
