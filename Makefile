# Two commands for a newcomer: `make search` and `make test`. Both build .venv when it is missing.
PYTHON ?= python3.11
BIN := .venv/bin


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
	$(BIN)/pytest -m 'not long and not alone' --numprocesses 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest -m 'alone and not long'

clean:
	rm -rf .venv runs
