"""The other side of a payment, as the tests play it: the customer at the provider, and the provider's own doing.

It speaks the control HTTP of `tests/providers/server.py`, where every word of it is explained.
"""

from types import TracebackType
from typing import Literal

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter

from shared_kernel.ids import derived_id
from tests.system.clients import Clients

Verb = Literal["pay", "fail", "expire", "webhook", "dispute", "fail_refund"]
# The simulator waits for the system's answer to each webhook.
_REQUEST_SECONDS = 60


class Row(BaseModel):
    """A charge in a provider's own books."""

    reference: str
    amount_minor: int
    currency: str
    status: str
    refunded_minor: int
    charged_back_minor: int = 0
    times_charged: int

    @property
    def charged_minor(self) -> int:
        """What the provider took of the customer, however often."""
        return self.amount_minor * self.times_charged


class _Book(BaseModel):
    items: list[Row]


_STATUSES = TypeAdapter(list[int])


class Providers:
    """The control of all simulated providers; AssertionError, with the answer, when it refuses."""

    def __init__(self, url: str) -> None:
        self._clients = Clients(f"{url}/control", _REQUEST_SECONDS)

    def __enter__(self) -> "Providers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.close()

    def next(self, provider: str, fault: str, **options: JsonValue) -> None:
        """The fault of the provider's next create, or refund with `kind`."""
        self._post(f"/{provider}/next", {"fault": fault, **options})

    def tell(self, provider: str, verb: Verb, payment_id: str, **options: JsonValue) -> list[int]:
        """What happens to a charge, and how the system answered each webhook that told of it."""
        answer = self._post(f"/{provider}/{verb}", {"reference": payment_id, **options})
        return _STATUSES.validate_python(answer.json()["webhooks"])

    def try_tell(self, provider: str, verb: Verb, payment_id: str, **options: JsonValue) -> list[int] | None:
        """As `tell`, unless the charge has ended before, when nothing is told; None while it was not made yet."""
        with self._clients.lent() as client:
            answer = client.post(f"/{provider}/{verb}", json={"reference": payment_id, **options})
        assert answer.status_code in (200, 404, 409), f"{provider} {verb}: {answer.status_code} {answer.text}"
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _STATUSES.validate_python(answer.json().get("webhooks", []))

    def book(self, provider: str) -> list[Row]:
        """All charges of a provider."""
        with self._clients.lent() as client:
            answer = client.get(f"/{provider}/book")
        assert answer.status_code == 200, answer.text
        return _Book.model_validate_json(answer.text).items

    def rows(self, provider: str, payment_id: str) -> list[Row]:
        """The charges for this payment; M-Pesa knows the last twelve characters of a reference."""
        return [row for row in self.book(provider) if row.reference in (payment_id, payment_id[-12:])]

    def _post(self, path: str, body: dict[str, JsonValue]) -> httpx.Response:
        with self._clients.lent() as client:
            answer = client.post(path, json=body)
        assert answer.status_code == 200, f"{path} {body}: {answer.status_code} {answer.text}"
        return answer


def payment_id_of(order_id: str) -> str:
    """The payment that an order will ask for, known before it is there: so the order service names it, too."""
    return derived_id("pay", f"order-{order_id}")
