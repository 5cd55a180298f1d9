# Two commands are enough: `make demo` and `make test`. Each needs only python3 with venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEERS := $(VENV)/.bench-installed

# --group of pip is 25.1 and later, so pip is brought up to date first.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@

.PHONY: help install demo test lint format bench scoreboard clean
help:  ## What there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## The virtual environment, with everything in it

demo: $(INSTALLED)  ## From nothing to answers: a server, a schema, songs, typed queries
	$(BIN)/sqlkit demo

# The query layer's tests run a second time, through PgBouncer; where that is missing, they are skipped and say so.
test: $(INSTALLED)  ## The tests, on a PostgreSQL that they start (PYTEST_ARGS= for some of them)
	$(BIN)/python -m pytest -n $${SQLKIT_TEST_PROCESSES:-2} $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,SQLKIT_TEST_POOLER=pgbouncer $(BIN)/python -m pytest -n $${SQLKIT_TEST_PROCESSES:-2})

lint: $(INSTALLED)  ## ruff, mypy, pyright, sqlfluff, squawk, sqlkit check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/sqlfluff lint --disable-progress-bar sql migrations
	$(BIN)/squawk --config squawk.toml $$(find migrations -name '*.sql' ! -name '*.rollback.sql')
	$(BIN)/sqlkit check

format: $(INSTALLED)  ## ruff's and sqlfluff's own mending
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(PEERS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

bench: $(PEERS)  ## The benchmarks beside the peers, as ratios in one run (ONLY=point,rows for some)
	$(BIN)/python -m benchmarks

scoreboard: $(INSTALLED)  ## Proofs of NULL against the truth, ours beside the peers'
	$(BIN)/python -m benchmarks.scoreboard

clean:  ## Away with the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
