# Two commands for a newcomer: `make search` and `make test`. Both build .venv when it is missing.
PYTHON ?= python3.11
BIN := .venv/bin

# Tests that need no machine of their own run two at a time; those that drive searches do not.
ALONE := not long and not search and not kill and not browser and not cluster

.PHONY: search test lint types architecture tests benchmarks clean

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

search: .venv/installed
	$(BIN)/raysearch search ssl.digits_vit

test: lint types architecture tests

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/pyright

architecture: .venv/installed
	$(BIN)/lint-imports

tests: .venv/installed
	$(BIN)/pytest -m '$(ALONE)' --numprocesses 2 --dist loadfile
	$(BIN)/pytest -m 'not long and not ($(ALONE))'

clean:
	rm -rf .venv runs
