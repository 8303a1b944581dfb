"""The routes of companies: founding one, its review by staff, and its members.

A company does not exist for those who are neither its members nor staff; what a member may do in it is for the user
service to say.
"""

from typing import Literal

from gateway.answers import CompanyPage
from gateway.http import Response, json_of, json_text
from gateway.preconditions import entity_tag
from gateway.routing import Asked, Route
from shared_kernel.contracts.company import (
    AddMember,
    ChangeMember,
    Companies,
    Company,
    GetCompany,
    ListCompanies,
    Member,
    MemberChanges,
    NewCompany,
    NewMember,
    Reason,
    RemoveMember,
    ReviewCompany,
)
from shared_kernel.contracts.model import Nothing


def _tagged(shown: Company | Member, status: int = 200, location: str | None = None) -> Response:
    # What members have spent changes under the same version.
    answer = json_of(shown, status, {"location": location} if location else None)
    return answer.having({"etag": entity_tag(shown.version, answer.text or "")})


async def found_company(asked: Asked[NewCompany]) -> Response:
    """A company, whose admin the caller becomes; it waits for staff to approve it."""
    founded = await asked.ask(Companies).found_company(asked.input)
    return _tagged(founded, 201, f"/api/companies/{founded.id}")


async def list_companies(asked: Asked[ListCompanies]) -> Response:
    """A page of the companies, newest first."""
    return json_text(await asked.ask(Companies).list_companies(asked.input))


async def get_company(asked: Asked[Nothing]) -> Response:
    """One company with its members, for these and for staff."""
    return _tagged(await asked.ask(Companies).get_company(GetCompany(id=asked.path["id"])))


async def approve_company(asked: Asked[Nothing]) -> Response:
    """The company is approved: its members are buyers."""
    return await _reviewed(asked.ask(Companies), asked.path["id"], "approved", None)


async def reject_company(asked: Asked[Reason]) -> Response:
    """The company is rejected: its members may found or join another."""
    return await _reviewed(asked.ask(Companies), asked.path["id"], "rejected", asked.input.reason)


async def _reviewed(
    companies: Companies, company_id: str, decision: Literal["approved", "rejected"], reason: str | None
) -> Response:
    return _tagged(await companies.review_company(ReviewCompany(id=company_id, decision=decision, reason=reason)))


async def add_member(asked: Asked[NewMember]) -> Response:
    """An account is a member at once; an unknown address is invited by the token that this answer tells once."""
    company_id = asked.path["id"]
    member = await asked.ask(Companies).add_member(AddMember(company_id=company_id, member=asked.input))
    return _tagged(member, 201, f"/api/companies/{company_id}")


async def change_member(asked: Asked[MemberChanges]) -> Response:
    """A member's role and spending limit, if he still is as its author saw him; a limit of null is none.

    Staff can make a member admin of a company that has no admin who can act.
    """
    sent = asked.input
    change = ChangeMember(
        company_id=asked.path["id"],
        user_id=asked.path["user_id"],
        expected_version=asked.expected_version,
        role=sent.role,
        spending_limit=sent.spending_limit,
        keeps_limit="spending_limit" not in sent.model_fields_set,
    )
    return _tagged(await asked.ask(Companies).change_member(change))


async def remove_member(asked: Asked[Nothing]) -> Response:
    """A member is sent away, or leaves."""
    who = RemoveMember(company_id=asked.path["id"], user_id=asked.path["user_id"])
    await asked.ask(Companies).remove_member(who)
    return Response(204)


ROUTES = (
    Route(
        "POST",
        "/api/companies",
        "company:use",
        found_company,
        NewCompany,
        "Found a company",
        output=Company,
        status=201,
        refuses=(409,),
        has_etag=True,
    ),
    Route(
        "GET",
        "/api/companies",
        "companies:review",
        list_companies,
        ListCompanies,
        "All companies",
        output=CompanyPage,
    ),
    Route(
        "GET",
        "/api/companies/{id}",
        "account:use",
        get_company,
        Nothing,
        "One company",
        output=Company,
        has_etag=True,
    ),
    Route(
        "POST",
        "/api/companies/{id}/approve",
        "companies:review",
        approve_company,
        Nothing,
        "Approve a company",
        output=Company,
        refuses=(409,),
        has_etag=True,
        takes_instead="query",
    ),
    Route(
        "POST",
        "/api/companies/{id}/reject",
        "companies:review",
        reject_company,
        Reason,
        "Reject a company",
        output=Company,
        refuses=(409,),
        has_etag=True,
    ),
    Route(
        "POST",
        "/api/companies/{id}/members",
        "company:use",
        add_member,
        NewMember,
        "Add a member to a company",
        output=Member,
        status=201,
        refuses=(409,),
        has_etag=True,
    ),
    Route(
        "PATCH",
        "/api/companies/{id}/members/{user_id}",
        "account:use",
        change_member,
        MemberChanges,
        "Change a member of a company",
        output=Member,
        refuses=(409,),
        needs_if_match=True,
        has_etag=True,
    ),
    Route(
        "DELETE",
        "/api/companies/{id}/members/{user_id}",
        "company:use",
        remove_member,
        Nothing,
        "Remove a member from a company",
        status=204,
        refuses=(409,),
    ),
)
