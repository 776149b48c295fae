# shellcheck shell=bash
# Sourced by every script in this folder: pinned versions, cache layout, PATH, and the few helpers they share.
set -euo pipefail
HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HACK")
. "$HACK/versions.env"
CACHE=${MODELMONITOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelmonitor}
BIN=$CACHE/bin
mkdir -p "$CACHE"/{bin,log,stamps,debs}
export PATH=$BIN:$PATH             # our kubectl before whatever else carries that name
export KUBECONFIG=$CACHE/kubeconfig # never the person's own ~/.kube/config

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
hash_of() { sha256sum | cut -c1-16; } # of standard input

# step NAME COMMAND...: one progress line with the time it took; the output goes to a log that is shown when it fails.
# (A trap and not `|| fail`: on the left of || bash would ignore `set -e` inside the command.)
STEP=
step() {
  STEP=$1; shift
  local start=$EPOCHREALTIME
  "$@" >"$CACHE/log/$STEP.log" 2>&1
  printf '%-34s %6.1f s\n' "$STEP" "$(bc <<<"$EPOCHREALTIME - $start")" >&2
  STEP=
}
show_failed_step() { [ -z "$STEP" ] || { tail -n 20 "$CACHE/log/$STEP.log"; say "error: step '$STEP' failed"; } >&2; }
trap show_failed_step EXIT
