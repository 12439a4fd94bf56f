# make setup   a Python environment in .venv, with the versions of constraints.txt
# make demo    real images, clicks and boxes, masks: results in demo/
# make test    everything that has to hold: tests, style, types, layers, manifest
# make docs    the pictures of the documentation, made again from the running program

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP   := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: setup system demo test docs clean

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml constraints.txt hatch_build.py
	@test -x $(BIN)/python || .ci/create-venv $(VENV)
	$(PIP) install --quiet -c constraints.txt pip
	$(PIP) install --quiet -c constraints.txt --group dev -e '.[gui]'
	$(PIP) install --quiet -c constraints.txt --no-deps --group oracles
	@touch $@

system:
	@.ci/system-packages

demo: setup
	$(BIN)/napari-sam demo

test: setup system
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-sam-annotator --imports
	$(BIN)/pytest

docs: setup system
	$(BIN)/python docs/make_pictures.py

clean:
	rm -rf $(VENV) demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
