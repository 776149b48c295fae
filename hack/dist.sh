#!/usr/bin/env bash
# Build what a release publishes besides images into dist/: wheels, source distributions, the packaged chart, plain manifests, SBOMs.
# usage: [IMAGE_REGISTRY=HOST] [IMAGE_REPOSITORY=PATH] hack/dist.sh     (without them the chart names the images as `make images` does)
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
PACKAGES=(api policy operator trainer)
VERSION=$(hack/version.py)
"$OFFLINE/binaries.sh" helm
WORK=$(mktemp -d)
trap 'show_failed_step; rm -rf "$WORK"' EXIT

wheels() {
  .venv/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist "${PACKAGES[@]/#/./}"
}

source_distributions() {
  local package
  for package in "${PACKAGES[@]}"; do (cd "$package" && ../.venv/bin/hatchling build --target sdist --directory ../dist); done
}

# The published chart and manifests name the published images.
chart() {
  cp -r charts/modelmonitor "$WORK/chart"
  sed -i -e "s#^  registry: \"\"#  registry: \"${IMAGE_REGISTRY:-}\"#" \
    -e "s#^  repository: modelmonitor/#  repository: ${IMAGE_REPOSITORY:-modelmonitor}/#" "$WORK/chart/values.yaml"
  helm lint --strict "$WORK/chart"
  helm package "$WORK/chart" --destination dist
  CHART=$WORK/chart hack/manifests.sh "$WORK/out"
  cp "$WORK/out/manifests/install.yaml" dist/modelmonitor-install.yaml
  cp "$WORK/out/manifests/crd.yaml" dist/modelmonitor-crd.yaml
  grep --quiet "image: \"${IMAGE_REGISTRY:+$IMAGE_REGISTRY/}${IMAGE_REPOSITORY:-modelmonitor}/operator:$VERSION\"" dist/modelmonitor-install.yaml
}

# Wheels and chart; source distributions (*.tar.gz) hold what the wheels do.
sboms() {
  .venv/bin/python hack/sbom.py dist/*.whl dist/*.tgz
}

rm -rf dist
mkdir dist
step dist-wheels wheels
step dist-sdists source_distributions
step dist-chart chart
step dist-sboms sboms
ls dist
[ -f "dist/modelmonitor-$VERSION.tgz" ] || die "the chart is not at $VERSION: run make version VERSION=$VERSION"
