# Every target makes its own environment in .venv first; only Python 3.11 or newer and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint audit bench bench-coverage bench-evaluation bench-proxy bench-queue bench-streaming notebooks soak clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/batchframe demo

test: $(VENV)/ready
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml batchframe

# Asks an advisory service for the installed versions; without one it must fail, not pass for clean.
audit: $(VENV)/ready
	$(BIN)/pip-audit --strict --skip-editable --progress-spinner off

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.versus_script

# How often intervals hold the truth and tests err; 20 minutes.
bench-coverage: $(VENV)/ready
	$(BIN)/python -m benchmarks.coverage

bench-evaluation: $(VENV)/ready
	$(BIN)/python -m benchmarks.evaluation

bench-proxy: $(VENV)/ready
	$(BIN)/python -m benchmarks.proxy_load

bench-queue: $(VENV)/ready
	$(BIN)/python -m benchmarks.queue

bench-streaming: $(VENV)/ready
	$(BIN)/python -m benchmarks.streaming

# Runs the notebooks and keeps their outputs.
notebooks: $(VENV)/ready
	$(BIN)/python -m tests.notebooks.running
	$(BIN)/ruff format --quiet notebooks

soak: $(VENV)/ready
	$(BIN)/python -m tests.faults.soak $(SOAK)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
