# Two commands matter: `make demo` (the main job) and `make test`. Both do all the set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo site-demo test test-slow soak lint bench docs lock contracts clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	touch $@

demo: install
	$(BIN)/parity-mas run launch/scenarios/laboratory.yaml --set ledger.register=chain --out runs/demo

site-demo: install
	$(BIN)/parity-mas site demo

test: install
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not soak"

test-slow: install
	$(BIN)/pytest -n 2 --dist loadfile -m "slow and not soak"

soak: install
	$(BIN)/pytest -m soak

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks

docs: install
	$(BIN)/mkdocs build --strict

lock:
	$(BIN)/pip-compile --quiet --strip-extras --extra dev --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate --output-file requirements.lock pyproject.toml
	sed -i '/^parity-mas /d' requirements.lock

contracts: install
	$(BIN)/python -m contracts.compile

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
