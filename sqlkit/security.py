"""Secrets: passwords that are verified, tokens and keys that are looked up, fields that are encrypted.

- ``hash_password`` and ``check_password``: argon2id; old bcrypt hashes are verified and said to be outdated.
- ``new_token`` and ``digest_of``: 256 random bits; the database keeps their SHA-256 and what people may see of them.
- ``Cipher`` and ``EncryptedText``: a text that the database holds encrypted, with keys that rotate (Fernet).

Needs the extra ``security``; what is not installed is named where it is wanted first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

from sqlkit.errors import ArgumentError, ConfigurationError

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from cryptography.fernet import MultiFernet

__all__ = [
    "Cipher",
    "EncryptedText",
    "NewToken",
    "PasswordCheck",
    "Passwords",
    "check_password",
    "digest_of",
    "hash_password",
    "new_token",
    "same_digest",
]

SECRET_BYTES = 32  # 256 bits
SHOWN_BYTES = 6  # eight characters, beside the 256 bits and not of them
BCRYPT_BYTES = 72  # bcrypt hashed no more of a password than that, and refuses more since version 5
BCRYPT = ("$2a$", "$2b$", "$2y$")
ARGON2 = "$argon2"


def missing_extra(what: str) -> ConfigurationError:
    """Return the error for a package of the extra that is not installed."""
    return ConfigurationError(f"{what} is not installed: pip install 'sqlkit[security]'")


# Passwords.


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password is right, and whether its hash should be replaced now that the password is known.

    True in a condition where it is right; ``outdated`` is true of bcrypt hashes and of weaker parameters.
    """

    right: bool
    outdated: bool = False

    def __bool__(self) -> bool:
        return self.right


class Passwords:
    """How passwords are hashed: argon2id with these costs (the defaults are argon2-cffi's, of RFC 9106).

    One call takes tens of milliseconds of a core on purpose and lets other threads run meanwhile: in asyncio call it
    by ``asyncio.to_thread``.
    """

    def __init__(
        self, *, time_cost: int | None = None, memory_kib: int | None = None, parallelism: int | None = None
    ) -> None:
        given = {"time_cost": time_cost, "memory_cost": memory_kib, "parallelism": parallelism}
        self._costs: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

    @cached_property
    def _hasher(self) -> PasswordHasher:
        try:
            from argon2 import PasswordHasher, Type
        except ImportError:
            raise missing_extra("argon2-cffi") from None
        return PasswordHasher(type=Type.ID, **self._costs)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str | SecretStr) -> str:
        """Return the argon2id hash of a password, with its salt and costs, for a text column."""
        return self._hasher.hash(_bytes(password))

    def check(self, hashed: str | None, password: str | SecretStr) -> PasswordCheck:
        """Compare a password with a hash, argon2's or bcrypt's; never raises for a wrong one.

        With None (there is no such user) it takes as long and the answer is no, so that nobody learns who exists.
        ConfigurationError for a hash of no known kind, which is not quoted.
        """
        if hashed is None:
            self._verify(self._nobody, _bytes(password))
            return PasswordCheck(right=False)
        if hashed.startswith(BCRYPT):
            right = _bcrypt_verifies(hashed, _bytes(password))
            return PasswordCheck(right, outdated=right)
        if not hashed.startswith(ARGON2):
            raise ConfigurationError("a password hash is neither argon2's nor bcrypt's")
        right = self._verify(hashed, _bytes(password))
        return PasswordCheck(right, outdated=right and self._hasher.check_needs_rehash(hashed))

    def _verify(self, hashed: str, password: bytes) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            raise ConfigurationError("a password hash is damaged: argon2 cannot read it") from None


def _bytes(secret: str | SecretStr) -> bytes:
    """Return a secret as bytes; half of a surrogate pair too, for the error of one that is refused would show it."""
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return text.encode("utf-8", "surrogatepass")


def _bcrypt_verifies(hashed: str, password: bytes) -> bool:
    try:
        import bcrypt
    except ImportError:
        raise missing_extra("bcrypt") from None
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], hashed.encode())
    except ValueError:
        raise ConfigurationError("a password hash is damaged: bcrypt cannot read it") from None


DEFAULT = Passwords()


def hash_password(password: str | SecretStr) -> str:
    """Return the argon2id hash of a password, for a text column; see ``Passwords``."""
    return DEFAULT.hash(password)


def check_password(hashed: str | None, password: str | SecretStr) -> PasswordCheck:
    """Compare a password with a hash, or with nobody's (None); see ``Passwords.check``.

    ::

        if found := check_password(user and user.hashed_password, given):
            if found.outdated:
                users.set_password(db, user_id=user.user_id, hashed_password=hash_password(given))
    """
    return DEFAULT.check(hashed, password)


# Tokens and keys.


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made: ``reveal()`` is its text, for its owner, once; the rest is for the database.

    ``shown`` is its beginning, by which people tell keys apart, and no part of the secret; ``digest`` the SHA-256 of
    the text, 32 bytes, by which it is looked up.
    """

    secret: SecretStr
    shown: str
    digest: bytes

    def reveal(self) -> str:
        """Return the text."""
        return self.secret.get_secret_value()


def new_token(prefix: str = "sk") -> NewToken:
    """Make a token, an API key or a session: url-safe, with 256 random bits behind what is shown of it."""
    if not prefix.isascii() or not prefix.replace("_", "").isalnum():
        raise ArgumentError("prefix: ASCII letters, digits and _ are what a token can begin with")
    shown = f"{prefix}_{secrets.token_urlsafe(SHOWN_BYTES)}"
    text = shown + secrets.token_urlsafe(SECRET_BYTES)
    return NewToken(SecretStr(text), shown, digest_of(text))


def digest_of(token: str | SecretStr) -> bytes:
    """Return the SHA-256 of a token's text (32 bytes), by which the database knows it.

    No salt and no slow hash are needed: nobody guesses 256 random bits.
    """
    return hashlib.sha256(_bytes(token)).digest()


def same_digest(one: bytes, other: bytes) -> bool:
    """Compare two digests in a time that does not tell how much of them is equal."""
    return hmac.compare_digest(one, other)


# Fields that are encrypted.


class EncryptedText(str):
    """A text as the database holds it, encrypted: a ``str`` for a text column, which ``Cipher.decrypt`` opens."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "EncryptedText('**********')"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take a string as what is encrypted already; ``Cipher.encrypt`` makes one."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Cipher:
    """Encrypts and decrypts texts by keys that rotate: the first encrypts, each of them decrypts.

    A key is 32 bytes in url-safe base64, as ``Cipher.new_key()`` makes it. To rotate, put a new key first, ``rotate``
    each row where ``is_outdated``, then leave the old key away.
    """

    def __init__(self, *keys: str | SecretStr) -> None:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise missing_extra("cryptography") from None
        if not keys:
            raise ConfigurationError("a Cipher needs one key or more: Cipher.new_key() makes one")
        try:
            self._fernets = [Fernet(_bytes(key)) for key in keys]
        except ValueError:
            raise ConfigurationError("a key of a Cipher is 32 bytes in url-safe base64: Cipher.new_key()") from None
        self._all: MultiFernet = MultiFernet(self._fernets)

    @staticmethod
    def new_key() -> SecretStr:
        """Make a key."""
        return SecretStr(base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode())

    def encrypt(self, text: str | SecretStr) -> EncryptedText:
        """Encrypt a text by the first key; each time it is another."""
        return EncryptedText(self._all.encrypt(_bytes(text)).decode())

    def decrypt(self, encrypted: str) -> str:
        """Return what is encrypted; ArgumentError where no key opens it or it was tampered with."""
        return self._opened(self._all, encrypted)

    def rotate(self, encrypted: str) -> EncryptedText:
        """Encrypt anew by the first key what any of them opens."""
        return self.encrypt(self.decrypt(encrypted))

    def is_outdated(self, encrypted: str) -> bool:
        """Tell whether another key than the first encrypted this; ArgumentError where none opens it."""
        self.decrypt(encrypted)
        try:
            self._opened(self._fernets[0], encrypted)
        except ArgumentError:
            return True
        return False

    @staticmethod
    def _opened(fernet: Any, encrypted: str) -> str:
        from cryptography.fernet import InvalidToken

        try:
            opened: bytes = fernet.decrypt(_bytes(encrypted))
        except InvalidToken:
            raise ArgumentError("an encrypted text: no key opens it, or it was tampered with") from None
        return opened.decode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        return f"Cipher({len(self._fernets)} keys)"
