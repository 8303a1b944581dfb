"""The accounts of the user service on SQLite in memory, with its real schema and adapters, and a clock to turn.

Only what is slow or JavaScript's is a fake: the hashes of passwords, and the signatures.
"""

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared_kernel.clock import rfc3339
from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.ids import derived_id
from shared_kernel.permissions import Kind
from shared_kernel.rpc import Call, Principal
from shared_kernel.sql import Row, Statement
from tests.unit.sqlite_database import SqliteDatabase, migrations
from user.application.accounts import Accounts, SignInTerms, Stores
from user.application.admin import Admin
from user.application.identities import Identities
from user.application.passwords import Passwords
from user.application.signing import Keyring, TokenTerms
from user.domain.attempts import Limits
from user.domain.signing_key import SigningKey
from user.infrastructure.d1_accounts import D1Accounts
from user.infrastructure.d1_attempts import D1Attempts
from user.infrastructure.d1_companies import D1Companies
from user.infrastructure.d1_directory import D1Directory
from user.infrastructure.d1_sessions import D1Sessions
from user.infrastructure.d1_signing_keys import D1SigningKeys
from user.infrastructure.d1_sweep import sweep

Value = TypeVar("Value")

TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
ISSUER = "pasar-test"
PASSWORD = "correct horse battery"
TOKEN_SECONDS, OVERLAP_SECONDS, SESSION_SECONDS = 600, 300, 86_400
LIMITS = Limits(together=3, per_account=15, per_address=30, window_seconds=900)
NO_USER = "usr_" + "0" * 26


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return asyncio.run(work)


class CountingHasher:
    """Hashes that hide nothing; `work` counts those that were computed."""

    def __init__(self) -> None:
        self.work = 0
        self.strength = 1

    def hash(self, password: str) -> str:
        self.work += 1
        return f"$argon2id${self.strength}${password}"

    def verify(self, password_hash: str, password: str) -> bool:
        self.work += 1
        return password_hash.split("$", 3)[3] == password

    def decoy(self) -> str:
        return f"$argon2id${self.strength}$\0"

    def is_outdated(self, password_hash: str) -> bool:
        return int(password_hash.split("$")[2]) < self.strength


class HostVault:
    """Keys by `cryptography`, sealed by nothing."""

    def __init__(self) -> None:
        self.made = 0
        self.opens = True

    async def make(self, signs_from: datetime) -> SigningKey:
        self.made += 1
        jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate()))
        return SigningKey(
            id=derived_id("key", str(self.made)),
            public_key=json.dumps({member: jwk[member] for member in ("kty", "crv", "x")}),
            sealed_private_key=json.dumps(jwk),
            signs_from=rfc3339(signs_from),
        )

    async def sign(self, key: SigningKey, message: bytes) -> bytes:
        if not self.opens:
            raise RuntimeError("the secret is another one")
        private = jwt.algorithms.OKPAlgorithm.from_jwk(key.sealed_private_key)
        assert isinstance(private, Ed25519PrivateKey)
        return private.sign(message)


class World:
    """One user service, for callers of each kind; `published` counts how often it asked for its events to be sent."""

    def __init__(self) -> None:
        self.database = SqliteDatabase(migrations("user"))
        self.now = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
        self.published = 0
        self.hasher = CountingHasher()
        self.vault = HostVault()
        self.common = {"password1", "qwertyuiop"}
        self.stores = Stores(
            D1Accounts(self.database),
            D1Companies(self.database),
            D1Sessions(self.database),
            D1Attempts(self.database),
            D1Directory(self.database),
        )
        self.overlap_seconds = OVERLAP_SECONDS
        self.identities = self.identities_for("service")
        self.guest = self.accounts("guest", "nobody")

    @property
    def keyring(self) -> Keyring:
        """The keys, under the present terms."""
        terms = TokenTerms(ISSUER, TOKEN_SECONDS, self.overlap_seconds)
        return Keyring(D1SigningKeys(self.database), self.vault, terms)

    def accounts(self, kind: Kind, account_id: str, session_id: str | None = None) -> Accounts:
        """The contract Accounts for this caller."""
        return Accounts(
            self.stores,
            Passwords(self.hasher, self.common),
            self.keyring,
            SignInTerms(SESSION_SECONDS, LIMITS),
            _call(kind, account_id, session_id),
            self.clock,
            self._publish,
        )

    def admin(self, kind: Kind = "admin", account_id: str = NO_USER) -> Admin:
        """The contract Admin for this caller."""
        return Admin(
            self.stores.accounts,
            self.stores.directory,
            self.keyring,
            _call(kind, account_id),
            self.clock,
            self._publish,
        )

    def identities_for(self, kind: Kind) -> Identities:
        """The contract Identities for this caller."""
        return Identities(self.stores.sessions, self.keyring, _call(kind, "caller").principal, self.clock)

    def clock(self) -> datetime:
        """The time, a millisecond on each time that somebody asks."""
        self.wait(0.001)
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def register(self, name: str, **more: str) -> contract.User:
        """The new account of this person."""
        words = {"email": email(name), "password": PASSWORD, "name": name, **more}
        return run(self.guest.register(contract.Register.model_validate(words)))

    def sign_in(self, name: str, password: str = PASSWORD, address: str = "192.0.2.1") -> contract.Tokens:
        """A new session of this person."""
        request = contract.SignInFrom(email=email(name), password=password, address=address)
        return run(self.guest.sign_in(request))

    def refresh(self, tokens: contract.Tokens) -> contract.Tokens:
        """The session's next tokens."""
        return run(self.guest.refresh(contract.RefreshSession(refresh_token=tokens.refresh_token)))

    def me(self, tokens: contract.Tokens) -> Accounts:
        """The contract Accounts for who has signed in."""
        told = claims(tokens)
        return self.accounts(told["role"], told["sub"], told["sid"])

    def change(self, user: contract.User, **changes: object) -> contract.User:
        """The account after an admin's change of its rights."""
        request = contract.ChangeUser.model_validate(
            {"id": user.id, "expected_version": user.version, "changes": changes}
        )
        return run(self.admin().change_user(request))

    def standing(self, tokens: contract.Tokens) -> contract.Standing:
        """Who the session's person is now."""
        return run(self.identities.get_standing(contract.CheckSession(session_id=claims(tokens)["sid"])))

    def jwks(self) -> list[dict[str, str]]:
        """The keys that everybody can read."""
        keys: list[dict[str, str]] = json.loads(run(self.identities.get_keys(Nothing())))["keys"]
        return keys

    def sweep(self) -> None:
        """What the cron forgets."""
        run(sweep(self.database, LIMITS, self.now))

    def rows(self, sql: str) -> list[Row]:
        """What the database holds."""
        return run(self.database.rows(sql))

    def execute(self, sql: str) -> None:
        """Change the database directly."""
        run(self.database.batch([Statement(sql)]))

    def execute_now(self, sql: str) -> None:
        """Change the database directly, from within a use case that runs."""
        self.database.extend(sql)

    def audited(self, action: str | None = None) -> list[tuple[str, str, str]]:
        """The audit in its order: action, actor and subject."""
        rows = self.rows("SELECT action, actor_id, subject_id FROM audit ORDER BY id")
        entries = [(str(row["action"]), str(row["actor_id"]), str(row["subject_id"])) for row in rows]
        return [entry for entry in entries if action in (None, entry[0])]

    def events(self) -> list[tuple[str, str]]:
        """What waits to be sent: type and subject."""
        told = [json.loads(str(row["event"])) for row in self.rows("SELECT event FROM outbox ORDER BY position")]
        return [(event["type"], event["subject"]) for event in told]

    def _publish(self) -> None:
        self.published += 1


def email(name: str) -> str:
    """The address of this person."""
    return f"{name.lower()}@example.com"


def claims(tokens: contract.Tokens) -> dict[str, Any]:
    """What the access token says, unverified."""
    return jwt.decode(tokens.access_token, options={"verify_signature": False})


def verified(tokens: contract.Tokens, keys: list[dict[str, str]], now: datetime) -> dict[str, Any]:
    """What the access token says, verified with the key that it names, at this time; an exception if that fails."""
    header = jwt.get_unverified_header(tokens.access_token)
    key = next(key for key in keys if key["kid"] == header["kid"])
    told = jwt.decode(
        tokens.access_token,
        jwt.PyJWK(key),
        algorithms=["EdDSA"],
        issuer=ISSUER,
        audience="pasar-api",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert told["nbf"] <= now.timestamp() < told["exp"]
    return told


def _call(kind: Kind, id: str, session_id: str | None = None) -> Call:
    return Call(principal=Principal(kind=kind, id=id, session_id=session_id), traceparent=TRACE, deadline_ms=0)
