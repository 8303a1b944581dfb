#!/usr/bin/env bash
# Replaces the key that signs access tokens in a running shop; `scripts/rotate_keys.sh --help` lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
PYTHONPATH=$root exec "$python" -P -m wrangler.signing_keys "$@"
