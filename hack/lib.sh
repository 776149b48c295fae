# shellcheck shell=bash
# Sourced by every script in this folder and in offline/: versions, cache layout, PATH, and the functions that they share.
set -euo pipefail
HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OFFLINE=$HACK/offline
. "$OFFLINE/versions.env"
CACHE=${MODELMONITOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelmonitor}
BIN=$CACHE/bin
mkdir -p "$CACHE"/{bin,log,stamps,debs,docker}
export PATH=$BIN:$PATH              # the kubectl built here takes precedence
export KUBECONFIG=$CACHE/kubeconfig # never ~/.kube/config

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
hash_of() { sha256sum | cut -c1-16; } # of standard input
[ "${BASH_VERSINFO[0]}" -ge 5 ] || die "bash 5 is needed, this is $BASH_VERSION"

# step NAME COMMAND...: print one progress line with the duration; the output goes to a log, whose end is shown on failure.
# (A trap and not `|| fail`: on the left of || bash would ignore `set -e` inside the command.)
STEP=
step() {
  STEP=$1; shift
  local start=${EPOCHREALTIME/[.,]/} took
  "$@" >"$CACHE/log/$STEP.log" 2>&1
  took=$(((${EPOCHREALTIME/[.,]/} - start) / 100000))
  printf '%-34s %5d.%d s\n' "$STEP" $((took / 10)) $((took % 10)) >&2
  STEP=
}
show_failed_step() {
  if [ -n "$STEP" ]; then tail -n 20 "$CACHE/log/$STEP.log" >&2; say "error: step '$STEP' failed"; fi
}
trap show_failed_step EXIT

# need COMMAND:PACKAGE...: install missing commands as root on Debian; elsewhere fail with the packages to install.
need() {
  local missing=()
  for pair in "$@"; do have "${pair%:*}" || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] || die "install these packages first: ${missing[*]}"
  step apt-update apt-get update -q
  step apt-install env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

limit() { if have timeout; then timeout "$@"; else shift; "$@"; fi; } # macOS has no timeout
docker_responds() { limit 10 docker info >/dev/null 2>&1; }

# Is the process in PIDFILE alive, with TEXT on its command line? (Another program can have taken over the process ID.)
runs_from() { # PIDFILE TEXT
  local pid
  pid=$(cat "$1" 2>/dev/null) && grep -qsF "$2" "/proc/$pid/cmdline"
}
our_docker() { runs_from "$CACHE/docker/dockerd.pid" "$CACHE/docker/run"; }

# Where images come from: built on this machine from packages (local), or pulled (registry). A machine whose docker was started
# by docker.sh counts as closed; elsewhere one request with a time limit decides.
images_mode() {
  case ${MODELMONITOR_IMAGES:-} in
    local | registry) echo "$MODELMONITOR_IMAGES"; return ;;
    '') ;;
    *) die "MODELMONITOR_IMAGES must be local or registry, not '$MODELMONITOR_IMAGES'" ;;
  esac
  if our_docker || ! docker_responds; then echo local
  elif docker image inspect "$PYTHON_IMAGE" >/dev/null 2>&1; then echo registry
  elif limit 15 docker manifest inspect "$PYTHON_IMAGE" >/dev/null 2>&1; then echo registry
  else echo local; fi
}

# Does docker have IMAGE, built from exactly these inputs?
image_is() { # IMAGE INPUTS-HASH
  [ "$(docker image inspect -f '{{index .Config.Labels "modelmonitor.inputs"}}' "$1" 2>/dev/null)" = "$2" ]
}

# Remove images whose name a newer build took over. (Not by the label above: images built on the base image inherit it, and
# the layers that docker keeps as its build cache would be removed as well.)
prune_replaced() { docker image prune -f --filter label=modelmonitor.image >/dev/null; }
