# make setup   a Python environment in .venv, with the versions of constraints.txt
# make demo    real images, clicks and boxes, masks: results in demo/
# make test    everything that has to hold: tests, style, types, layers, manifest
# make bench   speed against segment-anything 1.0, into docs/benchmarks.md; ROWS="click frames"
# make docs    the pictures of the documentation, made again from the running program
# make pocket  the embedded model, made again from the images in DATA: runs/, in MINUTES

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP   := $(BIN)/python -m pip --disable-pip-version-check

DATA    ?= ../shared/data
MINUTES ?= 170
WORKERS ?= 2

.PHONY: setup system demo test docs pocket clean

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

bench: setup
	$(BIN)/python benchmarks $(ROWS)

docs: setup system
	$(BIN)/python docs/make_pictures.py

# Workers of one thread each are quicker than one with more; stopped, the same command goes on
pocket: setup
	mkdir -p runs
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(WORKERS) -m napari_sam train \
	  $(DATA) --pocket-split --from scratch --minutes $(MINUTES) --out runs/pocket.safetensors --resume
	$(BIN)/python -m napari_sam.training.pocket $(DATA) runs/pocket.safetensors

clean:
	rm -rf $(VENV) demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
