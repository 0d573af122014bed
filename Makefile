# `make` and `make test` are all that a newcomer needs; the rest is for those who change things.

VENV := .venv
BIN := $(VENV)/bin
SUMNIST := $(BIN)/sumnist
WHEEL := 26214400
CANDIDATES := python3.11 python3 python3.12 python3.13
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: main setup test test-long check faults bench ship docs site release publish serve static clean

main: setup  ## train on all of MNIST with the exact and with a learned fusion, measure both on the grid, read a picture
	$(SUMNIST) train --preset fast --fusion exact --validation 0 --out runs/fast-exact --overwrite
	$(SUMNIST) train --preset fast --fusion concat --epochs 4 --validation 0 --out runs/fast-concat --overwrite
	$(SUMNIST) evaluate runs/fast-exact runs/fast-concat
	$(SUMNIST) predict examples/five.png --number 7 --model runs/fast-exact

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv found; install one, or: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

test: setup  ## the whole protection that a change needs; MARK='not heavy' leaves out those that train, EVERY=4 takes a sample
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long$(if $(MARK), and ($(MARK)))" $(if $(EVERY),--every $(EVERY))

test-long: setup  ## what takes longer: the laboratory, the notebook, shipping, the tutorial; nightly and before a release
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

check: setup  ## lint, format, types, and the size of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m lab house

faults: setup  ## fail or kill every writer at every call that changes files, and write docs/reliability.md from what came of it
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONPATH=tests:. $(BIN)/python tests/faults.py --rows docs/results/faults.jsonl
	$(BIN)/python -m lab docs

bench: setup  ## measure speed, size and growth, and rewrite docs/benchmarks.md from the rows
	$(BIN)/python -m lab bench
	$(BIN)/python -m lab docs

ship: setup  ## train the network that comes with the package anew, verify it and install it
	$(BIN)/python -m lab ship digits

docs: setup  ## rewrite the generated parts of the README and docs/ from the committed result rows
	$(BIN)/python -m lab docs

site: setup web/node_modules  ## build the site from docs/ and the docstrings into build/site; nothing in it is loaded from elsewhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

release: setup  ## build and check what is published, in dist/: source and wheel, and a folder of the network as hubs of models have it
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[release]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	@test $$(cat dist/*.whl | wc -c) -le $(WHEEL) || { echo "the wheel has more than $(WHEEL) bytes"; exit 1; }
	mkdir dist/hub
	cp $(addprefix src/sumnist/pretrained/,README.md config.json model.safetensors model.onnx evaluation.json) dist/hub
	$(SUMNIST) predict examples/five.png --number 7 --model dist/hub

publish: release  ## publish what `make release` built; asks for the credentials of the package index
	$(BIN)/python -m twine upload dist/*.whl dist/*.tar.gz

serve: setup  ## read over HTTP, with a page to draw on, on http://127.0.0.1:8000
	$(SUMNIST) serve

static: setup web/node_modules  ## the page without a server, in build/static
	$(BIN)/python web/static_page.py build/static

web/node_modules: web/package.json web/package-lock.json
	npm ci --prefix web --no-audit --no-fund
	@touch $@

clean:  ## remove the environment and the runs
	rm -rf $(VENV) runs dist build web/node_modules .pytest_cache .mypy_cache .ruff_cache
