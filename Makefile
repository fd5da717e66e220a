# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
RUNS := .venv/.runs
READY := .venv/.ready
DOCS := .venv/.docs
WORKERS ?= auto

.PHONY: always demo reports test test-all test-rest browser test-load test-crash test-damage test-ray \
  docs notebooks lint setup format clean
.DELETE_ON_ERROR:

# Modules are compiled once, when they are first imported, also where a shell or an image says not to:
# each process that imports torch, pandas and matplotlib would compile them for three seconds.
unexport PYTHONDONTWRITEBYTECODE

setup: $(READY)

# One environment, pinned by constraints.txt, made anew when the project's needs change: first what
# the package itself needs, which is all of the demo's, then what its tests need beside it.
# torch comes first and by its pin: on some indexes a bare `torch` is gigabytes of CUDA.
# Modules are compiled when they are first imported: most of torch never is.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
  --constraint constraints.txt

$(RUNS): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stratigraph needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version)." \
	         "Point PYTHON= at a newer one." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	$(INSTALL) --editable .
	touch $@

$(READY): $(RUNS)
	$(INSTALL) --editable '.[all,test,lint]'
	touch $@

demo: results/quick

# A study of studies/ to its report: `make results/paper-decided`. The same again goes on with it.
results/paper-decided: OPTIONS := --until-decided --looks 4,6,8
results/architectures-decided: OPTIONS := --until-decided --looks 4,6
results/%: studies/%.yaml $(RUNS) always
	$(BIN)/stratigraph run $< --out $@ $(OPTIONS)

always:

# The reports of the studies that are kept, from their tables, into results/kept.
reports: $(RUNS)
	set -e; for kept in $(dir $(wildcard studies/results/*/labels.parquet)); do \
	  $(BIN)/stratigraph report $$kept --out results/kept/$$(basename $$kept); done

test: $(READY) browser
	$(BIN)/python -m pytest -n $(WORKERS)

# What it leaves to them: soaks, two hundred locks, samples of kills, S3 and Ray where a folder and
# processes of this machine have been asked the same.
test-rest: $(READY) $(DOCS) browser
	$(BIN)/python -m pytest -n $(WORKERS) -m full

test-all: test test-rest

# The page is tested in a real browser, Debian's; without one its tests are skipped, and say so.
browser:
	@command -v chromium chromium-browser >/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	      >/dev/null 2>&1 || echo "chromium could not be installed: the page's tests are skipped." >&2; \
	  else \
	    echo "No chromium here, and no right to install it: the page's tests are skipped." \
	         "As root: apt-get install chromium." >&2; \
	  fi

# The page under load, while a study trains: a minute and a half.
test-load: $(READY)
	$(BIN)/python -m pytest -m slow -rP tests/web --timeout 600

# Every operation on a file killed, refused and cut off from power: half an hour.
test-crash: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist load -m crash -rP tests/crash tests/stages \
	  --timeout 1800

# Every byte of a small study changed, every length cut.
test-damage: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist load -m damage -rP tests/crash --timeout 1800

# Ray under twenty killed workers, five killed drivers and a lost node; and the published grid's first
# steps on it: some twenty minutes.
test-ray: $(READY)
	$(BIN)/python -m pytest -m slow -rP tests/engine tests/data --timeout 1800

# The site: docs/_build/site/index.html, which opens without a server and without a network.
docs: $(DOCS)
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/site
	@echo "The site is in docs/_build/site/index.html"

# Runs the notebooks of the site and keeps their outputs in them.
notebooks: $(DOCS)
	$(BIN)/python docs/_site/notebooks.py

$(DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[docs]'
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf results .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
