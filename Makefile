# Everything runs in ./.venv: made by python3 alone, faster where uv is installed.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
INSTALL := $(if $(UV),uv pip install --python $(BIN)/python --quiet,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --upgrade

# Of .ci/run: `make test` with coverage (its tests alone reach what is asked), then `make check` with the rest of them.
PYTEST ?= pytest
# Most of a test is waiting for other processes.
JOBS = $(shell $(PYTHON) -c "import os; print(2 * (os.cpu_count() or 1))")
REST ?=
ROWS ?=
# Without bytecode every process of the tests compiles all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check bench screenshots format lock secrets clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

run: .venv/installed ## the approval service with a demo shop, in your browser
	@$(BIN)/approvals serve --demo

test: .venv/installed-dev ## the tests
	@$(BIN)/$(PYTEST) -q -n $(JOBS) --dist worksteal -m "not slow"

check: .venv/installed-dev ## lint, format, types, import direction, all tests, coverage
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(REST),,$(BIN)/coverage erase)
	$(BIN)/$(if $(REST),pytest,coverage run -m pytest) -q -n $(JOBS) --dist worksteal $(REST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/installed-dev ## speed against a plain reference service; writes bench.json (ROWS=smoke: a short look)
	@$(BIN)/python tests/bench/run.py $(ROWS)

screenshots: .venv/installed-dev ## the pictures in docs/
	@$(BIN)/pytest -q tests/web/pages/screenshots.py

format: .venv/installed-dev ## the code's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: .venv/installed-dev ## renew the locks: versions and hashes, no addresses
	printf 'editables\nhatchling\n' | $(COMPILE) pyproject.toml - --extra web --extra postgres -o requirements.lock
	$(COMPILE) pyproject.toml -c requirements.lock --extra dev -o requirements-dev.lock
	$(COMPILE) tests/clients/requirements.in -o tests/clients/requirements.lock
	$(COMPILE) tests/upstreams/requirements.in -o tests/upstreams/requirements.lock

# Containers run as users of their own, who must be able to read their secrets: what keeps others out is the folder.
secrets: ## what docker-compose.yml needs, in ./secrets; what is there stays
	@umask 022 && mkdir -p -m 0700 secrets && cd secrets && set -C && \
	random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; } && \
	{ [ -e secret_key ] || random > secret_key; } && \
	{ [ -e postgres_password ] || random > postgres_password; } && \
	{ [ -e database_url ] || echo "postgresql://approvals:$$(cat postgres_password)@postgres/approvals" > database_url; }

clean: ## remove the environment
	rm -rf .venv

.venv/bin/python:
	@$(if $(UV),uv venv --quiet --python $(PYTHON) .venv,$(PYTHON) -m venv .venv)

.venv/installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing what the service needs into .venv (once)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing what development needs into .venv (once)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@ .venv/installed
