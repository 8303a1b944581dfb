"""`python -m tests.providers --port N --notify URL`: the payment providers' simulators, until it is ended."""

import argparse
import json
import threading
from pathlib import Path

from tests.providers.server import serving


def main() -> None:
    """Serve, and print one line of JSON when ready: the address, and the settings that the Workers need."""
    parser = argparse.ArgumentParser(prog="python -m tests.providers", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen, on 127.0.0.1 (default: a free port)")
    parser.add_argument("--notify", help="the system's address: webhooks go to <notify>/api/webhooks/<provider>")
    parser.add_argument(
        "--secrets", type=Path, help="a file with a JSON object: secrets by name, in place of the simulators' own"
    )
    arguments = parser.parse_args()
    secrets = json.loads(arguments.secrets.read_text()) if arguments.secrets else {}
    with serving(arguments.port, arguments.notify, secrets=secrets) as running:
        # Whoever gave the secrets has them, and would find them in a log otherwise.
        settings = {} if secrets else running.providers.settings(running.address)
        print(json.dumps({"address": running.address, "settings": settings}), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
