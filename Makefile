# Tocsin: the two commands to know are `make up` and `make test`; `make help` lists the rest.
PYTHON ?= python3
HOST   ?= 127.0.0.1
PORT   ?= 9000
DATA   ?= .tocsin
SECONDS ?= 300
WORKERS ?= 2

BIN  := .venv/bin
READY := .venv/.ready
TEST_READY := .venv/.test-ready

.DEFAULT_GOAL := help
.PHONY: help up demo down test check bench chaos fmt docs lock clean

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

up: $(READY) ## Install and start Tocsin in the background; prints what to open and a curl line
	@$(BIN)/tocsin up --detach --host $(HOST) --port $(PORT) --data $(DATA)

demo: $(READY) ## The same, with an inventory, indicators and sample alerts sent through the front door
	@$(BIN)/tocsin up --detach --host $(HOST) --port $(PORT) --data $(DATA)
	@BIN=$(BIN) TOCSIN_DATA=$(DATA) sh samples/demo.sh

down: $(READY) ## Stop it
	@$(BIN)/tocsin down --data $(DATA)

test: $(TEST_READY) ## Run all tests, on real PostgreSQL and RabbitMQ servers that they start (WORKERS=2)
	@sh tests/install-servers.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(TEST_READY) ## Lint, format, types, layers, dependencies and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python -m pytest -q tests/rules

bench: $(TEST_READY) ## Measure throughput, latency and memory; writes .bench/results.json
	@sh tests/install-servers.sh
	$(BIN)/python -m tests.bench

chaos: $(TEST_READY) ## Break services at random under load for five minutes (SECONDS=300)
	@sh tests/install-servers.sh
	$(BIN)/python -m tests.chaos --seconds $(SECONDS)

fmt: $(TEST_READY) ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(TEST_READY) ## Write the reference pages from the code
	$(BIN)/python -m tests.rules.reference

lock: $(TEST_READY) ## Pin the dependencies again, at their newest
	$(BIN)/uv pip compile -q --upgrade pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements/base.txt
	$(BIN)/uv pip compile -q --upgrade requirements/dev.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements/dev.txt
	$(BIN)/uv pip compile -q --upgrade deploy/build.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o deploy/build.txt

clean: ## Remove the environment, caches and benchmark results; never the data folder
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/base.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tocsin needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing into .venv …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/base.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(TEST_READY): $(READY) requirements/dev.txt
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/dev.txt
	@touch $@
