# What people type. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
WEBUI_PYTHON ?= python3.11
VENV   := .venv
TRAIN  := .venv-train
BIN    := $(VENV)/bin
# A stamp per lock: setup runs again only when a lock or pyproject.toml changed.
STAMP  := $(VENV)/.setup

.PHONY: help setup run test test-slow test-host wheelhouse test-clients test-openwebui fmt lint types imports check lock api-docs config-docs api-fuzz bench models clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv and put everything that is pinned into it

$(STAMP): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "triaged needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --no-index -e .
	@touch $(STAMP)
	@echo "The command is $(BIN)/triaged; 'source $(BIN)/activate' makes it 'triaged' in a shell."

run: setup ## watch this host; Ctrl-C stops everything
	@exec $(BIN)/triaged run

test: setup ## every test that fits in a few minutes
	$(BIN)/pytest

test-slow: setup ## the tests that take long: crash points, soak
	$(BIN)/pytest -m slow --timeout 1800

# What an installation needs without a network, for the Python of .venv (make setup PYTHON=...) and
# this machine's processor.
WHEELHOUSE := build/wheelhouse
wheelhouse: setup ## everything that deploy/install.sh needs offline, in build/wheelhouse
	@rm -rf $(WHEELHOUSE) && mkdir -p $(WHEELHOUSE)/wheels
	$(BIN)/pip download -q --disable-pip-version-check --only-binary :all: --require-hashes \
	  -r requirements/run.txt -d $(WHEELHOUSE)/wheels
	$(BIN)/pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation --no-index \
	  -w $(WHEELHOUSE)/wheels .
	@cp -r requirements/run.txt deploy/install.sh deploy/systemd deploy/actions deploy/triaged.example.toml $(WHEELHOUSE)/
	@echo "$(WHEELHOUSE) is whole: copy it to the host and run install.sh there"

test-host: wheelhouse ## a real Debian in systemd-nspawn: needs root, debootstrap, systemd-container
	$(BIN)/pytest -m host --timeout 1800 tests/host

test-clients: setup ## clients of npm against a real daemon; needs Node 20 and 600 MB
	@mkdir -p build/clients && cp -r tests/clients/node/. build/clients
	@cd build/clients/openai && npm ci --silent
	@cd build/clients/librechat && npm ci --silent
	TRIAGED_NODE_CLIENTS=$(CURDIR)/build/clients $(BIN)/pytest tests/clients

# Open WebUI has an environment of its own. Its pip takes torch's build for processors where one is
# at hand (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL); the usual one comes with 3 GB for graphics cards.
WEBUI := build/openwebui
test-openwebui: setup ## a real Open WebUI against a real daemon; needs Python 3.11 or 3.12 and 3 GB
	@test -x $(WEBUI)/bin/open-webui || { \
	  $(WEBUI_PYTHON) -m venv $(WEBUI) \
	  && $(WEBUI)/bin/pip install -qq --disable-pip-version-check torch==2.13.0 \
	  && $(WEBUI)/bin/pip install -qq --disable-pip-version-check open-webui==0.12.4; }
	TRIAGED_OPEN_WEBUI=$(CURDIR)/$(WEBUI)/bin/open-webui $(BIN)/pytest tests/openwebui

fmt: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test ## all that a change must pass

lock: ## pin the newest allowed dependencies again (see CONTRIBUTING.md)
	requirements/lock

api-docs: setup ## write the table of endpoints in docs/api.md anew
	UPDATE_DOCS=1 $(BIN)/pytest -q tests/api/test_openapi.py

config-docs: setup ## write docs/configuration.md anew, the reference of every setting
	UPDATE_DOCS=1 $(BIN)/pytest -q tests/config/test_reference.py

api-fuzz: setup ## schemathesis against a real daemon; installs it in build/fuzz
	@test -x build/fuzz/bin/schemathesis || { $(PYTHON) -m venv build/fuzz && \
	  build/fuzz/bin/pip install -q --disable-pip-version-check 'schemathesis>=4.32,<5'; }
	PYTHONPATH=. $(BIN)/python tests/fuzz/api_fuzz.py build/fuzz/bin/schemathesis

bench: setup ## every benchmark, side by side with its peer
	$(BIN)/python -m benchmarks

# Training has an environment of its own: torch is large and nothing else needs it.
models: ## make the bundled models again from nothing (at most 90 minutes on 2 cores)
	@$(PYTHON) -m venv $(TRAIN)
	@$(TRAIN)/bin/pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/run.txt -r training/requirements.txt
	@$(TRAIN)/bin/pip install --quiet --disable-pip-version-check --no-deps \
	  -r training/requirements-torch.txt
	$(TRAIN)/bin/python -m training

clean: ## remove what setup made
	rm -rf $(VENV) $(TRAIN) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
