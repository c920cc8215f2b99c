# The one interface. `make demo` and `make test` need Python 3.11+, make and the package registries.

# Keep what Python compiles, or each process that the tests start compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
QUICK := tests/domain tests/engine tests/messages tests/policy tests/worktime tests/replay
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: help demo test test-browser nightly check coverage matrix quick bench mutate docs pictures constraints clean

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

coverage: $(READY)  ## Print which share of the pure packages the quick tests reach (ARGS names other tests).
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 --dist worksteal --hypothesis-profile quick $(or $(ARGS),$(QUICK))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# An interpreter on the PATH, or one of pyenv's; a version that this machine lacks is named and left out.
matrix:  ## Run the quick tests and the type check on Python 3.12 and 3.13, where they are installed.
	@for version in 3.12 3.13; do \
		python=$$(PYENV_VERSION=$$(pyenv latest $$version 2>/dev/null) sh -c \
			"python$$version -c 'import sys; print(sys.executable)'" 2>/dev/null); \
		if [ -z "$$python" ]; then echo "Python $$version is not installed here: not tested"; continue; fi; \
		$(MAKE) --no-print-directory VENV=$(VENV)-$$version PYTHON=$$python quick || exit 1; \
	done

quick: $(READY)  ## Run the quick tests and the type check.
	$(BIN)/python --version
	$(BIN)/mypy --cache-dir $(VENV)/mypy
	$(BIN)/python -m pytest -q -n 2 --hypothesis-profile quick $(QUICK) $(ARGS)

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

mutate: $(READY)  ## Break the code on purpose, within an hour (make mutate ARGS="src/cadence/worktime").
	$(BIN)/python bench/mutation.py $(ARGS)

docs: $(READY)  ## Generate the docs and build them as a site in site/.
	$(BIN)/python docs/generate.py
	$(SITE)

pictures: $(READY)  ## Take the pictures of the pages (needs Chromium).
	$(BIN)/python docs/pictures.py

constraints: $(READY)  ## Pin the dependencies again.
	printf 'setuptools>=77\n' | $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade --all-extras pyproject.toml - -o constraints.txt

clean:  ## Remove what was made here.
	rm -rf $(VENV) $(VENV)-3.* build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
