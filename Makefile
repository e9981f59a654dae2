# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := setup.cfg pyproject.toml

.PHONY: demo test test-slow bench clean

demo: .venv/installed
	$(BIN)/tsode study --p 4 --p-star 2 --dimension 4000 --learning-rate 0.4 --runs 8 --out out/demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/pytest

test-slow: .venv/installed-test
	$(BIN)/pytest -m slow

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable ".[test]"
	touch .venv/installed $@

bench: .venv/installed
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv out build *.egg-info
