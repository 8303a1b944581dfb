"""What the user service offers of accounts: sessions, profiles, rights and signing keys."""

from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints, model_validator

from shared_kernel.contracts.model import CursorText, Email, Health, Limit, Line, Message, Nothing
from shared_kernel.ids import Id
from shared_kernel.permissions import Role
from shared_kernel.rpc import Json

# Long ones are allowed, and no rules of composition are made (NIST SP 800-63B-4, 3.1.1.2); 8 is OWASP ASVS 5.0, 6.2.1.
Password = Annotated[str, StringConstraints(min_length=8, max_length=128)]
AnyPassword = Annotated[str, StringConstraints(max_length=128)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
GivenRole = Literal["customer", "staff", "admin"]
"""The roles that an account is given; a customer is a buyer while he is a member of an approved company."""


class User(Message):
    """An account; `role` is the one that it has now, so a member of an approved company is a buyer."""

    id: str
    email: str
    name: str
    role: Role
    disabled: bool
    company_id: str | None = None
    version: int
    created_at: str
    updated_at: str


class Register(Message):
    """A new account. With the token of an invitation to a company it becomes its member at once."""

    email: Email
    password: Password = Field(repr=False)
    name: Line
    invitation_token: Token | None = Field(default=None, repr=False)


class SignIn(Message):
    """The body of `POST /api/auth/login`."""

    email: Email
    password: AnyPassword = Field(repr=False)


class SignInFrom(SignIn):
    """A sign-in with the address that it comes from, by which attempts are counted; neither is ever logged."""

    address: str = Field(repr=False)


class RefreshSession(Message):
    """The body of `POST /api/auth/refresh`."""

    refresh_token: Token = Field(repr=False)


class SignOut(Message):
    """The body of `POST /api/auth/logout`: the session of the refresh token, or of the caller without one."""

    refresh_token: Token | None = Field(default=None, repr=False)
    everywhere: bool = False


class Tokens(Message):
    """An OAuth 2.0 token response (RFC 6749, 5.1); `expires_in` is in seconds."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    refresh_token: str = Field(repr=False)


class ProfileChanges(Message):
    """What people change of their own account."""

    name: Line


class ChangeProfile(Message):
    """A change to the version that its author has seen; PreconditionFailed when there is a newer one."""

    expected_version: int
    changes: ProfileChanges


class ChangePassword(Message):
    """Every other session of the account ends with it."""

    current_password: AnyPassword = Field(repr=False)
    new_password: Password = Field(repr=False)


class UserChanges(Message):
    """What an admin changes of an account; disabling it ends its sessions."""

    role: GivenRole | None = None
    disabled: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> "UserChanges":
        if self.role is None and self.disabled is None:
            raise ValueError("name the role, or whether the account is disabled")
        return self


class GetUser(Message):
    """Which account."""

    id: Id


class ChangeUser(Message):
    """A change to the version that its author has seen; PreconditionFailed when there is a newer one."""

    id: Id
    expected_version: int
    changes: UserChanges


class ListUsers(Message):
    """Accounts, newest first."""

    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    role: GivenRole | None = None
    limit: Limit = 20
    cursor: CursorText | None = None


class ListAudit(Message):
    """Changes of rights and ends of sessions, newest first; of one account or company, or of all."""

    subject: Id | None = None
    limit: Limit = 20
    cursor: CursorText | None = None


class CheckSession(Message):
    """The session that an access token names."""

    session_id: Id


class Standing(Message):
    """Who a session's person is now, whatever his token said when it was made."""

    user_id: str
    role: Role
    company_id: str | None = None


class Accounts(Protocol):
    """For the gateway: accounts and sessions of the people who call."""

    async def register(self, request: Register) -> User:
        """The new account. Conflict `email_taken`; Invalid `password_too_common`, `password_too_personal`,
        `password_length` (in NFKC it has another length), `invitation_not_valid`."""
        ...

    async def sign_in(self, request: SignInFrom) -> Tokens:
        """A new session. Unauthenticated `invalid_credentials` for an unknown address, a wrong password and a disabled
        account alike; TooManyRequests `too_many_sign_ins` with `retry_after_seconds`."""
        ...

    async def refresh(self, request: RefreshSession) -> Tokens:
        """The session's next tokens; the refresh token before is good no more. Unauthenticated `invalid_token`;
        a refresh token that was used before ends its session."""
        ...

    async def sign_out(self, request: SignOut) -> Nothing:
        """The session is ended, or all of the account's; Unauthenticated where nothing names one. A refresh token that
        is good for nothing is no error: what it would end has ended."""
        ...

    async def get_me(self, request: Nothing) -> User:
        """The caller's account."""
        ...

    async def change_me(self, request: ChangeProfile) -> User:
        """The caller's account after the change."""
        ...

    async def change_password(self, request: ChangePassword) -> Nothing:
        """Forbidden `wrong_password`; Invalid as for `register`; TooManyRequests as for a sign-in."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service, its database and its secret are there."""
        ...


class Admin(Protocol):
    """For those with `users:manage` or `keys:rotate`, through the gateway."""

    async def list_users(self, request: ListUsers) -> Json:
        """`{"items": [User], "next_cursor"}`."""
        ...

    async def get_user(self, request: GetUser) -> User:
        """One account; NotFound."""
        ...

    async def change_user(self, request: ChangeUser) -> User:
        """The account after the change; NotFound; Conflict `last_admin` for the only admin that is left."""
        ...

    async def list_audit(self, request: ListAudit) -> Json:
        """`{"items": [{"id", "action", "actor_id", "subject_id", "details", "occurred_at"}], "next_cursor"}`."""
        ...

    async def rotate_keys(self, request: Nothing) -> Json:
        """A new signing key, which signs as soon as every verifier had time to hear of it: the JWKS after it.
        TooManyRequests `too_many_rotations` while ten keys verify."""
        ...


class Identities(Protocol):
    """For the gateway itself: how it knows who calls."""

    async def get_keys(self, request: Nothing) -> Json:
        """The JWKS (RFC 7517): every key that an access token which is still good may be signed with."""
        ...

    async def get_standing(self, request: CheckSession) -> Standing:
        """Who the session's person is; Unauthenticated `invalid_token` when the session has ended or the account is
        disabled."""
        ...
