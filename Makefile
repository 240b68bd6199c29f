# One Door. `make help` lists what there is. Needs Python 3.11, make and git; everything else is installed in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
SET_UP := .venv/.set-up
LOAD_TOOLS := .venv/.load-tools
STACK_TOOLS := .venv/.stack-tools
SHAPE ?= smoke
TESTS ?=
PYTHON ?=
export PYTHON

.PHONY: help setup run test test-stack check bench load

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SET_UP) ## make .venv and install what uv.lock says; every command is then at .venv/bin/onedoor

run: $(SET_UP) ## set up if needed, then run the whole province on this machine (Ctrl-C stops it)
	@ $(BIN)/onedoor up

test: $(LOAD_TOOLS) ## all tests that need no Keycloak and no browser (TESTS=path for some of them)
	@$(BIN)/pytest -n 2 --dist loadgroup $(TESTS)

test-stack: $(STACK_TOOLS) ## tests with Keycloak, Chromium and Node peers; installs what it needs
	@$(BIN)/pytest -m stack $(TESTS)

check: $(LOAD_TOOLS) ## style, types, layers, contract drift, language parity
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy gateway services clusters loadtests tests
	@$(BIN)/lint-imports --no-timing 2>/dev/null || $(BIN)/lint-imports
	@.ci/node
	@$(BIN)/onedoor compose --check
	@$(BIN)/pytest -p no:xdist tests/architecture

bench: $(LOAD_TOOLS) ## measure; prints medians and ratios
	@$(BIN)/pytest -m bench -s $(TESTS)

load: $(LOAD_TOOLS) ## load the front door: make load SHAPE=smoke|everyday|monday_morning|surge
	@.ci/load $(SHAPE)

$(SET_UP): pyproject.toml uv.lock .ci/setup
	@.ci/setup
	@touch $@

$(LOAD_TOOLS): $(SET_UP)
	@.ci/setup load
	@touch $@

$(STACK_TOOLS): $(LOAD_TOOLS)
	@.ci/setup load stack
	@.ci/stack
	@touch $@
