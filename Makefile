SHELL := /bin/bash
# The verbs of the house. `make demo` and `make test` set everything up by themselves.
#
#   setup        a virtual environment in .venv with everything needed for development
#   proto        generate the code beside protos/*.proto      proto-check   prove that it is fresh
#   fmt          format            lint   check style         types   mypy --strict
#   check        proto-check, lint, types, fast tests         test    all tests, the fast ones first
#   demo         start departments, transfer properties       bench   print performance
#   clean        remove what was built

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
BIN    := $(abspath $(VENV)/bin)
STAMP  := $(VENV)/.installed
FARM   := build/typing
CASES  ?=

MESSAGES := $(notdir $(wildcard protos/*.proto))
SERVICES := $(addprefix services/,$(notdir $(wildcard protos/services/*.proto)))

.PHONY: setup farm proto proto-check fmt lint types fast test check demo bench clean

setup: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version)'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --editable '.[dev]'
	touch $@

# setuptools' editable import hook is invisible to mypy, so it reads the tree through these links.
farm:
	@mkdir -p $(FARM)/tongban
	@for p in protos node contracts sdk network; do ln -sfn ../../../$$p $(FARM)/tongban/$$p; done
	@ln -sfn ../../tests $(FARM)/tests

define generate
	PATH="$(BIN):$$PATH" $(PY) -m grpc_tools.protoc -Itongban/protos=protos \
	  --python_out=$(1) --mypy_out=quiet:$(1) $(addprefix tongban/protos/,$(MESSAGES))
	PATH="$(BIN):$$PATH" $(PY) -m grpc_tools.protoc -Itongban/protos=protos \
	  --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(addprefix tongban/protos/,$(SERVICES))
endef

proto: setup farm
	$(call generate,$(FARM))

proto-check: setup
	@rm -rf build/fresh && mkdir -p build/fresh
	@$(call generate,build/fresh)
	@cd build/fresh/tongban/protos && for f in $$(find . -type f); do \
	  cmp -s $$f $(CURDIR)/protos/$$f || { echo "stale: protos/$$f (run make proto)"; exit 1; }; done
	@cd protos && for f in $$(find . -name '*_pb2*.py*' -not -path '*/__pycache__/*'); do \
	  test -e $(CURDIR)/build/fresh/tongban/protos/$$f || { echo "no .proto for protos/$$f"; exit 1; }; done
	@echo "generated code is fresh"

fmt: setup
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: setup farm
	@$(BIN)/mypy --config-file setup.cfg | sed 's#build/typing/tongban/##; s#build/typing/##'; exit $${PIPESTATUS[0]}

fast: setup
	$(BIN)/python -P -m pytest -q -m 'not slow' tests

check: proto-check lint types fast

# What is quick to fail runs first.
test: setup
	@started=$$SECONDS; \
	$(BIN)/python -P -m pytest -q -m 'not slow' tests && \
	$(BIN)/python -P -m pytest -q -m slow tests && \
	echo "all tests passed in $$((SECONDS - started)) s"

demo: setup
	$(BIN)/tongban demo $(if $(CASES),--cases $(CASES),)

bench: setup
	$(PY) -m tests.bench

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .tongban
