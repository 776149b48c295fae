#!/usr/bin/env bash
# Run every test suite. The cluster and the images are prepared in the background.
# usage: hack/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
started=$SECONDS

say() { printf '== %-58s %4d s\n' "$*" $((SECONDS - started)); }

make --no-print-directory install
say "installed"
# The API-server and chart tests need their programs before the cluster is ready.
(make --no-print-directory binaries-api && make --no-print-directory cluster images) >"$logs/cluster.log" 2>&1 &
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
  echo "error: preparing the cluster failed; repeat it with: make cluster images" >&2
  exit 1
fi
say "cluster and images ready"
make --no-print-directory test-cluster
say "all tests"
