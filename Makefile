# The commands of this project. Python 3.11+, git and make are all that a new machine needs.
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

COVERING := tests/unit tests/stages tests/contract/test_identity.py tests/contract/test_keys.py tests/clouds/test_by_identity.py tests/google/test_push.py

PYTHON_VERSION ?= 3.13
ARCH ?= x86_64
BYTECODE ?= auto

.PHONY: help demo test test-full chaos soak tools lint infra package bench bench-cluster bench-cloud bench-full serve lock
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "penstock needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@echo "installing into $(VENV) from requirements/dev.lock"
	@test -x $(BIN)/uv || ($(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION))
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q shared
	@touch $@

demo: $(READY) ## a signed push changes a cluster, end to end, in a minute
	@$(BIN)/penstock demo

serve: $(READY) ## the whole plane in one process (see `penstock serve --help`)
	@$(BIN)/penstock serve

test: $(READY) ## every test that this machine can run
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" -q $(COVERING) --cov --cov-report=
	@echo "branch coverage of core, in percent:" && $(BIN)/coverage report --include='shared/penstock/core/*' --fail-under=95 --format=total
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" -q $(COVERING:%=--ignore=%)

test-full: $(READY) ## the slow ones too: chaos and fuzz at full length
	@$(BIN)/python tests/controlplane/build.py --all
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q

chaos: $(READY) ## 10,240 schedules of faults: every combination ten times, and 1,024 wider ones; one that fails is shrunk and printed
	@$(BIN)/python -m tests.chaos.faults --schedules 10240
	@$(BIN)/python -m tests.chaos.faults --first 1048576 --schedules 1024

soak: $(READY) ## real processes under faults for SOAK_MINUTES (10); the seed is printed (make soak SEED=7; ON=google, ON=aws)
	@$(BIN)/python -m tests.chaos.soak --on $(or $(ON),serve) --minutes $(or $(SOAK_MINUTES),10) $(if $(SEED),--seed $(SEED))

tools: $(READY) ## build the real parts that tests run against (cached outside the repository)
	@$(BIN)/python tests/controlplane/build.py

lint: $(READY) ## style, types, layers
	@$(BIN)/ruff check shared functions tests tools
	@$(BIN)/ruff format --check shared functions tests tools
	@$(BIN)/mypy
	@for main in functions/*/main.py functions/*/lambda_handler.py; do $(BIN)/mypy --no-error-summary $$main || exit 1; done
	@$(BIN)/lint-imports --no-cache | tail -n 8

infra: $(READY) ## Terraform: format, modules, provider schemas, rights; tflint and checkov (make tools)
	@$(BIN)/python -m pytest -q tests/infra

package: $(READY) ## what is deployed: dist/<provider>.zip, the wheel, SBOMs, checksums (PYTHON_VERSION=3.13 ARCH=x86_64 BYTECODE=auto|yes|no)
	@$(BIN)/python -m tools.package --python-version $(PYTHON_VERSION) --arch $(ARCH) --bytecode $(BYTECODE) --out dist

bench: $(READY) ## measure; one JSON object a line (case, value, unit, goal, ok)
	@for bench in build cold_start trips push; do $(BIN)/python tests/bench/bench_$$bench.py; done

bench-cluster: $(READY) ## Flux's table (docs/benchmarks.md) on a real control plane; a quarter of an hour
	@$(BIN)/python tests/bench/bench_cluster.py

bench-cloud: $(READY) ## what the plane costs on AWS and Google Cloud, on moto's server and the emulators; half an hour
	@$(BIN)/python tests/bench/bench_cloud.py

bench-full: $(READY) ## the same, and what takes kustomize minutes
	@$(BIN)/python tests/bench/bench_build.py --full
	@$(BIN)/python tests/bench/bench_push.py --large

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --no-header --no-emit-index-url --generate-hashes
lock: ## write requirements/*.lock anew (names and hashes, no hosts: any mirror will do); what is deployed is what is tested
	@$(COMPILE) --group dev --all-extras pyproject.toml -o requirements/dev.lock
	@$(COMPILE) --constraints requirements/dev.lock --all-extras pyproject.toml -o requirements/run.lock
	@for provider in aws google; do $(COMPILE) --constraints requirements/dev.lock --group pyproject.toml:$$provider -o requirements/$$provider.lock || exit 1; done
	@$(COMPILE) --group pyproject.toml:checkov -o requirements/checkov.lock
