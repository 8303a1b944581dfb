"""Which providers this environment has: those whose secrets are set. A new one is one more line here."""

from collections.abc import Callable

from payment.application.ports import PaymentProvider
from payment.infrastructure import midtrans, mpesa, paypal, stripe, xendit
from payment.infrastructure.http_calls import Calls
from shared_kernel.clock import Clock

Setting = Callable[[str], str | None]


def configured(setting: Setting, calls: Callable[[str], Calls], clock: Clock) -> dict[str, PaymentProvider]:
    """The providers by name, each with calls of its own; one without its secrets is absent."""
    providers: dict[str, PaymentProvider] = {}
    if (for_midtrans := midtrans.settings_from(setting)) is not None:
        providers["midtrans"] = midtrans.MidtransProvider(calls("midtrans"), for_midtrans, clock)
    if (for_mpesa := mpesa.settings_from(setting)) is not None:
        providers["mpesa"] = mpesa.MpesaProvider(calls("mpesa"), for_mpesa, clock)
    if (for_paypal := paypal.settings_from(setting)) is not None:
        providers["paypal"] = paypal.PayPalProvider(calls("paypal"), for_paypal, clock)
    if (for_stripe := stripe.settings_from(setting)) is not None:
        providers["stripe"] = stripe.StripeProvider(calls("stripe"), for_stripe, clock)
    if (for_xendit := xendit.settings_from(setting)) is not None:
        providers["xendit"] = xendit.XenditProvider(calls("xendit"), for_xendit)
    return providers
