"""The payment providers of a local run: decides where their simulators listen, and what they and payment share.

The simulators are of the tests, in one process, which ends with the run however that ends. Their books live in its
memory: what waits at a provider is lost with it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from wrangler.checkout import Checkout
from wrangler.guarded import RunFailed, guarded
from wrangler.state import PROVIDERS_GROUP, State, write_private
from wrangler.topology import PROVIDER_SECRETS, provider_url
from wrangler.topology_model import Topology

LOG = "providers.log"
_SECRETS = "providers.json"
_READY_WITHIN_SECONDS = 30
_POLL_SECONDS = 0.05


def can_be_simulated(checkout: Checkout) -> bool:
    """Whether the checkout has the simulators; one that is only deployed from may lack them."""
    return (checkout.root / "tests" / "providers" / "__main__.py").is_file()


def settings_of_payment(public_url: str, providers_url: str | None) -> dict[str, str]:
    """What the payment Worker is told of addresses: its own, and where it finds each provider when it is simulated."""
    addresses = {provider_url(name): f"{providers_url}/{name}" for name in PROVIDER_SECRETS} if providers_url else {}
    return {"PUBLIC_URL": public_url, **addresses}


@contextlib.contextmanager
def simulated(topology: Topology, checkout: Checkout, state: State, port: int, notify: str) -> Iterator[None]:
    """The simulators at this port with the payment Worker's secrets, until the block is left; RunFailed.

    They send their webhooks to the system at `notify`.
    """
    secrets = state.folder / _SECRETS
    write_private(secrets, json.dumps(state.secrets(topology)["payment"]))
    log = state.folder / LOG
    command = [sys.executable, "-P", "-m", "tests.providers", "--port", str(port), "--notify", notify]
    environment = {"PYTHONPATH": str(checkout.root), "PYTHONUNBUFFERED": "1"}
    with guarded([*command, "--secrets", str(secrets)], environment, log, state, PROVIDERS_GROUP) as process:
        _wait(f"http://127.0.0.1:{port}/control", process, log)
        yield


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _READY_WITHIN_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RunFailed(f"the payment providers' simulators ended:\n{log.read_text(errors='replace')}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(_POLL_SECONDS)
    raise RunFailed(f"the payment providers' simulators did not answer within {_READY_WITHIN_SECONDS} seconds: {log}")
