"""What the use cases of companies and of spending need of the place where both are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared_kernel.contracts import company as contract
from shared_kernel.cursor import Cursor, Listed
from user.application.ports import Told
from user.domain.company import Account, Company, Founding
from user.domain.spending import Approval, Spending


class Companies(Protocol):
    """The companies with their members. The invitations to them are a port of the accounts: Invitations."""

    async def get(self, company_id: str) -> Company | None:
        """The company, or None."""
        ...

    async def founding(self, founder_id: str, tax_id: str) -> Founding:
        """What stands in the way of a new company."""
        ...

    async def account(self, email: str, company_id: str) -> Account | None:
        """The account with this address (lower case), with what it has spent for this company; or None."""
        ...

    async def save(self, before: Company | None, after: Company, told: Told) -> None:
        """Write what differs, and what is told of it: all of it, or nothing.

        ConstraintViolated when another was quicker, or has taken the account, the address or the tax number.
        """
        ...

    async def page(self, wanted: contract.ListCompanies, after: Cursor | None) -> Sequence[Listed]:
        """The newest first, one more than the page holds where there are more."""
        ...


class Spendings(Protocol):
    """What orders count against their buyers' limits; each method is one transaction and may be repeated."""

    async def authorise(self, order: contract.SpendOnOrder, now: datetime) -> Spending | None:
        """Count the order where its buyer is one; what is recorded of it, or None for nobody's order."""
        ...

    async def approve(self, approval: contract.ApproveSpending, now: datetime) -> Approval:
        """Say the yes where the approver may; what is recorded, and what the approver is."""
        ...

    async def approval(self, approval: contract.ApproveSpending) -> Approval:
        """What is recorded, and what the approver is, with nothing said."""
        ...

    async def release(self, order_id: str, now: datetime) -> None:
        """Count the order no more, be it known or not."""
        ...
