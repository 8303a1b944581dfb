"""When a system that starts, or starts anew, is ready, and when it will never be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

import httpx
from pydantic import BaseModel, ValidationError

from wrangler.guarded import RunFailed

READY_WITHIN_SECONDS = 180
ERROR_GRACE_SECONDS = 5
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 30
_SHOWN_LINES = 40
# wrangler marks what it cannot go on with so; a Worker that fails to start leaves it waiting for an edit, not ended.
_ERROR_MARK = "[ERROR]"
# Between these two wrangler takes no change of a source; it ends when the Workers cannot start with the last one.
RELOAD_BEGINS = "Reloading local server..."
RELOAD_ENDS = "Local server updated and ready"
# More than wrangler says during a reload of all Workers.
_RELOAD_BYTES = 1_000_000
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class _Status(BaseModel):
    status: str


class _Health(BaseModel):
    status: str
    services: dict[str, _Status] = {}


def wait_until_ready(
    url: str,
    process: subprocess.Popen[bytes],
    log: Path,
    within_seconds: float = READY_WITHIN_SECONDS,
    grace_seconds: float = ERROR_GRACE_SECONDS,
    without: Collection[str] = (),
) -> None:
    """Return when `GET /health` says that every Worker is well, `without` those that are not to be.

    Raises RunFailed, with what wrangler said, when it ends, when it reports an error and the system is not well a
    moment later, and when it all takes longer than it may.
    """
    began = time.monotonic()
    give_up = began + within_seconds
    answer = "no answer"
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RunFailed(f"wrangler ended with status {process.returncode}:\n{what_went_wrong(log)}")
        if _ERROR_MARK in _plain(log):
            give_up = min(give_up, time.monotonic() + grace_seconds)
        try:
            response = httpx.get(f"{url}/health", timeout=max(min(_ANSWER_SECONDS, give_up - time.monotonic()), 0.1))
        except httpx.HTTPError as error:
            answer = f"no answer ({error!r})"
        else:
            if _is_well(response, without):
                return
            answer = f"{response.status_code} {response.text}"
        time.sleep(_POLL_SECONDS)
    waited_seconds = time.monotonic() - began
    raise RunFailed(
        f"the system was not well after {waited_seconds:.0f} seconds; GET /health: {answer}\n{what_went_wrong(log)}"
    )


def _is_well(response: httpx.Response, without: Collection[str]) -> bool:
    try:
        report = _Health.model_validate_json(response.text)
    except ValidationError:
        return False
    if not without:
        return response.status_code == httpx.codes.OK and report.status == "ok"
    ailing = {name for name, service in report.services.items() if service.status != "ok"}
    return bool(report.services) and ailing <= set(without)


def is_reloading(log: Path) -> bool:
    """Whether wrangler, by its log, is starting the Workers anew with changed sources."""
    with log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _RELOAD_BYTES, 0))
        end = file.read().decode(errors="replace")
    return end.rfind(RELOAD_BEGINS) > end.rfind(RELOAD_ENDS)


def what_went_wrong(log: Path) -> str:
    """The part of wrangler's log that tells why: a Worker's traceback, or all from the first error on, or the end.

    What was said before the reload that failed, if one did, is not looked at. It may have begun more than once.
    """
    latest = _plain(log).rpartition(RELOAD_ENDS)[2]
    lines = latest[max(latest.find(RELOAD_BEGINS), 0) :].splitlines()
    tracebacks = [line for line in lines if line.strip().startswith("{") and "Traceback" in line]
    errors = [number for number, line in enumerate(lines) if _ERROR_MARK in line]
    if tracebacks:
        # workerd writes it as one JSON line; after the blank line come places in its own code.
        shown = json.loads(tracebacks[0])["message"].split("\n\n")[0].splitlines()
    elif errors:
        shown = lines[errors[0] :][:_SHOWN_LINES]
    else:
        shown = lines[-_SHOWN_LINES:]
    return "\n".join([*shown, f"(the whole log is {log})"])


def _plain(log: Path) -> str:
    return _COLOUR.sub("", log.read_text(errors="replace"))
