#!/usr/bin/env bash
# Checks everything: style, types, unit tests, then tests against a running system. --unit stops after the unit tests.
set -Eeuo pipefail
unit_only=no
for argument; do
  case $argument in
    --unit) unit_only=yes ;;
    *) echo "usage: scripts/test.sh [--unit]" >&2; exit 2 ;;
  esac
done
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
trap 'echo "FAILED: $step" >&2' ERR

run() {
  step=$1
  shift
  echo "== $step"
  "$@"
  echo "== $step: passed"
}

check_types() {
  # Of a service only its own package: wrangler may have copied shared ones beside it.
  local packages=() service
  for service in services/*/; do
    packages+=("${service}src/$(basename "$service")")
  done
  "$python" -m mypy wrangler shared_kernel workflows/order_saga "${packages[@]}" tests
  # Every service calls its main module `entry`, so mypy sees them one at a time.
  for service in services/*/; do
    "$python" -m mypy "${service}src/entry.py"
  done
}

run "lint" "$python" -m ruff check .
run "format" "$python" -m ruff format --check .
run "types" check_types
run "unit tests" "$python" -m pytest -q -n auto tests/unit
if [ "$unit_only" = yes ]; then
  echo "all unit checks passed"
  exit
fi
# The adapters go first: where one is broken, the system tests would tell it at length.
run "workerd tests" "$python" -m pytest -q tests/workerd
run "providers tests" "$python" -m pytest -q tests/providers
run "system tests" "$python" -m tests.system
echo "all checks passed"
