# `make demo` and `make test` need make, and Python 3.11, 3.12 or 3.13 with its venv module.
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13,\
	$(if $(shell $(name) -c 'import sys; print(sys.version_info[:2] in [(3,11),(3,12),(3,13)] or "")' 2>/dev/null | grep True),$(name))))
BIN := .venv/bin
# A folder that export/to_device_bundle.py has written.
BUNDLE ?= tests/golden/bundle
APK := demo_out/nearest_codes.apk
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
# The C library of Python's ai-edge-litert.
LITERT = $(shell $(BIN)/python -c "import importlib.util as u, pathlib as p; \
	print(p.Path(u.find_spec('ai_edge_litert').origin).parent / 'libLiteRt.so')")
# What a test that cannot run here does: says so, or with REQUIRE_ALL=1 fails.
SKIP := $(if $(REQUIRE_ALL),exit 1,true)

# What runs on JAX; the other tests are of exports and search. Nearly all of its time goes to compiling single
# operations, which processes that share a cache do once for all.
ON_JAX = $(addprefix tests/,analysis callbacks layers metrics models ops regularizers layer_test.py \
	xla_test.py jax_test.py) $(addprefix keras_ae/,analysis callbacks layers metrics models ops regularizers)

.PHONY: demo test python-test jax-test java-test web-test android android-test web old-runtime lock clean

demo: .venv/installed-demo
	@echo "== Train, export, index and search (results in demo_out/)"
	$(BIN)/python examples/semantic_hashing.py $(ARGS)

test: python-test jax-test java-test web-test

python-test: .venv/installed-test
	@echo "== Lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "== Types"
	$(BIN)/mypy
	@echo "== Tests"
	TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

jax-test: .venv/installed-test
	@echo "== Layers, models and analysis on JAX"
	@if $(BIN)/python -c "import jax" 2>/dev/null; then \
		KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR="$$PWD/.jax_cache" \
		JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
		$(BIN)/python -m pytest -n 2 --dist worksteal $(ON_JAX); \
	else echo "Skipped: no JAX was found (make .venv/installed-jax)"; $(SKIP); fi

java-test: .venv/installed-test
	@echo "== Java: the core of the Android app (android_demo/core)"
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
		mvn -B -ntp -f android_demo/core/pom.xml test -Dlitert="$(LITERT)" -Dbundle="$$(realpath "$(BUNDLE)")"; \
	else echo "Skipped: no JDK with Maven was found"; $(SKIP); fi

web-test:
	@echo "== JavaScript: the page (export/web)"
	@if ! command -v npm >/dev/null; then echo "Skipped: no Node.js with npm was found"; $(SKIP); \
	elif [ -z "$(CHROMIUM)" ]; then echo "Skipped: no Chromium was found"; $(SKIP); \
	else mkdir -p demo_out && npm --prefix export/web ci --silent --no-audit --no-fund \
		&& CHROMIUM="$(CHROMIUM)" PICTURES="$$PWD/demo_out" BUNDLE="$$(realpath "$(BUNDLE)")" \
			npm --prefix export/web test --silent; fi

android:
	android_demo/build.sh "$(BUNDLE)" $(APK)

android-test: .venv/installed-test android
	android_demo/test.sh $(APK) "$(LITERT)"

web:
	npm --prefix export/web ci --silent --no-audit --no-fund
	node export/web/build.mjs "$(BUNDLE)" demo_out/web
	node export/web/serve.mjs demo_out/web

old-runtime: .venv/installed-test
	@echo "== TensorFlow Lite 2.16.1, in an environment of its own (.venv-2.16)"
	@test -d .venv-2.16 || $(BIN)/python -m venv .venv-2.16
	@if .venv-2.16/bin/python -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.16.1; then \
		folder=$$(mktemp -d) && $(BIN)/python tests/export/old_runtime.py write $$folder \
			&& .venv-2.16/bin/python tests/export/old_runtime.py check $$folder && rm -r $$folder; \
	else echo "Skipped: tensorflow-cpu 2.16.1 cannot be installed with this Python, which it needs to be at most 3.12"; fi

lock: .venv/bin/python
	@echo "== Resolve every extra for every supported Python and platform into constraints.txt"
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--quiet --no-header --no-annotate -o constraints.txt

clean:
	rm -rf .venv .venv-2.16 demo_out .pytest_cache .mypy_cache .ruff_cache .hypothesis .jax_cache
	rm -rf android_demo/build android_demo/core/target export/web/node_modules

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "keras_ae needs Python 3.11, 3.12 or 3.13; none was found. Name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "== Make .venv with $(PYTHON)"
	$(PYTHON) -m venv .venv

.venv/installed-%: .venv/bin/python pyproject.toml constraints.txt
	@echo "== Install keras_ae with its '$*' extras into .venv (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
