# The one interface. `make demo` and `make test` need Python 3.11+, make and the package registries.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: help demo test test-browser nightly check bench mutate docs pictures constraints clean

help:  ## Say what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

# Pinned and hashed, then the project itself on top; marked ready only when both went well.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "cadence needs Python 3.11 or later; name one with: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

demo: $(READY)  ## Import the example histories, list who is due, explain one, replay one.
	$(BIN)/cadence demo

test: $(READY)  ## Run the tests.
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-browser: $(READY)  ## Run the tests of the pages in headless Chromium (apt-get install chromium).
	$(BIN)/python -m pytest tests/browser $(ARGS)

nightly: $(READY)  ## Run the same tests under a bigger profile.
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile nightly $(ARGS)

check: $(READY)  ## Static checks: ruff, mypy, import-linter, generated docs, the site.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(SITE) --site-dir $$(mktemp -d)/site

bench: $(READY)  ## Measure, side by side, as ratios.
	$(BIN)/python bench/run.py

mutate: $(READY)  ## Break the code on purpose: mutation testing of core and policy.
	$(BIN)/python bench/mutate.py

docs: $(READY)  ## Generate the docs and build them as a site in site/.
	$(BIN)/python docs/generate.py
	$(SITE)

pictures: $(READY)  ## Take the pictures of the pages (needs Chromium).
	$(BIN)/python docs/pictures.py

constraints:  ## Pin the dependencies again (needs uv).
	printf 'setuptools>=77\n' | uv pip compile --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade --all-extras pyproject.toml - -o constraints.txt

clean:  ## Remove what was made here.
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants
