# Two commands do all of it, set-up included: `make demo` and `make test`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.dev-is-ready
# Where all is installed already, so is what the demo needs.
DEMO := $(if $(wildcard $(READY)),$(READY),$(VENV)/.demo-is-ready)
JOBS ?= 2
# The most that the tests may take, from start to end.
MINUTES ?= 27
# Each process begins with a part of the rooms, so that what tests share in one is made once.
# Compiled first: thousands of children, which are not to write to the package, would each do it again.
PYTEST = $(BIN)/python -m compileall -q edgekit && \
	EDGEKIT_TEST_MINUTES=$(MINUTES) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal \
	--durations 20 --durations-min 20
# make test COVERAGE=1: all tests, the slow ones too, with the lines of each room that they ran.
COVERAGE ?=

.PHONY: demo test test-slow test-quick docs test-runtimes test-boards lint types setup wheel locks clean

demo: $(DEMO)
	$(BIN)/edgekit demo -o build/demo

test: $(READY)
	$(PYTEST) $(if $(COVERAGE),--coverage,-m "not slow")

# What takes its time: whole trainings, killed exports, clusters.
test-slow: $(READY)
	$(PYTEST) -m slow

# What needs no TensorFlow, no processes of its own and no patience.
test-quick: MINUTES := 1
test-quick: $(READY)
	$(PYTEST) --without-tensorflow -m "not slow and not processes"

# The site of docs/: build/site/index.html. What is wrong with a link is an error.
docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q -d build/.doctrees docs build/site

test-runtimes:
	$(PYTHON) scripts/test_runtimes.py --jobs $(JOBS) $(ONLY)

# The same suite on emulated Raspberry Pis; an hour each.
test-boards: $(READY)
	$(BIN)/python scripts/test_boards.py --jobs $(JOBS) $(ONLY)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whether every type that a user's own checker sees is stated: 100 %. It looks for an installed package,
# so that it runs outside this folder.
types: $(READY)
	@mkdir -p build/types
	cd build/types && PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes edgekit --ignoreexternal > types.txt \
	|| { cat types.txt; exit 1; }
	@grep "completeness" build/types/types.txt

setup: $(READY)

# The demo needs half of what the rest does, at the same versions. pip would compile one file after another;
# all processors together take half of the time. What no Python compiles, as templates, is left as it is.
$(VENV)/.demo-is-ready $(READY): $(VENV)/.%-is-ready: locks/%.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "edgekit needs Python 3.10 to 3.13 with venv: none found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib edgekit || true
	@touch $@

# What a board or another project installs: dist/edgekit_keras-<version>-py3-none-any.whl
wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

locks:
	$(PYTHON) scripts/lock.py

clean:
	rm -rf build dist .venv .venv-runtimes .pytest_cache .mypy_cache .ruff_cache .hypothesis
