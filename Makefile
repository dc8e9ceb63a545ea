# make demo | test | check | bench | clean. The first of them makes .venv (some minutes), later
# ones keep it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# One thread a process: two pytest workers, or one training, on two cores.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test check bench clean
.DEFAULT_GOAL := test

demo: $(READY)
	$(BIN)/isthmus demo --out demo --force

test: $(READY)
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Speed beside the peers, about a quarter of an hour on a quiet machine; the figures are printed and
# written to benchmarks/results. What needs data of its own says so where ISTHMUS_DATA is not set.
bench: $(READY)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]' --no-build-isolation
	set -e; for name in startup training encoding contraction scale; do $(BIN)/python -m benchmarks.$$name; done
	@if [ -n "$$ISTHMUS_DATA" ]; then $(BIN)/python -m benchmarks.quality; \
	else echo "quality is skipped: ISTHMUS_DATA names no folder (docs/benchmarks.md)"; fi

# An environment that works is kept and only brought up to date; one without a working
# interpreter (moved, or half made) is made anew. The build backend is installed first and the
# package built without isolation, so that the constraints hold for it under every version of pip.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "isthmus needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q -c constraints.txt hatchling editables
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

# What the rules above make, except .venv.
clean:
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
