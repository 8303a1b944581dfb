"""Wholesale companies over HTTP: founding, approval, members, and what these may spend."""

import uuid

from shared_kernel.contracts.company import Company
from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.money import Money
from tests.system.people import PASSWORD, People, Person
from tests.system.shop import Shop, at_once, order_of, problem

PRICE = 100_000


def wholesale(product_price: int) -> int:
    """What a buyer pays for one piece that retail customers pay this for; `Shop.make_product` makes it so."""
    return product_price * 9 // 10


def company_order(shop: Shop, buyer: Person, product_id: str, quantity: int = 1, key: str | None = None) -> PlacedOrder:
    """An order that a buyer places for his company."""
    headers = {**buyer.headers, "idempotency-key": key or str(uuid.uuid4())}
    placed = shop.ask("POST", "/api/orders", order_of({product_id: quantity}), headers=headers)
    assert placed.status_code == 202, placed.text
    return PlacedOrder.model_validate_json(placed.text)


def company_of(shop: Shop, member: Person, company: Company) -> Company:
    """The company as this member sees it now."""
    answer = shop.ask("GET", f"/api/companies/{company.id}", headers=member.headers)
    assert answer.status_code == 200, answer.text
    return Company.model_validate_json(answer.text)


def spent(shop: Shop, member: Person, company: Company) -> int:
    """What counts of this member's orders, in minor units of its one currency."""
    seen = company_of(shop, member, company)
    mine = next(one for one in seen.members if one.user_id == member.user.id)
    return sum(sum_.amount for sum_ in mine.spent)


def test_founder_becomes_a_buyer_only_when_staff_approve(shop: Shop, people: People) -> None:
    founder = people.customer()
    company = people.found_company(founder)
    assert company.status == "pending"
    assert people.again(founder).user.role == "customer"
    people.approve(company)
    assert people.again(founder).user.role == "buyer"
    product = shop.make_product(price=PRICE)
    seen = shop.ask("GET", f"/api/products/{product.id}", headers=people.again(founder).headers).json()
    assert seen["price"]["amount"] == wholesale(PRICE)


def test_rejected_company_makes_nobody_a_buyer_and_stays_rejected(shop: Shop, people: People) -> None:
    founder = people.customer()
    company = people.found_company(founder)
    path = f"/api/companies/{company.id}"
    rejected = shop.ask("POST", f"{path}/reject", {"reason": "no tax number"}, headers=shop.as_staff)
    assert (rejected.status_code, rejected.json()["status"]) == (200, "rejected")
    problem(shop.ask("POST", f"{path}/approve", headers=shop.as_staff), 409, "already_reviewed")
    assert people.again(founder).user.role == "customer"
    assert people.found_company(founder).status == "pending"


def test_person_without_an_account_joins_by_his_invitation(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    email = f"baru-{uuid.uuid4().hex[:12]}@example.com"
    invited = people.invite(company, admin, email, "approver")
    assert (invited.status, invited.invitation_token is not None) == ("invited", True)
    member = people.customer(invited.invitation_token, email)
    assert (member.user.id, member.user.role, member.user.company_id) == (invited.user_id, "buyer", company.id)
    body = {"email": f"x{email}", "password": PASSWORD, "name": "Lain", "invitation_token": invited.invitation_token}
    problem(shop.ask("POST", "/api/auth/register", body), 422, "invitation_not_valid")


def test_company_keeps_an_admin(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    path = f"/api/companies/{company.id}/members/{admin.user.id}"
    problem(shop.ask("DELETE", path, headers=admin.headers), 409, "last_company_admin")


def test_company_whose_admin_is_disabled_is_given_another_by_staff(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    buyer = people.member(company, admin)
    path = f"/api/companies/{company.id}/members/{buyer.user.id}"
    headers = {**shop.as_staff, "if-match": '"1"'}
    problem(shop.ask("PATCH", path, {"role": "admin"}, headers=headers), 403, "not_a_company_admin")
    people.change(admin, {"disabled": True})
    made = shop.ask("PATCH", path, {"role": "admin"}, headers=headers)
    assert (made.status_code, made.json()["role"]) == (200, "admin"), made.text
    assert people.invite(company, buyer, people.customer().user.email).status == "active"


def test_removed_member_is_no_buyer_any_more(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    member = people.member(company, admin)
    path = f"/api/companies/{company.id}/members/{member.user.id}"
    assert shop.ask("DELETE", path, headers=admin.headers).status_code == 204
    assert people.again(member).user.role == "customer"


def test_order_within_the_limit_goes_on_by_itself_at_wholesale_prices(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    product = shop.make_product(on_hand=10, price=PRICE)
    buyer = people.member(company, admin, limit=Money(amount=2 * wholesale(PRICE), currency="IDR"))
    order = shop.wait_until_ended(company_order(shop, buyer, product.id, 2))
    assert (order.status, order.market, order.company_id) == ("confirmed", "wholesale", company.id)
    assert order.total == Money(amount=2 * wholesale(PRICE), currency="IDR")
    assert spent(shop, buyer, company) == order.total.amount


def test_order_over_the_limit_waits_for_an_approver_and_holds_no_stock(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    approver = people.member(company, admin, "approver")
    buyer = people.member(company, admin, limit=Money(amount=1, currency="IDR"))
    product = shop.make_product(on_hand=3, price=PRICE)
    placed = company_order(shop, buyer, product.id)
    waiting = shop.wait_until(placed, lambda order: order.status == "awaiting_approval")
    assert shop.available(product) == 3
    path = f"/api/orders/{waiting.id}/approve"
    problem(shop.ask("POST", path, headers=buyer.headers), 403, "not_an_approver")
    approved = shop.ask("POST", path, headers=approver.headers)
    assert approved.status_code == 200, approved.text
    assert shop.wait_until_ended(placed).status == "confirmed"
    assert shop.ask("POST", path, headers=approver.headers).status_code == 200
    types = [event.type for event in shop.events(placed.id)]
    assert types.index("ApprovalRequested") < types.index("OrderApproved") < types.index("InventoryReserved")


def test_refused_order_is_turned_back_and_does_not_count(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    buyer = people.member(company, admin, limit=Money(amount=1, currency="IDR"))
    product = shop.make_product(on_hand=3, price=PRICE)
    placed = company_order(shop, buyer, product.id)
    shop.wait_until(placed, lambda order: order.status == "awaiting_approval")
    refused = shop.ask("POST", f"/api/orders/{placed.id}/refuse", {"reason": "too dear"}, headers=admin.headers)
    assert refused.status_code == 200, refused.text
    order = shop.wait_until_ended(placed)
    assert order.rejection is not None
    assert (order.status, order.rejection.code) == ("rejected", "approval_refused")
    assert spent(shop, buyer, company) == 0
    problem(shop.ask("POST", f"/api/orders/{placed.id}/approve", headers=admin.headers), 409, "illegal_transition")


def test_declined_order_does_not_count(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    buyer = people.member(company, admin, limit=Money(amount=10 * PRICE, currency="IDR"))
    product = shop.make_product(on_hand=3, price=PRICE)
    headers = {**buyer.headers, "idempotency-key": str(uuid.uuid4())}
    body = order_of({product.id: 1}, token="tok_declined")
    placed = PlacedOrder.model_validate_json(shop.ask("POST", "/api/orders", body, headers=headers).text)
    assert shop.wait_until_ended(placed).status == "rejected"
    assert spent(shop, buyer, company) == 0


def test_orders_at_once_never_pass_the_limit_together(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    buyer = people.member(company, admin, limit=Money(amount=3 * wholesale(PRICE), currency="IDR"))
    product = shop.make_product(on_hand=20, price=PRICE)
    placed = at_once(range(8), lambda _: company_order(shop, buyer, product.id))
    settled = [
        shop.wait_until(order, lambda now: now.status in ("confirmed", "awaiting_approval", "rejected"))
        for order in placed
    ]
    statuses = [order.status for order in settled]
    assert (statuses.count("confirmed"), statuses.count("awaiting_approval")) == (3, 5)


def test_order_is_seen_by_the_whole_company_and_its_key_belongs_to_the_buyer(shop: Shop, people: People) -> None:
    company, admin = people.company_with_admin()
    buyer = people.member(company, admin)
    product = shop.make_product(on_hand=5)
    key = str(uuid.uuid4())
    first = company_order(shop, buyer, product.id, key=key)
    assert company_order(shop, buyer, product.id, key=key).id == first.id
    assert company_order(shop, admin, product.id, key=key).id != first.id
    assert shop.ask("GET", f"/api/orders/{first.id}", headers=admin.headers).status_code == 200
