# make demo     install into .venv and run the quickstart (BACKEND=jax|torch|tensorflow)
# make test     install, lint, then the whole suite under each of the three backends
# make test-all the same, with what is slow to compile on all of them and 10,000 mutants of each format
# make bench    install the peers too, measure side by side, write benchmarks/RESULTS.md (half an hour)
# make gpu      on a machine with a GPU: acceptance and speed, writes benchmarks/RESULTS-GPU.md (8 minutes)
# make lint     ruff and the import contracts
# make format   let ruff rewrite what it can
# make clean    remove everything that make, the tests and the builds have written

PYTHON  ?= python3
BACKEND ?= jax
JOBS    ?= 2

BIN   := .venv/bin
STAMP := .venv/.installed
BENCH_STAMP := .venv/.bench-installed

# The first backend, whose toys start soonest, also runs the tests that do not depend on one.
BACKENDS := torch tensorflow jax

export TF_CPP_MIN_LOG_LEVEL := 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One thread per test worker: they would only wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false \
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

# Toys are compiled far longer than they run, so JAX's compiler need not try hard. (Its cache on
# disk halves the time, but reading it back has crashed a process once in some 2,000 tests.)
QUICK_COMPILER := XLA_FLAGS="--xla_cpu_multi_thread_eigen=false \
	--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

.PHONY: demo test test-all bench gpu lint format clean install $(BACKENDS:%=test-%)

demo: install
	KERAS_BACKEND=$(BACKEND) $(BIN)/python examples/quickstart.py

# In this order whatever -j says: three suites at once would share two cores.
test: install
	$(MAKE) --no-print-directory lint
	@set -e; for backend in $(BACKENDS); do $(MAKE) --no-print-directory test-$$backend; done
	@echo; echo "All tests passed under: $(BACKENDS)"

test-all:
	$(MAKE) --no-print-directory test PYTEST_ARGS="--everywhere $(PYTEST_ARGS)"

$(BACKENDS:%=test-%): test-%: install
	@echo; echo "================ tests under $* ================"
	KERAS_BACKEND=$* $(ONE_THREAD) $(QUICK_COMPILER) \
		$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		$(if $(filter $*,$(firstword $(BACKENDS))),,-m "not backend_free") $(PYTEST_ARGS)

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# Nothing is installed: such machines have their own PyTorch and JAX, and often no network.
gpu:
	$(firstword $(wildcard $(BIN)/python) $(PYTHON)) -m benchmarks.gpu $(GPU_ARGS)

# The contracts are checked on the installed layout: only there is training/ zoo.training.
lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target build/lint .
	cd build/lint && ../../$(BIN)/lint-imports --config ../../pyproject.toml --no-cache
	rm -rf build

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing the pinned set into .venv: a few minutes the first time."
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed, this is ' + sys.version + '; say make PYTHON=...')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools setuptools-scm wheel
	@# setuptools warns about every editable install
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--no-build-isolation --editable ".[all,dev]"
	@touch $@

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--no-build-isolation --editable ".[all,dev,bench]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
