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
# Testcases wait much more than they compute: many workers a core; fewer where each has a container.
# In virtual time they only compute: one a core.
WORKERS ?= $(if $(filter-out qemu%,$(TARGET)),$(if $(filter docker gvisor,$(TARGET)),16,28),$(shell nproc))

# Every worker would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: conformance test browser check setup packages kernels clean

# Whatever came of it, what was found is a site to look at in $(REPORTS)/site.
conformance: setup packages kernels
	@status=0; set -x; \
	$(BIN)/pytest testcases $(addprefix --target ,$(TARGET)) --timers $(TIMERS) \
		$(addprefix --sysctl-from ,$(PROFILE)) -n $(WORKERS) --reports $(REPORTS) \
		--alluredir $(REPORTS)/allure-results --clean-alluredir \
		--junit-xml $(REPORTS)/junit.xml $(PYTEST_ARGS) || status=$$?; \
	[ $$status -gt 1 ] || $(BIN)/tcpspec report $(REPORTS) --only site || true; \
	exit $$status

# The whole catalogue too, on a model of RFC 9293: in virtual time, without root.
test: setup
	$(BIN)/pytest tests --ignore tests/browser -n 2 $(PYTEST_ARGS)
	$(BIN)/pytest testcases --target model-rfc9293 --timers documented --strict -n 2 \
		--reports $(REPORTS)/model $(PYTEST_ARGS)

# Pages in a real browser: with Chromium and npm, which apt installs here where it can.
browser: setup
	@lacking=; for name in chromium npm; do command -v $$name >/dev/null || lacking="$$lacking $$name"; done; \
	if [ -z "$$lacking" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$lacking fonts-dejavu-core >/dev/null; \
	else \
		echo "this needs a browser and npm: run 'apt-get install$$lacking' as root, then make again"; exit 1; \
	fi
	$(BIN)/pip install --quiet --editable '.[browser]'
	$(BIN)/python -c 'from harness.reporting.allure3 import program; program.install(development=True)'
	$(BIN)/pytest tests/browser $(PYTEST_ARGS)

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
	$(BIN)/pip install --quiet --editable '.[dev,report]'
	@touch $@

# What a kind of target needs of Debian, found by the first word of its name.
apt.netns := iptables
apt.docker := iptables docker.io mmdebstrap
apt.gvisor := iptables docker.io mmdebstrap runsc
apt.lwip := liblwip0
apt.slirp := libslirp0
apt.uml := iptables debian-archive-keyring patchelf
apt.qemu := qemu-system-x86 iptables debian-archive-keyring
kinds = $(sort $(foreach name,$(TARGET),$(firstword $(subst -, ,$(subst :, ,$(name))))))
needed = $(sort $(foreach kind,$(kinds),$(apt.$(kind))))
kernels = $(filter uml-% qemu-%,$(TARGET))

packages:
	@lacking=; for name in $(needed); do \
		dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || lacking="$$lacking $$name"; \
	done; \
	if [ -z "$$lacking" ] || ! command -v dpkg-query >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$lacking >/dev/null; \
	else \
		echo "as root, run: apt-get install --no-install-recommends$$lacking"; exit 1; \
	fi

kernels: setup packages
	@for name in $(kernels); do $(BIN)/tcpspec kernels fetch $$name || exit 1; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
