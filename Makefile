# Everything a newcomer or a build machine types. Plain /bin/sh; asks nothing; needs no terminal.

VENV    := .venv
BIN     := $(VENV)/bin
PROJECT ?= projects/digits_cnn/digits_cnn.gsproj
SETUP   := python=`.ci/find-python` && "$$python" .ci/setup.py
export PYTHON TORCH_INDEX

.PHONY: help setup setup-tests run test lint unit bench wheel clean

help:
	@echo "make setup   prepare $(VENV)"
	@echo "make run     open the digits CNN (without a display: train, export and verify it)"
	@echo "make test    lint, types, contracts and all tests"
	@echo "make lint    only ruff, mypy and import-linter"
	@echo "make bench   measure speed"
	@echo "make wheel   build dist/graphstudio-*.whl"
	@echo "make clean   remove what was built ($(VENV) stays)"

setup:
	@$(SETUP)

setup-tests:
	@$(SETUP) --extras exports,dev --window-tests

# Without a display the job is the same: train, evaluate, export, and verify the exports with the
# real frameworks, which is why that way also installs them.
run:
	@if [ "`uname -s`" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	    $(SETUP) && exec $(BIN)/graphstudio $(PROJECT); \
	else \
	    echo "No display: running $(PROJECT) on the command line instead of opening the window."; \
	    $(SETUP) --extras exports && exec $(BIN)/graphstudio run $(PROJECT); \
	fi

test: setup-tests
	@$(MAKE) --no-print-directory lint-only unit-only

lint: setup-tests
	@$(MAKE) --no-print-directory lint-only

unit: setup-tests
	@$(MAKE) --no-print-directory unit-only

.PHONY: lint-only unit-only
lint-only:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two processes; tests that open windows are kept for the end, one after the other.
unit-only:
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

bench: setup-tests
	$(BIN)/python benchmarks/run.py

wheel: setup-tests
	$(BIN)/python -m build --wheel

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find engine graphstudio tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
