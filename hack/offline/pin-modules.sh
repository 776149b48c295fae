#!/usr/bin/env bash
# Rewrite go.mod and go.sum of every wrapper module from versions.env. Run it after changing a version there, and commit the
# result: a build uses exactly the versions in those files.
. "$(dirname "$0")/../lib.sh"
export GOFLAGS=-mod=mod GOWORK=off

pin() { # WRAPPER MODULE VERSION
  cd "$OFFLINE/go/$1"
  printf 'module modelmonitor.local/hack/%s\n\ngo 1.24.0\n\nrequire %s %s\n' "$1" "$2" "$3" >go.mod
  rm -f go.sum
  if [ "$1" = kubernetes ]; then pin_staging "$2" "$3"; fi
  go mod tidy
}

# k8s.io/kubernetes requires its staging modules at v0.0.0, so each needs a replace line; their list is in its own go.mod.
# These lines must stay in this one wrapper: CoreDNS, for one, does not compile with this Kubernetes' client-go.
pin_staging() { # MODULE VERSION
  local dir staging
  go mod download "$1"
  dir=$(go list -m -f '{{.Dir}}' "$1")
  staging=$(sed -n 's#^\s*\(k8s.io/[a-z0-9-]*\) => ./staging.*#\1#p' "$dir/go.mod" | sort -u)
  for module in $staging; do go mod edit -replace "$module=$module@v0.${2#v1.}"; done
}

step pin-kubernetes pin kubernetes k8s.io/kubernetes "$KUBERNETES_VERSION"
step pin-etcd pin etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION"
step pin-versitygw pin versitygw github.com/versity/versitygw "$VERSITYGW_VERSION"
step pin-helm pin helm helm.sh/helm/v3 "$HELM_VERSION"
step pin-kind pin kind sigs.k8s.io/kind "$KIND_VERSION"
step pin-coredns pin coredns github.com/coredns/coredns "$COREDNS_VERSION"
