# Everything a clone needs: Python 3.11 to 3.13, make, and a package index. `make` lists the targets.
#
#   make PYTHON=python3.12 test     choose the interpreter
#   make JOBS=8 test                choose how many tests run at once
#   make ARGS="-k ledger -x" test   hand arguments to pytest, or to the demo

.DEFAULT_GOAL := help
# Two targets that install into one environment at once would break it.
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto

PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# A personal pip setting that installs outside of the environment would fail here.
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := $(BIN)/python -m pip install --quiet

UV_EXPORT := $(BIN)/uv export --quiet --frozen --format requirements-txt --no-header --no-emit-project

.PHONY: help demo test check coverage torture format docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/run.stamp ## Show what it does, on simulated models
	@$(BIN)/orchestrator demo $(ARGS)

test: $(VENV)/dev.stamp ## Run the tests
	$(BIN)/python -m pytest --numprocesses $(JOBS) $(ARGS)

check: $(VENV)/dev.stamp ## Run everything that must pass before a change is taken
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest --numprocesses $(JOBS) $(ARGS)

coverage: $(VENV)/dev.stamp ## See that tests reach every branch of the rooms that keep money
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(JOBS) -m "not torture" \
	  tests/budgets tests/ledger tests/limits $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

torture: $(VENV)/dev.stamp ## Put the promises to the proof, for hours, and print the figures
	TORTURE=1 $(BIN)/python -m pytest -m torture $(ARGS)

format: $(VENV)/dev.stamp ## Format the code and fix what can be fixed safely
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# The theme announces what its maintainers plan for 2027, unless it is told not to.
docs: $(VENV)/docs.stamp ## Write the generated pages anew, build the site into build/site
	$(BIN)/python -m orchestrator.policy.schema policies/schema.json
	$(BIN)/python -m orchestrator.policy.reference docs/policy.md
	$(BIN)/python -m orchestrator.telemetry.reference docs/reference.md
	$(BIN)/typer orchestrator.cli.main utils docs --name orchestrator --output docs/cli.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# With the uv.lock of an earlier run only what pyproject.toml changed moves; without it everything
# moves to its newest version. uv.lock is not committed: it records the address of an index.
lock: | $(BIN)/python ## Resolve the dependencies and write requirements/*.txt
	$(PIP) --require-hashes --requirement requirements/lock.txt
	$(BIN)/uv lock --python $(BIN)/python --no-python-downloads
	$(UV_EXPORT) --no-dev --output-file requirements/run.txt
	$(UV_EXPORT) --only-group build --output-file requirements/build.txt
	$(UV_EXPORT) --only-group docs --output-file requirements/docs.txt
	$(UV_EXPORT) --only-group lock --output-file requirements/lock.txt
	$(UV_EXPORT) --all-extras --output-file requirements/dev.txt

clean: ## Remove the environment and every cache; ledgers stay
	rm -rf $(VENV) .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find orchestrator tests examples docs -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  "$$python" -c '$(SUPPORTED)' 2>/dev/null && "$$python" -m venv --clear $(VENV) && exit 0; \
	done; \
	echo "No usable Python 3.11, 3.12 or 3.13 among: $(PYTHONS)." >&2; \
	echo "Install one with its venv module, or name one: make PYTHON=/path/to/python3.12" >&2; \
	exit 1

# dev.txt holds all of run.txt and build.txt in the same versions, so either stamp may come first.
$(VENV)/run.stamp: requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the package needs (a minute or two, once) ..."
	@$(PIP) --require-hashes --requirement requirements/run.txt --requirement requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the package and its tests need (a minute or two, once) ..."
	@$(PIP) --require-hashes --requirement requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/run.stamp $@

$(VENV)/docs.stamp: requirements/docs.txt $(VENV)/dev.stamp
	@$(PIP) --require-hashes --requirement requirements/docs.txt
	@touch $@
