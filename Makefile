# tcpspec: `make conformance` checks a stack, `make test` checks the harness.
# Both set up what they need first: a virtual environment in .venv, and system packages
# by apt where that is possible.

PYTHON ?= python3
TARGET ?= netns
TIMERS ?= tuned
REPORTS ?= reports
# `host` takes over this machine's settings, a path those of a sysctl.d file or folder.
PROFILE ?=
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Testcases wait much more than they compute: many workers a core.
WORKERS ?= $(if $(filter documented,$(TIMERS)),28,18)

# Every worker would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: conformance test check setup packages clean

conformance: setup packages
	$(BIN)/pytest testcases $(addprefix --target ,$(TARGET)) --timers $(TIMERS) \
		$(addprefix --sysctl-from ,$(PROFILE)) -n $(WORKERS) --reports $(REPORTS) --alluredir $(REPORTS)/allure-results \
		--clean-alluredir --junit-xml $(REPORTS)/junit.xml $(PYTEST_ARGS)

test: setup
	$(BIN)/pytest tests -n 2 $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/tcpspec coverage --check

setup: $(VENV)/.complete

$(VENV)/.complete: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tcpspec needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "no virtual environment can be made: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

packages:
	@command -v iptables >/dev/null 2>&1 || PATH="$$PATH:/usr/sbin:/sbin" command -v iptables >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y iptables; \
	else \
		echo "iptables is not installed: run 'apt-get install iptables' as root, then make again"; exit 1; \
	fi

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
