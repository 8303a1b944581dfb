"""The payment providers' simulators, in one process for local runs and tests; never deployed.

Each provider answers below its own prefix, `/xendit` and so on. `/control/<provider>/...` is ours:

    POST next   {"fault", "times": 1, "delay_seconds": 0, "kind": "create"}: for the next calls of that kind.
                decline; error_500 (nothing was done); timeout_after_effect (done, and the connection is cut after
                `delay_seconds`); delay (done, answered after `delay_seconds`); paid_before_answer (the customer pays,
                and the webhook is delivered, before the create is answered).
    POST pay | fail | expire   {"reference", "webhook": "once", "delay_seconds": 0, "proof": "good", "anyway": false}:
                what the customer does with a waiting charge, by our reference or the provider's. The webhook goes
                once, twice, never, late (after `delay_seconds`, in the background, and again until it is taken) or
                before_answer (before the charge's state changes). Its proof is good, wrong or missing. `anyway` pays
                what does not wait any more.
                The answer: {"item", "webhooks": [status that was answered to each, 0 when nobody answered]}.
    POST dispute   {"reference", "status": "open", "amount_minor": what is left, "webhook", "proof"}: the customer of a
                charge objects, or his objection ends: inquiry, open, won or lost.
    POST fail_refund   {"reference", "webhook", "proof"}: the newest refund that was made comes back.
    POST webhook   {"reference", "webhook", "proof", ...}: tell of the charge as it stands once more.
    GET book    {"items": [{"reference", "amount_minor", "currency", "status", "refunded_minor", "charged_back_minor",
                "times_charged"}]}
    POST reset  forget all charges and faults.

`GET /control` gives the settings that a Worker needs to speak with all of them.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from shared_kernel.clock import Clock, system_clock
from tests.providers.midtrans import MidtransSimulator
from tests.providers.mpesa import MpesaSimulator
from tests.providers.paypal import PayPalSimulator
from tests.providers.simulator import (
    Answer,
    Delivery,
    Dispute,
    DisputeStatus,
    Fault,
    Happening,
    Kind,
    Proof,
    Request,
    Simulator,
)
from tests.providers.stripe import StripeSimulator
from tests.providers.xendit import XenditSimulator

SIMULATORS: tuple[type[Simulator], ...] = (
    XenditSimulator,
    StripeSimulator,
    MidtransSimulator,
    MpesaSimulator,
    PayPalSimulator,
)

LARGEST_BODY_BYTES = 1_000_000
WEBHOOK_TIMEOUT_SECONDS = 30
RESENT_AFTER_SECONDS = (1, 2, 4, 8, 16)


class _Next(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fault: Literal["decline", "error_500", "timeout_after_effect", "delay", "paid_before_answer"]
    times: int = 1
    delay_seconds: float = 0
    kind: Kind = "create"


class _Telling(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reference: str
    webhook: Literal["once", "twice", "never", "late", "before_answer"] = "once"
    delay_seconds: float = 0
    proof: Proof = "good"
    anyway: bool = False


class _Disputing(_Telling):
    status: DisputeStatus = "open"
    amount_minor: int | None = None


class _Cut(Exception):
    """The connection ends without an answer."""


class Providers:
    """The simulators and where they send their webhooks, `notify` being the system's own address.

    Of `secrets` those are taken that a simulator has, in place of its own.
    """

    def __init__(
        self, notify: str | None, clock: Clock = system_clock, secrets: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.notify = notify
        self.clock = clock
        self.simulators = {kind.name: kind(clock) for kind in SIMULATORS}
        for simulator in self.simulators.values():
            simulator.given.update({name: secrets[name] for name in simulator.given if name in secrets})

    def settings(self, address: str) -> dict[str, JsonValue]:
        """All that a Worker is given, with the simulators at this address."""
        given: dict[str, JsonValue] = {f"{name.upper()}_URL": f"{address}/{name}" for name in self.simulators}
        for simulator in self.simulators.values():
            given.update(simulator.given)
        return given

    def answer(self, request: Request, address: str) -> Answer:
        """Whatever is asked of this process; _Cut."""
        _, first, *rest = request.path.split("/", 2)
        path = "/" + (rest[0] if rest else "")
        if first == "control":
            return self._control(request, path, address)
        simulator = self.simulators.get(first)
        if simulator is None:
            return Answer(404, {"message": "no such provider"})
        return self._provide(simulator, Request(request.method, path, request.query, request.headers, request.body))

    def _provide(self, simulator: Simulator, request: Request) -> Answer:
        with simulator.lock:
            kind = simulator.kind(request)
            waiting = simulator.faults[kind] if kind else None
            fault = waiting.popleft() if waiting else None
            if fault and fault.fault == "error_500":
                return simulator.error_500()
            known = set(simulator.entries)
            answer = simulator.answer(request, decline=fault is not None and fault.fault == "decline")
            outgoing, simulator.outgoing = simulator.outgoing, []
            if fault and fault.fault == "paid_before_answer":
                for entry in [each for each in simulator.entries.values() if each.provider_reference not in known]:
                    # A card may have been charged already, and then its webhook is on its way.
                    if entry.status == "waiting":
                        simulator.settle(entry, "pay")
                        outgoing.append(simulator.webhook(entry, None, "good"))
        if fault and fault.fault == "paid_before_answer":
            outgoing = [each for each in outgoing if not all(map(_is_taken, self._deliver([each])))]
        if outgoing:
            threading.Thread(target=self._deliver_until_taken, args=(outgoing,), daemon=True).start()
        if fault:
            time.sleep(fault.delay_seconds)
        if fault and fault.fault == "timeout_after_effect":
            raise _Cut
        return answer

    def _control(self, request: Request, path: str, address: str) -> Answer:
        name, _, verb = path.strip("/").partition("/")
        if not name:
            return Answer(200, self.settings(address))
        simulator = self.simulators.get(name)
        if simulator is None:
            return Answer(404, {"message": "no such provider"})
        try:
            return self._command(simulator, request, verb)
        except ValidationError as wrong:
            return Answer(400, {"message": str(wrong)})

    def _command(self, simulator: Simulator, request: Request, verb: str) -> Answer:
        if (request.method, verb) == ("GET", "book"):
            with simulator.lock:
                return Answer(200, {"items": simulator.book()})
        if request.method != "POST":
            return Answer(405, {"message": "POST, or GET book"})
        if verb == "reset":
            with simulator.lock:
                simulator.entries.clear()
                for faults in simulator.faults.values():
                    faults.clear()
            return Answer(200, {})
        if verb == "next":
            asked = _Next.model_validate_json(request.body)
            with simulator.lock:
                simulator.faults[asked.kind].extend([Fault(asked.fault, asked.delay_seconds)] * asked.times)
            return Answer(200, {})
        if verb == "dispute":
            return self._dispute(simulator, _Disputing.model_validate_json(request.body))
        telling = _Telling.model_validate_json(request.body)
        if verb == "fail_refund":
            return self._fail_refund(simulator, telling)
        happenings: dict[str, Happening | None] = {"pay": "pay", "fail": "fail", "expire": "expire", "webhook": None}
        if verb not in happenings:
            return Answer(404, {"message": "no such command"})
        return self._settle(simulator, happenings[verb], telling)

    def _settle(self, simulator: Simulator, happening: Happening | None, telling: _Telling) -> Answer:
        with simulator.lock:
            entry = simulator.entry(telling.reference)
            if entry is None:
                return Answer(404, {"message": "no such charge"})
            if happening and entry.status != "waiting" and not telling.anyway:
                return Answer(409, {"message": f"the charge is {entry.status}", "item": entry.row()})
            before = entry.moment
            if happening:
                simulator.settle(entry, happening)
            delivery, after = simulator.webhook(entry, None, telling.proof), entry.moment
            if happening and telling.webhook == "before_answer":
                entry.moment = before
        statuses = self._told(delivery, telling)
        if happening and telling.webhook == "before_answer":
            with simulator.lock:
                # What somebody else did with the charge meanwhile stays done.
                if entry.moment == before:
                    entry.moment = after
        return Answer(200, {"item": entry.row(), "webhooks": statuses})

    def _dispute(self, simulator: Simulator, asked: _Disputing) -> Answer:
        with simulator.lock:
            entry = simulator.entry(asked.reference)
            if entry is None or not entry.times_charged:
                return Answer(409, {"message": "nothing was taken that could be disputed"})
            amount_minor = entry.left_minor if asked.amount_minor is None else asked.amount_minor
            dispute = entry.dispute = entry.dispute or Dispute(f"dp_{secrets.token_hex(8)}", amount_minor)
            dispute.status = asked.status
            delivery = simulator.dispute_webhook(entry, dispute, asked.proof)
        return Answer(200, {"item": entry.row(), "webhooks": self._told(delivery, asked)})

    def _fail_refund(self, simulator: Simulator, asked: _Telling) -> Answer:
        with simulator.lock:
            entry = simulator.entry(asked.reference)
            made = [refund for refund in entry.refunds if refund.status == "done"] if entry else []
            if entry is None or not made:
                return Answer(409, {"message": "no refund was made"})
            made[-1].status = "failed"
            delivery = simulator.webhook(entry, made[-1], asked.proof)
        return Answer(200, {"item": entry.row(), "webhooks": self._told(delivery, asked)})

    def _told(self, delivery: Delivery, telling: _Telling) -> list[JsonValue]:
        if telling.webhook == "late":
            timer = threading.Timer(telling.delay_seconds, self._deliver_until_taken, args=([delivery],))
            timer.daemon = True
            timer.start()
        if telling.webhook in ("late", "never"):
            return []
        return [*self._deliver([delivery] * (2 if telling.webhook == "twice" else 1))]

    def _deliver(self, deliveries: list[Delivery]) -> list[int]:
        return [self._post(delivery) for delivery in deliveries] if self.notify else []

    def _deliver_until_taken(self, deliveries: list[Delivery]) -> None:
        # As providers do, only sooner. Safaricom does not say whether it does; `never` is what is lost for good.
        for delivery in deliveries:
            for pause_seconds in (*RESENT_AFTER_SECONDS, 0):
                if all(map(_is_taken, self._deliver([delivery]))):
                    break
                time.sleep(pause_seconds)

    def _post(self, delivery: Delivery) -> int:
        try:
            return httpx.post(
                f"{self.notify}{delivery.path}",
                headers=dict(delivery.headers),
                content=delivery.body,
                timeout=WEBHOOK_TIMEOUT_SECONDS,
                trust_env=False,
                verify=False,
            ).status_code
        except httpx.HTTPError:
            # The provider cannot do more than try; a test sees the 0, and the system must cope with the silence.
            return 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, providers: Providers) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.providers = providers

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if length > LARGEST_BODY_BYTES:
            self.close_connection = True
            return
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), headers, self.rfile.read(length).decode())
        try:
            answer = self.server.providers.answer(request, self.server.address)
        except _Cut:
            self.close_connection = True
            return
        payload = answer.text().encode()
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        # A client that has given up is its own business.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(payload)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked is in the books."""


class Running:
    """A server that answers at `address`, until the block ends."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.address = server.address
        self.providers = server.providers

    def url(self, provider: str) -> str:
        """The base address of a provider."""
        return f"{self.address}/{provider}"

    def control(self, provider: str, command: str, **options: JsonValue) -> JsonValue:
        """Have a command of this module's carried out; httpx.HTTPStatusError when it is refused."""
        url = f"{self.address}/control/{provider}/{command}"
        with httpx.Client(trust_env=False, verify=False, timeout=60) as client:
            answer = client.get(url) if command == "book" else client.post(url, content=json.dumps(options))
        answer.raise_for_status()
        body: JsonValue = answer.json()
        return body


def _is_taken(status: int) -> bool:
    return 0 < status < 500


@contextlib.contextmanager
def serving(
    port: int = 0,
    notify: str | None = None,
    clock: Clock = system_clock,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Running]:
    """The simulators at 127.0.0.1, on a free port where none is given, with these secrets in place of their own."""
    server = _Server(port, Providers(notify, clock, secrets))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Running(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
