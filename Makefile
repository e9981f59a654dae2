# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := setup.cfg pyproject.toml

.PHONY: demo test test-slow test-oldest mutation bench notebooks pictures claims docs dist clean

demo: .venv/installed
	$(BIN)/tsode study --p 4 --p-star 2 --dimension 4000 --learning-rate 0.4 --runs 8 --out out/demo

# Some 40 processes, two or more at a time: the package is compiled to bytecode once, and none waits for BLAS threads.
test test-slow: export PYTHONDONTWRITEBYTECODE =
test test-slow: export OPENBLAS_NUM_THREADS = 1

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/python -m compileall -q tsode
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder && wait $$types

test-slow: .venv/installed-test
	$(BIN)/pytest -m slow -n auto --dist loadfile

# The tests with the oldest versions that setup.cfg allows; PYTHON=python3.10 is the oldest Python.
test-oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --constraint tests/oldest.txt --editable ".[test]"
	.venv-oldest/bin/pytest -n auto --dist loadfile

# One operator or number broken at a time, in random samples: half an hour at first, to see what each test runs, then some
# ten minutes each; without --sample it is days.
mutation: .venv/installed-mutation
	$(BIN)/python tests/mutation/run.py break --group studies --sample 120
	$(BIN)/python tests/mutation/run.py break --sample 150

# Runs every notebook from top to bottom in full size; the pictures go to out/notebooks, the notebooks stay as they are.
notebooks: .venv/installed-notebooks
	for notebook in notebooks/*.ipynb; do $(BIN)/jupyter execute $$notebook || exit 1; done

# Runs the notebooks, which keep what they show, in small pictures: after a change of a notebook, or of its figures.
pictures: .venv/installed-notebooks
	$(BIN)/python notebooks/keep_outputs.py

# Measures the table of claims: printed, and written to out/claims.md.
claims: .venv/installed-notebooks
	$(BIN)/python notebooks/claims.py

# The documentation as a site in out/docs: reference, notebooks with their figures, theory, gallery, how-to pages.
docs: .venv/installed-docs
	$(BIN)/sphinx-build -q -W -E -b html -c notebooks/docs notebooks out/docs

# Wheel and source distribution in out/dist: complete, readable by the index, and installed in an environment of its own.
dist: .venv/installed-dist
	rm -rf out/dist out/dist-check
	$(BIN)/python -m build --outdir out/dist .
	$(BIN)/twine check --strict out/dist/*
	$(PYTHON) -m venv out/dist-check
	out/dist-check/bin/pip install --quiet out/dist/*.whl
	cd out && dist-check/bin/tsode study --p 2 --p-star 1 --learning-rate 0.2 --dimension 500 --runs 2 --out dist-check/study

# Times everything beside its baselines: benchmarks/results.md.
bench: .venv/installed-test
	$(BIN)/python benchmarks/run.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable ".[test]"
	touch .venv/installed $@

.venv/installed-mutation: .venv/installed-test
	$(BIN)/pip install --quiet --editable ".[mutation]"
	touch $@

.venv/installed-notebooks: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable ".[notebooks]"
	touch .venv/installed $@

.venv/installed-dist: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable ".[dist]"
	touch .venv/installed $@

.venv/installed-docs: .venv/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --editable ".[docs]"
	touch .venv/installed $@

clean:
	rm -rf .venv .venv-oldest out build *.egg-info
