"""Opaque tokens: how they are made, and what is kept of them.

A token holds 256 random bits, so that a plain SHA-256 of it is as hard to invert as the token is to guess.
"""

import hashlib
import secrets

_TOKEN_BYTES = 32


def new_token() -> str:
    """A fresh token, as base64url. Not to be called while a Worker starts."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def digest(token: str) -> str:
    """What is kept of a token: SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
