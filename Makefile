# Python 3.11 or newer, pip and make are all this needs. Everything is installed into .venv/.
PYTHON = python3
BIN = .venv/bin

# Set here so that only `make serve PORT=8080` changes them, never a variable the shell happens to export.
CONFIG =
HOST =
PORT =
ARGS =
EXAMPLES =
ONLY =
SOAK =
KILLS = 50
ROWS = 1000000

DISTRIBUTIONS := $(patsubst %/pyproject.toml,%,$(wildcard core/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml))
SOURCES := $(addsuffix /src,$(DISTRIBUTIONS))
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install install-dev serve test contract lint bench crash limits exports-proof soak browser format docs constraints clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.installed ## Make .venv with Powerstrip, its plugins and examples
install-dev: .venv/.installed-dev ## The same, with the tools that tests and lint need

serve: .venv/.installed ## Serve; CONFIG="a.yaml b.yaml" HOST=... PORT=... change what and where
	@$(BIN)/powerstrip serve $(foreach file,$(CONFIG),--config $(file)) $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

test: .venv/.installed-dev ## Run all tests; ARGS="-k health -x" goes to pytest
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

contract: .venv/.installed-dev ## Try the whole API against its OpenAPI document; EXAMPLES=100 for each operation
	@POWERSTRIP_CONTRACT_EXAMPLES=$(or $(EXAMPLES),50) POWERSTRIP_CONTRACT_PHASES=examples,coverage,fuzzing,stateful \
		$(BIN)/python -m pytest tests/test_contract.py $(ARGS)

lint: .venv/.installed-dev ## Style, types, import rules, budgets, fresh reference
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	@for check in scripts/check_*.py; do echo $(BIN)/python $$check; $(BIN)/python $$check || exit 1; done
	$(BIN)/python scripts/generate_reference.py --check

bench: .venv/.installed-bench ## Measure against peers, into benchmarks/results; ONLY=A,C chooses sections
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

crash: .venv/.installed-dev ## Kill the served process 50 times under load, and look what is left; KILLS=5 for fewer
	@for database in sqlite postgresql; do $(BIN)/python -m benchmarks.crash --kills $(KILLS) --database $$database || exit 1; done

limits: .venv/.installed-dev ## Count on one key with 4 processes x 500 clients, ask at the worst times, and take Valkey away under load
	@$(BIN)/python -m benchmarks.limits

exports-proof: .venv/.installed-dev ## Export a million rows and kill 20 jobs: memory, waiting, crashes, files; ROWS=100000 for fewer
	@for database in sqlite postgresql; do $(BIN)/python -m benchmarks.exports_proof --rows $(ROWS) --kills 20 --database $$database $(if $(ONLY),--only $(ONLY)) || exit 1; done

soak: .venv/.installed-bench .venv/.installed-dev ## Losses under faults, leaks, slow and idle clients, 900 reloads; SOAK="loss reload" chooses parts
	@$(BIN)/python -m benchmarks.soak $(SOAK)

browser: .venv/.installed-dev ## The demo page of realtime and names of exports, in headless Chromium, which has to be there
	@$(BIN)/python -m benchmarks.browser

format: .venv/.installed-dev ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/.installed-dev ## Write docs/reference again from the code
	$(BIN)/python scripts/generate_reference.py

constraints: .venv/.installed-dev ## Write constraints.txt again from what .venv holds
	$(BIN)/python scripts/pin_constraints.py

clean: ## Remove .venv and everything that tools leave behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Powerstrip needs Python 3.11 or newer, and $(PYTHON) is older or missing. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# One pip command for all of them: they need one another, and no index has them.
.venv/.installed: constraints.txt $(addsuffix /pyproject.toml,$(DISTRIBUTIONS)) | .venv/bin/python
	@echo "Installing Powerstrip into .venv ..."
	@$(PIP_INSTALL) $(foreach folder,$(DISTRIBUTIONS),--editable ./$(folder))
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@echo "Installing the development tools into .venv ..."
	@$(PIP_INSTALL) --requirement requirements-dev.txt
	@touch $@

.venv/.installed-bench: requirements-bench.txt .venv/.installed
	@echo "Installing what the benchmarks need into .venv ..."
	@$(PIP_INSTALL) --requirement requirements-bench.txt
	@touch $@
