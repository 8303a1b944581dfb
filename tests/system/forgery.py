"""Tokens signed by the shop's own key that it would never give out: what only somebody who has its secrets can make.

They show that a good signature is not enough. The key is opened as the user service opens it, with the run's secret.
"""

import base64
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import JsonValue

from tests.system.people import Person
from wrangler.state import SECRETS

Part = dict[str, JsonValue]
_SALT_BYTES, _NONCE_BYTES = 16, 12
_PURPOSE = b"pasar: sealed signing key"
_A_DAY_SECONDS = 86_400


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """What `encoded` wrote."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signing_input(header: Part, claims: Part) -> str:
    """What a token's signature is over."""
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"


def parts(token: str) -> tuple[Part, Part, str]:
    """A token's header, claims and signature."""
    header, claims, signature = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims)), signature


@dataclass(frozen=True)
class Forgery:
    """Forges with the keys of the run on this state directory."""

    state: Path

    def signed(self, header: Part, claims: Part) -> str:
        """A token of these parts with a good signature of the key that its header names."""
        words = signing_input(header, claims)
        return f"{words}.{encoded(self._key(str(header['kid'])).sign(words.encode()))}"

    def changed(self, person: Person, header: Part | None = None, claims: Part | None = None) -> str:
        """This person's token with other words in it, and a good signature."""
        own_header, own_claims, _ = parts(person.tokens.access_token)
        own_kid = own_header["kid"]
        words = signing_input({**own_header, **(header or {})}, {**own_claims, **(claims or {})})
        return f"{words}.{encoded(self._key(str(own_kid)).sign(words.encode()))}"

    def expired(self, person: Person) -> str:
        """This person's token as it would be a day later."""
        now = int(time.time())
        then = now - _A_DAY_SECONDS
        return self.changed(person, claims={"iat": then, "nbf": then, "exp": now - 60})

    def _key(self, key_id: str) -> Ed25519PrivateKey:
        secret = json.loads((self.state / SECRETS).read_text())["user"]["SIGNING_KEY_SECRET"]
        sealed = base64.b64decode(self._sealed(key_id))
        salt, rest = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
        nonce, text = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        sealing_key = HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(secret.encode())
        private = json.loads(AESGCM(sealing_key).decrypt(nonce, text, key_id.encode()))
        return Ed25519PrivateKey.from_private_bytes(decoded(private["d"]))

    def _sealed(self, key_id: str) -> str:
        for path in (self.state / "v3" / "d1").rglob("*.sqlite"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                try:
                    row = database.execute("SELECT sealed_private_key FROM signing_keys WHERE id = ?", (key_id,))
                    found = row.fetchone()
                except sqlite3.OperationalError:
                    continue
                if found:
                    return str(found[0])
        raise LookupError(f"no database of this run holds the key {key_id}")
