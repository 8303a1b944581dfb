"""The companies of the fake shop: one, whose only buyer may read it and its founder, the customer, change it."""

from typing import Any

from shared_kernel.contracts import company
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Conflict, NotFound, PreconditionFailed
from shared_kernel.rpc import Json
from tests.unit.gateway.service import Service
from tests.unit.gateway.signing import COMPANY_ID, USER_IDS

NOW = "2026-11-21T08:30:00.000Z"
ADDRESS: dict[str, Any] = {"line1": "Jalan Gudang 1", "city": "Surabaya", "postal_code": "60111", "country": "ID"}
NEW_COMPANY: dict[str, Any] = {"name": "PT Gudang", "tax_id": "NPWP-1", "address": ADDRESS}


def a_member(**changes: Any) -> company.Member:
    """The buyer, but for the changes."""
    budi = company.Member(
        user_id=USER_IDS["buyer"],
        email="budi@example.com",
        name="Budi",
        role="buyer",
        status="active",
        version=3,
    )
    return budi.model_copy(update=changes)


def a_company(**changes: Any) -> company.Company:
    """The company, but for the changes."""
    gudang = company.Company(
        id=COMPANY_ID,
        name="PT Gudang",
        tax_id="NPWP-1",
        address=company.CompanyAddress.model_validate(ADDRESS),
        status="pending",
        members=[a_member()],
        version=3,
        created_at=NOW,
        updated_at=NOW,
    )
    return gudang.model_copy(update=changes)


class Companies(Service):
    """What founders, members and staff do."""

    async def found_company(self, request: company.NewCompany) -> company.Company:
        self._note("found_company")
        return a_company(name=request.name, version=1)

    async def get_company(self, request: company.GetCompany) -> company.Company:
        self._note("get_company")
        if request.id != COMPANY_ID or self._principal.kind == "customer":
            raise NotFound("there is no such company", code="company_not_found")
        return a_company()

    async def list_companies(self, request: company.ListCompanies) -> Json:
        self._note(f"list_companies status={request.status}")
        return Json('{"items": [], "next_cursor": null}')

    async def review_company(self, request: company.ReviewCompany) -> company.Company:
        self._note("review_company")
        self._shop.reviews.append(request)
        return a_company(status=request.decision, reason=request.reason, version=4)

    async def add_member(self, request: company.AddMember) -> company.Member:
        self._note("add_member")
        if request.member.email == "member@example.com":
            raise Conflict("the account is a member of a company", code="already_a_member")
        return a_member(email=request.member.email, status="invited", invitation_token="invitation", version=1)

    async def change_member(self, request: company.ChangeMember) -> company.Member:
        self._note("change_member")
        if request.expected_version != 3:
            raise PreconditionFailed("the member has changed since", code="stale_version")
        self._shop.changed_members.append(request)
        return a_member(role=request.role or "buyer", version=4)

    async def remove_member(self, request: company.RemoveMember) -> Nothing:
        self._note(f"remove_member {request.company_id} {request.user_id}")
        return Nothing()
