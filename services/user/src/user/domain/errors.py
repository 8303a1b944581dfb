"""The refusals that accounts know, with the codes that a client may rely on."""

from shared_kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
)


class UserNotFound(NotFound):
    """There is no such account."""

    code = "user_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such account")


class EmailTaken(Conflict):
    """Another account has this address, whatever its case."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("there is an account with this e-mail address")


class StaleVersion(PreconditionFailed):
    """What is to be changed was changed since the author of this change read it."""

    code = "stale_version"

    def __init__(self, version: int) -> None:
        super().__init__(f"the account is at version {version} by now", details={"version": version})


class LastAdmin(Conflict):
    """Without this admin nobody could give rights any more."""

    code = "last_admin"

    def __init__(self) -> None:
        super().__init__("this is the only admin that is left: make another one first")


class PasswordNotAllowed(Invalid):
    """The new password is one of the first that somebody would guess, or of a length that is not allowed."""


class InvitationNotValid(Invalid):
    """The invitation was taken or withdrawn, or was never made for this address."""

    code = "invitation_not_valid"

    def __init__(self) -> None:
        super().__init__("the invitation is not valid for this e-mail address")


class InvalidCredentials(Unauthenticated):
    """No account has this address and this password, or the one that has is disabled: which of these is not told."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("the e-mail address and the password do not belong together")


class InvalidToken(Unauthenticated):
    """The token is good for nothing, or not any more."""

    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__("the token is not valid")


class WrongPassword(Forbidden):
    """The password that is to be replaced is another one."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("the current password is not the right one")


class TooManyRotations(TooManyRequests):
    """As many keys verify as may; the next one is made when the oldest of them has no token left."""

    code = "too_many_rotations"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"the signing key was replaced too often; try again in {retry_after_seconds} seconds",
            details={"retry_after_seconds": retry_after_seconds},
        )


class TooManySignIns(TooManyRequests):
    """Too many attempts failed; the right password is not taken either until the oldest of them is forgotten."""

    code = "too_many_sign_ins"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many attempts to sign in failed; try again in {retry_after_seconds} seconds",
            details={"retry_after_seconds": retry_after_seconds},
        )
