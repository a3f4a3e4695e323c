# Every target sets up what it needs in .venv; only Python 3.11 or newer and make must be there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: quickstart test test-live lint bench docs

# Bytecode is written at once: an environment that forbids it would compile the package at every command.
$(BIN)/spec: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[serve]'
	$(BIN)/python -m compileall -q specforge
	@touch $@

.venv/dev: $(BIN)/spec
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

quickstart: $(BIN)/spec  ## the main job: real digits published, a model trained, evaluated and served
	@$(BIN)/python specs/quickstart/run.py

test: .venv/dev  ## everything but `test-live`
	$(BIN)/python -m pytest -n auto -m "not live"

test-live: .venv/dev  ## the tutorial, and toolchains made from nothing
	$(BIN)/python -m pytest -m live

lint: .venv/dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m specforge.cli.reference --check docs/reference

bench: $(BIN)/spec .venv/dev  ## every speed that docs/benchmarks.md names
	$(BIN)/python -m benchmarks --write

docs: .venv/dev  ## the generated part of docs/reference
	$(BIN)/python -m specforge.cli.reference docs/reference
