# make report   reruns every study and writes reports/
# make test     linters, types, layers, tests, doctests and notebooks
# make docs     writes the documentation site to docs/_build/html
# Each makes its own virtual environment in .venv first; the network is used for PyPI alone.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
EXTRAS := io,report,notebook,docs,dev

.PHONY: report test docs data clean

report: $(STAMP)
	$(BIN)/alliance-stats report --out reports

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n 2
	$(BIN)/pytest --nbval --nbval-current-env notebooks

docs: $(STAMP)
	TQDM_DISABLE=1 $(BIN)/python docs/_ext/assemble.py docs/_build/source
	$(BIN)/sphinx-build -q -E -W --keep-going -c docs -d docs/_build/doctrees docs/_build/source docs/_build/html

data: $(STAMP)
	$(BIN)/alliance-stats simulate --out data/synthetic

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "alliance_stats needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $(STAMP)

clean:
	rm -rf docs/_build .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
