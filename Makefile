# `make demo` and `make test` need make, and Python 3.11, 3.12 or 3.13 with its venv module.
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13,\
	$(if $(shell $(name) -c 'import sys; print(sys.version_info[:2] in [(3,11),(3,12),(3,13)] or "")' 2>/dev/null | grep True),$(name))))
BIN := .venv/bin

.PHONY: demo test lock clean

demo: .venv/installed-demo
	@echo "== Train, export, index and search (results in demo_out/)"
	$(BIN)/python examples/semantic_hashing.py $(ARGS)

test: .venv/installed-test
	@echo "== Lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "== Types"
	$(BIN)/mypy
	@echo "== Tests"
	TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lock: .venv/installed-test
	@echo "== Resolve every extra for every supported Python and platform into constraints.txt"
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--quiet --no-header --no-annotate -o constraints.txt

clean:
	rm -rf .venv demo_out .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "keras_ae needs Python 3.11, 3.12 or 3.13; none was found. Name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "== Make .venv with $(PYTHON)"
	$(PYTHON) -m venv .venv

.venv/installed-%: .venv/bin/python pyproject.toml constraints.txt
	@echo "== Install keras_ae with its '$*' extras into .venv (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
