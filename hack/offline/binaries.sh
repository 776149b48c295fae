#!/usr/bin/env bash
# Build programs from Go modules into the cache's bin folder, each only if its inputs have changed.
# usage: hack/offline/binaries.sh [NAME...]     (default: all of them; the first six are all that API-server and chart tests need)
. "$(dirname "$0")/../lib.sh"
ALL=(etcd kube-apiserver kube-controller-manager kubectl versitygw helm
  kind kubeadm kubelet kube-scheduler kube-proxy pause crictl coredns)

# The wrapper module, version, package and linker flags of one program.
describe() { # NAME
  variables=
  case $1 in
    kube* | pause | crictl)
      wrapper=kubernetes version=$KUBERNETES_VERSION package=k8s.io/kubernetes/cmd/$1
      local v=k8s.io/component-base/version minor=${version#v1.}
      variables="-X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%.*} -X $v.gitTreeState=clean"
      variables+=" -X $v.buildDate=1970-01-01T00:00:00Z" ;;&
    pause | crictl) package=./cmd/$1 ;;
    kube*) ;;
    etcd) wrapper=etcd version=$ETCD_VERSION package=go.etcd.io/etcd/server/v3 ;;
    coredns) wrapper=coredns version=$COREDNS_VERSION package=github.com/coredns/coredns ;;
    helm)
      wrapper=helm version=$HELM_VERSION package=helm.sh/helm/v3/cmd/helm
      variables="-X helm.sh/helm/v3/internal/version.version=$version"
      # Which Kubernetes a chart is rendered for where no cluster is asked.
      local kubernetes=${KUBERNETES_VERSION#v1.} where
      for where in chartutil lint/rules; do
        variables+=" -X helm.sh/helm/v3/pkg/$where.k8sVersionMajor=1"
        variables+=" -X helm.sh/helm/v3/pkg/$where.k8sVersionMinor=${kubernetes%.*}"
      done ;;
    kind) wrapper=kind version=$KIND_VERSION package=sigs.k8s.io/kind ;;
    versitygw)
      wrapper=versitygw version=$VERSITYGW_VERSION package=github.com/versity/versitygw/cmd/versitygw
      variables="-X main.Version=$version" ;;
    *) die "no program '$1'; there are: ${ALL[*]}" ;;
  esac
}

compile() ( # NAME; moved into place, so that an incomplete program is never run
  cd "$OFFLINE/go/$wrapper"
  export CGO_ENABLED=0 GOWORK=off GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
  go build -ldflags "-s -w $variables" -o "$BIN/.$1.part" "$package"
  mv "$BIN/.$1.part" "$BIN/$1"
)

[ $# -gt 0 ] || set -- "${ALL[@]}"
for name in "$@"; do
  describe "$name"
  inputs=$({ echo "$package $variables"; cat "$OFFLINE/go/$wrapper"/{go.mod,go.sum}
    case $package in ./*) cat "$OFFLINE/go/$wrapper/$package"/*.go ;; esac; } | hash_of)
  # A concurrent build of the same program waits for this one.
  exec 8>"$CACHE/stamps/$name.lock"
  ! have flock || flock 8
  if [ -x "$BIN/$name" ] && [ "$(cat "$CACHE/stamps/$name" 2>/dev/null)" = "$inputs" ]; then continue; fi
  have go || die "$name must be built from its Go module: install Go (https://go.dev/dl) first"
  grep -q " $version\$" "$OFFLINE/go/$wrapper/go.mod" || die "$OFFLINE/go/$wrapper/go.mod is not at $version: run $OFFLINE/pin-modules.sh"
  step "build-$name" compile "$name"
  echo "$inputs" >"$CACHE/stamps/$name"
done
