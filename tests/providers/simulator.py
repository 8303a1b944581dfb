"""What every provider's simulator has: books, faults that a test asks for, and webhooks that it sends.

A simulator is the provider's side as its documentation tells it; it shares no code with the adapters. The kinds of
call, the faults and the ways of telling are those of `tests/providers/server.py`.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import parse_qsl

from pydantic import JsonValue

from shared_kernel.clock import Clock, system_clock

Kind = Literal["create", "refund"]
Happening = Literal["pay", "fail", "expire"]
Proof = Literal["good", "wrong", "missing"]
DisputeStatus = Literal["inquiry", "open", "won", "lost"]
Status = Literal["waiting", "captured", "declined", "expired", "cancelled"]


@dataclass(frozen=True)
class Request:
    """A call as it arrived; `path` comes without the provider's prefix, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str

    def json(self) -> dict[str, JsonValue]:
        """The body's JSON object; ValueError when it is none."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return value

    def form(self) -> dict[str, str]:
        """The body's fields, as `application/x-www-form-urlencoded`."""
        return dict(parse_qsl(self.body, keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What is sent back: JSON, or text as it stands."""

    status: int
    body: JsonValue
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The body as it is sent."""
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


@dataclass(frozen=True)
class Delivery:
    """A webhook: what goes to `<notify><path>`, with the proof in the headers or the body."""

    path: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next call of its kind."""

    fault: Literal["decline", "error_500", "timeout_after_effect", "delay", "paid_before_answer"]
    delay_seconds: float = 0


@dataclass
class Refund:
    """Money given back; `details` are the provider's own."""

    key: str
    provider_reference: str
    amount_minor: int
    status: Literal["pending", "done", "failed"] = "done"
    details: dict[str, JsonValue] = field(default_factory=dict)


@dataclass
class Dispute:
    """A customer's objection at his bank, or at the provider; an inquiry only asks, and takes nothing."""

    provider_reference: str
    amount_minor: int
    status: DisputeStatus = "open"


@dataclass
class Entry:
    """A charge in the provider's books; `details` are the provider's own, `times_charged` counts captures."""

    reference: str
    provider_reference: str
    amount_minor: int
    currency: str
    status: Status = "waiting"
    expires_at: datetime | None = None
    times_charged: int = 0
    refunds: list[Refund] = field(default_factory=list)
    dispute: Dispute | None = None
    details: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """What was given back, or is on its way."""
        return sum(refund.amount_minor for refund in self.refunds if refund.status != "failed")

    @property
    def charged_back_minor(self) -> int:
        """What a lost dispute has taken."""
        return self.dispute.amount_minor if self.dispute and self.dispute.status == "lost" else 0

    @property
    def left_minor(self) -> int:
        """What can still be given back."""
        return self.amount_minor - self.refunded_minor - self.charged_back_minor

    @property
    def moment(self) -> tuple[Status, int, dict[str, JsonValue]]:
        """All that can change but the refunds, to be put back."""
        return self.status, self.times_charged, dict(self.details)

    @moment.setter
    def moment(self, moment: tuple[Status, int, dict[str, JsonValue]]) -> None:
        self.status, self.times_charged, details = moment
        self.details = dict(details)

    def capture(self) -> None:
        """Take the money; a second time is counted, and is what no test may find."""
        self.status = "captured"
        self.times_charged += 1

    def row(self) -> dict[str, JsonValue]:
        """The charge as `/control/<provider>/book` lists it."""
        return {
            "reference": self.reference,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "status": self.status,
            "refunded_minor": self.refunded_minor,
            "charged_back_minor": self.charged_back_minor,
            "times_charged": self.times_charged,
        }


class Simulator(ABC):
    """A provider: its subclass answers its documented HTTP out of `entries`, keyed by the provider's own reference.

    The server holds `lock` around `kind`, `answer`, `settle` and `webhook`, so they need none of their own.
    """

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, str]]
    """The secrets that the Worker needs to speak with this simulator, by their names there; `given` holds those of one
    run, which may be others."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self.clock = clock
        self.given = dict(self.settings)
        self.lock = threading.RLock()
        self.entries: dict[str, Entry] = {}
        self.faults: dict[Kind, deque[Fault]] = {"create": deque(), "refund": deque()}
        self.outgoing: list[Delivery] = []

    @abstractmethod
    def kind(self, request: Request) -> Kind | None:
        """Whether a fault for the next create or refund is for this call."""

    @abstractmethod
    def answer(self, request: Request, *, decline: bool) -> Answer:
        """Do what is asked, or decline it if it is a create or a refund."""

    def error_500(self) -> Answer:
        """The provider's own words for having broken down."""
        return Answer(500, {"message": "internal error"})

    def settle(self, entry: Entry, happening: Happening) -> None:
        """The customer's doing with a waiting charge."""
        if happening == "pay":
            entry.capture()
        else:
            entry.status = "declined" if happening == "fail" else "expired"

    @abstractmethod
    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        """What the provider tells of the charge as it stands, or of this refund of it."""

    def dispute_webhook(self, entry: Entry, dispute: Dispute, proof: Proof) -> Delivery:
        """What the provider tells of the dispute as it stands; LookupError where it tells nothing of any."""
        raise LookupError(f"{self.name} tells nothing of disputes")

    def tell(self, entry: Entry, refund: Refund | None = None) -> None:
        """Send a webhook of something that the provider did by itself, after the answer to the call at hand."""
        self.outgoing.append(self.webhook(entry, refund, "good"))

    def entry(self, reference: str) -> Entry | None:
        """The charge with this reference of ours or of the provider's; one that waited for too long has expired."""
        entry = self.entries.get(reference) or next(
            (each for each in self.entries.values() if each.reference == reference), None
        )
        if entry and entry.status == "waiting" and entry.expires_at and entry.expires_at <= self.clock():
            entry.status = "expired"
        return entry

    def book(self) -> list[JsonValue]:
        """All charges, oldest first."""
        entries = [self.entry(reference) for reference in list(self.entries)]
        return [entry.row() for entry in entries if entry]
