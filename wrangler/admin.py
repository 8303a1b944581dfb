"""The command that makes an admin: decides whom it asks for what, and which passwords it takes.

`python -m wrangler.admin` (`scripts/create_admin.sh`) needs `services/user/src` on the path: a password is good here
when the user service would take it.
"""

from __future__ import annotations

import argparse
import getpass
import subprocess
import sys
from pathlib import Path

from shared_kernel.contracts.user import Register
from user.domain.errors import PasswordNotAllowed
from user.domain.password import allowed
from user.infrastructure.common_passwords import COMMON_PASSWORDS
from wrangler.checkout import CHECKOUT, Checkout
from wrangler.first_admin import AdminRefused, account, deployed, local, make
from wrangler.guarded import RunFailed
from wrangler.state import StateRefused, held
from wrangler.topology import PASAR
from wrangler.topology_model import DEPLOYED, Topology


def ask_password(file: Path | None) -> str:
    """The password: a file's first line, or what is typed twice; AdminRefused when the two differ."""
    if file is not None:
        return file.read_text().partition("\n")[0].removesuffix("\r")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise AdminRefused("the two passwords differ")
    return password


def chosen(email: str, name: str, password: str) -> Register:
    """The account as it is wanted; AdminRefused for what the API would not take, a common password too."""
    wanted = account(email, name, password)
    try:
        allowed(wanted.password, wanted.email, wanted.name, COMMON_PASSWORDS)
    except PasswordNotAllowed as error:
        raise AdminRefused(str(error)) from None
    return wanted


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """The options of a command line; ends the program with a usage message when they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/create_admin.sh",
        description="Makes an admin's account. It asks for what is not given; a password is never an argument.",
        # Else --password would be taken for --password-file, and a password be typed where others see it.
        allow_abbrev=False,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--env", choices=DEPLOYED, help="in the database of a deployed environment")
    where.add_argument("--state", type=Path, metavar="DIR", help="in the state of a local system that does not run")
    parser.add_argument("--email")
    parser.add_argument("--name")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="a file whose first line is the password")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, topology: Topology = PASAR, checkout: Checkout = CHECKOUT) -> str:
    """Ask for what is not given and make the account; its address. Raises AdminRefused, StateRefused, RunFailed."""
    if options.state is not None and not (options.state / "v3").is_dir():
        raise StateRefused(f"{options.state} is not the state of a local system that has run")
    email = options.email or input("E-mail: ")
    name = options.name or input("Name: ")
    wanted = chosen(email, name, ask_password(options.password_file))
    if options.state is None:
        make(topology, checkout, options.env, wanted, deployed(checkout, options.env))
    else:
        with held(options.state.absolute()) as state:
            make(topology, checkout, "local", wanted, local(checkout, state))
    return wanted.email


def main(arguments: list[str]) -> int:
    """Make an admin; a failure is a sentence on standard error and status 1."""
    try:
        email = run(parse_options(arguments))
    except (AdminRefused, StateRefused, RunFailed, subprocess.TimeoutExpired, OSError, EOFError) as error:
        print(f"pasar: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npasar: interrupted", file=sys.stderr)
        return 130
    print(f"{email} is an admin now.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
