# make run        a sandbox on http://127.0.0.1:8000       PORT= HOST= WORKERS=
# make test       lint, types and the whole test suite     PYTEST_ARGS=
# make conformance  the official HL7 validator over personas, generated members and answers   PACKAGES= MEMBERS= CONFORMANCE_ARGS=
# make evidence   the measurements of docs/evidence
# make docs       the README's generated tables
# make migration NAME="what changes"   the next migration, drafted from the tables of server/storage/schema.py
# make clean      forget the sandbox's data and the virtual environment
#
# PYTHON=/path/to/python chooses the interpreter; otherwise the first of these that works is taken.

SHELL := /bin/bash
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3 /usr/bin/python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
PYTEST_ARGS ?= -n 2
MEMBERS ?= 40
VALIDATOR := tests/conformance/validator

.PHONY: run test conformance evidence docs migration clean

run: .venv/.run
	@exec $(BIN)/patient-access sandbox

test: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: .packages-named
.packages-named:
	@test -n "$(PACKAGES)" || { echo "name the folder of FHIR packages: make conformance PACKAGES=path/to/packages" >&2; exit 2; }

# Needs a JDK (11 or later) and Maven, which fetches the validator once from Maven Central; PACKAGES is a folder of FHIR packages.
conformance: .packages-named .venv/.test var/conformance/classes/Validate.class
	$(BIN)/python -m tests.conformance.official_validator --packages "$(PACKAGES)" --members $(MEMBERS) $(CONFORMANCE_ARGS)

var/conformance/jars/.fetched: $(VALIDATOR)/pom.xml
	@echo "Fetching the official validator (once; 130 MB) ..."
	@rm -rf $(@D)
	@mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(abspath $(@D))
	@touch $@

var/conformance/classes/Validate.class: $(VALIDATOR)/Validate.java var/conformance/jars/.fetched
	@javac -nowarn -d $(@D) -cp 'var/conformance/jars/*' $< 2>&1 | grep -v '^Note:' || test -f $@

evidence: .venv/.test
	@missed=0; \
	$(BIN)/python -m loadtests.hot_path --profile --output docs/evidence/hot_path.md || missed=$$?; \
	$(BIN)/python -m loadtests.hot_path --postgresql --profile --output docs/evidence/hot_path_postgresql.md || missed=$$?; \
	$(BIN)/python -m loadtests.hot_path --beside tests.without_ledger:create_app --output docs/evidence/ledger_cost.md || missed=$$?; \
	$(BIN)/python -m loadtests.hot_path --beside tests.without_token_check:create_app --goal 0.9 --output docs/evidence/token_check_cost.md || missed=$$?; \
	$(BIN)/python -m loadtests.authorization --output docs/evidence/authorization.md || missed=$$?; \
	$(BIN)/python -m loadtests.authorization --postgresql --output docs/evidence/authorization_postgresql.md || missed=$$?; \
	$(BIN)/python -m loadtests.generate --output docs/evidence/generator.md || missed=$$?; \
	$(BIN)/python -m loadtests.crawl --output docs/evidence/crawl.md || missed=$$?; \
	$(BIN)/python -m loadtests.crawl --postgresql --output docs/evidence/crawl_postgresql.md || missed=$$?; \
	$(BIN)/python -m loadtests.shapes_evidence --output docs/evidence/shapes.md || missed=$$?; \
	$(BIN)/python -m loadtests.shapes_evidence --postgresql --output docs/evidence/shapes_postgresql.md || missed=$$?; \
	$(BIN)/python -m loadtests.soak --output docs/evidence/soak.md || missed=$$?; \
	$(BIN)/python -m loadtests.scale --output docs/evidence/scale.md || missed=$$?; \
	$(BIN)/python -m loadtests.scale --postgresql --members 1000,10000 --output docs/evidence/scale_postgresql.md || missed=$$?; \
	$(BIN)/python -m loadtests.scaling || missed=$$?; \
	exit $$missed

docs: .venv/.run
	$(BIN)/python -m server.documentation

migration: .venv/.run
	$(BIN)/python -m server.storage.migrate "$(NAME)"

clean:
	rm -rf .venv var build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A pyenv or asdf shim may exist and still not run, and a system Python may lack venv: each candidate is tried.
.venv/bin/python:
	@for python in $(CANDIDATES); do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	      >/dev/null 2>&1; then \
	    echo "Making a virtual environment in .venv with $$($$python -V 2>&1) ..."; \
	    exec $$python -m venv .venv; \
	  fi; \
	done; \
	echo "make needs Python 3.11, 3.12 or 3.13 with its venv module; name one with PYTHON=/path/to/python" >&2; exit 2

.venv/.run: pyproject.toml | .venv/bin/python
	@echo "Installing what pyproject.toml asks for (once; about a minute) ..."
	@$(PIP) --editable .
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	@echo "Installing what the tests need (once; about a minute) ..."
	@$(PIP) --editable '.[test,load,telemetry]'
	@touch $@ .venv/.run
