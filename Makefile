# `make quickstart`: install and run the main job. `make test`: lint, types, all tests. `make bench`: benchmarks. `make docs`: the site.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: two multi-threaded programs on few cores slow each other down many times over.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Bytecode is kept, whatever the shell says: runs and tests start processes that would each compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
# More than cores: tests of processes wait for them.
JOBS ?= 3

.PHONY: quickstart test bench browser docs notebooks lint types install dev root root-vit clean

quickstart: install
	$(BIN)/pathways run experiments/quickstart.yaml --out runs/quickstart

install: $(VENV)/installed

dev: $(VENV)/installed-dev

test: lint types
	$(BIN)/python -m pytest -n $(JOBS)

# Both sides of every benchmark in turns; a line says the ratio and what it is to reach.
bench: install
	$(BIN)/python -m pathways.experiments.benchmarks all

# What the browser tests need beside a Chromium; without it they are skipped.
browser: build/browser/installed

build/browser/installed: tests/browser/package.json tests/browser/package-lock.json
	@mkdir -p build/browser
	cp $^ build/browser
	npm ci --prefix build/browser --ignore-scripts --no-audit --no-fund
	@touch $@

# The documentation, warnings as errors: open build/site/index.html, no server is needed.
docs: dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Before `make docs`: runs the notebooks, so that the site shows what their cells give.
notebooks: dev
	$(BIN)/python -m pathways.experiments.site.run_notebooks

lint: dev
	$(BIN)/ruff check .

# The folders are mapped into one import name, which mypy only sees in an installed copy.
types: dev
	@rm -rf build/types build/lib
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --target build/types . 2>&1 | grep -v -e WARNING -e notice || true
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p pathways

# Rebuilds the root path that ships with the package, from scratch.
root: install
	$(BIN)/pathways run experiments/root-omniglot.yaml --out runs/root-omniglot
	$(BIN)/pathways export runs/root-omniglot omniglot/background --format root --out pathways/roots/omniglot

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,dashboard,docs]' setuptools
	@touch $@

# The same for the root of transformer blocks.
root-vit: install
	$(BIN)/pathways run experiments/root-vit.yaml --out runs/root-vit
	$(BIN)/pathways export runs/root-vit omniglot/background --format root --out pathways/roots/omniglot-vit

clean:
	rm -rf build runs .pytest_cache .mypy_cache .ruff_cache
