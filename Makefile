.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHANGELANE := $(BIN)/changelane

.PHONY: help
help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# Its scripts contain the folder's path, so a moved folder needs a new installation.
ifneq ($(shell cat $(BIN)/.installed 2>/dev/null),$(shell pwd -P))
.PHONY: $(BIN)/.installed
endif
$(BIN)/.installed: pyproject.toml
	@# An earlier try may have left a broken environment: without Debian's python3-venv it has no pip, or its Python is too old.
	$(BIN)/pip --version >/dev/null 2>&1 && $(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null \
		|| $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --editable '.[all]' --group dev
	@pwd -P >$@

.PHONY: install
install: $(BIN)/.installed ## Virtual environment with everything that the project needs

.PHONY: demo
demo: install ## pgbench's load, captured and replicated by two workers, then compared row by row
	cd examples/pgbench && ../../$(BIN)/python demo.py

.PHONY: demo-jobs
demo-jobs: install ## Jobs that an application sends, and a schedule, handled by two workers of which one is killed
	$(BIN)/python examples/jobs/demo.py

.PHONY: demo-relay
demo-relay: install ## Changes relayed to a local NATS server while it and a worker are killed, then each one counted
	$(BIN)/python examples/relay/demo.py

.PHONY: test
test: install ## All tests, on real servers
	$(BIN)/pytest -n 2 tests

.PHONY: test-matrix
test-matrix: install ## Integration tests on PG 14 to 18, pgmq as SQL and as extension; SERVERS="14 18-extension" for some
	$(BIN)/python tests/matrix.py $(SERVERS)

.PHONY: torture
torture: install ## Workers under random faults, and every change accounted for; SECONDS=60 KILLS=60 a minute, SEED=N
	$(BIN)/python tests/torture --seconds $(or $(SECONDS),60) --kills $(or $(KILLS),60) $(if $(SEED),--seed $(SEED))

.PHONY: torture-relay
torture-relay: install ## Relays to each engine under random faults; SECONDS=60 KILLS=60 a minute, SEED=N
	$(BIN)/python tests/torture/relay.py --seconds $(or $(SECONDS),60) --kills $(or $(KILLS),60) $(if $(SEED),--seed $(SEED))

.PHONY: check
check: lint types imports generated audit test ## What CI runs

.PHONY: lint
lint: install ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: install ## mypy --strict, the tests included
	$(BIN)/mypy
	MYPYPATH=tests:tests/integration:tests/torture:tests/torture/project $(BIN)/mypy --explicit-package-bases tests
	MYPYPATH=tests $(BIN)/mypy handlers benchmarks/*.py examples/pgbench/*.py docs/*.py
	MYPYPATH=examples/jobs $(BIN)/mypy examples/jobs/*.py
	$(BIN)/mypy examples/relay/demo.py

.PHONY: imports
imports: install ## One-way imports
	$(BIN)/lint-imports

.PHONY: generated
generated: install ## sql_out/ is what pipelines.yaml says
	$(CHANGELANE) generate --check

.PHONY: golden
golden: install ## Rewrite the files that tests compare with: golden SQL, sql_out/, the JSON Schema
	$(BIN)/pytest -q tests/test_golden.py --update-golden
	$(CHANGELANE) generate
	$(CHANGELANE) schema >schema/pipelines.schema.json

.PHONY: docs
docs: install ## Rewrite the pages that are made from the code: reference, errors, index of decisions
	$(BIN)/python docs/decisions.py >docs/decisions/README.md
	$(BIN)/python docs/reference.py >docs/reference.md
	$(BIN)/pytest -q tests/test_errors_page.py tests/test_envelopes_page.py --update-golden

.PHONY: screenshots
screenshots: install ## Pictures of the dashboard at work, with Debian's chromium, to docs/images/
	$(BIN)/python tests/browser/shoot.py

.PHONY: bench-capture
bench-capture: install ## The cost of capture for the application, against hand-written triggers and the floor
	$(BIN)/python benchmarks/bench_capture.py

.PHONY: bench-order
bench-order: install ## The cost of key order at 1,000 and 1,000,000 messages; URL=a scratch database
	$(BIN)/python benchmarks/bench_order.py --database-url "$(URL)"

$(BIN)/.installed-bench: $(BIN)/.installed
	$(BIN)/python -m pip install -qq --group bench
	if command -v npm >/dev/null; then npm install --silent --no-package-lock --prefix benchmarks/work; fi
	@touch $@

.PHONY: bench-work
bench-work: $(BIN)/.installed-bench ## The worker beside raw SQL, pgqueuer, procrastinate and, with npm, graphile-worker and pg-boss; then its memory
	$(BIN)/python benchmarks/bench_work.py
	$(BIN)/python benchmarks/bench_work.py --memory

.PHONY: bench-relay
bench-relay: install ## The cost of a relay to each engine, beside the same drain that publishes nothing
	$(BIN)/python benchmarks/bench_relay.py

.PHONY: bench-flow
bench-flow: install ## From commit to handled at 2,000 changes a second
	$(BIN)/python benchmarks/bench_flow.py

.PHONY: bench-dashboard
bench-dashboard: install ## Every page of the dashboard over a queue of 1,000,000 messages
	$(BIN)/python benchmarks/bench_dashboard.py

.PHONY: bench-coalesce
bench-coalesce: install ## How many calls the last state takes of a row that is updated 10,000 times in a minute
	$(BIN)/python benchmarks/bench_coalesce.py

.PHONY: bench-fair
bench-fair: install ## How long a quiet tenant waits beside a backlog of a million
	$(BIN)/python benchmarks/bench_fair.py

.PHONY: bench-held
bench-held: install ## The worker while a transaction is held open, beside the same without
	$(BIN)/python benchmarks/bench_held.py

.PHONY: bench-wake
bench-wake: install ## The time from commit to handler, and its cost for writers; URL=a scratch database
	$(BIN)/python benchmarks/bench_wake.py --database-url "$(URL)"

.PHONY: shop
shop: install ## The tables of the example shop, in the database that the environment names
	$(CHANGELANE) db psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --file examples/shop/schema.sql

.PHONY: inspect
inspect: shop ## sql_out/catalog.json from the live schema
	$(CHANGELANE) inspect

.PHONY: generate
generate: install ## sql_out/ from pipelines.yaml
	$(CHANGELANE) generate

.PHONY: plan
plan: install ## What apply would do
	$(CHANGELANE) plan

.PHONY: apply
apply: shop generate ## Bring the database to what pipelines.yaml says
	$(CHANGELANE) apply --yes

.PHONY: work
work: install ## Consume the queues into handlers/
	$(CHANGELANE) work

.PHONY: verify
verify: install ## Exit 2 on any difference
	$(CHANGELANE) verify

.PHONY: stop
stop: install ## Stop the local server
	$(CHANGELANE) db stop

$(BIN)/.installed-lock: $(BIN)/.installed
	$(BIN)/python -m pip install -qq --group lock
	@touch $@

.PHONY: lock
lock: $(BIN)/.installed-lock ## requirements.lock: what the image installs, with hashes
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.12 --python-platform linux \
		--group image --output-file requirements.lock pyproject.toml

.PHONY: audit
audit: $(BIN)/.installed-lock ## Known vulnerabilities of what the image installs; says what it could not look up
	$(BIN)/python .ci/audit.py

.env:
	@umask 077; for role in POSTGRES OWNER APPLICATION WORKER; do \
		echo "$${role}_PASSWORD=$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(24))')"; done >$@

.PHONY: up
up: .env ## With Docker: server, apply and worker; passwords are made and kept in .env
	docker compose up --build --detach

.PHONY: down
down: ## Stop them
	docker compose down

.PHONY: clean
clean: ## Remove what was built; the local server's data stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
