#!/usr/bin/env bash
# Generate the CRD and the reference pages from the types, and the plain manifests from the chart.
# usage: [CHART=charts/modelmonitor] hack/manifests.sh [FOLDER]
#   (default: the repository; the tests generate into another folder and compare)
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
OUT=${1:-.}
CHART=${CHART:-charts/modelmonitor}
PYTHON=.venv/bin/python
"$OFFLINE/binaries.sh" helm
mkdir -p "$OUT"/{manifests,charts/modelmonitor/files,docs/reference}

crd() {
  echo "# Generated from the types by hack/manifests.sh; do not edit."
  $PYTHON -m generate.crd | $PYTHON -c 'import json, sys, yaml
yaml.safe_dump(json.load(sys.stdin), sys.stdout, sort_keys=False, width=120, allow_unicode=True)'
}

install() {
  echo "# Generated from charts/modelmonitor by hack/manifests.sh; do not edit. For settings use the chart."
  echo "# The operator manages the ModelMonitors of all namespaces."
  printf '%s\n' --- "apiVersion: v1" "kind: Namespace" "metadata:" "  name: modelmonitor-system" "  labels:" \
    "    pod-security.kubernetes.io/enforce: restricted"
  helm template modelmonitor "$1" --namespace modelmonitor-system --skip-tests --set watchAllNamespaces=true \
    --kube-version "${KUBERNETES_VERSION#v}"
}

crd >"$OUT/manifests/crd.yaml"
cp "$OUT/manifests/crd.yaml" "$OUT/charts/modelmonitor/files/modelmonitors.yaml"
install "$CHART" >"$OUT/manifests/install.yaml"
for page in modelmonitor messages; do
  $PYTHON -m generate.reference "$page" >"$OUT/docs/reference/$page.md"
done
readme=$($PYTHON hack/generate_chart_values.py "$CHART")
printf '%s\n' "$readme" >"$OUT/charts/modelmonitor/README.md"
