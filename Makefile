# What a developer types; .ci/run calls the same targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NAME ?= demo
SEED ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DISABLE_MKDOCS_2_WARNING := true

.PHONY: help setup docker browser packages check docs docs-serve format test test-slow demo bench bench-demo bench-gate bench-sandbox bench-gateway bench-suites bench-review bench-ledger bench-faults bench-peers bench-overhead bench-schedule wheel lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.done ## Create the virtual environment from the locks

$(VENV)/.done: requirements/base.lock requirements/dev.lock requirements/embedded.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ratchet: python: $$($(PYTHON) --version) is too old. Set PYTHON to Python 3.11 or later."; exit 2; }
	@echo "setup: installing into $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); } || { echo "ratchet: python: no venv module. apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/base.lock -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/embedded.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

docker: setup ## Start a Docker engine (as root, install docker.io if there is none) and build the box image
	@$(BIN)/ratchet doctor --fix

check: setup ## Lint, types, layers, structure and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q tests/structure
	$(BIN)/mkdocs build --quiet --strict

docs: setup ## Build the documentation site into build/docs; a broken link is an error
	$(BIN)/mkdocs build --quiet --strict

docs-serve: setup ## Show the documentation while you write it
	$(BIN)/mkdocs serve

format: setup ## Let ruff fix layout and imports
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

browser: setup
	@$(BIN)/python -m bench.review.chromium

test: docker browser ## Fast tests, Docker and a browser included
	$(BIN)/pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) < 4 ? $$(getconf _NPROCESSORS_ONLN) + 1 : 4 )) --dist loadfile

packages: setup
	@$(BIN)/python -m bench.packages

test-slow: docker browser packages ## Fault injection, simulations, long campaigns
	$(BIN)/pytest -m slow --timeout 1800

demo: docker ## A real short campaign with the embedded model (NAME=demo SEED=1)
	@$(BIN)/ratchet run demo.yaml --name $(NAME) --seed $(SEED)

bench: bench-sandbox bench-gateway bench-gate bench-suites bench-review bench-ledger bench-overhead ## Every benchmark except bench-demo, bench-faults, bench-peers and bench-schedule

bench-demo: docker ## Six demo campaigns with different seeds, and fresh pairs of every commit (about two hours)
	$(BIN)/python -m bench.demo.run

bench-gate: setup
	$(BIN)/python -m bench.gate.run

bench-sandbox: docker
	$(BIN)/python -m bench.sandbox.run

bench-gateway: setup
	$(BIN)/python -m bench.gateway.run

bench-suites: setup
	$(BIN)/python bench/suites/run.py
	$(BIN)/python bench/suites/importing/run.py

bench-review: setup
	$(BIN)/python -m bench.review.run

bench-ledger: setup
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(BIN)/python -m bench.ledger.run make "$$folder" && $(BIN)/python -m bench.ledger.run measure "$$folder"

bench-peers: setup ## Ratchet beside other systems in simulated worlds; resumes (hours; docs/peers.md)
	$(BIN)/python -m bench.peers.run

bench-overhead: setup
	$(BIN)/python -m bench.overhead.run

bench-schedule: setup ## Schedules compared in virtual hours; resumes (half an hour)
	$(BIN)/python -m bench.schedule.run

bench-faults: docker ## Kill real campaigns at random and at named points (KILLS=200 SEED=1: hours)
	$(BIN)/python -m bench.faults.run --kills $(or $(KILLS),10) --seed $(SEED)

wheel: setup ## Build a wheel into dist/
	@rm -rf dist && $(BIN)/python -m hatchling build -t wheel

lock: ## Update the lock files (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements/base.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group dev -c requirements/base.lock -o requirements/dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-deps requirements/embedded.in -o requirements/embedded.lock

clean: ## Remove the virtual environment and caches, not the campaigns in runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
