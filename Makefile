# The commands of this project. Python 3.11+, git and make are all that a new machine needs.
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help demo test test-full tools lint bench bench-full serve lock clean
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/dev.lock pyproject.toml
	@echo "installing into $(VENV) from requirements/dev.lock"
	@test -x $(BIN)/uv || ($(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION))
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.installed ## a signed push changes a cluster, end to end
	@$(BIN)/penstock demo

test: $(VENV)/.installed ## every test that this machine can run
	@$(BIN)/python -m pytest -n 2 -m "not slow"

lock: ## write requirements/*.lock anew (names and hashes, no hosts: any mirror will do)
	@$(BIN)/uv pip compile --universal --python-version 3.11 --quiet --no-header --no-emit-index-url --generate-hashes --group dev --all-extras pyproject.toml -o requirements/dev.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --quiet --no-header --no-emit-index-url --generate-hashes pyproject.toml -o requirements/run.lock
