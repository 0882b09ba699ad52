# make train | play | evaluate | doctor | docs | test, with arguments in ARGS: make train ARGS="--max_iterations=5"
# The first call makes .venv from constraints.txt; it is made again only when pyproject.toml or constraints.txt change.

TASK ?= pointfoot_flat
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made

# The first Python that is new enough; give another one with PYTHON=...
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# With an NVIDIA GPU, MuJoCo Warp comes along.
EXTRAS ?= $(shell command -v nvidia-smi >/dev/null && echo dev,docs,sim2sim,gym,viewer,gpu || echo dev,docs,sim2sim,gym,viewer)
# Without an NVIDIA GPU, PyTorch's own index spares gigabytes of CUDA; asked only if it answers. Off: TORCH_INDEX=
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH_INDEX ?= $(shell command -v nvidia-smi >/dev/null || { "$(PYTHON)" -c \
	'from urllib.request import urlopen; urlopen("$(CPU_INDEX)/", timeout=5)' 2>/dev/null && echo $(CPU_INDEX); })

# What Isaac Gym's own Python runs; `ruff` knows them too, see pyproject.toml.
PYTHON38_FILES := $(addprefix legged_gym/sim/process/,protocol.py memory.py serve.py) legged_gym/sim/servo.py \
	$(addprefix legged_gym/sim/isaacgym/,worker.py scene.py engine.py) tests/sim/isaacgym/standin

.PHONY: setup train play evaluate doctor docs test lint campaign peer clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "legged_gym needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version): torch, MuJoCo, rsl_rl (a few minutes, once)"
	@"$(PYTHON)" -m venv $(VENV) || { echo "cannot make $(VENV): is the venv module there (python3-venv)?" >&2; exit 1; }
	@index="$(TORCH_INDEX)"; $(BIN)/python -m pip install -qq --disable-pip-version-check \
		$${index:+--extra-index-url $$index} --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
	@echo "Set-up done"

train: $(STAMP)
	@$(BIN)/python legged_gym/scripts/train.py --task=$(TASK) --headless $(ARGS)

play: $(STAMP)
	@$(BIN)/python legged_gym/scripts/play.py --task=$(TASK) $(ARGS)

evaluate: $(STAMP)
	@$(BIN)/python legged_gym/scripts/evaluate.py --task=$(TASK) $(ARGS)

doctor: $(STAMP)
	@$(BIN)/python legged_gym/scripts/doctor.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vermin --quiet --no-tips --target=3.8- --violations $(PYTHON38_FILES)

# A warning, a broken link among them, is an error. The variable turns off an advertisement.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "open build/site/index.html"

# Two files of tests at a time, each on a thread of its own: all in half the time, on two cores as on many.
test: lint docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

# Kills, faults and bad inputs, N of each kind: by hand, not in CI. KIND=kills for one kind, SEED=1 to repeat, JOBS=8 at once.
N ?= 100
JOBS ?= 1
campaign: $(STAMP)
	OMP_NUM_THREADS=1 ROBOT_TYPE=PF_TRON1A $(BIN)/python -m tests.campaign $(KIND) --n=$(N) --jobs=$(JOBS) $(if $(SEED),--seed=$(SEED))

# An environment of its own for benchmarks/peer_mjlab.py: mjlab pins older versions of MuJoCo and rsl_rl than ours.
PEER := build/peer
peer: $(STAMP)
	@"$(PYTHON)" -m venv $(PEER)
	@index="$(TORCH_INDEX)"; $(PEER)/bin/python -m pip install -qq --disable-pip-version-check \
		$${index:+--extra-index-url $$index} torch==2.13.0 mjlab==1.6.0 warp-lang==1.19.0 psutil pyyaml onnx onnxruntime
	@echo "mjlab is in $(PEER); compare with: python benchmarks/peer_mjlab.py --num_envs=4096,8192 --until_walking=90"

# Runs stay: logs/ is never removed.
clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find legged_gym resources tests -name __pycache__ -type d -prune -exec rm -rf {} +
