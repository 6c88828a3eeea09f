# make train   trains on generated characters; ARGS="model=mlp trainer.max_epochs=5" are passed on
# make record  trains experiment=record on EMNIST Balanced, which is downloaded, to the end and prints its test accuracy
# make test    runs the tests; ARGS="-k folds" are passed on
# make lint    checks style, format, types and the direction of imports
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: train record test lint

train: .venv/installed
	$(BIN)/python -m emnist.train data=glyphs $(ARGS)

record: .venv/installed
	$(BIN)/python -m emnist.train experiment=record data.fold=null $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
