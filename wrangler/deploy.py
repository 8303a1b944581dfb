"""The deployment: decides which commands bring the whole system to staging or production, and in which order.

Queues first, because a Worker that consumes one cannot be deployed without it; then every database with its migrations,
because the new code may read what they add; then the Workers, leaves first, so that nobody calls what is not there yet.
What exists is left alone, so a deployment that broke off is completed by the next one.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wrangler.checkout import CHECKOUT, Checkout
from wrangler.topology import PASAR
from wrangler.topology_model import DEPLOYED, Environment, Topology, platform_name
from wrangler.topology_rules import deploy_order


class DeployFailed(Exception):
    """The deployment stopped; the message says at which command, or what it lacks."""


@dataclass(frozen=True)
class Command:
    """A command line, the folder in which it runs, and the command whose success makes it unnecessary."""

    arguments: tuple[str, ...]
    folder: Path
    unless: tuple[str, ...] | None = None

    def __str__(self) -> str:
        needed = f"{shlex.join(self.unless)} || " if self.unless else ""
        return f"(cd {shlex.quote(str(self.folder))} && {needed}{shlex.join(self.arguments)})"


@dataclass(frozen=True)
class Options:
    """What the person who deploys chooses."""

    environment: Environment
    secrets: Path | None
    pywrangler: bool
    dry_run: bool


def plan(topology: Topology, checkout: Checkout, options: Options) -> list[Command]:
    """Every command of a deployment, in order."""
    wrangler = tuple(checkout.wrangler_command())
    environment = options.environment
    workers = deploy_order(topology)
    queues = [platform_name(one.queue, environment) for worker in workers for one in worker.consumes]
    commands = [
        Command((*wrangler, "queues", "create", queue), checkout.root, unless=(*wrangler, "queues", "info", queue))
        for queue in queues
    ]
    for worker in workers:
        if worker.database is not None:
            folder = checkout.root / "services" / worker.name
            name = platform_name(worker.database.name, environment)
            selected = (name, "--env", environment)
            commands += [
                Command((*wrangler, "d1", "create", name), checkout.root, unless=(*wrangler, "d1", "info", name)),
                Command((*wrangler, "d1", "migrations", "apply", *selected, "--remote"), folder),
            ]
    tool = (str(checkout.python.with_name("pywrangler")),) if options.pywrangler else wrangler
    for worker in workers:
        file = options.secrets / f"{worker.name}.env" if options.secrets else None
        is_required = bool(worker.required_secrets(environment))
        is_given = file is not None and (is_required or (bool(worker.optional_secrets) and file.is_file()))
        given = ("--secrets-file", str(file)) if is_given else ()
        folder = checkout.root / "services" / worker.name
        commands.append(Command((*tool, "deploy", "--env", environment, *given), folder))
    return commands


def execute(commands: list[Command], run: Callable[[tuple[str, ...], Path], int]) -> None:
    """Run the commands one after the other; DeployFailed at the first that does not succeed."""
    for command in commands:
        if command.unless is not None and run(command.unless, command.folder) == 0:
            continue
        status = run(command.arguments, command.folder)
        if status != 0:
            raise DeployFailed(f"{command} ended with status {status}; nothing after it was done")


def check_secrets(topology: Topology, folder: Path, environment: Environment) -> None:
    """Refuse, with DeployFailed, a folder of secrets that lacks the file of a Worker that requires some."""
    for worker in topology.workers:
        path = folder / f"{worker.name}.env"
        required = worker.required_secrets(environment)
        if required and not path.is_file():
            raise DeployFailed(f"{path} is missing; it holds a line NAME=value for each of {', '.join(required)}")


def place_packages(topology: Topology, checkout: Checkout, *, pywrangler: bool) -> None:
    """Put the vendored packages where wrangler takes them from; pywrangler installs its own there.

    Raises DeployFailed where pywrangler's are in the way: what is deployed is what was tested.
    """
    for worker in topology.workers:
        place = checkout.root / "services" / worker.name / "python_modules"
        if place.is_symlink():
            place.unlink()
        if pywrangler:
            continue
        if place.exists():
            raise DeployFailed(f"{place} was made by pywrangler: remove it, or deploy with --pywrangler")
        place.symlink_to(checkout.python_modules)


def parse_options(arguments: list[str]) -> Options:
    """The options of a command line; ends the program with a usage message when they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy_all.sh",
        description="Deploys all Workers, leaves first. Wrangler finds the account in CLOUDFLARE_API_TOKEN and "
        "CLOUDFLARE_ACCOUNT_ID, or in its own login.",
    )
    parser.add_argument("--env", choices=DEPLOYED, required=True)
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead")
    parser.add_argument(
        "--secrets", type=Path, metavar="DIR", help="set secrets from DIR/<worker>.env; the first deployment needs it"
    )
    parser.add_argument("--pywrangler", action="store_true", help="let pywrangler install the packages and deploy")
    chosen = parser.parse_args(arguments)
    secrets: Path | None = chosen.secrets
    return Options(chosen.env, secrets.absolute() if secrets else None, chosen.pywrangler, chosen.dry_run)


def main(arguments: list[str]) -> int:
    """Deploy, or print how; a failure is a sentence on standard error and status 1."""
    options = parse_options(arguments)
    environment = {**CHECKOUT.node_environment(), "CI": "1", "WRANGLER_SEND_METRICS": "false"}

    def run(command: tuple[str, ...], folder: Path) -> int:
        print(f"> {shlex.join(command)}", flush=True)
        return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False).returncode

    commands = plan(PASAR, CHECKOUT, options)
    try:
        if options.secrets is not None:
            check_secrets(PASAR, options.secrets, options.environment)
        if options.dry_run:
            print(*commands, sep="\n")
        else:
            place_packages(PASAR, CHECKOUT, pywrangler=options.pywrangler)
            execute(commands, run)
    except (DeployFailed, OSError) as error:
        print(f"pasar: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npasar: interrupted; the next deployment completes this one", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
