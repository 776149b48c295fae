#!/usr/bin/env bash
# The project's kind cluster, with a kubeconfig of its own.
# usage: hack/cluster.sh up | down | load IMAGE... | kubeconfig | env
#   (kubeconfig prints the path of the kubeconfig; eval "$(hack/cluster.sh env)" sets a shell up for kubectl and helm)
. "$(dirname "$0")/lib.sh"
. "$OFFLINE/fence.sh"
NODE=$CLUSTER-control-plane

tools() { # built here on a closed machine, elsewhere the installed ones
  if [ "$MODE" = local ]; then "$OFFLINE/binaries.sh" kind kubectl; return; fi
  for tool in kind kubectl; do have $tool || "$OFFLINE/binaries.sh" $tool; done
}

node_state() { docker ps --all --filter "name=^$NODE\$" --format '{{.State}}'; } # nothing when there is no node

until_ok() { # SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.5
  done
}
api_ready() { kubectl get --raw /readyz --request-timeout=3s; }
# Asks CoreDNS itself, through the API server: after a restart the status of the pod is stale.
dns_ready() { kubectl get --raw /api/v1/namespaces/kube-system/services/kube-dns:metrics/proxy/metrics --request-timeout=3s; }
wait_for_dns() { until_ok 90 dns_ready || { kubectl -n kube-system describe pods -l k8s-app=kube-dns; return 1; }; }
outdated() { # was the node created from another image than the current one?
  [ "$MODE" = local ] &&
    [ "$(docker container inspect -f '{{.Image}}' "$NODE")" != "$(docker image inspect -f '{{.Id}}' "$NODE_IMAGE")" ]
}
usable() { [ "$(node_state)" = running ] && ! outdated && kind export kubeconfig --name "$CLUSTER" -q && until_ok 60 api_ready; }

# Before anything is created: the ranges must be free, and on a closed machine the fence must be around the network.
network() {
  "$HACK/free_ranges.py" "$POD_SUBNET" "$SERVICE_SUBNET"
  if [ "$MODE" = registry ]; then return; fi
  docker network inspect kind >/dev/null 2>&1 || {
    "$HACK/free_ranges.py" "$NODE_SUBNET"
    docker network create --subnet "$NODE_SUBNET" -o com.docker.network.bridge.name="$NODE_BRIDGE" kind
  }
  [ "$(docker network inspect -f '{{index .Options "com.docker.network.bridge.name"}} {{.EnableIPv6}}' kind)" = "$NODE_BRIDGE false" ] ||
    die "the docker network 'kind' was not created by this script, so its pods could leave this machine: docker network rm kind"
}

create() {
  network
  local image=()
  if [ "$MODE" = local ]; then image=(--image "$NODE_IMAGE"); fi # elsewhere the default of this version of kind
  kind create cluster --name "$CLUSTER" --config "$HACK/kind.yaml" "${image[@]}" --wait 120s
}

remove() { kind delete cluster --name "$CLUSTER"; }

up() {
  "$OFFLINE/docker.sh" start
  MODE=$(images_mode)
  tools
  if [ "$MODE" = local ]; then "$OFFLINE/node-image.sh"; fence; fi
  if [ "$(node_state)" = exited ]; then step node-restart docker start "$NODE"; fi
  if [ -n "$(node_state)" ] && ! usable; then step cluster-remove remove; fi
  [ -n "$(node_state)" ] || step cluster-create create
  # kind waits only for the node; a pod that resolves a name before CoreDNS is ready fails.
  step cluster-dns wait_for_dns
}

main() {
  case ${1:-} in
    up) up ;;
    down) if docker_responds; then step cluster-remove remove; fi ;;
    load) shift; kind load docker-image --name "$CLUSTER" "$@" ;;
    *) die "usage: $HACK/cluster.sh up | down | load IMAGE... | kubeconfig | env" ;;
  esac
}

# These only print, so they do not wait for the lock.
case ${1:-} in
  kubeconfig) echo "$KUBECONFIG"; exit ;;
  env) printf 'export KUBECONFIG=%q PATH=%q:"$PATH"\n' "$KUBECONFIG" "$BIN"; exit ;;
esac

# One at a time: two runs that both see no cluster would both create one.
exec 9>"$CACHE/cluster.lock"
! have flock || flock 9
main "$@"
