# make check: what must pass before a push. Use the environment in which `python -m pip install -e ".[test]"` was run.
.PHONY: check lint test slow coverage docs ci

check: lint test

lint:
	python -m pre_commit run --all-files

test:
	python -m pytest

slow:
	python -m pytest -m "slow or not slow"

coverage: # branch coverage of the quick tests: a table in the terminal and pages in htmlcov/
	python -m pytest --cov --cov-report=term:skip-covered --cov-report=html

docs:
	python -m mkdocs build --strict -f docs/mkdocs.yml

ci: # as on a new machine: fresh environments, then the notebooks, servers and the wheel; 25 to 45 minutes
	.ci/run
