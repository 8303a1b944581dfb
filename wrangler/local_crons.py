"""The crons of a local run: wrangler registers them but never fires them, so the runner does, once a minute.

The first round comes at once: after a kill it ends the holds that ran out meanwhile, finishes refunds that were begun
and sends what the outboxes hold. Orders need none of it: each one's own alarm takes it up again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx

from wrangler.topology_model import Topology

INTERVAL_SECONDS = 60
_HANDLER_SECONDS = 50


def fire(topology: Topology, direct_url: str) -> list[str]:
    """Fire every cron of every Worker once; gives one sentence for each that did not end well."""
    complaints = []
    for worker in topology.workers:
        for cron in worker.crons:
            try:
                response = httpx.get(
                    f"{direct_url}/cdn-cgi/local/scheduled",
                    params={"cron": cron},
                    headers={"MF-Route-Override": worker.name},
                    timeout=_HANDLER_SECONDS,
                )
            except httpx.HTTPError as error:
                complaints.append(f"the cron of {worker.name} got no answer: {error!r}")
            else:
                if not response.is_success:
                    complaints.append(f"the cron of {worker.name} ended with {response.text.strip()!r}")
    return complaints


def keep_firing(topology: Topology, direct_url: str, stop: threading.Event, complain: Callable[[str], None]) -> None:
    """Fire all crons once a minute until `stop` is set."""
    while not stop.is_set():
        for complaint in fire(topology, direct_url):
            if not stop.is_set():
                complain(complaint)
        stop.wait(INTERVAL_SECONDS)
