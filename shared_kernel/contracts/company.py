"""What the user service offers of companies: their members, and what these may spend."""

from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints

from shared_kernel.contracts.model import (
    CursorText,
    Email,
    Limit,
    Line,
    Message,
    Nothing,
    PostalCode,
    ReasonText,
    ShortLine,
)
from shared_kernel.ids import Id
from shared_kernel.money import Money
from shared_kernel.rpc import Json

MemberRole = Literal["admin", "buyer", "approver"]
CompanyStatus = Literal["pending", "approved", "rejected"]
MemberStatus = Literal["invited", "active"]
Decision = Literal["within_limit", "needs_approval", "approved"]


class CompanyAddress(Message):
    """Where a company is; the country is ISO 3166-1 alpha-2."""

    line1: Line
    line2: Line | None = None
    city: Line
    postal_code: PostalCode
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Member(Message):
    """A member of a company. `spent` is what his orders that were placed and not cancelled come to, by currency.

    One who is `invited` has no account yet, only the id that it will have: `invitation_token`, with which he
    registers, is told once, to who invited him.
    """

    user_id: str
    email: str
    name: str | None = None
    role: MemberRole
    status: MemberStatus
    spending_limit: Money | None = None
    spent: list[Money] = Field(default_factory=list)
    version: int
    invitation_token: str | None = Field(default=None, repr=False)


class Company(Message):
    """A wholesale company as its members and staff see it."""

    id: str
    name: str
    tax_id: str
    address: CompanyAddress
    status: CompanyStatus
    reason: str | None = None
    members: list[Member]
    version: int
    created_at: str
    updated_at: str


class NewCompany(Message):
    """A company as its founder describes it; he becomes its admin, and staff approve or reject it."""

    name: Line
    tax_id: ShortLine
    address: CompanyAddress


class GetCompany(Message):
    """Which company."""

    id: Id


class ListCompanies(Message):
    """Companies, newest first."""

    status: CompanyStatus | None = None
    limit: Limit = 20
    cursor: CursorText | None = None


class Reason(Message):
    """Why a company is rejected, or an order refused."""

    reason: ReasonText


class ReviewCompany(Message):
    """The decision of staff; a reason for a rejection."""

    id: Id
    decision: Literal["approved", "rejected"]
    reason: ReasonText | None = None


class NewMember(Message):
    """Whom a company's admin invites; without a limit he may order for any sum."""

    email: Email
    role: MemberRole
    spending_limit: Money | None = None


class AddMember(Message):
    """An invitation to a company."""

    company_id: Id
    member: NewMember


class MemberChanges(Message):
    """What changes of a member; those left out stay, and `spending_limit` can be taken away with null."""

    role: MemberRole | None = None
    spending_limit: Money | None = None


class ChangeMember(Message):
    """A change to the version that its author has seen; `keeps_limit` when the change says nothing of the limit."""

    company_id: Id
    user_id: Id
    expected_version: int
    role: MemberRole | None = None
    spending_limit: Money | None = None
    keeps_limit: bool


class RemoveMember(Message):
    """Whom a company's admin sends away, or who leaves."""

    company_id: Id
    user_id: Id


class SpendOnOrder(Message):
    """An order that a buyer has placed for his company."""

    order_id: Id
    user_id: Id
    company_id: Id
    amount: Money


class SpendingDecision(Message):
    """Whether the order goes on by itself; `approved` is said after somebody's yes, with whose it was."""

    decision: Decision
    approver_id: str | None = None


class ApproveSpending(Message):
    """The answer of an approver to an order over a buyer's limit."""

    order_id: Id
    company_id: Id
    approver_id: Id


class OrderSpending(Message):
    """Whose order's spending."""

    order_id: Id


class Companies(Protocol):
    """For the gateway: companies, for their members and staff. To others they do not exist (NotFound)."""

    async def found_company(self, request: NewCompany) -> Company:
        """The pending company. Conflict `already_a_member` for one who is a member of a company that was not
        rejected; `tax_id_taken`."""
        ...

    async def get_company(self, request: GetCompany) -> Company:
        """One company with its members."""
        ...

    async def list_companies(self, request: ListCompanies) -> Json:
        """For `companies:review`: `{"items": [{"id", "name", "tax_id", "status", "created_at"}], "next_cursor"}`."""
        ...

    async def review_company(self, request: ReviewCompany) -> Company:
        """For `companies:review`. The same decision again changes nothing; Conflict `already_reviewed` for another;
        Invalid `reason_required`."""
        ...

    async def add_member(self, request: AddMember) -> Member:
        """For the company's admins. An account with this address is a member at once; Conflict `already_a_member`,
        `company_not_approved`, `company_full`; Invalid `negative_amount`."""
        ...

    async def change_member(self, request: ChangeMember) -> Member:
        """For the company's admins; and for `companies:review` to make an active member the admin, where no admin of
        the company can act. Conflict `last_company_admin`; PreconditionFailed; Invalid `negative_amount`."""
        ...

    async def remove_member(self, request: RemoveMember) -> Nothing:
        """For the company's admins and the member himself; Conflict `last_company_admin`."""
        ...


class Spending(Protocol):
    """For the order service. Every method may be repeated, and answers what was recorded."""

    async def authorise(self, request: SpendOnOrder) -> SpendingDecision:
        """Count the order. Conflict `not_a_buyer` for one who is no member of the approved company;
        `spending_released` when it was given back before; `spending_differs` when it was counted otherwise."""
        ...

    async def approve(self, request: ApproveSpending) -> SpendingDecision:
        """Forbidden `not_an_approver` for one who is neither approver nor admin of the company, `own_order` for the
        buyer himself; NotFound; Conflict `spending_released`."""
        ...

    async def may_approve(self, request: ApproveSpending) -> Nothing:
        """Raises as `approve` does and changes nothing: an approver's no is a matter of the order alone."""
        ...

    async def release(self, request: OrderSpending) -> Nothing:
        """The order came to nothing, or never will: it does not count any more."""
        ...
