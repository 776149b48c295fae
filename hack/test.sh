#!/usr/bin/env bash
# Runs every suite. What is slow and independent is made ready meanwhile: binaries, then the cluster and the images.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
started=$SECONDS

say() { printf '== %-58s %4d s\n' "$*" $((SECONDS - started)); }

make --no-print-directory install
say "installed"
# Binaries that API-server and chart tests need come first; the same call goes on to what only the cluster needs.
(make --no-print-directory binaries && make --no-print-directory cluster images) >"$logs/cluster.log" 2>&1 &
cluster=$!
trap 'kill "$cluster" 2>/dev/null || true; rm -rf "$logs"' EXIT

make --no-print-directory test-lint
say "linted, typed, layered"
make --no-print-directory test-unit
say "unit tests"
make --no-print-directory test-docs
say "documentation site"
make --no-print-directory test-mlflow
say "tests with an MLflow server"
make --no-print-directory test-api test-chart
say "API-server and chart tests"
if ! wait "$cluster"; then
  tail -n 60 "$logs/cluster.log" >&2
  echo "the cluster could not be made ready; the whole log is above, make cluster images repeats it" >&2
  exit 1
fi
say "cluster and images ready"
make --no-print-directory test-cluster
say "all tests"
