#!/usr/bin/env bash
# Put prometheus, promtool and alertmanager, which the tests of the metrics start, into the cache's bin folder: those of this
# machine, or else those of Debian's packages, which are unpacked and not installed. Takes a few seconds. Debian's alertmanager
# looks for its templates in a fixed folder, so that they are copied there, as root.
# usage: hack/offline/prometheus.sh
. "$(dirname "$0")/../lib.sh"
INPUTS=$(hash_of <"$0")
TEMPLATES=/usr/share/prometheus/alertmanager
complete() {
  [ -x "$BIN/prometheus" ] && [ -x "$BIN/promtool" ] && [ -x "$BIN/alertmanager" ] &&
    { [ -L "$BIN/alertmanager" ] || [ -f "$TEMPLATES/default.tmpl" ]; }
}

# The path of a program of this machine, outside of the cache. Debian calls the last one prometheus-alertmanager.
installed() { # NAME...
  local name
  for name in "$@"; do
    PATH=${PATH#"$BIN:"} command -v "$name" && return
  done
  return 1
}

link_installed() {
  local prometheus promtool alertmanager
  prometheus=$(installed prometheus) && promtool=$(installed promtool) && alertmanager=$(installed alertmanager prometheus-alertmanager) ||
    return 1
  ln -sf "$prometheus" "$BIN/prometheus"
  ln -sf "$promtool" "$BIN/promtool"
  ln -sf "$alertmanager" "$BIN/alertmanager"
}

download() {
  cd "$CACHE/debs"
  apt-get download prometheus prometheus-alertmanager
}

unpack() { # moved into place, so that an incomplete program is never run
  local folder name
  folder=$(mktemp -d "$CACHE/prometheus.XXXXXX")
  for name in prometheus prometheus-alertmanager; do
    # The newest, if the cache has several versions.
    dpkg-deb --extract "$(ls -t "$CACHE/debs/${name}"_*.deb | head -n 1)" "$folder"
  done
  [ -f "$TEMPLATES/default.tmpl" ] || install -D -m 644 -t "$TEMPLATES" "$folder$TEMPLATES"/*.tmpl
  mv "$folder/usr/bin/prometheus" "$folder/usr/bin/promtool" "$BIN/"
  mv "$folder/usr/bin/prometheus-alertmanager" "$BIN/alertmanager"
  rm -rf "$folder"
}

# A concurrent call waits for this one.
exec 8>"$CACHE/stamps/prometheus.lock"
! have flock || flock 8
if complete && [ "$(cat "$CACHE/stamps/prometheus" 2>/dev/null)" = "$INPUTS" ]; then exit; fi
if ! link_installed; then
  have apt-get && have dpkg-deb && [ "$(id -u)" = 0 ] ||
    die "install prometheus and alertmanager first (Debian, Ubuntu: apt-get install prometheus prometheus-alertmanager)"
  if ! (download) >"$CACHE/log/prometheus.log" 2>&1; then
    step apt-update apt-get update -q # a fresh machine has no lists of packages
    step prometheus download
  fi
  step prometheus-unpack unpack
fi
echo "$INPUTS" >"$CACHE/stamps/prometheus"
