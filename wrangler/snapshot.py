"""The memory snapshot: decides what a Worker's Python has already imported when it starts.

Importing pydantic and the SDK takes a Worker seconds; workerd can save the memory of one that has done so and start
every other from there. It must import packages only, under a name that no Worker has: a Worker whose main module has
the name of the snapshot's would silently run the snapshot's code. Cloudflare takes such a snapshot itself at deploy.
"""

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wrangler.checkout import Checkout, replace_folder
from wrangler.commands import SetupFailed, telling_line

SNAPSHOT_FILE = "snapshot.bin"
LOCAL_FLAGS = ("python_workers", "python_workers_development", "experimental")

_MAIN_MODULE = "pasar_snapshot.py"
# A Worker of another name with the same imports proves that the snapshot can be loaded.
_TRIAL_MODULE = "pasar_snapshot_trial.py"
_START_SECONDS = 60.0

# The standard modules are those that the services and the packages use. The runtime seeds `random` anew in every Worker
# that starts from a snapshot.
_SOURCE = """\
import asyncio, base64, collections, contextlib, dataclasses, datetime, decimal, enum, functools, hashlib, itertools
import json, math, re, time, typing, urllib.parse

import pydantic
import pydantic_core
from workers import DurableObject, Response, WorkerEntrypoint, WorkflowEntrypoint


class Warm(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")
    text: typing.Annotated[str, pydantic.Field(min_length=1)]
    kind: typing.Literal["a", "b"] = "a"
    moment: datetime.datetime | None = None
    parts: list["Warm"] = []


Warm.model_validate_json('{"text": "x", "parts": [{"text": "y"}]}').model_dump_json()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("ready")
"""


def make(checkout: Checkout, compatibility_date: str) -> None:
    """Make `.pasar/snapshot/snapshot.bin` and prove that a Worker starts from it.

    Raises `SetupFailed` when workerd cannot save it, or cannot start from it; then there is none.
    """
    shutil.rmtree(checkout.snapshot_folder, ignore_errors=True)
    partial = checkout.made / "snapshot.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log = checkout.made / "log" / "snapshot.txt"
    log.parent.mkdir(exist_ok=True)
    folders = [f"--pyodide-bundle-disk-cache-dir={checkout.bundle_folder}", f"--python-snapshot-dir={partial}"]
    for module, flag in (
        (_MAIN_MODULE, "--python-save-snapshot"),
        (_TRIAL_MODULE, f"--python-load-snapshot={SNAPSHOT_FILE}"),
    ):
        (partial / module).write_text(_SOURCE)
        config = partial / f"{module}.capnp"
        config.write_text(configuration(module, checkout.python_modules, compatibility_date))
        _start_once([str(checkout.workerd), "serve", str(config), "--experimental", *folders, flag], log)
    if not (partial / SNAPSHOT_FILE).is_file():
        raise SetupFailed(f"workerd saved no snapshot; see {log}")
    replace_folder(partial, checkout.snapshot_folder)


def configuration(main_module: str, python_modules: Path, compatibility_date: str) -> str:
    """workerd's configuration of one Worker with the vendored packages, as wrangler would hand them to it."""
    modules = [f'(name = "{main_module}", pythonModule = embed "{main_module}")', *_vendored(python_modules)]
    listed = ",\n      ".join(modules)
    flags = ", ".join(f'"{flag}"' for flag in LOCAL_FLAGS)
    return (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        "const config :Workerd.Config = (\n"
        '  services = [(name = "main", worker = (\n'
        f"    modules = [\n      {listed}\n    ],\n"
        f'    compatibilityDate = "{compatibility_date}", compatibilityFlags = [{flags}]))],\n'
        '  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);\n'
    )


def _vendored(python_modules: Path) -> Iterator[str]:
    for path in sorted(python_modules.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = path.relative_to(python_modules).as_posix()
            # The SDK imports its JavaScript files at run time, so wrangler attaches those as modules.
            kind = "esModule" if name.startswith("workers/") and path.suffix == ".js" else "data"
            yield f'(name = "python_modules/{name}", {kind} = embed "../python_modules/{name}")'


def _start_once(command: Sequence[str], log: Path) -> None:
    """Start workerd, wait until it listens, and end it.

    By then its Worker has run its imports, and a snapshot that was to be saved stands on the disk.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as control, log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--control-fd={writing}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
        )
        os.close(writing)
        try:
            listening = _listens(control.fileno(), time.monotonic() + _START_SECONDS)
        finally:
            process.kill()
            process.wait()
    if not listening:
        raise SetupFailed(f"workerd did not start: {telling_line(log)} (the whole output is in {log})")


def _listens(control: int, deadline: float) -> bool:
    """Whether workerd reports on `control` that it listens before the monotonic time `deadline`."""
    received = b""
    while (remaining_seconds := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([control], [], [], remaining_seconds)
        chunk = os.read(control, 4096) if readable else b""
        if not chunk:
            return False
        received += chunk
        *lines, received = received.split(b"\n")
        if any(json.loads(line).get("event") == "listen" for line in lines):
            return True
    return False
