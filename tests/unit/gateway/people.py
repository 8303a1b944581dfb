"""The user service of the fake shop: one account for each role, whose sessions have the ids of signing.py."""

from typing import Any

from shared_kernel.contracts import user
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
)
from shared_kernel.rpc import Json
from tests.unit.gateway.service import Service
from tests.unit.gateway.signing import ROLES, SESSION_IDS, USER_IDS, access_token, standing_of

NOW = "2026-11-21T08:30:00.000Z"
PASSWORD = "correct horse"
TOKENS = user.Tokens(access_token=access_token(), expires_in=600, refresh_token="refresh-2")


def a_user(**changes: Any) -> user.User:
    """The customer's account, but for the changes."""
    siti = user.User(
        id=USER_IDS["customer"],
        email="siti@example.com",
        name="Siti",
        role="customer",
        disabled=False,
        version=3,
        created_at=NOW,
        updated_at=NOW,
    )
    return siti.model_copy(update=changes)


class Accounts(Service):
    """Whoever knows the password is signed in, but for one who has tried too often."""

    async def register(self, request: user.Register) -> user.User:
        self._note("register")
        if request.email == "taken@example.com":
            raise Conflict("another account has this address", code="email_taken")
        return a_user(email=request.email, name=request.name, version=1)

    async def sign_in(self, request: user.SignInFrom) -> user.Tokens:
        self._note("sign_in")
        self._shop.attempts.append(request)
        if request.email == "tried@example.com":
            details = {"retry_after_seconds": 321}
            raise TooManyRequests("too many attempts", code="too_many_sign_ins", details=details)
        if request.password != PASSWORD:
            raise Unauthenticated("the address or the password is wrong", code="invalid_credentials")
        return TOKENS

    async def refresh(self, request: user.RefreshSession) -> user.Tokens:
        self._note("refresh")
        if request.refresh_token != "refresh-1":
            raise Unauthenticated("the refresh token is not good", code="invalid_token")
        return TOKENS

    async def sign_out(self, request: user.SignOut) -> Nothing:
        self._note(f"sign_out everywhere={request.everywhere}")
        if self._principal.session_id is None and request.refresh_token is None:
            raise Unauthenticated("nothing names a session")
        return Nothing()

    async def get_me(self, request: Nothing) -> user.User:
        self._note("get_me")
        if self._principal.id not in USER_IDS.values():
            raise NotFound("the caller has no account", code="user_not_found")
        return a_user(id=self._principal.id, role=self._principal.kind, company_id=self._principal.company_id)

    async def change_me(self, request: user.ChangeProfile) -> user.User:
        self._note("change_me")
        if request.expected_version != 3:
            raise PreconditionFailed("the account has changed since", code="stale_version")
        return a_user(name=request.changes.name, version=4)

    async def change_password(self, request: user.ChangePassword) -> Nothing:
        self._note("change_password")
        if request.current_password != PASSWORD:
            raise Forbidden("the present password is another one", code="wrong_password")
        return Nothing()


class Admin(Service):
    """What admins read and change of accounts."""

    async def list_users(self, request: user.ListUsers) -> Json:
        self._note(f"list_users role={request.role}")
        return Json(f'{{"items": [{a_user().model_dump_json(exclude_none=True)}], "next_cursor": null}}')

    async def get_user(self, request: user.GetUser) -> user.User:
        self._note(f"get_user {request.id}")
        return a_user(id=request.id)

    async def change_user(self, request: user.ChangeUser) -> user.User:
        self._note(f"change_user {request.id}")
        if request.id == USER_IDS["admin"]:
            raise Conflict("this is the only admin that is left", code="last_admin")
        if request.expected_version != 3:
            raise PreconditionFailed("the account has changed since", code="stale_version")
        return a_user(id=request.id, role=request.changes.role or "customer", version=4)

    async def list_audit(self, request: user.ListAudit) -> Json:
        self._note(f"list_audit subject={request.subject}")
        return Json('{"items": [], "next_cursor": null}')

    async def rotate_keys(self, request: Nothing) -> Json:
        self._note("rotate_keys")
        return Json(self._shop.published_keys)


class Identities(Service):
    """The keys, and who the sessions' people are."""

    async def get_keys(self, request: Nothing) -> Json:
        self._note("get_keys")
        return Json(self._shop.published_keys)

    async def get_standing(self, request: user.CheckSession) -> user.Standing:
        self._note("get_standing")
        if request.session_id in self._shop.ended_sessions:
            raise Unauthenticated("the session has ended", code="invalid_token")
        return next(standing_of(role) for role in ROLES if SESSION_IDS[role] == request.session_id)
