"""The local run: decides how the whole system is started on this machine, when it is ready, and how it ends.

`python -m wrangler.dev` (`scripts/dev.sh` sets everything up first) runs all Workers in one `wrangler dev` on one state
directory until Ctrl-C or SIGTERM. wrangler ends when the Workers cannot start with a source that was changed; the run
goes on, and starts it again at the next change.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from wrangler import local_admin, sample
from wrangler.checkout import CHECKOUT, Checkout, ToolMissing
from wrangler.first_admin import AdminRefused
from wrangler.guarded import RunFailed, guarded
from wrangler.local_admin import LocalAdmin
from wrangler.local_crons import keep_firing
from wrangler.local_databases import migrate
from wrangler.local_providers import can_be_simulated, settings_of_payment, simulated
from wrangler.local_workers import follow_sources, parse_overrides, write_workers
from wrangler.readiness import is_reloading, wait_until_ready, what_went_wrong
from wrangler.state import LOG, RUNTIME, State, StateRefused, held, write_private
from wrangler.topology import PASAR
from wrangler.topology_model import Topology, TopologyError

DEFAULT_PORT = 8787
HOST = "127.0.0.1"
INTERRUPTED = 130
# What can be wrong with a checkout, a machine or an option; anything else is a fault of ours and shows its traceback.
EXPECTED = (AdminRefused, RunFailed, StateRefused, TopologyError, ToolMissing, OSError)
_LOOK_SECONDS = 1


@dataclass(frozen=True)
class Options:
    """What the person who starts a run chooses."""

    port: int
    state: Path
    fresh: bool
    sample: bool
    reload: bool
    providers: bool
    settings: list[str]
    without: frozenset[str]


@dataclass(frozen=True)
class _Ports:
    """Where the parts of a run listen; without the payment providers' simulators `providers` is None."""

    api: int
    direct: int
    providers: int | None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.api}"

    @property
    def direct_url(self) -> str:
        return f"http://{HOST}:{self.direct}"

    @property
    def providers_url(self) -> str | None:
        return None if self.providers is None else f"http://{HOST}:{self.providers}"


@dataclass(frozen=True)
class _System:
    """What a run has prepared: all that it takes to start the Workers, and to start them again."""

    options: Options
    topology: Topology
    checkout: Checkout
    state: State
    ports: _Ports
    admin: LocalAdmin
    configurations: list[Path]

    @property
    def log(self) -> Path:
        return self.state.folder / LOG

    @property
    def running(self) -> Topology:
        return Topology(tuple(one for one in self.topology.workers if one.name not in self.options.without))


def parse_options(arguments: list[str]) -> Options:
    """The options of a command line; ends the program with a usage message when they make no sense."""
    parser = argparse.ArgumentParser(prog="scripts/dev.sh", description="Runs the whole system on this machine.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the API, 0 for any (default 8787)")
    parser.add_argument(
        "--state", type=Path, default=CHECKOUT.made / "state", help="where data is kept (default .pasar/state)"
    )
    parser.add_argument("--fresh", action="store_true", help="empty the state first")
    parser.add_argument("--no-sample", action="store_true", help="leave an empty database empty")
    parser.add_argument("--no-reload", action="store_true", help="go on with the code as it is now when it is edited")
    parser.add_argument(
        "--no-providers", action="store_true", help="do without the simulated payment providers, the sandbox stays"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="WORKER.VARIABLE=VALUE", help="change a variable of a Worker"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="WORKER", help="leave a Worker out, as if it were down"
    )
    chosen = parser.parse_args(arguments)
    if not 0 <= chosen.port <= 65535:
        parser.error("--port takes a number from 0 to 65535")
    return Options(
        port=chosen.port,
        state=chosen.state.absolute(),
        fresh=chosen.fresh,
        sample=not chosen.no_sample,
        reload=not chosen.no_reload,
        providers=not chosen.no_providers,
        settings=chosen.set,
        without=frozenset(chosen.without),
    )


def run(options: Options, topology: Topology = PASAR, checkout: Checkout = CHECKOUT) -> int:
    """Run the system until it is asked to end; gives the exit status, 130 when it was asked before it was ready.

    Raises StateRefused, TopologyError, ToolMissing or RunFailed with one clear sentence when it cannot run.
    """
    chosen = parse_overrides(topology, options.settings)
    _check_absent(topology, options.without)
    ready = threading.Event()
    try:
        with _signals_interrupt(), held(options.state) as state:
            ports = _free_ports(options, checkout)
            if options.fresh:
                state.empty()
            of_payment = settings_of_payment(ports.url, ports.providers_url)
            overrides = {**chosen, "payment": {**of_payment, **chosen.get("payment", {})}}
            say("preparing the Workers and their databases")
            has_providers = ports.providers is not None
            configurations = write_workers(topology, checkout, state, overrides, optional_secrets=has_providers)
            migrate(topology, checkout, state)
            admin = local_admin.ensure(topology, checkout, state)
            started = [path for path in configurations if path.parent.name not in options.without]
            with _providers(topology, checkout, state, ports):
                _serve(_System(options, topology, checkout, state, ports, admin, started), ready)
    except KeyboardInterrupt:
        say("stopped")
        return 0 if ready.is_set() else INTERRUPTED


def _serve(system: _System, ready: threading.Event) -> NoReturn:
    """Keep the Workers running; RunFailed when they end before they were ready once, or are not to be reloaded."""
    say(f"starting {len(system.configurations)} Workers")
    while True:
        try:
            _serve_once(system, ready)
        except RunFailed as error:
            if not (ready.is_set() and system.options.reload):
                raise
            say(str(error))
        say("the Workers start again at the next change of a source file; Ctrl-C ends the run")
        while not follow_sources(system.topology, system.checkout, system.state):
            time.sleep(_LOOK_SECONDS)
        say("a source file has changed: starting the Workers again")


def _serve_once(system: _System, ready: threading.Event) -> NoReturn:
    """Run wrangler until it ends by itself, which raises RunFailed with what it said."""
    ports, checkout, log = system.ports, system.checkout, system.log
    environment = {**checkout.wrangler_environment(system.state.folder), "PASAR_DIRECT_PORT": str(ports.direct)}
    command = _dev_command(checkout, system.state, system.configurations, ports.api)
    if log.exists():
        log.replace(log.with_suffix(".before.log"))
    with guarded(command, environment, log, system.state) as process:
        wait_until_ready(ports.url, process, log, without=system.options.without)
        if ready.is_set():
            say(f"ready again at {ports.url}")
        else:
            _open(system, ready)
        with _crons(system.running, ports.direct_url):
            while process.poll() is None:
                # What changes during a reload is kept back: if the reload fails, it is what the next start waits for.
                if system.options.reload and not is_reloading(log):
                    follow_sources(system.topology, checkout, system.state)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
    raise RunFailed(f"the Workers ended by themselves:\n{what_went_wrong(log)}")


def _open(system: _System, ready: threading.Event) -> None:
    """Fill the shop, and tell everybody that it is there."""
    state, ports = system.state, system.ports
    staff_token = state.secrets(system.topology)["gateway"]["STAFF_TOKEN"]
    # A shop that lacks a part would lose the rest of the sample half-way.
    if system.options.sample and not system.options.without:
        _load_sample(ports.url, staff_token)
    write_private(state.folder / RUNTIME, json.dumps({"direct_url": ports.direct_url}))
    state.announce(_connection(ports, staff_token, system.admin))
    ready.set()
    _welcome(ports, system.admin, state)


def _check_absent(topology: Topology, without: frozenset[str]) -> None:
    """Refuse, with TopologyError, to leave out a Worker that there is not, or the one that is to answer."""
    for name in sorted(without):
        if topology.worker(name).public:
            raise TopologyError(f"without {name} nothing would answer")


def _connection(ports: _Ports, staff_token: str, admin: LocalAdmin) -> dict[str, str | None]:
    return {
        "url": ports.url,
        "staff_token": staff_token,
        "admin_email": admin.email,
        "admin_password": admin.password,
        "providers_url": ports.providers_url,
    }


def _free_ports(options: Options, checkout: Checkout) -> _Ports:
    has_providers = options.providers and can_be_simulated(checkout)
    return _Ports(free_port(options.port), free_port(0), free_port(0) if has_providers else None)


def _providers(
    topology: Topology, checkout: Checkout, state: State, ports: _Ports
) -> contextlib.AbstractContextManager[None]:
    if ports.providers is None:
        return contextlib.nullcontext()
    say("starting the simulated payment providers")
    return simulated(topology, checkout, state, ports.providers, notify=ports.url)


def _dev_command(checkout: Checkout, state: State, configurations: list[Path], port: int) -> list[str]:
    return [
        *checkout.wrangler_command(),
        "dev",
        *(argument for path in configurations for argument in ("-c", str(path))),
        *("--ip", HOST, "--port", str(port), "--inspector-port", "0"),
        *("--persist-to", str(state.folder), "--show-interactive-dev-session=false"),
    ]


def _load_sample(url: str, staff_token: str) -> None:
    say("looking whether the sample catalogue is wanted")
    try:
        loaded = sample.load(url, staff_token)
    except (sample.SampleRefused, httpx.HTTPError) as error:
        raise RunFailed(f"the sample catalogue could not be loaded: {error}") from error
    if loaded.products or loaded.stock_levels:
        say(f"loaded {loaded.products} products, {loaded.warehouses} warehouses, {loaded.stock_levels} stock levels")


def _welcome(ports: _Ports, admin: LocalAdmin, state: State) -> None:
    providers = f"  providers      {ports.providers_url} (docs/payments.md)\n" if ports.providers_url else ""
    print(
        f"\nPasar is ready at {ports.url}\n"
        f"  documentation  {ports.url}/docs\n"
        f"  try            curl '{ports.url}/api/products?limit=3'\n"
        f"{providers}"
        f"  admin          {admin.email}, password {admin.password}\n"
        f"  staff token    in {state.folder}/connection.json\n"
        f"  log            {state.folder}/{LOG}\n"
        "Ctrl-C ends it.",
        flush=True,
    )


@contextlib.contextmanager
def _crons(topology: Topology, direct_url: str) -> Iterator[None]:
    stop = threading.Event()
    # The thread is a daemon: one that waits for a Worker's answer must not hold up the end of the run.
    threading.Thread(target=keep_firing, args=(topology, direct_url, stop, say), daemon=True).start()
    try:
        yield
    finally:
        stop.set()


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the run as Ctrl-C does, and only once: the way out is bounded anyway."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for one in watched:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, interrupt) for one in watched}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def free_port(wanted: int) -> int:
    """The wanted port, or any free one for 0; RunFailed when something listens there.

    Any free one is not of those that the system gives to outgoing connections (from 32768 on with Linux): between
    this look and the moment when wrangler listens, one of them could have it.
    """
    ports = (wanted,) if wanted else random.sample(range(20_000, 32_000), 100)
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                reason = error.strerror
            else:
                return port
    raise RunFailed(f"port {wanted or ports[-1]} cannot be used ({reason}): choose another with --port")


def say(sentence: str) -> None:
    """Tell the person at the terminal how far the run is."""
    print(f"pasar: {sentence}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the system; a failure is a sentence on standard error and status 1."""
    try:
        return run(parse_options(arguments))
    except EXPECTED as error:
        print(f"pasar: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
