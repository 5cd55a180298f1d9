"""Passwords, tokens and encrypted fields: right ones pass, wrong ones do not, and nothing shows a secret."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import sqlkit
from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.security import (
    Cipher,
    EncryptedText,
    PasswordCheck,
    Passwords,
    check_password,
    digest_of,
    hash_password,
    new_token,
    same_digest,
)

ROOT = Path(__file__).parent.parent
CHEAP = Passwords(time_cost=1, memory_kib=8, parallelism=1)
OLD = bcrypt.hashpw(b"an old secret", bcrypt.gensalt(4)).decode()
LONG = "x" * 100
ANY_TEXT = st.text(st.characters(), max_size=40)


def test_a_password_is_verified() -> None:
    """The default is argon2id with today's costs: the right password passes, another does not."""
    hashed = hash_password("correct horse")
    assert hashed.startswith("$argon2id$")
    assert check_password(hashed, "correct horse") == PasswordCheck(right=True, outdated=False)
    assert not check_password(hashed, SecretStr("correct hors"))


def test_the_same_password_twice() -> None:
    """Each hash has a salt of its own."""
    assert CHEAP.hash("same") != CHEAP.hash("same")


@settings(max_examples=25)
@given(ANY_TEXT, ANY_TEXT)
@example("half of a pair: \ud800", "null \0")
def test_any_text_is_a_password(one: str, other: str) -> None:
    """Whatever characters a password has, it passes, and no other text does."""
    hashed = CHEAP.hash(one)
    assert CHEAP.check(hashed, one).right
    assert CHEAP.check(hashed, other).right is (one == other)


def test_weaker_costs_are_outdated() -> None:
    """A hash with other costs than today's passes, and says that it should be replaced; a wrong password does not."""
    hashed = CHEAP.hash("secret")
    assert check_password(hashed, "secret") == PasswordCheck(right=True, outdated=True)
    assert check_password(hashed, "wrong") == PasswordCheck(right=False, outdated=False)
    assert CHEAP.check(hashed, "secret") == PasswordCheck(right=True)


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_old_bcrypt_hashes(prefix: str) -> None:
    """Hashes of bcrypt pass for their password alone, in each of their forms, and are outdated."""
    hashed = prefix + OLD[4:]
    assert check_password(hashed, "an old secret") == PasswordCheck(right=True, outdated=True)
    assert check_password(hashed, "a new secret") == PasswordCheck(right=False)


@pytest.mark.parametrize("password", ["", "null \0", "half of a pair: \ud800", LONG * 1000])
def test_odd_passwords_are_wrong(password: str) -> None:
    """What nobody would type is a wrong password and no other error, whatever the hash is of."""
    assert not check_password(OLD, password)
    assert not CHEAP.check(CHEAP.hash("secret"), password)
    assert not CHEAP.check(None, password)
    assert len(digest_of(password)) == 32


def test_bcrypt_read_no_more_than_it_did() -> None:
    """Bcrypt hashed 72 bytes of a password: one that is longer still passes."""
    hashed = bcrypt.hashpw(LONG.encode()[:72], bcrypt.gensalt(4)).decode()
    assert check_password(hashed, LONG).right


def test_a_user_that_is_not_there_takes_as_long() -> None:
    """Without a hash the answer is no, after as much work as with one."""
    passwords = Passwords(time_cost=2, memory_kib=8192, parallelism=1)
    hashed = passwords.hash("secret")
    passwords.check(None, "warm")

    def seconds(of: str | None) -> float:
        begun = time.perf_counter()
        assert not passwords.check(of, "wrong")
        return time.perf_counter() - begun

    with_one, without = (min(seconds(of) for _ in range(5)) for of in (hashed, None))
    assert without > with_one / 3


@pytest.mark.parametrize("hashed", ["", "secret-plain", "$argon2id$v=19$broken", "$2b$04$broken", "md5:abc"])
def test_a_damaged_hash(hashed: str) -> None:
    """What is no hash that we know is an error of the data, which does not quote it."""
    with pytest.raises(ConfigurationError, match="a password hash is") as raised:
        check_password(hashed, "secret")
    assert "secret" not in str(raised.value)
    assert "broken" not in str(raised.value)


def test_tokens_are_random_and_url_safe() -> None:
    """A token has its prefix, 256 bits behind what is shown of it, and only what a URL takes."""
    tokens = [new_token("key") for _ in range(100)]
    assert len({token.reveal() for token in tokens}) == len({token.shown for token in tokens}) == 100
    for token in tokens:
        text = token.reveal()
        assert text.startswith(token.shown)
        assert token.shown.startswith("key_")
        assert len(text) - len(token.shown) == 43
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        assert token.digest == digest_of(text) == digest_of(SecretStr(text))
        assert len(token.digest) == 32


def test_digests_are_compared() -> None:
    """Equal digests are the same, others not, of whatever length."""
    token = new_token()
    assert same_digest(token.digest, digest_of(token.reveal()))
    assert not same_digest(token.digest, digest_of(token.shown))
    assert not same_digest(token.digest, b"")


@pytest.mark.parametrize("prefix", ["", "a-b", "a b", "ключ", "a.b"])
def test_prefixes_of_tokens(prefix: str) -> None:
    """A prefix is a word."""
    with pytest.raises(ArgumentError, match="prefix: "):
        new_token(prefix)


def test_a_token_is_found_by_its_digest(conn: psycopg.Connection[Any]) -> None:
    """The database keeps digests alone, and finds the token's row by it."""
    conn.execute("create temp table api_keys (key_prefix text not null, key_hash bytea unique not null)")
    token = new_token()
    sqlkit.execute(conn, "insert into api_keys values (:shown, :digest)", shown=token.shown, digest=token.digest)
    find = "select key_prefix from api_keys where key_hash = :digest"
    assert sqlkit.fetch_optional(conn, str, find, digest=digest_of(token.reveal())) == token.shown
    assert sqlkit.fetch_optional(conn, str, find, digest=digest_of(token.reveal() + "x")) is None


class Contact(BaseModel):
    name: str
    phone: EncryptedText


def test_an_encrypted_field_goes_through_the_database(conn: psycopg.Connection[Any]) -> None:
    """A model's field is written and read as it is encrypted; the cipher alone opens it."""
    cipher = Cipher(Cipher.new_key())
    conn.execute("create temp table contacts (name text, phone text)")
    contact = Contact(name="Ella", phone=cipher.encrypt("+64 21 555"))
    sqlkit.execute(conn, "insert into contacts values (:contact.name, :contact.phone)", contact=contact)
    stored = conn.execute("select phone from contacts").fetchone()
    assert stored is not None
    assert "555" not in stored[0]
    found = sqlkit.fetch_one(conn, Contact, "select name, phone from contacts")
    assert isinstance(found.phone, EncryptedText)
    assert cipher.decrypt(found.phone) == "+64 21 555"


@given(ANY_TEXT)
@example("half of a pair: \ud800")
def test_any_text_can_be_encrypted(text: str) -> None:
    """What is encrypted is decrypted to the same, and twice encrypted is not twice the same."""
    assert CIPHER.decrypt(CIPHER.encrypt(text)) == text
    assert CIPHER.encrypt(text) != CIPHER.encrypt(text)


OLD_KEY, NEW_KEY = Cipher.new_key(), Cipher.new_key()
CIPHER = Cipher(NEW_KEY, OLD_KEY)


def test_keys_rotate() -> None:
    """An old key opens what it encrypted until all rows are rotated; then it can go."""
    before = Cipher(OLD_KEY).encrypt("secret")
    assert CIPHER.decrypt(before) == "secret"
    assert CIPHER.is_outdated(before)
    after = CIPHER.rotate(before)
    assert not CIPHER.is_outdated(after)
    assert Cipher(NEW_KEY).decrypt(after) == "secret"
    with pytest.raises(ArgumentError, match="no key opens it"):
        Cipher(NEW_KEY).decrypt(before)


@pytest.mark.parametrize("tampered", ["", "secret", "gAAAAA", "é", EncryptedText("secret")])
def test_what_was_tampered_with(tampered: str) -> None:
    """What no key opens is refused, whatever is asked of it, and not quoted."""
    for ask in (CIPHER.decrypt, CIPHER.rotate, CIPHER.is_outdated):
        with pytest.raises(ArgumentError, match="an encrypted text") as raised:
            ask(tampered)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("keys", [[], ["secret"], [""], ["é" * 32], [Fernet.generate_key().decode(), "short"]])
def test_keys_that_are_none(keys: list[str]) -> None:
    """A key is 32 bytes in base64, and one is needed."""
    with pytest.raises(ConfigurationError, match=r"Cipher\.new_key") as raised:
        Cipher(*keys)
    assert "secret" not in str(raised.value)


def test_nothing_shows_a_secret() -> None:
    """No repr or text of what holds a secret shows it, nor that of a model around it."""
    token, encrypted = new_token(), CIPHER.encrypt("secret")
    shown = "".join((repr(token), str(token), repr(encrypted), repr(CIPHER), repr(Contact(name="a", phone=encrypted))))
    for secret in (token.reveal(), str(encrypted), NEW_KEY.get_secret_value()):
        assert secret not in shown
    assert repr(CIPHER) == "Cipher(2 keys)"


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("argon2", "hash_password('x')"),
        ("argon2", "check_password(None, 'x')"),
        ("bcrypt", "check_password('$2b$04$' + 53 * 'a', 'x')"),
        ("cryptography", "Cipher('x')"),
    ],
)
def test_a_missing_extra_is_named(package: str, call: str) -> None:
    """Where a package is not installed, the error says what to install, when it is wanted and not before."""
    script = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from sqlkit.security import *\n"
        f"try: {call}\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("ConfigurationError ")
    assert done.stdout.endswith("is not installed: pip install 'sqlkit[security]'\n")


def test_argon2s_own_hashes() -> None:
    """A hash that argon2-cffi made elsewhere passes."""
    assert check_password(PasswordHasher().hash("secret"), "secret") == PasswordCheck(right=True)


def test_the_page_on_secrets_runs() -> None:
    """The program of docs/security.md does what the page says."""
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {}
    exec(compile(program, "docs/security.md", "exec", dont_inherit=True), names)
    assert "555" not in names["contact"].phone
