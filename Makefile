# Every target is explained by `make help`. Scripts behind the longer ones are in hack/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MODELMONITOR_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelmonitor
export PATH := $(MODELMONITOR_CACHE)/bin:$(PATH)
PACKAGES := api/modelmonitor_api policy/modelmonitor_policy operator/modelmonitor_operator trainer/modelmonitor_trainer
PYTEST := $(BIN)/python -m pytest
# API-server tests need these; the cluster needs the others as well.
API_BINARIES := etcd kube-apiserver kube-controller-manager kubectl helm versitygw

##@ Develop
.PHONY: help
help: ## Explain every target.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/dev.txt api/pyproject.toml policy/pyproject.toml operator/pyproject.toml trainer/pyproject.toml \
  trainer/hatch_build.py trainer/modelmonitor_trainer/profile/binning.c
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --editable ./api --editable ./policy --editable ./operator --editable ./trainer
	touch $@

.PHONY: install
install: $(VENV)/.installed ## Make .venv with everything; the command line is .venv/bin/modelmonitor.

.PHONY: fmt
fmt: install ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: manifests
manifests: install binaries-api ## Generate the CRD, the plain manifests and the reference pages from the types.
	hack/manifests.sh
	$(BIN)/python hack/generate_cli.py >docs/reference/cli.md

.PHONY: lock
lock: ## Resolve requirements/*.in into hash-locked requirements/*.txt again (needs uv).
	for name in build compiler operator trainer dev mlflow docs; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --upgrade requirements/$$name.in --output-file requirements/$$name.txt; done

##@ Test
.PHONY: test
test: ## Run everything: lint, types, unit, API-server, chart and cluster tests.
	hack/test.sh

.PHONY: test-lint
test-lint: install ## Lint, formatting, types and the layers between packages.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports

.PHONY: test-unit
test-unit: install ## Pure code: tables, properties, simulations.
	$(PYTEST) tests/unit -n 2

.PHONY: test-api
test-api: install binaries-api ## The operator and the pods' code against a real API server and a real S3 server.
	$(PYTEST) tests/api -n 2 --dist loadfile

.PHONY: test-mlflow
test-mlflow: ## Tracking, against a real MLflow server in an environment of its own.
	hack/mlflow.sh pytest tests/tracking -q -p no:cacheprovider

.PHONY: test-chart
test-chart: install binaries-api ## The chart: lint, render, and validate against a real API server.
	$(PYTEST) tests/chart

.PHONY: test-docs
test-docs: docs ## The documentation site: every page, link and anchor.

.PHONY: test-cluster
test-cluster: install cluster images helm ## The whole on a real kind cluster.
	$(PYTEST) tests/cluster

##@ Document
.PHONY: docs
docs: ## Build the documentation site into build/site, in an environment of its own; a broken link is an error.
	hack/docs.sh

##@ Measure
.PHONY: bench
bench: install ## What a check costs beside decoding the same columns, and on S3; half an hour, 5 GB in BENCH_DATA.
	hack/binaries.sh versitygw
	$(BIN)/python benchmarks/speed --all --record

.PHONY: bench-peers
bench-peers: install ## What a check costs beside evidently, nannyml and whylogs, each in an environment of its own.
	$(BIN)/python -m benchmarks.peers A --write docs/explanation/speed.md --record

.PHONY: bench-training
bench-training: install ## What the training of five million rows takes, streamed and in memory.
	$(BIN)/python benchmarks/training HistGradientBoostingClassifier LogisticRegression SGDClassifier

.PHONY: bench-trust
bench-trust: install ## How often a check alarms for nothing, and what it sees, beside other tools; a quarter of an hour.
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/trust --write docs/explanation/trust.md
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/gate --append docs/explanation/trust.md

##@ Cluster
.PHONY: binaries-api
binaries-api:
	hack/binaries.sh $(API_BINARIES)

.PHONY: binaries
binaries: ## Build Kubernetes, etcd, kind, helm and the S3 server from their Go modules, where they are not at hand.
	hack/binaries.sh

.PHONY: cluster
cluster: ## Start the kind cluster of this project; a second call puts right what is broken.
	hack/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Remove the kind cluster.
	hack/cluster.sh down

.PHONY: helm
helm: # the one of the machine where it has one
	@command -v helm >/dev/null || hack/binaries.sh helm

.PHONY: images
images: ## Build the images of the operator, the trainer and the S3 server, and load them into the cluster.
	hack/images.sh | xargs hack/cluster.sh load

##@ Try it
.PHONY: demo
demo: install cluster images helm ## Watch a ModelMonitor on the cluster work through a year of flights.
	$(BIN)/python hack/demo

.PHONY: demo-down
demo-down: ## Remove the demo and the cluster.
	hack/cluster.sh down
	rm -rf demo-output
