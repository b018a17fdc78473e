# Two commands for a newcomer: `make search` and `make test`. Both build .venv when it is missing.
PYTHON ?= python3.11
BIN := .venv/bin


.PHONY: search test lint types architecture tests benchmarks clean

# All cores compile what pip would compile with one; a package may hold files of another Python.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	$(BIN)/python -m compileall -q --workers 0 .venv/lib >/dev/null 2>&1 || true
	touch $@

search: .venv/installed
	$(BIN)/raysearch search ssl.digits_vit

# Types take a minute and a half of one core: the tests begin beside them.
test: lint architecture
	$(MAKE) --no-print-directory --jobs 2 types tests

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/pyright

architecture: .venv/installed
	$(BIN)/lint-imports

tests: .venv/installed
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf .venv runs
