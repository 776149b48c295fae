#!/usr/bin/env bash
# A separate Docker daemon, only if none responds: its own data and pid file, the usual socket, and a fence around the cluster.
# usage: hack/offline/docker.sh start|stop|status
. "$(dirname "$0")/../lib.sh"
. "$OFFLINE/fence.sh"
RUN=$CACHE/docker/run
PIDFILE=$CACHE/docker/dockerd.pid
RUNTIME=$CACHE/docker/runc-nosysres # a copy, so that the daemon keeps its runtime when the repository moves

# After a reboot or an interrupted run, dockerd refuses to start because of the pid files of dead processes.
clear_stale_files() {
  for file in "$PIDFILE" "$RUN/containerd/containerd.pid"; do
    runs_from "$file" "$RUN" || rm -f "$file"
  done
}

launch() {
  mkdir -p "$RUN"
  clear_stale_files
  install -m755 "$OFFLINE/runc-nosysres" "$RUNTIME"
  # The daemon must not inherit the lock of cluster.sh (descriptor 9).
  nohup setsid dockerd --data-root "$CACHE/docker/data" --exec-root "$RUN" --pidfile "$PIDFILE" --bip "$DOCKER_BRIDGE" \
    --add-runtime "nosysres=$RUNTIME" --default-runtime nosysres >"$CACHE/log/dockerd.log" 2>&1 </dev/null 9>&- &
  wait_for_docker 30
}

wait_for_docker() { # SECONDS
  local end=$((SECONDS + $1))
  until docker_responds; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.3
  done
}

stop() {
  our_docker || { say "no docker daemon was started by this script"; return; }
  local pid end=$((SECONDS + 60))
  pid=$(cat "$PIDFILE")
  kill "$pid"
  while our_docker; do
    [ $SECONDS -lt $end ] || { kill -9 "$pid"; break; }
    sleep 0.3
  done
}

# Does our daemon respond, with its iptables rules in place and its runtime where it expects it?
healthy() {
  wait_for_docker 20 && iptables -w -t nat -n -L DOCKER >/dev/null 2>&1 &&
    [ "$(docker info -f '{{(index .Runtimes "nosysres").Path}}' 2>/dev/null)" = "$RUNTIME" ] && [ -x "$RUNTIME" ]
}

start() {
  # Only a daemon that this script started is ever restarted.
  if our_docker && ! healthy; then stop; fi
  if ! docker_responds; then
    [ ! -d /run/systemd/system ] || ! have dockerd || die "docker does not respond; start it: systemctl start docker"
    need docker:docker.io dockerd:docker.io runc:runc iptables:iptables ip:iproute2
  fi
  if ! docker_responds; then
    "$HACK/free_ranges.py" "$DOCKER_BRIDGE" "$NODE_SUBNET"
    fence # before the daemon, because it restarts the containers of its last run
    step docker-start launch
  fi
  [ "$(images_mode)" = registry ] || fence
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status)
    docker_responds || die "no docker daemon responds"
    if our_docker; then say "a docker daemon started by this script runs (pid $(cat "$PIDFILE"))"
    else say "a docker daemon runs that this script did not start"; fi ;;
  *) die "usage: hack/offline/docker.sh start|stop|status" ;;
esac
