"""What a Database needs to know: where the server is, who connects, the pool, the timeouts.

::

    constructor arguments  >  environment  >  .env  >  config.yml (section database)  >  defaults

Every error is a ConfigurationError that names where the setting came from and never shows its value.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sqlkit.errors import ConfigurationError
from sqlkit.settings_replicas import only_one_server, replica_parameters, several_dsns
from sqlkit.settings_sources import Found, Layer, environment, given, merged, parsed, read_config, read_env_file

__all__ = ["SecretDsn", "Settings"]

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, le=2_147_483)]  # the server counts milliseconds in an int4
Dsns = Annotated[tuple[SecretStr, ...], BeforeValidator(several_dsns)]
DEFAULT_MAX_SIZE = 10


class SecretDsn(str):
    """A DSN with its password: a ``str`` for drivers, masked in every ``repr`` (tracebacks, containers)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretDsn('***')"


if TYPE_CHECKING:  # type checkers want its name, so that a program's own settings may be a subclass
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseSettings)


class _Quiet(ModelMetaclass):
    """Let ``schema`` be a setting: pydantic warns of its old method of that name, in every subclass too."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)
            return super().__new__(cls, *args, **kwargs)


class Settings(BaseSettings, metaclass=_Quiet):
    """The settings of a Database.

    Each is read from the environment as ``DATABASE_<NAME>`` or ``SQLKIT_<NAME>`` (the connection's parts as
    ``POSTGRES_<NAME>`` too, the pool's as ``POOL_<NAME>``), then from ``.env``, then from the section
    ``database`` of ``config.yml``, both in the working directory unless ``env_file`` and ``config_file``
    say otherwise. ``url`` (``DATABASE_URL``) gives the parts at once. Times are in seconds. Raises
    ConfigurationError.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        validate_default=True,
    )

    host: str | None = Field(None, description="host name, address or socket directory; several with commas")
    port: int | str | None = Field(None, description="1 to 65535; several with commas, one for each host")
    user: str | None = Field(None, description="the role that connects")
    password: SecretStr | None = Field(None, description="its password; never shown")
    name: str | None = Field(None, description="the database")
    sslmode: SslMode | None = Field(None, description="libpq's; DATABASE_SSL=true means require")
    sslrootcert: Path | None = Field(None, description="the certificates that the server's is checked with")
    parameters: dict[str, str] = Field({}, repr=False, description="other libpq parameters, as in the URL's query")
    schema: str | None = Field(None, description="the schema of all tables that are named without one")  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    application_name: str = Field("sqlkit", max_length=63, description="as pg_stat_activity shows it")
    timezone: str = Field("UTC", description="the TimeZone of every connection")
    connect_timeout: Seconds = Field(10.0, description="for one attempt to connect")
    statement_timeout: Seconds | None = Field(None, description="the server's, for one statement")
    idle_in_transaction_timeout: Seconds | None = Field(None, description="the server's, for an idle transaction")
    pool_min_size: int = Field(1, ge=0, description="connections that are kept open")
    pool_max_size: int = Field(DEFAULT_MAX_SIZE, ge=1, description="connections at most")
    pool_timeout: Seconds = Field(30.0, description="the wait for a connection")
    pool_max_lifetime: Seconds = Field(3600.0, description="the age at which a connection is replaced")
    pool_max_idle: Seconds = Field(600.0, description="the time after which a surplus connection is closed")
    pool_ask_after: Seconds = Field(30.0, description="idle time after which a connection is asked if it lives")
    pooler: Literal["none", "transaction"] = Field("none", description="transaction: behind PgBouncer in that mode")
    replicas: Dsns = Field((), description="DSNs of standbys that serve reads; several in one text with blanks")
    replica_max_lag: Seconds = Field(10.0, description="the lag at which a replica is left, where a statement has none")
    replica_wait: Seconds = Field(0.5, description="the wait for a replica to reach the token that is followed")
    replica_ask_every: Seconds = Field(0.2, description="the time between two looks at a replica and at the primary")
    debug: bool = Field(False, description="log every statement by its name")
    slow_after: Seconds | None = Field(None, description="log a statement that takes so long, by its name")
    statistics: bool = Field(True, description="count calls, rows, errors and time of each query")
    name_statements: bool = Field(True, description="tell the server each statement's name, in a comment")

    _places: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(
        self, *, config_file: str | Path | None = None, env_file: str | Path | None = None, **values: Any
    ) -> None:
        known = type(self).model_fields
        self._build(
            [
                *read_config(Path(config_file or "config.yml"), known, required=config_file is not None),
                *read_env_file(Path(env_file or ".env"), known, required=env_file is not None),
                *environment(os.environ, known),
                given(values, known),
            ]
        )

    def _build(self, layers: list[Layer]) -> None:
        found = merged(layers)
        fields = type(self).model_fields
        _size_of_pool(found, fields["pool_min_size"].default, fields["pool_max_size"].default)
        try:
            super().__init__(**{field: value.value for field, value in found.items()})
        except ValidationError as error:
            raise ConfigurationError(_explain(error, found)) from None
        self._places.update({field: value.place for field, value in found.items()})
        self._check_together()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what ``__init__`` collected: it knows where each value stood, and what a URL stands for."""
        return (init_settings,)

    @field_validator("host", "user", "password", "name", "schema", "application_name", "timezone", mode="after")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and "\0" in text:
            raise ValueError("a NUL character, which PostgreSQL does not take")
        if text == "" and not isinstance(value, SecretStr):
            raise ValueError("it is empty")
        return value

    @field_validator("port", mode="after")
    @classmethod
    def _ports(cls, value: int | str | None) -> int | str | None:
        if value is None:
            return None
        ports = [part.strip() for part in str(value).split(",")]
        if len(ports) > 1 and not any(ports):  # so libpq reads a URL of several hosts without ports
            return None
        if not all(
            (len(ports) > 1 and not part) or (part.isascii() and part.isdigit() and 1 <= int(part) <= 65535)
            for part in ports
        ):
            raise ValueError("a port is a whole number from 1 to 65535")
        return int(ports[0]) if len(ports) == 1 else ",".join(ports)

    def _check_together(self) -> None:
        """Refuse settings that are possible each, but not together."""
        if self.pool_min_size > self.pool_max_size:
            raise ConfigurationError(
                f"{self._place('pool_min_size')}: {self.pool_min_size} connections at least, but"
                f" {self._place('pool_max_size')}: {self.pool_max_size} at most"
            )
        # "system" is libpq's word for the operating system's certificates
        if self.sslrootcert and str(self.sslrootcert) != "system" and not self.sslrootcert.is_file():
            raise ConfigurationError(f"{self._place('sslrootcert')}: no such file")
        elsewhere = "service" in self.parameters or os.environ.get("PGDATABASE") or os.environ.get("PGSERVICE")
        if self.name is None and not elsewhere:
            raise ConfigurationError(
                "Settings: no database is named; set DATABASE_URL (postgresql://user:password@host:port/database)"
                " or DATABASE_NAME, in the environment, .env or config.yml, or use Database.embedded(folder)"
            )

        self.of_replicas()

    def of_replicas(self) -> tuple[Self, ...]:
        """Return the settings of each replica: what its DSN says, and for the rest what these say.

        Raises ConfigurationError.
        """
        place = self._place("replicas")
        return tuple(self._of_replica(dsn, f"{place}: [{index}]") for index, dsn in enumerate(self.replicas))

    def _of_replica(self, dsn: SecretStr, place: str) -> Self:
        own = parsed(dsn.get_secret_value(), place)
        only_one_server(own, place)
        parts = {"host": None, "port": None, **own, "replicas": ()}
        parts["parameters"] = replica_parameters(self.parameters, own.get("parameters", {}))
        return self.replace(**parts)

    def _place(self, field: str) -> str:
        return self._places.get(field, f"the default {field}")

    def replace(self, **changes: Any) -> Self:
        """Return these settings with some changed, checked again; nothing is read anew."""
        changed = type(self).__new__(type(self))
        kept: Layer = {
            field: Found(getattr(self, field), self._place(field))
            for field in type(self).model_fields
            if field in self.model_fields_set
        }
        changed._build([kept, given(changes, type(self).model_fields)])
        return changed

    def dsn(self) -> SecretDsn:
        """Return the URL of the database with its password, for drivers and tools; its ``repr`` is masked."""
        password = self.password.get_secret_value() if self.password else ""
        return SecretDsn(self._url(quote(password, safe=""), self.parameters))

    @property
    def safe_dsn(self) -> str:
        """The URL of the database with its password masked, for people and logs."""
        hidden = {key: value for key, value in self.parameters.items() if "password" not in key}
        return self._url("***" if self.password else "", hidden)

    def _url(self, password: str, parameters: Mapping[str, str]) -> str:
        ssl = {"sslmode": self.sslmode, "sslrootcert": self.sslrootcert}
        query = {key: str(value) for key, value in ssl.items() if value is not None} | dict(parameters)
        if authority := _authority(self.host, self.port):
            query = {key: value for key, value in query.items() if key not in ("host", "port")}
        else:
            query |= {"host": self.host} if self.host else {}
            query |= {"port": str(self.port)} if self.port else {}
        who = quote(self.user or "", safe="") + (f":{password}" if password else "")
        rest = "&".join(f"{key}={quote(value, safe='/')}" for key, value in query.items())
        name = quote(self.name or "", safe="")
        return f"postgresql://{who + '@' if who else ''}{authority}/{name}" + (f"?{rest}" if rest else "")


Settings.__module__ = "sqlkit"  # not in its body, where pydantic would look for the names of annotations


def _authority(host: str | None, port: int | str | None) -> str:
    """Write hosts and ports as a URL has them; empty where they do not fit there (socket directories)."""
    hosts = (host or "").split(",")
    ports = str(port or "").split(",")
    if not host or any(not one or one.startswith(("/", "@")) for one in hosts) or len(ports) not in (1, len(hosts)):
        return ""
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    names = [f"[{one}]" if ":" in one else quote(one, safe="") for one in hosts]
    return ",".join(f"{one}:{port}" if port else one for one, port in zip(names, ports, strict=True))


def _size_of_pool(found: Layer, default_min: int, default_max: int) -> None:
    """Turn an overflow into a largest size; a large smallest size raises the default of the largest."""
    smallest = found.get("pool_min_size", Found(default_min, ""))
    overflow = found.pop("pool_max_overflow", None)
    if overflow and "pool_max_size" in found:
        both = f"{overflow.place} and {found['pool_max_size'].place}"
        raise ConfigurationError(f"{both}: a largest size and an overflow; give one of them")
    if not str(smallest.value).isdecimal():
        return  # pydantic says what is wrong with it
    if overflow:
        if not str(overflow.value).isdecimal():
            raise ConfigurationError(f"{overflow.place}: an overflow is a whole number, 0 or more")
        found["pool_max_size"] = Found(max(1, int(smallest.value) + int(overflow.value)), overflow.place)
    elif "pool_max_size" not in found and int(smallest.value) > default_max:
        found["pool_max_size"] = smallest


def _explain(error: ValidationError, found: Layer) -> str:
    """Say what is wrong with which setting and where it stands; pydantic's own text would quote the value."""
    lines: dict[str, str] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(one["loc"][0]) if one["loc"] else "Settings"
        place = found[field].place if field in found else f"the default {field}"
        reason = one["msg"].removeprefix("Value error, ").removeprefix("Input ")
        is_named = place.endswith((f"({field}=)", f" {field}", f".{field}"))
        where = place if is_named else f"{place}: {field}"
        lines.setdefault(place, f"{where}: {reason[:1].lower()}{reason[1:]}")
    return "\n".join(lines.values())
