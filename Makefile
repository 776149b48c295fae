# `make help` explains every target. The scripts behind the longer ones are in hack/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MODELMONITOR_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelmonitor
export PATH := $(MODELMONITOR_CACHE)/bin:$(PATH)
PACKAGES := api/modelmonitor_api api/generate policy/modelmonitor_policy operator/modelmonitor_operator trainer/modelmonitor_trainer
PYTEST := $(BIN)/python -m pytest
# The programs that the API-server and chart tests start.
API_BINARIES := etcd kube-apiserver kube-controller-manager kubectl helm versitygw

##@ Develop
.PHONY: help
help: ## Explain every target.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/dev.txt VERSION api/pyproject.toml policy/pyproject.toml operator/pyproject.toml trainer/pyproject.toml \
  trainer/hatch_build.py trainer/modelmonitor_trainer/profile/binning.c
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --editable ./api --editable ./policy --editable ./operator --editable ./trainer
	$(BIN)/python -m compileall -q api/modelmonitor_api policy/modelmonitor_policy operator/modelmonitor_operator trainer/modelmonitor_trainer
	touch $@

.PHONY: install
install: $(VENV)/.installed ## Create .venv with all dependencies; the command line is .venv/bin/modelmonitor.

.PHONY: fmt
fmt: install ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: manifests
manifests: install binaries-api ## Generate the CRD, the plain manifests and the reference pages.
	hack/manifests.sh
	$(BIN)/python hack/generate_cli.py >docs/reference/cli.md
	$(BIN)/python hack/generate_metrics.py >docs/reference/metrics.md
	$(BIN)/python hack/generate_cli.py mmon >docs/reference/mmon.md

.PHONY: lock
lock: ## Lock requirements/*.in into requirements/*.txt with hashes (needs uv).
	for name in build compiler operator trainer dev mlflow docs; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --upgrade requirements/$$name.in --output-file requirements/$$name.txt; done

##@ Release
.PHONY: version
version: ## Print the version, or set it everywhere with VERSION=X.Y.Z.
	@hack/version.py $(if $(findstring command line,$(origin VERSION)),$(VERSION))

.PHONY: dist
dist: install ## Build the wheels, source distributions, chart and manifests of a release into dist/.
	hack/dist.sh

##@ Test
.PHONY: test
test: ## Run everything: lint, types, unit, MLflow, API-server, chart and cluster tests.
	hack/test.sh

.PHONY: test-lint
test-lint: install test-types test-types-tests ## Check lint, formatting, types and the layers between packages.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports

.PHONY: test-types
test-types: install ## Check the types of the packages.
	$(BIN)/mypy $(PACKAGES)

.PHONY: test-types-tests
test-types-tests: install ## Check the types of the tests.
	$(BIN)/mypy tests

.PHONY: test-unit
test-unit: install ## Test pure code, without servers.
	$(PYTEST) tests/unit -n 2

.PHONY: test-api
test-api: install binaries-api ## Test the operator and the pods against a real API server and S3 server.
	logs=$$(mktemp -d) && trap 'rm -rf "$$logs"' EXIT && export AUDIT_LOGS="$$logs" && \
	  $(PYTEST) tests/api -n 2 --dist loadfile && $(PYTEST) tests/audit

.PHONY: test-mlflow
test-mlflow: ## Test tracking against a real MLflow server, in its own environment.
	hack/mlflow.sh pytest tests/tracking -q -p no:cacheprovider

.PHONY: test-chart
test-chart: install binaries-api ## Lint and render the chart, and validate it against a real API server.
	$(PYTEST) tests/chart

.PHONY: test-docs
test-docs: docs ## The documentation site: every page, link and anchor.

.PHONY: test-cluster
test-cluster: install cluster images helm ## Test everything together on a kind cluster.
	$(PYTEST) tests/cluster

.PHONY: fuzz
fuzz: install ## Try random files and trainings on the command line, for an hour (or SECONDS=60).
	hack/fuzz.sh $(or $(SECONDS),3600)

.PHONY: walk-operator
walk-operator: install binaries-api ## Walk at random against a real API server: users, Jobs, faults, kills; SEED=n repeats a walk of STEPS=n.
	SEED=$(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom)) STEPS=$(or $(STEPS),2000) \
	  $(PYTEST) tests/api/test_operator_walk.py -n 0 --timeout 0

##@ Document
.PHONY: docs
docs: ## Build the documentation site into build/site, in an environment of its own; a broken link is an error.
	hack/docs.sh

##@ Measure
.PHONY: bench
bench: install ## Measure what a check costs, compared with decoding its columns (30 minutes, 5 GB in BENCH_DATA).
	hack/offline/binaries.sh versitygw
	$(BIN)/python benchmarks/speed --all --record

.PHONY: bench-peers
bench-peers: install ## Measure what a check costs, compared with evidently, nannyml and whylogs.
	$(BIN)/python -m benchmarks.peers A --write docs/explanation/speed.md --record

.PHONY: bench-training
bench-training: install ## Measure training on five million rows, streamed and in memory.
	$(BIN)/python benchmarks/training HistGradientBoostingClassifier LogisticRegression SGDClassifier

.PHONY: bench-trust
bench-trust: install ## Measure false alarms, power and silence, compared with other tools (hours; STORE=FILE to go on after an interruption).
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/trust --write docs/explanation/trust.md \
	  $(if $(STORE),--store $(STORE))
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/gate --append docs/explanation/trust.md

.PHONY: bench-replay
bench-replay: install ## Measure what retraining policies cost on four real data sets (needs npm).
	$(BIN)/python benchmarks/replay --write docs/explanation/replay.md

.PHONY: bench-operator
bench-operator: install binaries-api ## Measure the operator with many monitors on a real API server (SIZES="1000 10000", an hour).
	$(BIN)/python benchmarks/operator $(SIZES) --write docs/explanation/operator.md --record

.PHONY: bench-loop
bench-loop: install ## Live a year in worlds that are known, five lives of each (75 minutes of processor time; SEEDS=1: 15).
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/loop --seeds $(or $(SEEDS),5) --write docs/explanation/loop.md --record

##@ Cluster
.PHONY: binaries-api
binaries-api: ## Build what the API-server tests start: an API server, etcd, kubectl, helm, an S3 server, Prometheus.
	hack/offline/binaries.sh $(API_BINARIES)
	hack/offline/prometheus.sh

.PHONY: binaries
binaries: ## Build all programs for a cluster on a closed machine (hack/offline).
	hack/offline/binaries.sh
	hack/offline/prometheus.sh

.PHONY: cluster
cluster: ## Start or repair the kind cluster.
	hack/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Remove the kind cluster.
	hack/cluster.sh down

.PHONY: helm
helm: ## Build helm if it is not installed.
	@command -v helm >/dev/null || hack/offline/binaries.sh helm

.PHONY: images
images: ## Build the images and load them into the cluster.
	hack/images.sh | xargs hack/cluster.sh load

##@ Try it
.PHONY: replay-demo
replay-demo: install ## Draft a monitor for real data and replay months of it, without a cluster; ends with the path of a page.
	$(BIN)/python hack/replay_demo.py

.PHONY: demo
demo: install cluster images helm ## Run the demo: a year of flights on a kind cluster.
	$(BIN)/python hack/demo

.PHONY: demo-down
demo-down: ## Remove the demo and the cluster.
	hack/cluster.sh down
	rm -rf demo-output
