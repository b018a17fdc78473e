# Two commands for a newcomer: `make search` and `make test`. Both build .venv when it is missing.
PYTHON ?= python3.11
BIN := .venv/bin


.PHONY: search test lint types architecture tests long docs benchmarks clean

# The exact set of constraints.txt, whatever newer there is.
# All cores compile what pip would compile with one; a package may hold files of another Python.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[all,dev]'
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

# Hundreds of processes import the packages, and may be told to write no bytecode themselves.
tests: .venv/installed
	$(BIN)/python -m compileall -q --workers 0 raysearch search_spaces trainables tests
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

# The long forms of proofs; their searches and clusters take hours.
long: .venv/installed
	$(BIN)/pytest -m long

# The site, in docs/_build/html; a warning is an error.
docs: .venv/installed
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

clean:
	rm -rf .venv runs docs/_build
