"""Speaking with PayPal: its access token, amounts, the parts of its objects that matter here, and its refusals.

https://developer.paypal.com/api/rest/authentication/, /api/rest/responses/, /api/rest/reference/currency-codes/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from pydantic import BaseModel, JsonValue

from payment.application.ports import Http, HttpAnswer, ProviderError
from payment.infrastructure.asking import ask, basic, read
from payment.infrastructure.exponents import AmountNotTaken, rescaled
from shared_kernel.clock import Clock
from shared_kernel.money import EXPONENTS, Money

TOKEN_MARGIN = timedelta(seconds=60)

# Brazil's, China's and Malaysia's currencies only for accounts of those countries, which PayPal checks.
_CURRENCIES = {
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS",
    "JPY", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD",
}  # fmt: skip
_WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}


def paypal_decimals(currency: str) -> int:
    """How many decimals PayPal writes; AmountNotTaken for a currency that it does not take."""
    if currency not in _CURRENCIES:
        raise AmountNotTaken(f"PayPal does not take {currency}")
    return 0 if currency in _WITHOUT_DECIMALS else 2


class Amount(BaseModel):
    """Money as PayPal writes it."""

    currency_code: str
    value: str


def money_of(amount: Amount) -> Money:
    """Our money of PayPal's words; AmountNotTaken, ValueError for what is no amount."""
    decimals = paypal_decimals(amount.currency_code)
    units = Decimal(amount.value).scaleb(decimals)
    if units != units.to_integral_value():
        raise AmountNotTaken("PayPal tells an amount with more decimals than its currency has")
    exponent = EXPONENTS[amount.currency_code]
    return Money(amount=rescaled(int(units), decimals, exponent), currency=amount.currency_code)


def paypal_amount(money: Money) -> Amount:
    """The amount in PayPal's words; AmountNotTaken where they have no room for it."""
    decimals = paypal_decimals(money.currency)
    units = rescaled(money.amount, EXPONENTS[money.currency], decimals)
    return Amount(currency_code=money.currency, value=str(Decimal(units).scaleb(-decimals)))


class Link(BaseModel):
    """A way on from an object."""

    href: str
    rel: str


class Details(BaseModel):
    """Why something stands as it does."""

    reason: str | None = None


class Capture(BaseModel):
    """Money taken for an order."""

    id: str
    status: str
    status_details: Details | None = None


class PayPalRefund(BaseModel):
    """Money given back of a capture."""

    id: str
    status: str
    custom_id: str | None = None
    status_details: Details | None = None


class Payments(BaseModel):
    """What became of a purchase unit."""

    captures: list[Capture] = []
    refunds: list[PayPalRefund] = []


class Unit(BaseModel):
    """What an order is for; `custom_id` is ours."""

    amount: Amount
    custom_id: str = ""
    payments: Payments = Payments()


class Order(BaseModel):
    """An order, of one unit."""

    id: str
    status: str
    purchase_units: list[Unit]
    links: list[Link] = []

    @property
    def unit(self) -> Unit:
        """The one thing it is for; ProviderError when there is none."""
        if not self.purchase_units:
            raise ProviderError("PayPal's order is for nothing")
        return self.purchase_units[0]


class _Issue(BaseModel):
    issue: str = ""


class _Refusal(BaseModel):
    name: str = ""
    details: list[_Issue] = []


class _Token(BaseModel):
    access_token: str
    expires_in: int


class Refused(Exception):
    """PayPal did nothing, and said why."""

    def __init__(self, status: int, issue: str) -> None:
        super().__init__(f"PayPal answered {status}: {issue}")
        self.status = status
        self.issue = issue


@dataclass
class Tokens:
    """The access token and when it is to be replaced; one may serve many requests of the same client."""

    current: str | None = None
    ends_at: datetime | None = None


Model = TypeVar("Model", bound=BaseModel)


class PayPalApi:
    """PayPal's API at this address, for this client."""

    def __init__(
        self, http: Http, base_url: str, client_id: str, client_secret: str, clock: Clock, tokens: Tokens
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._credentials = basic(client_id, client_secret)
        self._clock = clock
        self._tokens = tokens

    async def get(self, wanted: type[Model], path: str) -> Model:
        """The object; Refused, ProviderError."""
        return read("PayPal", wanted, await self._ask("GET", path, None, None))

    async def post(self, wanted: type[Model], path: str, body: str, request_id: str | None = None) -> Model:
        """What was made, or how it stands now if this request id made it before; Refused, ProviderError."""
        return read("PayPal", wanted, await self._ask("POST", path, body, request_id))

    async def patch(self, path: str, changes: list[JsonValue]) -> None:
        """Make the changes (RFC 6902); Refused, ProviderError."""
        await self._ask("PATCH", path, json.dumps(changes), None)

    async def _ask(self, method: str, path: str, body: str | None, request_id: str | None) -> HttpAnswer:
        answer = await self._send(method, path, body, request_id)
        if answer.status == 401:
            # A token may be taken back before its time.
            self._tokens.current = None
            answer = await self._send(method, path, body, request_id)
        if answer.status < 300:
            return answer
        if answer.status not in (400, 404, 422):
            raise ProviderError(f"PayPal answered {answer.status}")
        refusal = read("PayPal", _Refusal, answer)
        raise Refused(answer.status, (refusal.details[0].issue if refusal.details else "") or refusal.name)

    async def _send(self, method: str, path: str, body: str | None, request_id: str | None) -> HttpAnswer:
        headers = {"authorization": f"Bearer {await self._token()}", "prefer": "return=representation"}
        if body is not None:
            headers["content-type"] = "application/json"
        if request_id:
            headers["paypal-request-id"] = request_id
        return await self._through(method, path, headers, body)

    async def _token(self) -> str:
        now = self._clock()
        if self._tokens.current is None or self._tokens.ends_at is None or now >= self._tokens.ends_at:
            headers = {
                "authorization": self._credentials,
                "content-type": "application/x-www-form-urlencoded",
            }
            answer = await self._through("POST", "/v1/oauth2/token", headers, "grant_type=client_credentials")
            if answer.status != 200:
                raise ProviderError(f"PayPal gave no access token: {answer.status}")
            token = read("PayPal", _Token, answer)
            self._tokens.current = token.access_token
            self._tokens.ends_at = now + timedelta(seconds=token.expires_in) - TOKEN_MARGIN
        return self._tokens.current

    async def _through(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> HttpAnswer:
        return await ask(self._http, "PayPal", method, f"{self._base_url}{path}", headers, body)
