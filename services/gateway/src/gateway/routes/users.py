"""The routes of people: what each changes of his own account, and what admins change of others' and read of it all."""

from gateway.answers import AuditPage, UserPage
from gateway.http import Response, json_of, json_text
from gateway.preconditions import entity_tag
from gateway.routing import Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.user import (
    Accounts,
    Admin,
    ChangePassword,
    ChangeProfile,
    ChangeUser,
    GetUser,
    ListAudit,
    ListUsers,
    ProfileChanges,
    User,
    UserChanges,
)


def _user(user: User) -> Response:
    # The role comes and goes with a company, under the same version.
    answer = json_of(user)
    return answer.having({"etag": entity_tag(user.version, answer.text or "")})


async def get_me(asked: Asked[Nothing]) -> Response:
    """The caller's own account."""
    return _user(await asked.ask(Accounts).get_me(asked.input))


async def change_me(asked: Asked[ProfileChanges]) -> Response:
    """The caller's own account, if it still is as he saw it."""
    change = ChangeProfile(expected_version=asked.expected_version, changes=asked.input)
    return _user(await asked.ask(Accounts).change_me(change))


async def change_password(asked: Asked[ChangePassword]) -> Response:
    """Another password for the caller, whose other sessions end."""
    await asked.ask(Accounts).change_password(asked.input)
    return Response(204)


async def list_users(asked: Asked[ListUsers]) -> Response:
    """A page of the accounts, newest first."""
    return json_text(await asked.ask(Admin).list_users(asked.input))


async def get_user(asked: Asked[Nothing]) -> Response:
    """One account."""
    return _user(await asked.ask(Admin).get_user(GetUser(id=asked.path["id"])))


async def change_user(asked: Asked[UserChanges]) -> Response:
    """An account's role, or whether it is disabled, if it still is as the admin saw it."""
    change = ChangeUser(id=asked.path["id"], expected_version=asked.expected_version, changes=asked.input)
    return _user(await asked.ask(Admin).change_user(change))


async def list_audit(asked: Asked[ListAudit]) -> Response:
    """A page of the changes of rights and the ends of sessions, newest first."""
    return json_text(await asked.ask(Admin).list_audit(asked.input))


ROUTES = (
    # The local staff token has no account: 404.
    Route(
        "GET",
        "/api/users/me",
        "account:use",
        get_me,
        Nothing,
        "One's own account",
        output=User,
        refuses=(404,),
        has_etag=True,
    ),
    Route(
        "PATCH",
        "/api/users/me",
        "account:use",
        change_me,
        ProfileChanges,
        "Change one's own account",
        output=User,
        refuses=(404,),
        needs_if_match=True,
        has_etag=True,
    ),
    Route(
        "POST",
        "/api/users/me/password",
        "account:use",
        change_password,
        ChangePassword,
        "Change one's own password",
        status=204,
        refuses=(403, 404),
        limit_instead="sign_in",
    ),
    Route("GET", "/api/users", "users:manage", list_users, ListUsers, "All accounts", output=UserPage),
    Route("GET", "/api/users/{id}", "users:manage", get_user, Nothing, "One account", output=User, has_etag=True),
    Route(
        "PATCH",
        "/api/users/{id}",
        "users:manage",
        change_user,
        UserChanges,
        "Change an account",
        output=User,
        refuses=(409,),
        needs_if_match=True,
        has_etag=True,
    ),
    Route("GET", "/api/audit", "users:manage", list_audit, ListAudit, "The audit", output=AuditPage),
)
