"""The rotation of a running shop's signing key: decides who asks for it, and what is told of the keys.

Each key is told by its id alone. The new one signs only after every verifier had time to hear of it, the one before
verifies until its last token has expired; so it may be done at any moment, and as often as one likes.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import uuid
from pathlib import Path

import httpx
from pydantic import BaseModel, ValidationError

from shared_kernel.contracts.user import Tokens
from wrangler.running import DEFAULT_STATE, Connection, read_connection
from wrangler.state import CONNECTION

TOKEN_VARIABLE = "PASAR_ACCESS_TOKEN"
_REQUEST_SECONDS = 30


class RotationFailed(Exception):
    """The key was not rotated; the message says why."""


class _Key(BaseModel):
    kid: str


class _Keys(BaseModel):
    keys: list[_Key]


def rotate(url: str, access_token: str) -> list[str]:
    """The ids of the keys that verify from now on, after a new one was made; RotationFailed."""
    headers = {"authorization": f"Bearer {access_token}", "idempotency-key": str(uuid.uuid4())}
    return [key.kid for key in _Keys.model_validate_json(_post(url, "/api/signing-keys/rotate", headers, None)).keys]


def sign_in(url: str, email: str, password: str) -> str:
    """An access token; RotationFailed."""
    text = _post(url, "/api/auth/login", {}, {"email": email, "password": password})
    return Tokens.model_validate_json(text).access_token


def _post(url: str, path: str, headers: dict[str, str], body: dict[str, str] | None) -> str:
    try:
        response = httpx.post(f"{url}{path}", headers=headers, json=body, timeout=_REQUEST_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RotationFailed(f"{url} gave no answer: {error}") from error
    if not response.is_success:
        raise RotationFailed(f"POST {path} was answered {response.status_code}: {response.text[:500]}")
    return response.text


def access_token(url: str, connection: Connection | None) -> str:
    """The caller's: from the environment, or by signing in as a local run's admin or as whoever is asked for."""
    given = os.environ.get(TOKEN_VARIABLE)
    if given:
        return given
    if connection is not None:
        return sign_in(url, connection.admin_email, connection.admin_password)
    return sign_in(url, input("E-mail: ").strip(), getpass.getpass("Password: "))


def run(arguments: list[str]) -> list[str]:
    """Rotate as the command line says, and give the keys' ids; RotationFailed, ValidationError."""
    parser = argparse.ArgumentParser(
        prog="scripts/rotate_keys.sh",
        description="Replaces the key that signs access tokens. A deployed shop is asked with the access token of an "
        f"admin in {TOKEN_VARIABLE}, or with an e-mail address and a password that are asked for.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", help="the address of a deployed shop")
    where.add_argument("--state", type=Path, default=DEFAULT_STATE, help="the state of a local system that runs")
    options = parser.parse_args(arguments)
    if options.url is not None:
        url: str = options.url.rstrip("/")
        return rotate(url, access_token(url, None))
    try:
        connection = read_connection(options.state / CONNECTION)
    except (OSError, ValidationError):
        raise RotationFailed(f"no system runs on {options.state}; a deployed one is named by --url") from None
    return rotate(connection.url, access_token(connection.url, connection))


def main(arguments: list[str]) -> int:
    """Rotate and print the keys' ids; a failure is a sentence on standard error and status 1."""
    try:
        kids = run(arguments)
    except (RotationFailed, ValidationError, OSError, EOFError) as error:
        print(f"pasar: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npasar: interrupted", file=sys.stderr)
        return 130
    print("The keys that verify access tokens now:")
    print(*kids, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
