# make demo      set up and compare the shipped twins on the embedded domains
# make test      set up and run the tests; those of the report are skipped where there is no browser
# make test-apps run the tests of the Gradio pages, in an environment of their own
# make browser   install a browser for them (Debian's chromium)
# make quality   set up and check style and types
# make docs      set up and build the documentation's site into build/docs
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
APPS := $(VENV)/apps

.PHONY: demo test test-apps test-slow browser quality docs format clean

demo: $(VENV)/.installed
	$(BIN)/hf-sslgen demo --output_dir runs/demo

# A file's tests stay together, because they share what is expensive to make; a thread each is what two cores have.
test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

# The report is tested in Debian's chromium. Where it is absent, those tests are skipped, or fail with CI=true.
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi; \
	command -v apt-get >/dev/null || { echo "make browser installs Debian's packages, and there is no apt-get here" >&2; exit 1; }; \
	if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
	echo "installing chromium, to test the report in"; \
	$$SUDO apt-get update -qq && \
	$$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium chromium-driver >/dev/null

test-apps: $(APPS)/.installed
	OMP_NUM_THREADS=1 $(APPS)/bin/python -m pytest tests/browser/test_*app_in_browser.py tests/browser/test_*space_in_browser.py

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

quality: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every warning fails, such as a broken link; so does a page that would load anything from elsewhere.
docs: $(VENV)/.installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/docs
	@echo "built build/docs/index.html"

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist runs/demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "hf-sslgen needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Gradio wants an older Pillow than the other tests have, so this environment adds both to theirs.
$(APPS)/.installed: $(VENV)/.installed-test
	$(BIN)/python -m venv $(APPS)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(APPS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests.pth"
	$(APPS)/bin/python -m pip install --quiet --disable-pip-version-check \
		"$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["app"])')"
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ $(VENV)/.installed
