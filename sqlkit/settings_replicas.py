"""What the settings say of replicas: one server each, which inherits from the primary what it does not say itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlkit.errors import ConfigurationError

__all__ = ["only_one_server", "replica_parameters", "several_dsns"]

#: Of the primary's parameters, those that choose among servers.
CHOOSING = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")


def several_dsns(value: Any) -> Any:
    """Split a text at its blanks into DSNs; one in libpq's ``key=value`` form has blanks of its own."""
    if not isinstance(value, str):
        return value
    return value.split() if "://" in value else [value] if value.strip() else []


def only_one_server(parts: Mapping[str, Any], place: str) -> None:
    """Refuse a DSN of several servers: what is learnt of one would be believed of the others."""
    hosts = (str(parts.get("host") or ""), parts.get("parameters", {}).get("hostaddr", ""))
    if any("," in host for host in hosts):
        raise ConfigurationError(f"{place}: a replica is one server; write one DSN for each")


def replica_parameters(primary: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return a replica's libpq parameters: the primary's, but for those that choose among servers, under its own."""
    return {key: value for key, value in primary.items() if key not in CHOOSING} | dict(own)
