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
N ?= 10000
SEED ?= $(shell date +%s)
PYTHON ?=
export PYTHON
# Where it is set, each process of each province compiles all of the code anew, and pytest all of the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test test-stack fuzz check bench load check-style check-types check-layers check-contracts check-rules

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SET_UP) ## make .venv and install what uv.lock says; every command is then at .venv/bin/onedoor

run: $(SET_UP) ## set up if needed, then run the whole province on this machine (Ctrl-C stops it)
	@ $(BIN)/onedoor up

test: $(LOAD_TOOLS) ## all tests that need no Keycloak and no browser (TESTS=path for some of them)
	@$(BIN)/pytest -n 2 --dist loadgroup $(TESTS)

test-stack: $(STACK_TOOLS) ## tests with Keycloak, Chromium, Node peers and provinces that are killed; installs what it needs
	@$(BIN)/pytest -m stack $(TESTS)

check: check-style check-types check-layers check-contracts check-rules ## style, types, layers, contract drift, language parity

check-style: $(LOAD_TOOLS)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

check-types: $(LOAD_TOOLS)
	@$(BIN)/mypy gateway services clusters loadtests tests

check-layers: $(LOAD_TOOLS)
	@$(BIN)/lint-imports

check-contracts: $(LOAD_TOOLS)
	@.ci/node
	@$(BIN)/onedoor compose --check

check-rules: $(LOAD_TOOLS)
	@$(BIN)/pytest tests/architecture

fuzz: $(LOAD_TOOLS) ## random operations, with @defer, with rights, against one schema: make fuzz N=10000 SEED=1 (a seed of today's unless given)
	@ONEDOOR_FUZZ_OPERATIONS=$(N) ONEDOOR_FUZZ_SEED=$(SEED) $(BIN)/pytest -n 2 -m '' tests/gateway/engine/test_random_operations.py tests/gateway/engine/test_deferred_operations.py tests/gateway/engine/test_rights.py

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
