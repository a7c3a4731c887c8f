# Everything a newcomer needs: `make demo` and `make test`. Each sets up what it needs, once, in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check format ui lock clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 10

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Closebook needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv (about two minutes, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## close an invented month on three sandboxed venues, and show the book
	@$(BIN)/closebook demo

test: $(READY) ## the whole test suite
	@$(BIN)/pytest -n 2 --dist loadfile

check: $(READY) ## lint, types, imports, definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_architecture.py
	$(BIN)/dagster definitions validate -w workspace.yaml --log-level error

format: $(READY) ## let ruff tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: $(READY) ## Dagster's web UI on the demo's book
	@$(BIN)/closebook ui --home data/demo

lock: ## rewrite requirements.txt from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.txt

clean: ## remove the environment and the demo
	rm -rf .venv data/demo
