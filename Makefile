# Everything here works on a machine with Python 3.11+ and make alone.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
# The system's certificates, or uv fails behind a proxy that has its own.
export UV_SYSTEM_CERTS := 1
export UV_PROJECT_ENVIRONMENT := .venv
# Where this is set, as in many images, each process compiles all of its modules anew: an api starts in a third of the
# time without it, and tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# A uv that is already installed serves; else one of our own goes into a private folder.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := .venv/bin/

.PHONY: help setup demo test laws fuzz up lint format diagrams events bench lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ordermill needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/ready: requirements.lock pyproject.toml | $(filter .tools/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ordermill needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x .venv/bin/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/ready ## Make .venv with the ordermill command in it

demo: setup ## A flash sale on an embedded PostgreSQL and Valkey, then the audit
	$(RUN)ordermill demo

test: setup ## All tests, on real PostgreSQL and Valkey
	$(RUN)python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

laws: setup ## The domain's laws on some thousand cases each; LAWS_TIMES as many as they name
	LAWS_TIMES=$${LAWS_TIMES:-10} $(RUN)python -m pytest -q -n 2 --dist worksteal --timeout 0 tests/domain

fuzz: setup ## Ask for everything that /schema describes as everybody; FUZZ_SECONDS for each role, FUZZ_SEED
	$(RUN)python -m pytest -v -s -n 0 -m fuzz tests/fuzz

up: setup ## Everything running until Ctrl-C, with a small sample catalog
	$(RUN)ordermill up --sample

lint: setup ## ruff, mypy strict, import contracts
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

format: setup ## Put the code into its form
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

diagrams: setup ## Draw the diagrams of docs/orders.md from the transition tables
	$(RUN)python -m ops.diagrams

events: setup ## List the events in docs/events.md from what the code writes and who listens
	$(RUN)python -m ops.event_page

bench: setup ## Measure; figures and ratios from one run
	$(RUN)ordermill bench

lock: | $(filter .tools/bin/uv,$(UV)) ## Pin anew what pyproject.toml asks for
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
		--extra dev --output-file requirements.lock pyproject.toml

clean: ## Remove what set-up made
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
