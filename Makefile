# What a person runs, and CI with them: make search | test | test-all | check | readme; make litert | coreml | ray |
# postgresql adds what is optional.
#   ARGS         more arguments for `nas search` (make search ARGS="--json") or for pytest (make test ARGS="-k graph")
#   TORCH_INDEX  a package index with CPU builds of torch, where the default index has only CUDA builds
#   PYTHON       a Python 3.11 or newer; by default the first one found

SHELL := /bin/sh
ARGS ?=
TORCH_INDEX ?=
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

EXTRAS := litert coreml ray postgresql

.PHONY: help search test test-all check readme $(EXTRAS)

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

search: .venv/ready
	@$(BIN)/nas search --target-latency 1ms --device iphone12 $(ARGS)

# One BLAS thread a worker: more of them only get in each other's way.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

# Minutes: without the long proofs.
test: .venv/ready-to-test
	$(PYTEST) -m "not slow" $(ARGS)

test-all: .venv/ready-to-test
	$(PYTEST) $(ARGS)

check: .venv/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Runs the commands whose output README.md and docs/your-data.md show (some minutes), and writes it there.
readme: .venv/ready
	$(BIN)/python -m benchmarks.transcript README.md docs/your-data.md

$(EXTRAS): .venv/ready
	@$(INSTALL) --editable '.[$@]' >&2

# A stamp is made last, so an interrupted installation is taken up again; what pip says goes to stderr, because
# the stdout of `make search` belongs to the command.
.venv/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, but none was found; set PYTHON=/path/to/it." >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) must be Python 3.11 or newer." >&2; exit 1; }
	@echo "Setting up .venv; this takes a few minutes once." >&2
	@$(PYTHON) -m venv .venv >&2
	@touch $@

.venv/ready: .venv/made pyproject.toml constraints.txt
	@$(INSTALL) --editable . >&2
	@touch $@

.venv/ready-to-test: .venv/made pyproject.toml constraints.txt
	@$(INSTALL) --editable '.[test,check]' >&2
	@touch $@ .venv/ready
