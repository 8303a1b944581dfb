"""Signing keys by WebCrypto: Ed25519 key pairs, kept sealed with AES-GCM under a key that HKDF derives from the secret.

https://www.w3.org/TR/webcrypto/, with Ed25519 by https://wicg.github.io/webcrypto-secure-curves/
"""

import base64
import json
import secrets
from datetime import datetime
from typing import Any

import js
from pyodide.ffi import to_js

from shared_kernel.clock import rfc3339
from shared_kernel.cloudflare import js_value
from shared_kernel.errors import Fault
from shared_kernel.ids import new_id
from user.domain.signing_key import SigningKey

_SALT_BYTES, _NONCE_BYTES = 16, 12
_ED25519 = "Ed25519"
_PURPOSE = b"pasar: sealed signing key"
_PUBLIC_MEMBERS = ("kty", "crv", "x")


class WebCryptoVault:
    """Makes keys and signs with them; `secret` is the Worker's SIGNING_KEY_SECRET."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def make(self, signs_from: datetime) -> SigningKey:
        """A new key pair that signs from then on."""
        key_id = new_id("key", signs_from)
        pair = await js.crypto.subtle.generateKey(js_value({"name": _ED25519}), True, to_js(["sign", "verify"]))
        jwk = json.loads(js.JSON.stringify(await js.crypto.subtle.exportKey("jwk", pair.privateKey)))
        public = {member: jwk[member] for member in _PUBLIC_MEMBERS}
        return SigningKey(
            id=key_id,
            public_key=json.dumps(public),
            sealed_private_key=await self._seal(key_id, json.dumps({**public, "d": jwk["d"]}).encode()),
            signs_from=rfc3339(signs_from),
        )

    async def sign(self, key: SigningKey, message: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032); raises when the secret does not open the key."""
        jwk = json.loads(await self._open(key.id, key.sealed_private_key))
        imported = await js.crypto.subtle.importKey(
            "jwk", js_value(jwk), js_value({"name": _ED25519}), False, to_js(["sign"])
        )
        signature = await js.crypto.subtle.sign(js_value({"name": _ED25519}), imported, to_js(message))
        return bytes(signature.to_bytes())

    async def _seal(self, key_id: str, plain: bytes) -> str:
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        sealed = await js.crypto.subtle.encrypt(
            _aes_gcm(nonce, key_id), await self._sealing_key(salt, "encrypt"), to_js(plain)
        )
        return base64.b64encode(salt + nonce + bytes(sealed.to_bytes())).decode()

    async def _open(self, key_id: str, sealed_text: str) -> bytes:
        sealed = base64.b64decode(sealed_text)
        salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        rest = to_js(sealed[_SALT_BYTES + _NONCE_BYTES :])
        sealing_key = await self._sealing_key(salt, "decrypt")
        plain = await js.crypto.subtle.decrypt(_aes_gcm(nonce, key_id), sealing_key, rest)
        return bytes(plain.to_bytes())

    async def _sealing_key(self, salt: bytes, use: str) -> Any:
        # HKDF takes an empty secret too, and whoever reads the database could then open every key.
        if not self._secret:
            raise Fault("SIGNING_KEY_SECRET is empty")
        secret = await js.crypto.subtle.importKey("raw", to_js(self._secret), "HKDF", False, to_js(["deriveKey"]))
        derivation = js_value({"name": "HKDF", "hash": "SHA-256", "salt": to_js(salt), "info": to_js(_PURPOSE)})
        form = js_value({"name": "AES-GCM", "length": 256})
        return await js.crypto.subtle.deriveKey(derivation, secret, form, False, to_js([use]))


def _aes_gcm(nonce: bytes, key_id: str) -> Any:
    """A sealed key is bound to its id, so that one cannot be put in another's place."""
    return js_value({"name": "AES-GCM", "iv": to_js(nonce), "additionalData": to_js(key_id.encode())})
