"""The user Worker: which adapter serves which contract."""

from typing import Any

from workers import WorkerEntrypoint

from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import D1, bindings, log_to_console, send_outbox, setting, wait_until
from shared_kernel.contracts import company as company_contract
from shared_kernel.contracts import user as contract
from shared_kernel.rpc import Call, serves
from user.application.accounts import Accounts, SignInTerms, Stores
from user.application.admin import Admin as AdminUseCases
from user.application.companies import Companies as CompaniesUseCases
from user.application.identities import Identities
from user.application.passwords import Passwords
from user.application.signing import Keyring, TokenTerms
from user.application.spending import Spending as SpendingUseCases
from user.domain.attempts import Limits
from user.infrastructure.argon2 import Argon2Hasher, Parameters
from user.infrastructure.common_passwords import COMMON_PASSWORDS
from user.infrastructure.d1_accounts import D1Accounts
from user.infrastructure.d1_attempts import D1Attempts
from user.infrastructure.d1_companies import D1Companies
from user.infrastructure.d1_directory import D1Directory
from user.infrastructure.d1_sessions import D1Sessions
from user.infrastructure.d1_signing_keys import D1SigningKeys
from user.infrastructure.d1_spending import D1Spendings
from user.infrastructure.d1_sweep import sweep
from user.infrastructure.webcrypto import WebCryptoVault

log_to_console()


def _database() -> D1:
    return D1(bindings().DB)


def _number(name: str) -> int:
    return int(setting(name))


def _limits() -> Limits:
    return Limits(
        together=_number("SIGN_IN_ATTEMPTS"),
        per_account=_number("SIGN_IN_ATTEMPTS_PER_ACCOUNT"),
        per_address=_number("SIGN_IN_ATTEMPTS_PER_ADDRESS"),
        window_seconds=_number("SIGN_IN_WINDOW_SECONDS"),
    )


def _keyring() -> Keyring:
    terms = TokenTerms(setting("TOKEN_ISSUER"), _number("ACCESS_TOKEN_SECONDS"), _number("KEY_OVERLAP_SECONDS"))
    return Keyring(D1SigningKeys(_database()), WebCryptoVault(setting("SIGNING_KEY_SECRET")), terms)


def _accounts(call: Call) -> Accounts:
    database = _database()
    stores = Stores(
        D1Accounts(database),
        D1Companies(database),
        D1Sessions(database),
        D1Attempts(database),
        D1Directory(database),
    )
    cost = Parameters(_number("ARGON2_MEMORY_KIB"), _number("ARGON2_PASSES"), _number("ARGON2_LANES"))
    passwords = Passwords(Argon2Hasher(cost), COMMON_PASSWORDS)
    terms = SignInTerms(_number("SESSION_SECONDS"), _limits())
    return Accounts(stores, passwords, _keyring(), terms, call, system_clock, _publish)


def _admin(call: Call) -> AdminUseCases:
    database = _database()
    return AdminUseCases(D1Accounts(database), D1Directory(database), _keyring(), call, system_clock, _publish)


def _identities(call: Call) -> Identities:
    return Identities(D1Sessions(_database()), _keyring(), call.principal, system_clock)


def _companies(call: Call) -> CompaniesUseCases:
    return CompaniesUseCases(D1Companies(_database()), call, system_clock, _publish)


def _spending(call: Call) -> SpendingUseCases:
    return SpendingUseCases(D1Spendings(_database()), call, system_clock)


def _publish() -> None:
    wait_until(send_outbox(_database()))


@serves(contract.Accounts, _accounts)
class Default(WorkerEntrypoint):
    """Accounts and sessions; the cron sends the events that a crash left behind, and forgets what is over."""

    async def scheduled(self, controller: Any, env: Any = None, ctx: Any = None) -> None:
        """Forget what is over; whatever becomes of that, send what waits in the outbox."""
        try:
            await sweep(_database(), _limits(), system_clock())
        finally:
            await send_outbox(_database())


@serves(contract.Admin, _admin)
class Admin(WorkerEntrypoint):
    """The care of accounts, for admins."""


@serves(contract.Identities, _identities)
class Identity(WorkerEntrypoint):
    """Who calls, for the gateway."""


@serves(company_contract.Companies, _companies)
class Companies(WorkerEntrypoint):
    """Companies, for their members and staff."""


@serves(company_contract.Spending, _spending)
class Spending(WorkerEntrypoint):
    """What companies' buyers may spend, for the order service."""
