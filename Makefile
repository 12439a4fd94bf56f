# make demo         real images, clicks and boxes, masks, the window: results in demo/
# make test         all checks: style, types, layers, manifest, tests
#
# make quick        the fast tests that need no window, in two to three minutes on two slow cores
# make test-oldest  the same tests with the lowest versions that pyproject.toml allows
# make test-pyside  those that open a window, with PySide6 in place of PyQt6
# make dist         wheel and source archive in dist/, checked, installed and used in a fresh environment
# make web          the page for browsers, in src/napari_sam/web/page.html; needs Node.js and npm
# make site         the documentation as a website, in site/
# make docs         the pictures of the documentation, made again from the running program; PICTURES="labels"
# make fuzz         the property tests with new examples, and thousands of damaged inputs: none may
#                   hang, use much memory or end in a traceback
# make bench        speed against segment-anything 1.0, into docs/benchmarks.md; ROWS="click frames"
# make pocket       the embedded model, made again from the images in DATA: runs/, in MINUTES
# make setup        only the environment in .venv, with the versions of constraints.txt

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP   := $(BIN)/python -m pip --disable-pip-version-check

# Compiled once: tests start many processes, and pytest compiles all of napari in its own way
unexport PYTHONDONTWRITEBYTECODE

DATA    ?= ../shared/data
MINUTES ?= 170
WORKERS ?= 2

# Tests side by side: a file stays with one process, each process has a screen of its own; the order
# of the files is that of tests/conftest.py
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/pytest $(SIDE_BY_SIDE)

PAGE := src/napari_sam/web/page.html

.PHONY: demo test quick lint test-oldest test-pyside web page-to-test dist site docs bench fuzz pocket setup system clean

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
	@test -n "$$DISPLAY" || .ci/system-packages "The picture of the window needs" || \
	  echo "The demo continues without a picture of the window." >&2
	$(BIN)/napari-sam demo

test: lint system page-to-test
	$(PYTEST)

quick: setup
	@.ci/system-packages || echo "The tests continue without these packages." >&2
	$(PYTEST) -m "not window and not slow" --no-xvfb --hypothesis-profile quick

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-sam-annotator --imports

test-oldest: system
	@test -x .venv-oldest/bin/python || .ci/create-venv .venv-oldest
	.venv-oldest/bin/python .ci/lowest_versions.py > .venv-oldest/lowest.txt
	.ci/test-apart .venv-oldest .venv-oldest/lowest.txt pyqt6 $(SIDE_BY_SIDE)

test-pyside: system
	.ci/test-apart .venv-pyside constraints.txt pyside6 $(SIDE_BY_SIDE) -m window

web: $(PAGE)

web/graphs/network.json: src/napari_sam/web/graphs.py $(wildcard src/napari_sam/graphs/*.py src/napari_sam/model/pocket/*.py) src/napari_sam/weights/pocket.safetensors | $(STAMP)
	$(BIN)/python -m napari_sam.web.graphs web/graphs

$(PAGE): web/graphs/network.json web/build.mjs web/package-lock.json $(wildcard web/src/* web/src/*/*)
	@command -v npm >/dev/null || { echo "The page needs Node.js 20 and npm (Debian: nodejs npm)." >&2; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent check && node build.mjs

# Without npm, the tests of the page are skipped
page-to-test:
	@$(MAKE) --no-print-directory web || echo "The tests continue without the page." >&2

dist: setup system web
	$(PIP) install --quiet -c constraints.txt --group dist
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	DIST=dist $(BIN)/pytest -q tests/test_packaging.py
	.ci/check-install dist/*.whl

site: setup
	$(PIP) install --quiet -c constraints.txt --group docs
	$(BIN)/sphinx-build --quiet -W --keep-going -c docs . site
	@echo "site/index.html"

bench: setup
	$(BIN)/python benchmarks $(ROWS)

fuzz: setup
	$(PYTEST) -m "hypothesis and not window" --no-xvfb --hypothesis-profile fuzz
	$(BIN)/python tests/fuzz --workers $(WORKERS) $(FUZZ)

docs: setup system
	$(BIN)/python docs/make_pictures.py $(PICTURES)

# Workers of one thread each are quicker than one with more; stopped, the same command goes on
pocket: setup
	mkdir -p runs
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(WORKERS) -m napari_sam train \
	  $(DATA) --pocket-split --from scratch --minutes $(MINUTES) --out runs/pocket.safetensors --resume
	$(BIN)/python -m napari_sam.training.pocket.scores $(DATA) runs/pocket.safetensors

clean:
	rm -rf web/node_modules web/graphs $(PAGE) $(VENV) .venv-oldest .venv-pyside demo dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
