# shellcheck shell=bash
# Sourced after lib.sh by the scripts that start a daemon or a cluster on a closed machine.

# fence: drop whatever leaves the cluster's bridge for anywhere else, so that no pod and no node reaches an address off this
# machine. (Before kube-proxy has written its rules, a packet to a Service address would follow the default route.) The
# network has no IPv6 addresses.
fence() {
  iptables -w -n -L DOCKER-USER >/dev/null 2>&1 || iptables -w -N DOCKER-USER
  iptables -w -C FORWARD -j DOCKER-USER 2>/dev/null || iptables -w -I FORWARD -j DOCKER-USER
  for reject in '-j REJECT' '-p tcp -j REJECT --reject-with tcp-reset'; do # a reset, because the kernel limits ICMP errors
    local rule=(DOCKER-USER -i "$NODE_BRIDGE" ! -o "$NODE_BRIDGE")
    # shellcheck disable=SC2206  # words
    rule+=($reject)
    iptables -w -C "${rule[@]}" 2>/dev/null || iptables -w -I "${rule[@]}"
  done
}
