"""What is refused of companies and of spending for them, and with which code."""

from shared_kernel.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed


class CompanyNotFound(NotFound):
    """There is no such company, or the caller may not know that there is."""

    code = "company_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such company")


class MemberNotFound(NotFound):
    """The company has no such member."""

    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("the company has no such member")


class NotACompanyAdmin(Forbidden):
    """Only an admin of the company may do this."""

    code = "not_a_company_admin"

    def __init__(self) -> None:
        super().__init__("only an admin of the company may do this")


class AlreadyAMember(Conflict):
    """The account belongs to a company, or the address was invited to this one; one company is all it may have."""

    code = "already_a_member"


class TaxIdTaken(Conflict):
    """Another company that was not rejected has this tax number."""

    code = "tax_id_taken"

    def __init__(self) -> None:
        super().__init__("another company has this tax number")


class AlreadyReviewed(Conflict):
    """Staff have decided otherwise, which is for good."""

    code = "already_reviewed"


class ReasonRequired(Invalid):
    """A rejection says why."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__("say why the company is rejected")


class CompanyNotApproved(Conflict):
    """Nobody is invited to a company that staff have not approved."""

    code = "company_not_approved"


class CompanyFull(Conflict):
    """The company has as many members as it may have."""

    code = "company_full"


class LastCompanyAdmin(Conflict):
    """The company would be left without an admin who can act for it."""

    code = "last_company_admin"

    def __init__(self) -> None:
        super().__init__("the company would be left without an admin; make another member one first")


class StaleMember(PreconditionFailed):
    """The member was changed since the author of this change read of it."""

    code = "stale_version"


class NegativeAmount(Invalid):
    """A spending limit, and what an order comes to, are zero or more."""

    code = "negative_amount"


class NotABuyer(Conflict):
    """The account is no member of the company, or cannot order for it: it is not approved, or he is disabled."""

    code = "not_a_buyer"

    def __init__(self) -> None:
        super().__init__("the account may not order for this company")


class SpendingReleased(Conflict):
    """The order was given up, which is for good."""

    code = "spending_released"

    def __init__(self) -> None:
        super().__init__("the order was given up: it counts no more, and never will")


class SpendingDiffers(Conflict):
    """The order was counted with another buyer, company or amount."""

    code = "spending_differs"

    def __init__(self) -> None:
        super().__init__("the order was counted with another buyer, company or amount")


class SpendingNotFound(NotFound):
    """The company has no such order."""

    code = "spending_not_found"

    def __init__(self) -> None:
        super().__init__("the company has no such order")


class NotAnApprover(Forbidden):
    """Only an approver or an admin of the company may say yes to an order."""

    code = "not_an_approver"

    def __init__(self) -> None:
        super().__init__("only an approver or an admin of the company may approve its orders")


class OwnOrder(Forbidden):
    """Nobody approves what he has ordered himself."""

    code = "own_order"

    def __init__(self) -> None:
        super().__init__("nobody approves an order of his own")
