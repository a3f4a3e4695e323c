# Every target sets up what it needs in .venv; only Python 3.11 or newer and make must be there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-live lint bench docs

$(BIN)/spec: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev: $(BIN)/spec
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

quickstart: $(BIN)/spec  ## the main job: real digits published, a model trained and evaluated
	@$(BIN)/python specs/quickstart/run.py

test: $(VENV)/dev  ## everything that needs no server
	$(BIN)/python -m pytest -n auto

test-live: $(VENV)/dev  ## tests against real servers and whole toolchains
	$(BIN)/python -m pytest -m live

lint: $(VENV)/dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev  ## every speed that docs/benchmarks.md names
	$(BIN)/python -m benchmarks

docs: $(VENV)/dev  ## the generated part of docs/reference
	$(BIN)/python -m specforge.cli.reference docs/reference
