"""The routes of sessions: registering, signing in and out, and the keys that access tokens are signed with."""

from gateway.answers import KeySet
from gateway.http import Response, json_of, json_text
from gateway.identity import GATEWAY
from gateway.preconditions import entity_tag
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.user import (
    Accounts,
    Admin,
    Identities,
    RefreshSession,
    Register,
    SignIn,
    SignInFrom,
    SignOut,
    Tokens,
    User,
)

# Well below the time for which a new key is published before it signs (KEY_OVERLAP_SECONDS).
_KEYS_KEPT = {"cache-control": "public, max-age=60"}


async def register(asked: Asked[Register]) -> Response:
    """A new account, of a customer; with the token of an invitation it is a member of the company at once."""
    user = await asked.ask(Accounts).register(asked.input)
    answer = json_of(user, 201, {"location": "/api/users/me"})
    return answer.having({"etag": entity_tag(user.version, answer.text or "")})


async def sign_in(asked: Asked[SignIn]) -> Response:
    """A new session. An unknown address, a wrong password and a disabled account are answered alike."""
    attempt = SignInFrom(email=asked.input.email, password=asked.input.password, address=asked.address)
    return json_of(await asked.ask(Accounts).sign_in(attempt))


async def refresh_session(asked: Asked[RefreshSession]) -> Response:
    """The session's next tokens. A refresh token is good once: one that comes again ends its session."""
    return json_of(await asked.ask(Accounts).refresh(asked.input))


async def sign_out(asked: Asked[SignOut]) -> Response:
    """The session of the refresh token, or of the caller without one, ends, or all of the account's sessions."""
    await asked.ask(Accounts).sign_out(asked.input)
    return Response(204)


async def get_keys(asked: Asked[Nothing]) -> Response:
    """The public keys of all access tokens that are still good (RFC 7517)."""
    text = await asked.services.ask(Identities, GATEWAY).get_keys(asked.input)
    return json_text(text, headers=_KEYS_KEPT)


async def rotate_keys(asked: Asked[Nothing]) -> Response:
    """A new signing key, which signs as soon as every verifier had the time to hear of it."""
    return json_text(await asked.ask(Admin).rotate_keys(asked.input))


ROUTES = (
    Route(
        "POST",
        "/api/auth/register",
        Access.PUBLIC,
        register,
        Register,
        "Open an account",
        output=User,
        status=201,
        refuses=(409,),
        has_etag=True,
        limit_instead="sign_in",
    ),
    Route(
        "POST",
        "/api/auth/login",
        Access.PUBLIC,
        sign_in,
        SignIn,
        "Sign in",
        output=Tokens,
        refuses=(401,),
        limit_instead="sign_in",
    ),
    Route(
        "POST",
        "/api/auth/refresh",
        Access.PUBLIC,
        refresh_session,
        RefreshSession,
        "Go on with a session",
        output=Tokens,
        refuses=(401,),
    ),
    Route("POST", "/api/auth/logout", Access.ANYONE, sign_out, SignOut, "Sign out", status=204),
    Route("GET", "/.well-known/jwks.json", Access.PUBLIC, get_keys, Nothing, "The signing keys", output=KeySet),
    Route(
        "POST",
        "/api/signing-keys/rotate",
        "keys:rotate",
        rotate_keys,
        Nothing,
        "Replace the signing key",
        output=KeySet,
        takes_instead="query",
    ),
)
