#!/usr/bin/env bash
# Check that the cluster works: a Job in a namespace that enforces Pod Security `restricted` completes, names resolve, the
# API server responds under its Service name, and on a closed machine a pod cannot reach other machines.
# usage: hack/smoke-test.sh     (after hack/cluster.sh up)
. "$(dirname "$0")/lib.sh"
NAMESPACE=smoke-test
if [ "$(images_mode)" = local ]; then "$OFFLINE/python-base.sh"; IMAGE=$PYTHON_BASE_IMAGE FENCED=1; else IMAGE=$PYTHON_IMAGE FENCED=0; fi

cleanup() { kubectl delete namespace "$NAMESPACE" --ignore-not-found --wait; }

run_job() {
  kubectl create namespace "$NAMESPACE"
  kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted
  kubectl -n "$NAMESPACE" apply -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: smoke-test}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: probe
        image: $IMAGE
        imagePullPolicy: IfNotPresent
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        env: [{name: FENCED, value: "$FENCED"}]
        command: [python3, -c]
        args:
        - |
          import os, socket, time
          socket.create_connection(("kubernetes.default.svc.cluster.local", 443), timeout=5).close()
          print("the API server responds under its Service name")
          start = time.monotonic()
          try:
              # An address that is reserved for documentation (RFC 5737).
              if os.environ["FENCED"] == "1":
                  socket.create_connection(("198.51.100.1", 80), timeout=10)
                  raise SystemExit("a pod reached beyond this machine")
          except TimeoutError:
              raise SystemExit("the connection timed out instead of being rejected: the packet may have left this machine")
          except OSError as refusal:
              print(f"refused after {time.monotonic() - start:.3f} s: {refusal}")
YAML
  kubectl -n "$NAMESPACE" wait --for=condition=complete job/smoke-test --timeout=60s || { kubectl -n "$NAMESPACE" describe pods; return 1; }
}

step smoke-cleanup cleanup
step smoke-image "$HACK/cluster.sh" load "$IMAGE"
step smoke-job run_job
kubectl -n "$NAMESPACE" logs job/smoke-test
step smoke-cleanup cleanup
