#!/usr/bin/env bash
# Deploys every Worker to staging or production, leaves first; `scripts/deploy_all.sh --help` lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
PYTHONPATH=$root exec "$python" -P -m wrangler.deploy "$@"
