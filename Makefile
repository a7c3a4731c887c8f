# Everything a newcomer needs: `make demo` and `make test`. Each sets up what it needs, once, in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 6000000 {print "/dev/shm"}')

.PHONY: bench bench-prove bench-pull bench-statements check clean demo docs format help lock npm-client test torture torture-clock torture-disk torture-engine torture-graph torture-pull torture-readers torture-reports ui 
.DEFAULT_GOAL := help

# Whole runs sync thousands of small writes, and nobody keeps what tests write: it lies in memory where that has 6 GB to spare.
test torture-%: export TMPDIR := $(or $(MEMORY),$(TMPDIR),/tmp)

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 10

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
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY) ## lint, types, imports, definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_architecture.py
	$(BIN)/dagster definitions validate -w workspace.yaml --log-level error

format: $(READY) ## let ruff tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## how fast the engine is: 20 k, 1 and 10 M postings, or SIZE=100
	@$(BIN)/python -m benchmarks $(or $(SIZE),0.02 1 10) $(BENCH)

torture-engine: $(READY) ## 10,000 random books against plain arithmetic, and 2,000 of every other law (about an hour and a half)
	@CLOSEBOOK_TORTURE=10000 $(BIN)/pytest -q tests/stages/test_laws.py -k plain_arithmetic
	@CLOSEBOOK_TORTURE=2000 $(BIN)/pytest -q tests/test_book.py tests/stages/test_kernel.py tests/stages/test_laws.py

bench-prove: $(READY) ## what proving 10 M postings costs beside reading them, or SIZE=100
	@$(BIN)/python -m benchmarks.prove $(or $(SIZE),10)

bench-statements: $(READY) ## how long a statement of 10,000 accounts takes in each form
	@$(BIN)/python -m benchmarks.statements 10000

bench-pull: $(READY) ## how much of the venues' rates a cold pull uses (about eight minutes), or VENUE=coinbase
	@$(BIN)/python -m benchmarks.pull $(VENUE)

torture-pull: $(READY) ## fifty pulls killed at random instants, each run again and compared
	@$(BIN)/python -m tests.faults.torture 50

torture-reports: $(READY) ## 200 requests at once over 20 keys, API and daemon killed in the middle (about five minutes)
	@$(BIN)/python -m tests.reports.storm
	@CLOSEBOOK_TORTURE=300 $(BIN)/pytest -q tests/reports/test_openapi.py

npm-client: ## the npm package coinbase-api, for the test that drives it (needs npm)
	@npm install --prefix tests/reports/npm --no-package-lock --no-audit --no-fund --ignore-scripts --silent

docs: $(READY) ## rewrite docs/configuration.md and docs/tables.md from the code
	@$(BIN)/python -m docs.generate
torture: torture-pull torture-graph torture-clock torture-disk torture-readers torture-reports torture-engine ## every sweep in full (several hours)

torture-clock: $(READY) ## a schedule of 400 days with outages, beside a book closed all at once
	@$(BIN)/python -m tests.torture.clock 400

torture-graph: $(READY) ## a hundred whole runs killed at random instants, each run again and compared
	@$(BIN)/python -m tests.torture.graph 100

torture-disk: $(READY) ## forty runs on a disk that fills up at random instants, and one for each folder that cannot be written (as root)
	@$(BIN)/python -m tests.torture.disk 40

torture-readers: $(READY) ## ten readers through three hundred publications, twenty publishers killed
	@$(BIN)/python -m tests.torture.readers 10 300 20

ui: $(READY) ## Dagster's web UI on the demo's book
	@$(BIN)/closebook ui --home data/demo

lock: ## rewrite requirements.txt from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.txt

clean: ## remove the environment and the demo
	rm -rf .venv data/demo
