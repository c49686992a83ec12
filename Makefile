# Everything starts from a bare Python 3.11 or later: `make test` makes what it needs.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
LISTS = $(basename $(notdir $(wildcard benchmarks/environments/*.txt)))
ENVIRONMENTS = $(filter-out %.no-deps,$(LISTS))

SCRIPTS = $(addprefix benchmarks/,ask_latency.py harness.py import_time.py programs.py \
	objectives.py scheduler_decisions.py speed.py \
	store.py surrogates.py training_loops.py trial_overhead.py)

.PHONY: demo test test-all check bench bench-full bench-env clean

# A real sweep, small enough to watch: trained models, and what was learned about the space.
demo: $(READY)
	$(BIN)/bojax sweep examples/digits_mlp.py --splits 10

# Minutes: the fast tests and every example in the documentation strings.
test: $(READY)
	$(BIN)/pytest -n 2 --dist loadfile

test-all: $(READY)
	BOJAX_TEST_OPTIMISED=1 $(BIN)/pytest -m ""

# Types are checked on an installed copy: an editable install hides from mypy that kernels/
# and acquisitions/ are bojax.kernels and bojax.acquisitions.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target build/installed build/wheel/*.whl
	cd build/installed && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml -p bojax

# The standard set, ours alone, in minutes: regret on both halves, one by one and in batches of
# 4, beside the stored traces of other libraries; then the page.
bench: $(READY)
	$(BIN)/python benchmarks/regret.py
	$(BIN)/python benchmarks/make_page.py

# Everything, hours: what is compared with needs `make bench-env` first.
bench-full: $(READY)
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/regret.py
	@set -e; for script in $(SCRIPTS); do echo "== $$script"; $(BIN)/python "$$script"; done
	$(BIN)/python benchmarks/kills.py --folder build/kills
	$(BIN)/python benchmarks/make_page.py

# The libraries the bench compares with, each in an environment of its own, made from a pinned
# list (some gigabytes of PyTorch in all). One that fails is named and the others are made.
bench-env:
	$(MAKE) --keep-going $(ENVIRONMENTS:%=.bench/%/ready)

.bench/%/ready: benchmarks/environments/%.txt
	@echo "== $*"
	@{ $(PYTHON) -m venv .bench/$* && $(call install,$*,$<) && touch $@; } \
		|| { rm -rf .bench/$*; echo "$*: not installed; the others go on"; exit 1; }

# What has requirements it cannot mean goes without them, after the rest: <name>.no-deps.txt
install = .bench/$1/bin/python -m pip install --quiet --requirement $2 \
	&& { test ! -e $(2:.txt=.no-deps.txt) || .bench/$1/bin/python -m pip install --quiet \
		--no-deps --requirement $(2:.txt=.no-deps.txt); }

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "bojax needs Python 3.11 or later; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
