# make run: the service in dev mode.  make test: the whole suite.  make check: lint, types, import contracts.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 9000
WORKERS ?= 2
ARGS ?=

.PHONY: run test check lock back-ends help

help:
	@sed -n 's/^# //p' Makefile

run: $(VENV)/.run
	@$(BIN)/liveroom serve --dev --port $(PORT) $(ARGS)

test: $(VENV)/.dev back-ends
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "liveroom needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python"; exit 1; }
	@echo "Making the environment in $(VENV) (once)."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements.txt pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

## Tests of real back ends start their own servers; as root on Debian what is missing gets installed.
back-ends:
	@sh tests/back-ends.sh

## The locked versions: what CI and `make run` install. `make lock` takes the newest that pyproject.toml allows.
lock:
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --no-emit-index-url --upgrade --python-version 3.11 pyproject.toml -o requirements.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --no-emit-index-url --upgrade --python-version 3.11 \
		--group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@rm -rf $(VENV)-lock
