# Greffier's commands; `make help` lists them. Each target may be run again at any time.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
PACKAGES := pipeline api models media_gateway

# `make test TESTS=tests/models` runs some tests only, without the coverage floor.
TESTS ?=

.PHONY: help setup services kyutai-server run test lint format bench bench-sweep bench-peers constraints clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv, install the pinned packages, fetch the weights
	@.ci/setup

services: ## install the Debian packages that tests need (when root), build their servers
	@.ci/services

kyutai-server: ## build Kyutai's moshi-server, for the tests that talk to it (half an hour the first time)
	@.ci/kyutai-server

run: setup ## start the server on this machine and say where its page is; Ctrl-C stops it
	@$(BIN)/greffier serve

test: setup services ## run every test; the live core, record and exports keep 100 % branch coverage
	@.ci/tests $(TESTS)

lint: setup ## check style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## lay the code out
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: setup ## measure captions on this machine, into docs/benchmarks.md (30 minutes at most)
	@$(BIN)/python -m tests.benchmarks

bench-sweep: setup ## search the defaults
	@$(BIN)/python -m tests.benchmarks sweep

bench-peers: setup ## compare with other live captioners, in an environment of their own
	@$(BIN)/python -m tests.benchmarks peers

constraints: setup ## pin the newest packages that pyproject.toml allows
	@echo "# Every direct and transitive package, pinned; made by 'make constraints' from pyproject.toml." > constraints.new
	@$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --all-extras \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

clean: ## remove what was built here; the weights stay in their cache
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
