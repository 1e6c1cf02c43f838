# Every target sets up what it needs; a set-up that is up to date costs milliseconds.
metaprior := .venv/bin/metaprior
python := .venv/bin/python

.PHONY: help setup demo test slow lint format golden bench docs clean

help: ## what can be made here
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: ## .venv and, on hosts with an old C library, .runtime
	@bash bootstrap/setup.sh

demo: setup ## the main job on handwritten digits: raw scans to a served, measured encoder
	@$(metaprior) run --config configs/digits.yaml

test: setup ## the everyday suite
	@$(python) -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadgroup --no-loadscope-reorder

slow: setup ## the checks that take too long for every day
	@$(python) -m pytest -m slow

lint: setup ## style and types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/pyright

format: setup ## apply the style
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

golden: setup ## new first-step losses, after a change that is meant to change them
	@PYTHONPATH=. $(python) tests/contracts.py

docs: setup ## the generated pages
	@$(metaprior) config --markdown > docs/configuration.md
	@$(metaprior) models --markdown docs/models

bench: setup ## measurements, as ratios
	@for script in $(notdir $(basename $(wildcard benchmarks/*.py))); do \
		echo "== $$script"; $(python) -m benchmarks.$$script || exit; \
	done

clean: ## remove what set-up and runs made
	rm -rf .venv .runtime runs build dist *.egg-info
