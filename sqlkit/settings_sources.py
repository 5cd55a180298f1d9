"""Where settings come from: the environment, a ``.env`` file, a ``config.yml``, a database URL.

Each source becomes a layer, a mapping from a setting to what was found and where; ``merged`` lays them over
each other. Nothing here shows a value in an error: any of them may be the password, or a piece of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from psycopg import OperationalError, pq

from sqlkit.errors import ConfigurationError

__all__ = ["Found", "Layer", "environment", "given", "merged", "parsed", "read_config", "read_env_file"]


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A raw value and its place, for a message: a variable, ``.env: NAME``, ``config.yml: key``."""

    value: Any
    place: str


Layer: TypeAlias = dict[str, Found]

# The names that a setting goes by, the first its own; the others are those that people bring from elsewhere.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "url": ("url", "dsn"),
    "host": ("host", "server"),
    "port": ("port",),
    "user": ("user", "username"),
    "password": ("password",),
    "name": ("name", "database", "db", "dbname"),
    "schema": ("schema", "table_prefix"),
    "ssl": ("ssl",),
    "sslmode": ("sslmode", "ssl_mode"),
    "sslrootcert": ("sslrootcert", "ssl_root_cert"),
    "pool_min_size": ("pool_min_size", "pool_size"),
    "pool_max_overflow": ("pool_max_overflow", "max_overflow"),
    "pool_max_lifetime": ("pool_max_lifetime", "pool_recycle"),
    "debug": ("debug", "echo"),
}
# What a URL names as a whole: a URL takes the place of these parts in the sources below it.
PARTS = ("host", "port", "user", "password", "name", "parameters", "replicas")
SSL = {"true": "require", "1": "require", "yes": "require", "on": "require"} | dict.fromkeys(
    ("false", "0", "no", "off"), "disable"
)


def synonyms(fields: Iterable[str]) -> dict[str, str]:
    """Map each name that may be written to its setting."""
    names = {name: field for field, names in SYNONYMS.items() for name in names}
    return names | {field: field for field in fields}


def variables(fields: Iterable[str]) -> list[dict[str, str]]:
    """Map environment variables to settings, the weaker family first.

    ``POSTGRES_*`` and ``POOL_*`` are other people's names too, so ``DATABASE_*`` wins over them, and
    ``SQLKIT_*`` over all.
    """
    weak: dict[str, str] = {}
    plain: dict[str, str] = {}
    own: dict[str, str] = {}
    for name, field in synonyms(fields).items():
        upper = name.upper()
        if field in (*PARTS, "url") and field not in ("parameters", "replicas"):
            weak[f"POSTGRES_{upper}"] = field
        if upper.startswith("POOL_") or upper == "MAX_OVERFLOW":
            weak[upper] = field
        plain[f"DATABASE_{upper}"] = field
        own[f"SQLKIT_{upper}"] = field
    return [weak, plain, own]


def environment(variables_set: Mapping[str, str], fields: Iterable[str], file: str = "") -> list[Layer]:
    """Read layers from environment variables, or from those of the named ``.env`` file.

    An empty variable counts as not set. A ``DATABASE_*`` variable that is no setting is an error, unless it is
    the URL of another database (``DATABASE_REPLICA_URL``); a ``SQLKIT_*`` one where it looks like a slip of
    the pen, for sqlkit's tools have variables of their own.
    """
    families = variables(fields)
    prefix = f"{file}: " if file else ""
    known = [name for family in families for name in family]
    for name in variables_set:
        if name not in known and name.startswith(("DATABASE_", "SQLKIT_")) and "URL" not in name.split("_"):
            close = difflib.get_close_matches(name, known, 1, 0.85 if name.startswith("SQLKIT_") else 0.6)
            if close or name.startswith("DATABASE_"):
                raise ConfigurationError(f"{prefix}{name}: no such setting{_suggestion(close)}")
    return [
        _layer(
            (field, Found(variables_set[name], prefix + name))
            for name, field in family.items()
            if variables_set.get(name)
        )
        for family in families
    ]


def read_env_file(path: Path, fields: Iterable[str], *, required: bool) -> list[Layer]:
    """Read layers from a ``.env`` file; ``required`` says that somebody named it, so that it must exist."""
    from dotenv import dotenv_values

    if not path.is_file():
        if required:
            raise ConfigurationError(f"{path}: no such file")
        return []
    try:
        values = dotenv_values(path, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8") from None
    return environment({name: value for name, value in values.items() if value is not None}, fields, str(path))


def read_config(path: Path, fields: Iterable[str], *, required: bool) -> list[Layer]:
    """Read a layer from the section ``database`` of a YAML file; what else the file holds is not sqlkit's.

    ``required`` says that the file was named by somebody, so that it must exist and have the section.
    """
    import yaml

    if not path.is_file():
        if required:
            raise ConfigurationError(f"{path}: no such file")
        return []
    try:
        document = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)  # its text quotes the line, which may hold the password
        raise ConfigurationError(f"{path}:{mark.line + 1 if mark else 1}: not valid YAML") from None
    section = document.get("database") if isinstance(document, dict) else None
    if section is None and not required:
        return []
    if isinstance(section, str):
        section = {"url": section}
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: no section 'database' with the settings under it")
    return [given({str(key): value for key, value in section.items()}, fields, f"{path}: {{}}")]


def given(values: Mapping[str, Any], fields: Iterable[str], place: str = "Settings({}=)") -> Layer:
    """Make a layer of values under their own names; a name that is no setting is an error."""
    names = synonyms(fields)
    for name in values:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            raise ConfigurationError(f"{place.format(name)}: no such setting{_suggestion(close)}")
    return _layer((names[name], Found(value, place.format(name))) for name, value in values.items())


def merged(layers: Iterable[Layer]) -> Layer:
    """Lay the layers over each other, the first at the bottom.

    A URL names a database as a whole, so it takes the place of all parts below it; parts above it or beside
    it complete it, and contradict it only where both stand in one layer.
    """
    values: Layer = {}
    for layer in _from_the_last_url(list(layers)):
        parts = dict(layer)
        if ssl := parts.pop("ssl", None):
            text = str(ssl.value).lower()
            _agree(parts, "sslmode", Found(SSL.get(text, text), ssl.place))
        if (url := parts.pop("url", None)) and url.value is not None:
            for field, value in parsed(_revealed(url.value), url.place).items():
                _agree(parts, field, Found(value, url.place))
        if "pool_max_size" in parts or "pool_max_overflow" in parts:
            values.pop("pool_max_size", None)
            values.pop("pool_max_overflow", None)
        values.update(parts)
    return values


def _from_the_last_url(layers: list[Layer]) -> list[Layer]:
    """Take the parts of a database out of the layers below the last URL, where they may even contradict each other."""
    last = max((number for number, layer in enumerate(layers) if _names_all(layer)), default=0)
    return [
        {field: found for field, found in layer.items() if field not in (*PARTS, "url")} if number < last else layer
        for number, layer in enumerate(layers)
    ]


def _names_all(layer: Layer) -> bool:
    return "url" in layer and layer["url"].value is not None


def parsed(url: str, place: str) -> dict[str, Any]:
    """Return the settings that a database URL (or libpq's ``key=value`` form) holds.

    What is no setting of its own stands under ``parameters``. SQLAlchemy's schemes (``postgresql+asyncpg://``)
    are taken for what they mean. Raises ConfigurationError, which never quotes the URL.
    """
    text = _libpq_url(url.strip(), place)
    try:
        options = pq.Conninfo.parse(text.encode())
    except (OperationalError, UnicodeEncodeError):
        if "://" not in text.partition("=")[0]:
            raise ConfigurationError(_wrong_pairs(text, place)) from None
        raise ConfigurationError(
            f"{place}: not a well-formed PostgreSQL URL (postgresql://user:password@host:port/database?key=value);"
            " special characters of the password are written as %40 for @, %3A for :, %2F for /, %25 for %"
        ) from None
    found: dict[str, Any] = {o.keyword.decode(): o.val.decode() for o in options if o.val}
    if "dbname" in found:
        found["name"] = found.pop("dbname")
    fields = {key: found.pop(key) for key in list(found) if key in _IN_URL}
    return {**fields, "parameters": found} if found else fields


def _wrong_pairs(text: str, place: str) -> str:
    """Say what is wrong with libpq's ``key=value`` form, of which nothing is quoted that may be of the password.

    A password with a blank goes on behind it, so no key is named that stands after one.
    """
    keywords = {default.keyword.decode() for default in pq.Conninfo.get_defaults()}
    for key in _PAIR.findall(text.partition("password")[0]):
        if key not in keywords:
            return f"{place}: PostgreSQL knows no connection parameter {key!r}"
    return (
        f"{place}: not a well-formed PostgreSQL connection string (host=... dbname=... user=...): a value with blanks"
        " stands in single quotes, and each key is one that PostgreSQL knows"
    )


_PAIR = re.compile(r"(\w+)\s*=\s*(?:'(?:[^'\\]|\\.)*'|[^\s']*)")
_IN_URL = {*PARTS, "sslmode", "sslrootcert", "application_name", "connect_timeout"}
_SCHEME = re.compile(r"(?:postgresql|postgres)(?:\+\w+)?://")


def _libpq_url(text: str, place: str) -> str:
    """Write a URL as libpq wants it; refuse one in which it would take a piece of the password for a host."""
    if "://" not in text.partition("=")[0]:
        if "=" in text:
            return text
        raise ConfigurationError(f"{place}: not a PostgreSQL URL, which begins with postgresql://")
    if not (scheme := _SCHEME.match(text)):
        raise ConfigurationError(f"{place}: not a PostgreSQL URL, which begins with postgresql://")
    rest = text[scheme.end() :]
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    if authority.count("@") > 1 or "@" in path:
        raise ConfigurationError(f"{place}: an @ or / inside the user or the password; write it as %40 or %2F")
    keywords = {default.keyword.decode() for default in pq.Conninfo.get_defaults()}
    for pair in query.split("&") if query and "@" not in query else ():
        key = pair.partition("=")[0]
        if key not in keywords and key != "ssl":
            raise ConfigurationError(f"{place}: PostgreSQL knows no connection parameter {key!r}")
    query = re.sub(r"(^|&)ssl=([^&]*)", lambda m: f"{m[1]}sslmode={SSL.get(m[2].lower(), m[2])}", query)
    return f"postgresql://{before}?{query}" if query else f"postgresql://{before}"


def _layer(pairs: Iterable[tuple[str, Found]]) -> Layer:
    layer: Layer = {}
    for field, found in pairs:
        _agree(layer, field, found)
    return layer


def _agree(layer: Layer, field: str, found: Found) -> None:
    """Put a value into a layer; two that differ contradict each other, and neither can be right for sure."""
    other = layer.setdefault(field, found)
    if str(_revealed(other.value)) != str(_revealed(found.value)):
        raise ConfigurationError(f"{other.place} and {found.place} contradict each other: {field}")


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _suggestion(close: list[str]) -> str:
    return f"; did you mean {close[0]}?" if close else ""
