"""TLS, when the settings ask for it: a gate before the real server that speaks it, or does not.

The tests' own server listens on a unix socket alone, where PostgreSQL offers no TLS; so the gate listens on TCP, takes
the TLS off, and hands on what is inside.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg.conninfo import conninfo_to_dict

import sqlkit
from sqlkit import Database, Settings
from sqlkit.testing import TestServer

SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # its length and 80877103, as the protocol has it


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "gate.key").write_bytes(secret)
    (folder / "gate.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "gate.crt", folder / "gate.key"


def pump(caller: socket.socket, server: socket.socket) -> None:
    """Hand on what comes from either side until one is gone; one thread, for a TLS socket is not for two."""
    other = {caller: server, server: caller}
    while True:
        decrypted = isinstance(caller, ssl.SSLSocket) and caller.pending()
        for source in [caller] if decrypted else select.select(list(other), [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            other[source].sendall(data)


class Gate:
    """A listener on TCP that speaks TLS where it has a context, and notes how each caller came in."""

    def __init__(self, target: str, context: ssl.SSLContext | None) -> None:
        self.target, self.context = target, context
        self.seen: list[str] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]

    def serve(self) -> None:
        """Let callers in until the listener is closed."""
        with contextlib.suppress(OSError), contextlib.ExitStack() as callers:
            while True:
                caller, _ = self.listening.accept()
                thread = threading.Thread(target=self.let_in, args=(caller,))
                thread.start()
                callers.callback(thread.join)

    def let_in(self, caller: socket.socket) -> None:
        """Answer the request for TLS as PostgreSQL does, then join both sides."""
        with caller, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self.target)
            if caller.recv(8, socket.MSG_PEEK) != SSL_REQUEST:
                self.seen.append("plain")
                pump(caller, server)
                return
            caller.recv(8)
            caller.sendall(b"S" if self.context else b"N")
            if self.context is None:
                pump(caller, server)
                return
            with self.context.wrap_socket(caller, server_side=True) as encrypted:
                self.seen.append(encrypted.version() or "")
                pump(encrypted, server)


@pytest.fixture
def gate(server: TestServer, tmp_path: Path) -> Iterator[Callable[[bool], Gate]]:
    """Give a function that opens a gate, with TLS or without."""
    address = conninfo_to_dict(server.dsn)
    host = str(address.get("host", ""))
    if not host.startswith("/"):
        pytest.skip("the standing server is reached by TCP: its own TLS is its administrator's")
    target = f"{host}/.s.PGSQL.{address.get('port', 5432)}"
    gates: list[Gate] = []
    threads: list[threading.Thread] = []

    def opened(speaks_tls: bool) -> Gate:
        context = None
        if speaks_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(tmp_path))
        gates.append(Gate(target, context))
        threads.append(threading.Thread(target=gates[-1].serve))
        threads[-1].start()
        return gates[-1]

    yield opened
    for made in gates:
        with contextlib.suppress(OSError):
            made.listening.shutdown(socket.SHUT_RDWR)
        made.listening.close()
    for thread in threads:
        thread.join()


def settings(gate: Gate) -> Settings:
    """Return the settings for a gate: all else is the environment's."""
    return Settings(url=f"postgresql://postgres@127.0.0.1:{gate.port}/postgres", pool_min_size=1)


@pytest.mark.parametrize("asked", ["true", "require"])
def test_connections_are_encrypted(gate: Callable[[bool], Gate], monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """With DATABASE_SSL each connection goes through TLS, and statements through it."""
    open_gate = gate(True)
    monkeypatch.setenv("DATABASE_SSL", asked)
    with Database.connect(settings(open_gate)) as db:
        assert sqlkit.fetch_one(db, int, "select 41 + 1") == 42
    assert set(open_gate.seen) <= {"TLSv1.2", "TLSv1.3"}
    assert open_gate.seen


def test_nothing_goes_in_clear(gate: Callable[[bool], Gate], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without TLS is refused, and nothing is sent to it."""
    open_gate = gate(False)
    monkeypatch.setenv("DATABASE_SSL", "true")
    with pytest.raises(sqlkit.PoolExhausted) as refused:
        Database.connect(settings(open_gate))
    assert isinstance(refused.value.__cause__, psycopg.OperationalError)
    assert open_gate.seen == []


def test_a_server_is_verified(gate: Callable[[bool], Gate], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With verify-full a server whose certificate nobody vouches for is refused; one that is known is not."""
    open_gate = gate(True)
    monkeypatch.setenv("DATABASE_SSL", "verify-full")
    (tmp_path / "another").mkdir()
    monkeypatch.setenv("PGSSLROOTCERT", str(certificate(tmp_path / "another")[0]))
    with pytest.raises(sqlkit.PoolExhausted):
        Database.connect(settings(open_gate))
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "gate.crt"))
    with Database.connect(settings(open_gate)) as db:
        assert sqlkit.fetch_one(db, int, "select 1") == 1


def test_without_the_setting_a_server_without_tls_will_do(
    gate: Callable[[bool], Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where TLS is switched off, none is asked for."""
    open_gate = gate(True)
    monkeypatch.setenv("DATABASE_SSL", "false")
    with Database.connect(settings(open_gate)) as db:
        assert sqlkit.fetch_one(db, int, "select 1") == 1
    assert set(open_gate.seen) == {"plain"}
