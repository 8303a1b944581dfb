"""Products and categories out of the cache, when their service does not answer; nothing else, and for nobody else."""

import logging
from dataclasses import dataclass
from datetime import datetime

import pytest

from gateway.cache import KEPT_SECONDS, LONGEST_URL, REFRESHED_AFTER_SECONDS
from shared_kernel.clock import from_milliseconds
from shared_kernel.errors import Conflict, Fault, Forbidden, Invalid, NotFound, Unavailable
from tests.unit.gateway.client import STAFF_TOKEN, Client, problem_of
from tests.unit.gateway.shop import ORDER_ID, ORDER_TOKEN, OTHER_PRODUCT_ID, PRODUCT_ID
from tests.unit.gateway.signing import access_token

PRODUCT = f"/api/products/{PRODUCT_ID}"
READS = {PRODUCT: "get_product", "/api/products?q=tea&limit=5": "list_products", "/api/categories": "list_categories"}
START_SECONDS = 1_795_000_000
DOWN = Unavailable("get_product gave no answer")
STAFF, ADMIN = access_token("staff", START_SECONDS), access_token("admin", START_SECONDS)
BUYER, CUSTOMER = access_token("buyer", START_SECONDS), access_token("customer", START_SECONDS)


@dataclass
class Day:
    """A clock that the test turns."""

    seconds: int = START_SECONDS

    def __call__(self) -> datetime:
        return from_milliseconds(self.seconds * 1000)


def fails(client: Client, failure: Exception = DOWN) -> Client:
    """From now on the catalogue fails."""
    client.shop.failures |= dict.fromkeys(READS.values(), failure)
    return client


@pytest.mark.parametrize("target", READS)
@pytest.mark.parametrize("failure", [DOWN, Unavailable("not called", code="circuit_open"), Fault("the database broke")])
def test_what_was_answered_before_is_answered_again_with_its_age(target: str, failure: Exception) -> None:
    day = Day()
    client = Client(clock=day)
    fresh = client.ask("GET", target)
    fails(client, failure)
    day.seconds += 90
    stale = client.ask("GET", target)
    assert (stale.status, stale.text) == (200, fresh.text)
    assert stale.headers["age"] == "90"
    assert stale.headers["cache-status"] == "pasar; hit; ttl=-90; detail=service-unavailable"
    assert "age" not in fresh.headers
    for header in ("content-type", "etag", "cache-control"):
        assert stale.headers.get(header) == fresh.headers.get(header)


def test_nothing_is_answered_that_was_never_kept() -> None:
    client = fails(Client())
    problem_of(client.ask("GET", PRODUCT), 503, "unavailable")
    assert client.cache.kept == {}


def test_kept_answer_is_not_modified_for_who_has_it() -> None:
    client = Client(clock=Day())
    tag = client.ask("GET", PRODUCT).headers["etag"]
    response = fails(client).ask("GET", PRODUCT, headers={"if-none-match": tag})
    assert (response.status, response.headers["age"]) == (304, "0")


def test_answer_is_kept_for_a_day_and_no_longer() -> None:
    day = Day()
    client = Client(clock=day)
    client.ask("GET", PRODUCT)
    ((_, headers),) = client.cache.kept.values()
    assert headers["cache-control"] == f"max-age={KEPT_SECONDS}"
    fails(client)
    day.seconds += KEPT_SECONDS
    assert client.ask("GET", PRODUCT).status == 200
    day.seconds += 1
    assert client.ask("GET", PRODUCT).status == 503


def test_answer_is_kept_anew_once_a_minute() -> None:
    day = Day()
    client = Client(clock=day)
    client.ask("GET", PRODUCT)
    ((_, first),) = client.cache.kept.values()
    day.seconds += REFRESHED_AFTER_SECONDS - 1
    client.ask("GET", PRODUCT)
    ((_, second),) = client.cache.kept.values()
    day.seconds += 1
    client.ask("GET", PRODUCT)
    ((_, third),) = client.cache.kept.values()
    assert first == second != third


def test_each_market_and_each_version_has_its_own() -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    client.ask("GET", PRODUCT, token=CUSTOMER)
    client.ask("GET", PRODUCT, token=BUYER)
    assert list(client.cache.kept) == [
        f"https://gateway.invalid/.kept/1.2.3/retail{PRODUCT}?",
        f"https://gateway.invalid/.kept/1.2.3/wholesale{PRODUCT}?",
    ]


def test_buyer_is_not_answered_what_was_kept_for_guests() -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    fails(client)
    assert client.ask("GET", PRODUCT, token=CUSTOMER).status == 200
    assert client.ask("GET", PRODUCT, token=BUYER).status == 503


@pytest.mark.parametrize(
    "token", [STAFF_TOKEN, access_token("staff", START_SECONDS), access_token("admin", START_SECONDS)]
)
def test_staffs_view_is_neither_kept_nor_answered_out_of_the_cache(token: str) -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT, token=token)
    assert client.cache.kept == {}
    client.ask("GET", PRODUCT)
    assert fails(client).ask("GET", PRODUCT, token=token).status == 503


def test_order_of_the_querys_fields_does_not_matter_and_no_token_is_kept() -> None:
    client = Client(clock=Day())
    client.ask("GET", f"/api/products?q=tea&limit=5&access_token={ORDER_TOKEN}")
    assert list(client.cache.kept) == ["https://gateway.invalid/.kept/1.2.3/retail/api/products?limit=5&q=tea"]
    assert fails(client).ask("GET", "/api/products?limit=5&q=tea").status == 200
    assert client.ask("GET", "/api/products?limit=6&q=tea").status == 503


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(NotFound("gone"), 404), (Invalid("no"), 422), (Forbidden("no"), 403), (Conflict("no"), 409)],
)
def test_refusal_is_never_replaced_by_what_was_kept(refusal: Exception, status: int) -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    assert fails(client, refusal).ask("GET", PRODUCT).status == status


def test_product_that_is_gone_is_forgotten() -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    fails(client, NotFound("gone")).ask("GET", PRODUCT)
    assert client.cache.kept == {}
    assert fails(client).ask("GET", PRODUCT).status == 503


def test_product_that_another_isolate_has_kept_is_forgotten_too() -> None:
    there = Client(clock=Day())
    there.ask("GET", PRODUCT)
    here = Client(clock=Day(), cache=there.cache)
    fails(here, NotFound("gone")).ask("GET", PRODUCT)
    assert fails(there).ask("GET", PRODUCT).status == 503


def test_refusal_is_not_kept() -> None:
    client = Client(clock=Day())
    client.ask("GET", f"/api/products/{OTHER_PRODUCT_ID}")
    client.ask("GET", "/api/products?cursor=of-another-list")
    assert client.cache.kept == {}


def test_exception_of_our_own_is_not_hidden_by_the_cache() -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    assert fails(client, RuntimeError("a bug")).ask("GET", PRODUCT).status == 500


@pytest.mark.parametrize("target", [f"{PRODUCT}/availability", f"/api/orders/{ORDER_ID}", "/health", "/openapi.json"])
def test_no_other_answer_is_kept(target: str) -> None:
    client = Client(clock=Day())
    assert client.ask("GET", target, token=ORDER_TOKEN).status == 200
    assert client.cache.kept == {}


def test_answer_to_a_very_long_query_is_not_kept() -> None:
    client = Client(clock=Day())
    for length in (10, LONGEST_URL):
        assert client.ask("GET", f"/api/products?category={'c' * length}").status == 200
    assert [len(url) < 100 for url in client.cache.kept] == [True]


def test_head_is_answered_out_of_the_cache_too() -> None:
    client = Client(clock=Day())
    client.ask("HEAD", PRODUCT)
    stale = fails(client).ask("HEAD", PRODUCT)
    assert (stale.status, stale.text, stale.headers["age"]) == (200, None, "0")


def test_cache_that_is_broken_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(clock=Day())
    client.cache.is_broken = True
    with caplog.at_level(logging.ERROR):
        assert client.ask("GET", PRODUCT).status == 200
        assert fails(client).ask("GET", PRODUCT).status == 503
    assert "the cache does not take" in caplog.text
    assert "the cache does not answer" in caplog.text


def test_kept_thing_in_another_form_is_not_answered() -> None:
    client = Client(clock=Day())
    client.ask("GET", PRODUCT)
    ((url, (text, _)),) = client.cache.kept.items()
    client.cache.kept[url] = (text, {})
    assert fails(client).ask("GET", PRODUCT).status == 503
