# make demo   train, cross-evaluate, print Tables 2, 3 and 4 and write a report, on a small real data set
# make demo-segmentation   the same for segmentation, Tables 5 to 7, on painted street scenes
# make test   run the tests
# make test-slow   and those that kill a run at 30 random moments, and sweeps on a real Slurm
# make lint   check style
# make lock   resolve requirements.lock again from pyproject.toml
# Each sets up what it needs (.venv, pinned by requirements.lock) and reuses it the next time.

PYTHON ?= python3
BIN := .venv/bin
# The tests spend most of their time in processes of their own: more workers than cores only slow
# them, and so do threads that wait for each other.
TEST_WORKERS ?= 2

.PHONY: env demo demo-segmentation test test-slow lint lock

env: .venv/.complete

# Bytecode once for all: under PYTHONDONTWRITEBYTECODE, as in many containers, each process would
# compile torch anew, which takes longer than importing it.
.venv/.complete: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements.lock)"
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --compile-bytecode requirements.lock
	@touch $@

demo: env
	$(BIN)/python -m data.digits demo/digits
	$(BIN)/python -m launch.sweep configs/sweeps/demo.yaml
	$(BIN)/python evaluate.py demo/runs/* --padding zero partial
	$(BIN)/python -m results tables --runs demo/runs --seeds 2
	$(BIN)/python -m results report --runs demo/runs --seeds 2 --out demo/report.html

demo-segmentation: env
	$(BIN)/python -m data.street_scenes demo_segmentation/streets
	$(BIN)/python -m data.cityscapes demo_segmentation/streets
	$(BIN)/python -m launch.sweep configs/sweeps/demo_segmentation.yaml
	$(BIN)/python evaluate.py demo_segmentation/runs/* --padding zero partial --save-predictions
	$(BIN)/python -m results tables --runs demo_segmentation/runs --seeds 1
	$(BIN)/python -m results figures --runs demo_segmentation/runs --out demo_segmentation/figures
	$(BIN)/python -m results report --runs demo_segmentation/runs --seeds 1 --out demo_segmentation/report.html
	@echo "Painted scenes, not Cityscapes, and one run a padding: evidence that the machinery works, not of the paper's claim."

test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile \
		--no-loadscope-reorder -m "not slow"

test-slow: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lock: env
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock
