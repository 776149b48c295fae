#!/usr/bin/env bash
# Build the node image of the cluster from Debian packages and Go modules. Needs root and a docker daemon.
# usage: hack/offline/node-image.sh
. "$(dirname "$0")/../lib.sh"
. "$OFFLINE/rootfs.sh"
need debootstrap:debootstrap containerd:containerd zstd:zstd jq:jq
PROGRAMS=(kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns pause crictl)
PACKAGES=systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,bash,ca-certificates,curl,jq,procps
PACKAGES+=,containerd,runc,containernetworking-plugins
WORK=$CACHE/node
NODE=$WORK/rootfs

"$OFFLINE/binaries.sh" kind "${PROGRAMS[@]}"
INPUTS=$({ cat "$0" "$OFFLINE"/{versions.env,rootfs.sh,go/kind/go.sum}; cd "$CACHE/stamps"; cat "${PROGRAMS[@]}"; } | hash_of)
TARBALL=$CACHE/node-image-$INPUTS.tar.zst

# What kind's images/base/Dockerfile does to Debian, with the files of kind's module and the paths of Debian.
kind_files() {
  local files
  files=$(cd "$OFFLINE/go/kind" && GOWORK=off go list -mod=mod -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
  cp -r --no-preserve=mode,ownership "$files"/{etc,kind,usr} "$NODE/"
  chmod 755 "$NODE"/usr/local/bin/* "$NODE"/kind/bin/*
  cd "$NODE"
  rm -f lib/systemd/system/{sysinit.target.wants/systemd-tmpfiles-setup.service,multi-user.target.wants/*,local-fs.target.wants/*} \
    lib/systemd/system/{sockets.target.wants/*udev*,sockets.target.wants/*initctl*,basic.target.wants/*} \
    etc/systemd/system/{*.wants/*,containerd-fuse-overlayfs.service}
  echo "ReadKMsg=no" >>etc/systemd/journald.conf
  ln -sf /usr/lib/systemd/systemd sbin/init
  ln -sf /dev/null etc/systemd/system/systemd-binfmt.service
  mkdir -p etc/kubernetes/manifests etc/cni/net.d opt/cni kind/manifests
  ln -sf /usr/bin/{containerd,ctr,containerd-shim-runc-v2} usr/local/bin/
  ln -sf /usr/sbin/runc usr/local/sbin/
  ln -s /usr/lib/cni opt/cni/bin
  chroot . ctr oci spec >"$WORK/spec.json"
  jq '.hooks.createContainer = [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' "$WORK/spec.json" >etc/containerd/cri-base.json
  install -m755 "$BIN"/{kubeadm,kubelet,kubectl} usr/bin/
  install -m755 "$BIN/crictl" usr/local/bin/
  printf %s "$KUBERNETES_VERSION" >kind/version
}

our_files() {
  cd "$NODE"
  # A negative oom_score_adj is refused without CAP_SYS_RESOURCE, and then no pod starts ("can't get final child's PID from
  # pipe: EOF"); containerd can clamp it. The pause image has to be the one that kubeadm names.
  sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
    -e "s#sandbox_image = .*#sandbox_image = \"$(control_plane_images | grep /pause:)\"#" etc/containerd/config.toml
  # The second fence: until kube-proxy has written its rules, a packet to a Service address would leave the node by the
  # default route, so it is rejected. A packet that kube-proxy has translated no longer has such an address here.
  cat >etc/systemd/system/service-fence.service <<UNIT
[Unit]
Description=Refuse Service addresses that kube-proxy has not translated
Before=containerd.service kubelet.service
[Service]
Type=oneshot
ExecStart=/usr/sbin/iptables -w -A FORWARD -d $SERVICE_SUBNET -j REJECT
ExecStart=/usr/sbin/iptables -w -A OUTPUT -d $SERVICE_SUBNET -j REJECT
UNIT
  for unit in kubelet containerd undo-mount-hacks service-fence; do
    ln -sf "/etc/systemd/system/$unit.service" etc/systemd/system/multi-user.target.wants/
  done
  # One node needs no routes to others, so a static bridge replaces kind's network plugin, which is not a Go module. kind
  # still applies a manifest. The bridge does not enforce NetworkPolicy.
  cat >etc/cni/net.d/10-bridge.conflist <<CNI
{"cniVersion": "0.4.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "${POD_SUBNET%/*}/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CNI
  cat >kind/manifests/default-cni.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: cni, namespace: kube-system}
data: {note: "The network is a static bridge in /etc/cni/net.d of the node; it does not enforce NetworkPolicy."}
YAML
  # A default class without a provisioner: this project uses no volume claims.
  cat >kind/manifests/default-storage.yaml <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
YAML
}

control_plane_images() { "$BIN/kubeadm" config images list --kubernetes-version "$KUBERNETES_VERSION"; }

# The images that kubeadm requires, each with one program, unpacked into the node's store by this machine's containerd.
preload_images() {
  local socket=$WORK/containerd.sock store=$NODE/var/lib/containerd image name root
  containerd --root "$store" --state "$WORK/state" --address "$socket" -c /dev/null &
  local daemon=$!
  ctr() { command ctr -a "$socket" -n k8s.io "$@"; }
  until ctr version >/dev/null 2>&1; do kill -0 "$daemon"; sleep 0.1; done
  for image in $(control_plane_images); do
    name=${image##*/} name=${name%:*} root=$WORK/$name
    rm -rf "$root"
    install -D -m755 "$BIN/$name" "$root/usr/local/bin/$name"
    if [ "$name" = kube-proxy ]; then add_iptables "$root"; fi
    archive "$image" "$root" "{\"Env\": [\"PATH=/usr/local/bin:/usr/sbin\"], \"Entrypoint\": [\"/usr/local/bin/$name\"]}" >"$root.tar"
    ctr images import --digests=false "$root.tar"
    ctr images label "$image" io.cri-containerd.pinned=pinned io.cri-containerd.image=managed
    # The blob of an unpacked layer is not needed. containerd would free it only at its next collection, so remove the file.
    local layer
    layer=$(ctr content get "$(ctr images ls "name==$image" | awk 'NR == 2 {print $3}')" | jq -r '.layers[].digest')
    ctr content rm "$layer"
    rm -f "$store/io.containerd.content.v1.content/blobs/sha256/${layer#sha256:}"
  done
  kill "$daemon"
  wait "$daemon" || true
}

add_iptables() { # ROOT; the node's own, with the libraries it loads
  chroot "$NODE" sh -c 'find /usr/lib/*/xtables -type f; echo /usr/sbin/xtables-nft-multi
    ldd /usr/sbin/xtables-nft-multi /usr/lib/*/xtables/*.so | grep -o "/[^ ]*\.so[.0-9]*"' | sort -u | sed 's#^/##' |
    tar -C "$NODE" -ch --files-from - | tar -C "$1" -x
  for command in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$1/usr/sbin/$command"
  done
}

write_tarball() {
  archive "$NODE_IMAGE" "$NODE" "{\"Env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"container=docker\"],
    \"Entrypoint\": [\"/usr/local/bin/entrypoint\", \"/sbin/init\"], \"StopSignal\": \"SIGRTMIN+3\",
    \"Labels\": {\"modelmonitor.image\": \"node\", \"modelmonitor.inputs\": \"$INPUTS\"}}" | zstd -q -T0 -3 -f -o "$TARBALL.part"
  rm -rf "$WORK" "$CACHE"/node-image-*.tar.zst
  mv "$TARBALL.part" "$TARBALL"
}

load_tarball() {
  zstd -dcq "$TARBALL" | docker load
  prune_replaced
}

if image_is "$NODE_IMAGE" "$INPUTS"; then exit; fi
if [ ! -f "$TARBALL" ]; then
  step node-rootfs bootstrap "$NODE" "$PACKAGES"
  step node-files kind_files
  step node-network our_files
  step node-images preload_images
  step node-tarball write_tarball
fi
step node-load load_tarball
