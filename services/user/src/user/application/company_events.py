"""What is told of a change of a company: of ids, roles and limits, and never an address."""

from pydantic import JsonValue

from user.application.ports import Told
from user.application.told import Actor, together, told_of
from user.domain.company import Company, Invitation, Member


def founded(company: Company, actor: Actor) -> Told:
    """`company.founded`: the company waits for its review, and the founder is its admin."""
    return told_of("company.founded", company.id, actor.id, {"company_id": company.id, "user_id": actor.id}, actor)


def reviewed(company: Company, actor: Actor) -> Told:
    """`company.approved` or `company.rejected`."""
    kind = "company.approved" if company.status == "approved" else "company.rejected"
    return told_of(kind, company.id, company.id, {"company_id": company.id}, actor)


def members(before: Company, after: Company, actor: Actor) -> Told:
    """`company.member_removed`, `company.member_changed`, `company.member_added`: what each of them is, or was."""
    gone, changed, new = after.members_since(before)
    named = (("removed", gone), ("changed", changed), ("added", new))
    return together(_member(name, after.id, one, actor) for name, them in named for one in them)


def joined(invitation: Invitation, actor: Actor) -> Told:
    """`company.member_changed`: one who was invited has registered, and is active."""
    return _member("changed", invitation.company_id, invitation.as_member(), actor)


def _member(name: str, company_id: str, one: Member, actor: Actor) -> Told:
    limit = one.spending_limit
    data: dict[str, JsonValue] = {
        "company_id": company_id,
        "user_id": one.user_id,
        "role": one.role,
        "status": one.status,
        "spending_limit": None if limit is None else {"amount": limit.amount, "currency": limit.currency},
    }
    return told_of(f"company.member_{name}", company_id, one.user_id, data, actor)
