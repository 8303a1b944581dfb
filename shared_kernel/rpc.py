"""Calls between Workers: a typed client and server around a Service Binding.

A contract is a Protocol whose methods are `async def name(self, request: Model) -> Model`. Both sides
validate: the request and the answer cross as JSON text that pydantic writes and reads in one pass. Every
call carries who asks, the trace, and the moment at which nobody waits for the answer any more.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NewType, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared_kernel.clock import Clock, system_clock, to_milliseconds
from shared_kernel.errors import FAMILIES, DomainError, Fault, Forbidden, Invalid, Unauthenticated, Unavailable
from shared_kernel.permissions import PERMISSIONS, Kind, Permission
from shared_kernel.result import Err, Ok, Result, decode, encode
from shared_kernel.tracing import traced

Contract = TypeVar("Contract")
Entrypoint = TypeVar("Entrypoint")

Json = NewType("Json", str)
"""The return type of a contract's method whose answer is JSON text that the caller passes on unread."""

GATEWAY_ID = "gateway"
"""The id of the gateway's own principal, of kind `service`."""

_log = logging.getLogger(__name__)


class Principal(BaseModel):
    """Who asks, as the gateway has verified it.

    `id` is a person's account or a service's name. `credential` is a guest's access token to one order, `session_id`
    the session that a person signed in to, `company_id` the approved company of a buyer.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kind: Kind
    id: str
    credential: str | None = Field(default=None, repr=False)
    session_id: str | None = None
    company_id: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the principal's kind has the permission."""
        return permission in PERMISSIONS[self.kind]

    def require(self, permission: Permission) -> None:
        """Unauthenticated for a guest, Forbidden for anyone else, who does not have the permission."""
        if self.may(permission):
            return
        if self.kind == "guest":
            raise Unauthenticated("this needs somebody who is signed in")
        raise Forbidden(f"this needs the permission {permission}")

    def require_service(self) -> None:
        """Forbidden for anyone but another service acting on its own account, as a saga does."""
        if self.kind != "service":
            raise Forbidden("only another service may do this")


class Call(BaseModel):
    """The context that travels with every call."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    principal: Principal
    traceparent: str
    deadline_ms: int


class CallFailed(Exception):
    """The transport gave no answer: the other side may or may not have acted."""


class NoAnswerInTime(CallFailed):
    """The other side may still be at it."""


Transport = Callable[[str, str, str, int], Awaitable[str]]
"""One Service Binding: given the method, the call, the request and the milliseconds it may take, it answers
the text that came back; CallFailed when there is none, NoAnswerInTime when there is none in time."""

CircuitState = Literal["closed", "open", "half-open"]
FAIR_TIMEOUT_MS = 1_000
"""Who was given less time, because others had used up the request's, has not failed when it runs out: a slow
service must not open the circuits of those that are called after it."""


class CircuitBreaker:
    """Stops calling what has failed `failures_to_open` times in a row, for `open_seconds`, then tries once."""

    def __init__(self, failures_to_open: int = 3, open_seconds: int = 60) -> None:
        self._failures_to_open = failures_to_open
        self._open_ms = open_seconds * 1000
        self._failures = 0
        self._closed_until_ms = 0

    def admit(self, now_ms: int) -> bool:
        """Whether a call may go out now; the one that is let through after a pause is the trial."""
        if self._failures < self._failures_to_open:
            return True
        if now_ms < self._closed_until_ms:
            return False
        self._closed_until_ms = now_ms + self._open_ms
        return True

    def succeeded(self) -> None:
        """An answer came, be it a refusal."""
        self._failures = 0

    def failed(self, now_ms: int) -> None:
        """No answer came."""
        self._failures += 1
        self._closed_until_ms = now_ms + self._open_ms

    def state(self, now_ms: int) -> CircuitState:
        """The field's three words: calls go out, do not, or one is tried."""
        if self._failures < self._failures_to_open:
            return "closed"
        return "open" if now_ms < self._closed_until_ms else "half-open"

    def reopens_in_seconds(self, now_ms: int) -> int:
        """After how many seconds an open circuit lets a call through again, at least 1."""
        return max(1, -(-(self._closed_until_ms - now_ms) // 1000))


def remote(
    contract: type[Contract],
    transport: Transport,
    call: Call,
    breaker: CircuitBreaker,
    *,
    clock: Clock = system_clock,
    observe: Callable[[int], None] | None = None,
) -> Contract:
    """The contract as the other side answers it.

    A refusal of the other side is raised as the family's DomainError; no answer in time, or an open
    circuit, as Unavailable. `observe` is told how many milliseconds each call took, 0 for one that an open
    circuit held back.
    """
    return cast(Contract, _Remote(contract, transport, call, breaker, clock, observe))


class _Remote:
    def __init__(
        self,
        contract: type[Any],
        transport: Transport,
        call: Call,
        breaker: CircuitBreaker,
        clock: Clock,
        observe: Callable[[int], None] | None,
    ) -> None:
        self._methods = _methods(contract)
        self._transport = transport
        self._call = call
        self._breaker = breaker
        self._clock = clock
        self._observe = observe

    def __getattr__(self, name: str) -> Callable[[BaseModel], Awaitable[Any]]:
        try:
            _, answer = self._methods[name]
        except KeyError:
            raise AttributeError(name) from None
        return functools.partial(self._ask, name, answer)

    async def _ask(self, method: str, answer: TypeAdapter[Any] | None, request: BaseModel) -> Any:
        started_ms = to_milliseconds(self._clock())
        timeout_ms = self._call.deadline_ms - started_ms
        if timeout_ms <= 0:
            raise Unavailable(f"no time is left to call {method}", code="deadline_exceeded")
        if not self._breaker.admit(started_ms):
            self._noted(0)
            raise Unavailable(
                f"{method} is not called: its service has not been answering",
                code="circuit_open",
                details={"retry_after_seconds": self._breaker.reopens_in_seconds(started_ms)},
            )
        try:
            request_text = request.model_dump_json()
            text = await self._transport(method, self._call.model_dump_json(), request_text, timeout_ms)
        except CallFailed as failure:
            if timeout_ms >= FAIR_TIMEOUT_MS or not isinstance(failure, NoAnswerInTime):
                self._breaker.failed(to_milliseconds(self._clock()))
            raise Unavailable(f"{method} gave no answer: {failure}") from failure
        finally:
            self._noted(to_milliseconds(self._clock()) - started_ms)
        self._breaker.succeeded()
        try:
            result = decode(text)
            if isinstance(result, Ok):
                return Json(result.json) if answer is None else answer.validate_json(result.json)
        except ValueError as failure:
            raise Fault(f"{method} answered something else than its contract says") from failure
        raise result.exception()

    def _noted(self, took_ms: int) -> None:
        if self._observe is not None:
            self._observe(took_ms)


def serves(
    contract: type[Any], build: Callable[[Call], Any], *, clock: Clock = system_clock
) -> Callable[[type[Entrypoint]], type[Entrypoint]]:
    """Give a WorkerEntrypoint class one RPC method for each method of the contract, and no more.

    `build` makes the implementation for one call. A DomainError crosses as an `Err`; any other exception
    is logged and crosses as an internal error without its text. What is logged meanwhile carries the call's trace.
    A call that a service makes on its own account leaves a line here; one for a caller of the API does so only when
    it is a fault, because the gateway tells of each request.
    """
    return object_serves(contract, lambda _entrypoint, call: build(call), clock=clock)


def object_serves(
    contract: type[Any], build: Callable[[Any, Call], Any], *, clock: Clock = system_clock
) -> Callable[[type[Entrypoint]], type[Entrypoint]]:
    """As `serves`, for a class whose instances have a state of their own, such as a Durable Object.

    `build` is given the instance and the call.
    """

    def decorate(entrypoint: type[Entrypoint]) -> type[Entrypoint]:
        for name, (request_model, answer) in _methods(contract).items():
            setattr(entrypoint, name, _server(name, request_model, answer, build, clock))
        return entrypoint

    return decorate


def _server(
    name: str,
    request_model: type[BaseModel],
    answer: TypeAdapter[Any] | None,
    build: Callable[[Any, Call], Any],
    clock: Clock,
) -> Callable[[Any, str, str], Awaitable[str]]:
    async def method(entrypoint: Any, call_text: str, request_text: str) -> str:
        try:
            call = Call.model_validate_json(call_text)
        except ValidationError:
            _log.exception("the call %s has no proper context", name)
            return encode(Err.of(Fault("something went wrong on our side")))
        with traced(call.traceparent):
            started_ms = to_milliseconds(clock())
            try:
                if started_ms >= call.deadline_ms:
                    raise Unavailable(f"{name} was called after its deadline", code="deadline_exceeded")
                value = await getattr(build(entrypoint, call), name)(_read(request_model, request_text))
                result: Ok | Err = Ok(value if answer is None else answer.dump_json(value, exclude_none=True).decode())
            except DomainError as refusal:
                result = Err.of(refusal)
            except Exception:
                _log.exception("the call %s failed", name)
                result = Err.of(Fault("something went wrong on our side"))
            _tell(name, call, result, to_milliseconds(clock()) - started_ms)
            return encode(result)

    method.__name__ = name
    return method


def _tell(method: str, call: Call, result: Result, took_ms: int) -> None:
    is_fault = isinstance(result, Err) and issubclass(FAMILIES.get(result.family, Fault), Fault)
    by_service = call.principal.kind == "service" and call.principal.id != GATEWAY_ID
    if not is_fault and not by_service:
        return
    outcome = result.code if isinstance(result, Err) else "ok"
    told = {"call": method, "caller": call.principal.id, "outcome": outcome, "duration_ms": took_ms}
    _log.log(logging.ERROR if is_fault else logging.INFO, "a call was served", extra={"fields": told})


def _read(model: type[BaseModel], text: str) -> BaseModel:
    try:
        return model.model_validate_json(text)
    except ValidationError as failure:
        raise Invalid("the request is not valid", details={"errors": field_errors(failure)}) from failure


def field_errors(failure: ValidationError) -> list[Any]:
    """What is wrong with each field: `{"field": "items.0.quantity", "code", "detail"}`."""
    return [
        {"field": ".".join(map(str, error["loc"])), "code": error["type"], "detail": error["msg"]}
        for error in failure.errors(include_url=False, include_context=False, include_input=False)
    ]


_Methods = dict[str, tuple[type[BaseModel], TypeAdapter[Any] | None]]
_known_contracts: dict[type[Any], _Methods] = {}


def _methods(contract: type[Any]) -> _Methods:
    """Each method's request model, and what reads and writes its answer (None for `Json` text)."""
    if contract not in _known_contracts:
        methods: _Methods = {}
        for name, function in inspect.getmembers(contract, inspect.iscoroutinefunction):
            hints = get_type_hints(function)
            answer = hints["return"]
            methods[name] = (hints["request"], None if answer is Json else TypeAdapter(answer))
        _known_contracts[contract] = methods
    return _known_contracts[contract]
