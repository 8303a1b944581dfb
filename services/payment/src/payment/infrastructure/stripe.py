"""Stripe: cards by PaymentIntents (https://docs.stripe.com/api/payment_intents).

One PaymentIntent stands for a charge and can be paid once, which is the durable guard against charging twice. It is
made without the card, so that the same request, with the same idempotency key, can be sent again by a look-up that
knows no card; only its confirmation takes money. Keys live for at least 24 hours and the search by our reference lags
by up to an hour, so the two together find every intent, of whatever age. Stripe lets no intent expire soon: one whose
customer is still away when the charge expires is cancelled by the look-up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from payment.application.ports import Http, Notice, ProviderError, Webhook
from payment.domain.charge import (
    Captured,
    Charge,
    Declined,
    Disputes,
    Expired,
    Means,
    Outcome,
    RefundDone,
    RefundImpossible,
    RefundOutcome,
    RefundPending,
    Voided,
    Waiting,
)
from payment.infrastructure import stripe_disputes, stripe_webhook
from payment.infrastructure.asking import digest
from payment.infrastructure.exponents import AmountNotTaken
from payment.infrastructure.stripe_api import Intent, Intents, Refunds, Refused, StripeApi, StripeRefund, stripe_amount
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import Money

REFUNDS_PER_PAGE = 100
MOST_REFUND_PAGES = 10

_ENDED_BY_TIME = {"abandoned", "automatic", "expired"}
_TRY_REFUND_LATER = {"balance_insufficient", "lock_timeout", "rate_limit", "resource_missing"}
_DISPUTED = "charge_disputed"
_NO_DISPUTE = Disputes(is_open=False)
_NO_WAY_TO_AUTHENTICATE = Failure(
    code="authentication_required",
    detail="the issuer wants the cardholder to authenticate, which cannot be done",
)


@dataclass(frozen=True)
class StripeSettings:
    """Where Stripe is, what proves who we are and who it is, and where a customer comes back to.

    Without `return_url` no cardholder can authenticate (3-D Secure), and a card that needs it is declined.
    """

    base_url: str
    secret_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    return_url: str | None = None


def settings_from(setting: Callable[[str], str | None]) -> StripeSettings | None:
    """The settings, or None where a secret is missing."""
    secret_key, webhook_secret = setting("STRIPE_SECRET_KEY"), setting("STRIPE_WEBHOOK_SECRET")
    if not secret_key or not webhook_secret:
        return None
    base_url = setting("STRIPE_URL") or "https://api.stripe.com"
    return StripeSettings(base_url.rstrip("/"), secret_key, webhook_secret, setting("PUBLIC_URL"))


class StripeProvider:
    """Cards through Stripe; the means are the id of a PaymentMethod that the customer's browser made."""

    def __init__(self, http: Http, settings: StripeSettings, clock: Clock) -> None:
        self._api = StripeApi(http, settings.base_url, settings.secret_key)
        self._settings = settings
        self._clock = clock

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Make the intent and confirm it with the card; after the charge's expiry, only say how it stands.

        That rule keeps a first request and its last repetition within the life of an idempotency key.
        """
        if charge.method != "card" or not means.token:
            raise Invalid("Stripe takes cards, each by its token", code="payment_details_invalid")
        stripe_amount(charge.amount)
        if self._clock() >= charge.expires_at:
            return await self.look_up(charge) or Expired()
        try:
            intent = await self._intent(charge)
        except Refused as refusal:
            return Declined(Failure(code=refusal.code, detail=refusal.detail))
        return await self._standing(intent, charge) or await self._confirm(intent, charge, means.token)

    async def look_up(self, charge: Charge) -> Outcome | None:
        """How the intent stands; None while no card was tried."""
        intent = await self._find(charge)
        return await self._standing(intent, charge) if intent else None

    async def cancel(self, charge: Charge) -> Outcome | None:
        """Cancel the intent, made for that where there is none, so that a late request meets a cancelled one."""
        intent = await self._find(charge)
        if intent is None:
            return None
        standing = await self._standing(intent, charge)
        return standing if standing and not isinstance(standing, Waiting) else await self._end(intent, charge)

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Refund the intent; a refund whose key is in its metadata is not made again, however old it is."""
        if charge.provider_reference is None:
            raise ProviderError("a charge that Stripe never named cannot be refunded")
        try:
            if provider_reference:
                return _refund_outcome(await self._api.get(StripeRefund, f"refunds/{quote(provider_reference, '')}"))
            known = await self._known_refund(charge.provider_reference, refund_key)
            return _refund_outcome(known or await self._make_refund(charge, refund_key, amount))
        except AmountNotTaken as refusal:
            return RefundImpossible(refusal.message)
        except Refused as refusal:
            # After a dispute was lost Stripe gives nothing back any more, be something left; before that it may yet.
            stand = await self.disputes(charge) if refusal.code == _DISPUTED else _NO_DISPUTE
            if stand is None or stand.is_open or provider_reference or refusal.code in _TRY_REFUND_LATER:
                raise ProviderError(str(refusal)) from None
            return RefundImpossible(str(refusal))

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """The refund with the key in its metadata, if there is one."""
        if charge.provider_reference is None:
            return None
        try:
            known = await self._known_refund(charge.provider_reference, refund_key)
        except Refused as refusal:
            raise ProviderError(str(refusal)) from None
        return _refund_outcome(known) if known else None

    async def disputes(self, charge: Charge) -> Disputes | None:
        """How the disputes about the intent stand; see TellsDisputes."""
        return await stripe_disputes.look_up(self._api, charge)

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """What a signed event is about; WebhookRefused."""
        return stripe_webhook.read(webhook, self._settings.webhook_secret, self._clock())

    async def _find(self, charge: Charge) -> Intent | None:
        """The charge's intent, newly made without a card if there was none; None when Stripe would not have one."""
        if charge.provider_reference is None:
            try:
                escaped = charge.reference.replace("\\", "\\\\").replace("'", "\\'")
                query = {"query": f"metadata['reference']:'{escaped}'", "limit": "1"}
                found = await self._api.get(Intents, "payment_intents/search", query)
            except Refused as refusal:
                raise ProviderError(str(refusal)) from None
            if found.data:
                return await self._read(found.data[0].id)
        try:
            return await self._intent(charge)
        except (Refused, AmountNotTaken):
            return None

    async def _intent(self, charge: Charge) -> Intent:
        """The intent by its id, or else by the idempotency key of the request that makes it."""
        if charge.provider_reference:
            return await self._read(charge.provider_reference)
        fields = {
            "amount": str(stripe_amount(charge.amount)),
            "currency": charge.amount.currency.lower(),
            "capture_method": "automatic",
            "allowed_payment_method_types[]": "card",
            "metadata[reference]": charge.reference,
        }
        intent, replayed = await self._api.post(Intent, "payment_intents", fields, f"{charge.reference}:create")
        # The answer to a repeated key is that of the first time; the intent may have moved on since.
        return await self._read(intent.id) if replayed else intent

    async def _read(self, intent_id: str) -> Intent:
        try:
            return await self._api.get(Intent, f"payment_intents/{quote(intent_id, '')}")
        except Refused as refusal:
            raise ProviderError(str(refusal)) from None

    async def _confirm(self, intent: Intent, charge: Charge, token: str) -> Outcome:
        fields = {"payment_method": token}
        if self._settings.return_url:
            fields["return_url"] = self._settings.return_url
        try:
            path = f"payment_intents/{intent.id}/confirm"
            intent, _ = await self._api.post(Intent, path, fields, f"{charge.reference}:confirm")
        except Refused as refusal:
            if refusal.code != "payment_intent_unexpected_state":
                return Declined(Failure(code=refusal.code, detail=refusal.detail))
            # Somebody else was faster, and has confirmed or cancelled it.
            intent = await self._read(intent.id)
        standing = await self._standing(intent, charge)
        if standing is None:
            raise ProviderError("Stripe has not decided yet")
        return standing

    async def _standing(self, intent: Intent, charge: Charge) -> Outcome | None:
        """How the intent stands, after ending one that waits for a customer who cannot pay it any more."""
        standing = _outcome(intent, charge)
        if not isinstance(standing, Waiting):
            return standing
        if self._clock() >= charge.expires_at:
            return await self._end(intent, charge, {"cancellation_reason": "abandoned"})
        if standing.instructions.redirect_url is None:
            ended = await self._end(intent, charge)
            return Declined(_NO_WAY_TO_AUTHENTICATE) if ended == Voided() else ended
        return standing

    async def _end(self, intent: Intent, charge: Charge, fields: Mapping[str, str] | None = None) -> Outcome:
        try:
            intent, _ = await self._api.post(Intent, f"payment_intents/{intent.id}/cancel", fields or {})
        except Refused:
            intent = await self._read(intent.id)
        standing = _outcome(intent, charge)
        if standing is None or isinstance(standing, Waiting):
            raise ProviderError("Stripe did not cancel the payment")
        return standing

    async def _known_refund(self, intent_id: str, refund_key: str) -> StripeRefund | None:
        query = {"payment_intent": intent_id, "limit": str(REFUNDS_PER_PAGE)}
        for _ in range(MOST_REFUND_PAGES):
            page = await self._api.get(Refunds, "refunds", query)
            for refund in page.data:
                if (refund.metadata or {}).get("refund_key") == refund_key:
                    return refund
            if not page.has_more or not page.data:
                return None
            query["starting_after"] = page.data[-1].id
        raise ProviderError("the payment has more refunds at Stripe than are looked through")

    async def _make_refund(self, charge: Charge, refund_key: str, amount: Money) -> StripeRefund:
        fields = {
            "payment_intent": str(charge.provider_reference),
            "amount": str(stripe_amount(amount)),
            "metadata[reference]": charge.reference,
            "metadata[refund_key]": refund_key,
        }
        # A key of Stripe's has no more than 255 characters.
        key = f"{charge.reference}:refund:{digest(refund_key)}"
        refund, _ = await self._api.post(StripeRefund, "refunds", fields, key)
        return refund


def _outcome(intent: Intent, charge: Charge) -> Outcome | None:
    if (intent.amount, intent.currency.upper()) != (stripe_amount(charge.amount), charge.amount.currency):
        raise ProviderError("Stripe knows this payment with another amount")
    match intent.status:
        case "succeeded":
            return Captured(intent.id)
        case "canceled":
            return Expired() if intent.cancellation_reason in _ENDED_BY_TIME else Voided()
        case "requires_action":
            redirect = intent.next_action.redirect_to_url if intent.next_action else None
            link = redirect.url if redirect else None
            expires_at = rfc3339(charge.expires_at)
            return Waiting(intent.id, Instructions(type="redirect", redirect_url=link, expires_at=expires_at))
        case "requires_payment_method" | "requires_confirmation":
            error = intent.last_payment_error
            detail = (error.message if error else None) or "the card was declined"
            return Declined(Failure(code=error.reason, detail=detail)) if error else None
        case _:
            raise ProviderError("Stripe has not decided yet")


def _refund_outcome(refund: StripeRefund) -> RefundOutcome:
    match refund.status:
        case "succeeded":
            return RefundDone(refund.id)
        case "failed" | "canceled":
            return RefundImpossible(f"Stripe's refund is {refund.status}: {refund.failure_reason or 'no reason given'}")
        case _:
            return RefundPending(refund.id)
