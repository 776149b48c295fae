#!/usr/bin/env bash
# Build the images of the project, each only if its inputs have changed.
# usage: [TAG=dev] hack/images.sh [operator|trainer|versitygw|example-lightgbm|example-mlflow|mlflow-server...]
#   (default: the first three; prints the names of the images)
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
TAG=${TAG:-dev}
SOURCES=(VERSION api policy operator trainer requirements .dockerignore)

# This machine's pip settings as build arguments.
pip_arguments() {
  local name value
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT; do
    value=${!name:-}
    # A path of this machine does not exist inside the image, but the local base image holds this machine's certificates.
    if [ $name = PIP_CERT ]; then value=; [ "$MODE" = registry ] || value=/etc/ssl/certs/ca-certificates.crt
    elif [ -z "$value" ]; then value=$(python3 -m pip config get "global.$(tr 'A-Z_' 'a-z-' <<<"${name#PIP_}")" 2>/dev/null || true); fi
    [ -z "$value" ] || printf '%s\n' --build-arg "$name=$value"
  done
}

build_project_image() { # NAME
  local image=modelmonitor/$1:$TAG dockerfile=Dockerfile.$1 inputs
  inputs=$({ printf '%s\n' "${ARGUMENTS[@]}" "$BASE_ID"
    git ls-files -z --cached --others --exclude-standard -- "$dockerfile" "${SOURCES[@]}" | sort -zu | xargs -0 sha256sum; } | hash_of)
  image_is "$image" "$inputs" || step "image-$1" docker build -f "$dockerfile" -t "$image" "${ARGUMENTS[@]}" \
    --label "modelmonitor.image=$1" --label "modelmonitor.inputs=$inputs" .
  echo "$image"
}

build_example() { # NAME [ARGUMENT...]: the image of examples/NAME-trainer, whose inputs are in that folder
  local image=modelmonitor/example-$1:$TAG folder=examples/$1-trainer name=$1 inputs; shift
  inputs=$({ printf '%s\n' "${ARGUMENTS[@]}" "$@" "$BASE_ID"
    git ls-files -z --cached --others --exclude-standard -- "$folder" | sort -zu | xargs -0 sha256sum; } | hash_of)
  image_is "$image" "$inputs" || step "image-example-$name" docker build -t "$image" "${ARGUMENTS[@]}" "$@" \
    --label "modelmonitor.image=example-$name" --label "modelmonitor.inputs=$inputs" "$folder"
  echo "$image"
}

build_mlflow_example() { # on top of the trainer image, which is one of its inputs
  local trainer
  trainer=$(build_project_image trainer)
  BASE_ID=$(docker image inspect -f '{{.Id}}' "$trainer") build_example mlflow --build-arg "TRAINER_IMAGE=$trainer"
}

build_mlflow_server() {
  local image=modelmonitor/mlflow-server:$TAG inputs
  inputs=$({ printf '%s\n' "${ARGUMENTS[@]}" "$BASE_ID"; sha256sum hack/mlflow/Dockerfile requirements/mlflow.txt; } | hash_of)
  image_is "$image" "$inputs" || step image-mlflow-server docker build -f "$HACK/mlflow/Dockerfile" -t "$image" "${ARGUMENTS[@]}" \
    --label modelmonitor.image=mlflow-server --label "modelmonitor.inputs=$inputs" .
  echo "$image"
}

build_versitygw() {
  if ! docker image inspect "$VERSITYGW_IMAGE" >/dev/null 2>&1; then
    if [ "$MODE" = registry ]; then
      step image-versitygw docker build -t "$VERSITYGW_IMAGE" --build-arg "GO_IMAGE=$GO_IMAGE" "$OFFLINE/go/versitygw"
    else
      "$OFFLINE/binaries.sh" versitygw
      step image-versitygw import_versitygw
    fi
  fi
  echo "$VERSITYGW_IMAGE"
}

import_versitygw() {
  tar -C "$BIN" --transform 's#^#usr/local/bin/#' -c versitygw |
    docker import --change 'USER 65532:65532' --change 'ENTRYPOINT ["/usr/local/bin/versitygw"]' - "$VERSITYGW_IMAGE"
}

"$OFFLINE/docker.sh" start
MODE=$(images_mode)
if [ "$MODE" = local ]; then
  "$OFFLINE/python-base.sh"
  BASE=$PYTHON_BASE_IMAGE
else
  BASE=$PYTHON_IMAGE
  docker image inspect "$BASE" >/dev/null 2>&1 || step python-pull docker pull "$BASE"
fi
mapfile -t ARGUMENTS < <(pip_arguments)
ARGUMENTS+=(--build-arg "BASE_IMAGE=$BASE")
BASE_ID=$(docker image inspect -f '{{.Id}}' "$BASE")

[ $# -gt 0 ] || set -- operator trainer versitygw
for name in "$@"; do
  case $name in
    operator | trainer) build_project_image "$name" ;;
    versitygw) build_versitygw ;;
    example-lightgbm) build_example lightgbm ;;
    example-mlflow) build_mlflow_example ;;
    mlflow-server) build_mlflow_server ;;
    *) die "no image '$name'; there are: operator trainer versitygw example-lightgbm example-mlflow mlflow-server" ;;
  esac
done
prune_replaced
