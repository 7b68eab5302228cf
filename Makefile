# `make demo` to see it, `make test` to check it, `make help` for the rest.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help
help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the JupyterLab extension is built from.
JS := js/package.json js/tsconfig.json js/rspack.config.cjs $(shell find js/src js/style js/schema -type f)

# Installed again only when what is installed has changed.
.venv/.installed: pyproject.toml
	@echo 'Installing the package and what its demo and tests need into .venv; the first time takes two minutes or more ...'
	$(PYTHON) -m venv .venv
	SKIP_JUPYTER_BUILDER=1 $(BIN)/python -m pip install --disable-pip-version-check --editable '.[test]'
	@touch $@

js/node_modules/.installed: js/package-lock.json
	@echo 'Installing what the JupyterLab extension is built with; a minute or two, in silence ...'
	@cd js && npm ci --silent
	@touch $@

.venv/.labextension: .venv/.installed js/node_modules/.installed $(JS)
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	$(BIN)/jupyter-builder develop --overwrite .
	@touch $@

# Without npm everything works but the JupyterLab extension.
.PHONY: labextension
labextension: .venv/.installed
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory .venv/.labextension; \
		else echo 'The JupyterLab extension (status item, live panel) is not built: npm is missing (Node.js 20 or later).'; fi

.PHONY: setup
setup: .venv/.installed labextension  ## .venv with the package, the demo and the test tools

.PHONY: demo
demo: setup  ## JupyterLab with an embedded identity provider and an embedded AWS; Ctrl-C ends it
	$(BIN)/jupyter federation demo

.PHONY: lint
lint: setup  ## ruff and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: typescript
typescript: setup  ## the JupyterLab extension: lint, types, tests
	@command -v npm >/dev/null || { echo 'The TypeScript tests need npm: install Node.js 20 or later.'; exit 1; }
	cd js && npm run --silent check && npm run --silent test

.PHONY: unit
unit: setup  ## the quick tests, side by side, without forks, faults, demo, hub, doctor, endpoint and sign-ins; under a minute
	$(BIN)/python -m pytest -q -n 3 -m 'not slow and not soak' --ignore tests/faults --ignore tests/demo --ignore tests/hub \
		--ignore tests/doctor --ignore tests/endpoint --ignore tests/sign_in --ignore tests/browser --ignore tests/tools

.PHONY: chromium
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || if [ "$$(id -u)" = 0 ]; \
		then apt-get update -qq && apt-get install -y -qq chromium; \
		else echo 'The browser tests need Chromium. Install it: sudo apt-get install chromium'; exit 1; fi

# Installed again only when what is installed has changed.
tests/%/node_modules/.installed: tests/%/package-lock.json
	@command -v npm >/dev/null || if [ "$$(id -u)" = 0 ]; \
		then apt-get update -qq && apt-get install -y -qq nodejs npm; \
		else echo 'The tests in tests/$* need Node 20 or later, with npm. Install it: sudo apt-get install nodejs npm'; exit 1; fi
	cd tests/$* && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

.PHONY: certified
certified: tests/certified/node_modules/.installed tests/hub/node_modules/.installed

# A tool that is not there is passed over, and the test says how to get it.
.venv-tools/.installed: pyproject.toml tests/tools/requirements.txt
	@echo 'Installing the tools that speak AWS into .venv-tools; two minutes or more ...'
	$(PYTHON) -m venv .venv-tools
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then SKIP_JUPYTER_BUILDER=1 \
		.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/tools/requirements.txt --editable .; \
		else echo 'They want Python 3.11 or later: their tests are passed over.'; fi
	@touch $@

.PHONY: commands
commands:
	@for package in awscli rclone; do command -v /usr/bin/$${package%cli} >/dev/null || if [ "$$(id -u)" = 0 ]; \
		then apt-get update -qq && apt-get install -y -qq $$package; \
		else echo "Its tests are passed over: $$package is not there. Install it: sudo apt-get install $$package"; fi; done

# What fails beside others is tried once more, by itself: a machine that others use too may have stood still under it.
# What fails twice is broken.
define second_try
	$(1) || { [ $$? = 1 ] && echo 'Once more, what failed, one after the other:' && $(1) -n 0 --last-failed; }
endef

.PHONY: tools
tools: setup commands .venv-tools/.installed tests/tools/node_modules/.installed  ## each tool that speaks AWS, beside a sign-in
	$(call second_try,$(BIN)/python -m pytest -n 2 --dist loadfile tests/tools -m 'not soak')

.PHONY: tools-table
tools-table: setup commands .venv-tools/.installed tests/tools/node_modules/.installed  ## the same, and docs/tools.md gets what was measured
	TOOLS_TABLE=write $(BIN)/python -m pytest tests/tools -m 'not soak'

.PHONY: browser
browser: setup chromium certified .venv-floors/.installed  ## the tests that drive a real Chromium
	$(BIN)/python -m pytest -m 'browser and not soak'

# In the order of their names the files that take longest come in the middle; xdist's own order, by number of tests, has
# them last.  No more at once than there are cores: some hold a second to be a second.
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: test
test: lint typescript chromium certified .venv-floors/.installed  ## everything: lint, types, tests, the notebooks, the tools, the floors
	$(call second_try,$(BIN)/python -m pytest -n 2 $(BY_FILE) -m 'not soak and not browser' --ignore tests/tools)
	$(call second_try,$(BIN)/python -m pytest -n 2 --dist loadfile -m 'browser and not soak')
	$(MAKE) tools
	$(MAKE) floors

# The oldest Python too, where it is there and runs: pyenv's shim of that name does if it is told which one is meant.
OLDEST := PYENV_VERSION=3.10 python3.10
.venv-floors/.installed: pyproject.toml tests/floors.txt
	@echo 'Installing the oldest supported versions into .venv-floors; about a minute ...'
	@if $(OLDEST) -c 'import ensurepip, sqlite3, ssl' 2>/dev/null; then $(OLDEST) -m venv --clear .venv-floors; \
		else echo 'There is no Python 3.10 that works: they are tested on $(PYTHON).'; $(PYTHON) -m venv --clear .venv-floors; fi
	SKIP_JUPYTER_BUILDER=1 .venv-floors/bin/python -m pip install --quiet --disable-pip-version-check --constraint tests/floors.txt \
		--editable '.[demo]' pytest pytest-timeout pytest-xdist hypothesis rfc3987 trustme
	@touch $@

.PHONY: floors
floors: .venv-floors/.installed  ## the tests that meet them, on the oldest versions that are supported
	$(call second_try,.venv-floors/bin/python -m pytest -q -n 3 -m 'not slow and not soak' \
		tests/delivery tests/exchange tests/sign_in tests/sources tests/test_*.py)

.PHONY: soak
soak: setup chromium certified commands .venv-tools/.installed tests/tools/node_modules/.installed  ## what takes minutes of wall clock
	$(BIN)/python -m pytest -m soak --timeout 1800

.PHONY: bench
bench: setup  ## ours beside what people would use instead, in one run; writes bench.json
	$(BIN)/python -m tests.bench

.PHONY: picture
picture: setup chromium  ## the README's pictures, from the demo in a real browser
	$(BIN)/python -m tests.picture

.PHONY: format
format: setup  ## rewrite the code as `make lint` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd js && npm run --silent format
