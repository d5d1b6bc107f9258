# Everything here needs only Python 3.11 or newer, make, and PyPI. The environment is .venv; each stamp file in it
# says that one set of packages is installed, and is made anew when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PROMPT ?= def read_lines(path):

.PHONY: demo test nightly lint bench clean help

help:  ## what there is to type
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.runtime  ## a small language model continues a prompt
	@$(BIN)/sapwood generate --prompt "$(PROMPT)" --max-tokens 100 --echo --stats

test: $(VENV)/.test  ## the tests, in at most ten minutes
	$(BIN)/python -m pytest -q -n auto --dist worksteal

nightly: $(VENV)/.test  ## the tests and the long runs: fuzzing, random schedules, all families
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "" --hypothesis-profile=nightly

lint: $(VENV)/.lint  ## ruff, pyright, and the rings
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python --project examples
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.runtime  ## speed of the engine, as shares of what this machine can do
	$(BIN)/sapwood bench

clean:  ## remove the environment and build products
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sapwood needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created pyproject.toml
	$(PIP) install -e .
	@touch $@

# PyTorch in its own command and at this release: left to a resolver it comes with gigabytes of GPU libraries.
$(VENV)/.test: $(VENV)/.created pyproject.toml
	$(PIP) install torch==2.13.0
	$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.lint: $(VENV)/.test
	$(PIP) install -e '.[lint]'
	@touch $@
