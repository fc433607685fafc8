# make run    the analysis: on DATA=path/to/data.root, or on pseudo-data that it first writes
# make test   C++ and Python tests      make test-slow  validation that takes minutes
# make lint   ruff, clang-format, clang-tidy, mypy        make bench  benchmarks, printed as ratios
# make sanitize   the core and its tests with AddressSanitizer and UndefinedBehaviorSanitizer
# make coverage  what the tests reach, in Python and in C++
# make fuzz  text that the parsers do not expect, searched for a minute
# make docs  the documentation as a site, and a page of man
# make dist  sdist and manylinux wheel in dist/
# make notebooks  the notebooks with their results
# make figures  the figures of README and docs
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUTPUT ?= na64root-output
BUILD  := build/core
JOBS   ?= $(shell nproc 2>/dev/null || echo 1)
# Test modules side by side, the tests of one in one process: they share what they make.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
SANITIZE := build/sanitize

.PHONY: build dist docs notebooks run test test-slow coverage sanitize fuzz lint format bench figures clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'na64root needs Python 3.10 or newer: make PYTHON=python3.x'; exit 2; }
	@command -v $${CXX:-g++} >/dev/null || { echo 'na64root needs g++ and libstdc++ headers: apt install g++'; exit 2; }
	@echo "making $(VENV), where everything goes"
	$(PYTHON) -m venv $(VENV)

# One editable install without build isolation: the compiled part is rebuilt in $(BUILD) when C++ changes.
build: $(VENV)/.installed
$(VENV)/.requirements: pyproject.toml | $(BIN)/python
	@echo "installing what na64root needs, ROOT and the tools of development included: some minutes"
	$(BIN)/pip install -q --upgrade pip
	@$(BIN)/python -c 'import sys; sys.path.insert(0, "."); from pip._vendor import tomli; p = tomli.load(open("pyproject.toml", "rb"))["project"]; print("\n".join(p["dependencies"] + p["optional-dependencies"]["dev"]))' > $(VENV)/requirements.txt
	$(BIN)/pip install -q -r $(VENV)/requirements.txt
	@touch $@
$(VENV)/.installed: $(VENV)/.requirements CMakeLists.txt $(shell find cpp -type f -name '*.?pp')
	@echo "compiling the core: two minutes on two processors, later only what has changed"
	$(BIN)/pip install -q --no-build-isolation --no-deps -C build-dir=$(BUILD) -C cmake.define.NA64ROOT_TESTS=ON -e .
	@echo "compiling the event loop"
	$(BIN)/python -m na64root.event_loop.library
	@touch $@

run: build
	$(BIN)/na64root analyze $(if $(DATA),$(DATA),--pseudodata) -o $(OUTPUT) --force
	@$(BIN)/na64root report $(OUTPUT) -o $(OUTPUT) --force >/dev/null
	@echo; echo "The report, for any browser: $(OUTPUT)/report.html"

test: build
	$(BIN)/ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)
	$(PYTEST) -m 'not slow'

test-slow: build
	$(PYTEST) -m slow

# The core is built again, instrumented, in a folder of its own; the next `make build` puts the usual one back.
# Not seen: C++ that is compiled where it is used (the event loop's library, Cling).
COVERED := build/coverage
coverage: build
	rm -f $(VENV)/.installed
	$(BIN)/pip install -q --no-build-isolation --no-deps -C build-dir=$(COVERED) -C cmake.define.NA64ROOT_TESTS=ON \
	  -C cmake.define.CMAKE_CXX_FLAGS='--coverage -fprofile-update=atomic' -C cmake.define.CMAKE_CXX_FLAGS_RELEASE=-O1 -e .
	find $(COVERED) -name '*.gcda' -delete
	$(BIN)/coverage erase
	$(BIN)/ctest --test-dir $(COVERED) --output-on-failure -j $(JOBS)
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile -m 'not slow'
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/gcovr --root . --filter cpp/include --filter cpp/src --filter cpp/bindings --exclude-throw-branches $(COVERED)

# An own build of the core, installed beside a copy of the Python files. Python itself leaks and has no
# sanitizer: the runtime is loaded before it, and without `site` the editable install stays out of the way.
sanitize: $(VENV)/.requirements
	$(BIN)/cmake -S . -B $(SANITIZE) -G Ninja -DCMAKE_BUILD_TYPE=None -DNA64ROOT_SANITIZE=ON -DNA64ROOT_TESTS=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) --log-level=WARNING
	$(BIN)/cmake --build $(SANITIZE) -j $(JOBS)
	$(BIN)/ctest --test-dir $(SANITIZE) -j $(JOBS) --output-on-failure -E test_headers
	rm -rf $(SANITIZE)/site
	$(BIN)/cmake --install $(SANITIZE) --prefix $(SANITIZE)/site >/dev/null
	cp -r python/na64root $(SANITIZE)/site
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  PYTHONPATH=$(SANITIZE)/site:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))') \
	  $(BIN)/python -S -m pytest -q -p no:cacheprovider tests/unit/test_core_bindings.py

# Each parser for some seconds, from the inputs in the repository; what is found stays in build/fuzz.
FUZZED := good_runs card override facts plane model
FUZZ_SECONDS ?= 12
fuzz: build
	@$(BIN)/python -c 'import atheris' || { echo 'nothing is fuzzed: atheris is for Python 3.11 to 3.13 on Linux, x86-64'; exit 0; }; \
	for name in $(FUZZED); do mkdir -p build/fuzz/$$name && \
	  $(BIN)/python tests/fuzz/fuzz.py $$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/ build/fuzz/$$name tests/fuzz/corpus/$$name || exit 1; done

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(shell find cpp macros -name '*.?pp' -o -name '*.C')
	printf '%s\n' $(shell find cpp/src cpp/tests -name '*.cpp') | xargs -P $(JOBS) -n 1 $(BIN)/clang-tidy -p $(BUILD) --quiet
	$(BIN)/mypy

format: build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(shell find cpp macros -name '*.?pp' -o -name '*.C')

# The site of the documentation; a dead link, an unknown name or any other warning ends it. And the page of man.
docs: build
	$(BIN)/sphinx-build -q -W --keep-going -d build/docs/doctrees -c docs . build/docs/html
	$(BIN)/sphinx-build -q -W --keep-going -b man -d build/docs/doctrees-man -c docs . build/docs/man
	@echo "build/docs/html/docs/index.html"

# Each notebook with its results, as build/notebooks/NAME.ipynb.
notebooks: build
	mkdir -p build/notebooks
	for source in notebooks/*.py; do $(BIN)/jupytext --to ipynb --execute --set-kernel - --output build/notebooks/$$(basename $$source .py).ipynb $$source || exit 1; done

# sdist and wheel in dist/, the wheel checked and named by the oldest glibc that it runs on. It needs nothing of this machine but g++, which
# the installed package needs too, for Cling.
dist: build
	rm -rf dist build/dist
	$(BIN)/python -m build --no-isolation --sdist --outdir build/dist .
	$(BIN)/python -m build --no-isolation --wheel -C build-dir=build/wheel --outdir build/dist .
	mkdir -p dist
	cp build/dist/*.tar.gz dist/
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/auditwheel repair -w dist build/dist/*.whl
	@ls -l dist

bench: build
	$(BUILD)/bench_samplers
	$(BIN)/python -m pytest tests/benchmark -rP --benchmark-only --benchmark-columns=median,iqr,rounds

# Planes need no data: the exposure and the counts of the card. In each folder is scan.json, for `na64root plot`.
SCAN := $(BIN)/na64root scan --force -j $(JOBS)
figures: build
	mkdir -p docs/figures
	$(SCAN) mass-epsilon -o build/figures/mass-epsilon
	$(SCAN) mass-alpha -o build/figures/mass-alpha
	$(SCAN) mass1-splitting -o build/figures/mass1-splitting
	$(SCAN) mass1-splitting --config compact_hcal -o build/figures/compact_hcal
	$(BIN)/na64root plot build/figures/mass1-splitting/scan.json build/figures/compact_hcal/scan.json -o build/figures/mass1-splitting --force
	cp build/figures/mass-epsilon/mass-epsilon.png docs/figures/exclusion.png
	cp build/figures/mass-alpha/mass-alpha.png build/figures/mass1-splitting/mass1-splitting.png docs/figures/
	$(BIN)/na64root ledger -j $(JOBS) -o build/figures --force
	cp build/figures/ledger.md docs/assumptions.md
	for target in g2 relic; do $(BIN)/na64root plan --target $$target -j $(JOBS) -o build/figures --force && cp build/figures/exposure-$$target.png docs/figures/ || exit 1; done
	$(BIN)/python tests/validation/figures.py docs/figures

clean:
	rm -rf build $(VENV) na64root-output
