# The commands of this repository. `make run` and `make test` build what they need themselves.
SHELL := /bin/bash
VENV := .venv/bin
# Which Python makes .venv; empty: scripts/bootstrap chooses.
PYTHON ?=
PRESET ?= movielens
# Folder with the source files, for presets that do not fetch theirs (docs/data.md).
DATA ?=
# Seconds after which the tests are taken to hang.
TEST_LIMIT ?= 2400
PYTEST_ARGS ?=
# What bench-disentanglement measures; `paper macrid_vae` too take hours more each on hm and toys.
PROBED ?= default all_terms no_intra no_inter value_alone no_value no_terms probe_on_all_content
SOURCES := addrl_keras tfx_pipeline serving tests setup.py $(wildcard benchmarks examples)

.DEFAULT_GOAL := help
.PHONY: help bootstrap run test test-all bench bench-accuracy bench-training bench-encoders bench-content bench-runs bench-explain bench-control bench-disentanglement lint format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Build or repair .venv (at once when it is complete)
	@PYTHON="$(strip $(PYTHON))" scripts/bootstrap

run: bootstrap ## Train, gate, serve and ask for recommendations (PRESET=movielens DATA=dir)
	@$(VENV)/addrl run $(PRESET) $(if $(DATA),--data "$(DATA)") --demo --report

test: bootstrap ## All tests but the slow ones, and the examples in the docstrings
	@timeout --foreground $(TEST_LIMIT) $(VENV)/python -m pytest -m "not slow" --doctest-modules \
		addrl_keras tfx_pipeline serving tests $(PYTEST_ARGS)

test-all: bootstrap ## Every test
	@$(VENV)/python -m pytest --doctest-modules addrl_keras tfx_pipeline serving tests $(PYTEST_ARGS)

define RUN_HM_AND_TOYS
	@$(VENV)/addrl run hm --data "$(or $(DATA),$(error Name the folder with the source files of hm and toys: make $@ DATA=dir))/hm" --no-baselines
	@$(VENV)/addrl run toys --data "$(DATA)/amazon_toys" --no-baselines
endef

bench: bootstrap ## Measure what is served, beside the baselines; rewrite the figures in the docs
	@$(VENV)/addrl run $(PRESET) $(if $(DATA),--data "$(DATA)")
	@$(VENV)/python -m benchmarks.served $(PRESET)
	@$(VENV)/python -m benchmarks.render

bench-accuracy: bootstrap ## All systems and ablations on three data sets (DATA/hm, DATA/amazon_toys); hours
	@$(VENV)/addrl run movielens --no-baselines
	$(RUN_HM_AND_TOYS)
	@for preset in movielens hm toys; do \
		$(VENV)/python -m benchmarks.accuracy $$preset || exit 1; done
	@$(VENV)/python -m benchmarks.render

bench-training: bootstrap ## Steps, growth, and with PEER=MMREC PEER_PYTHON=python time to its accuracy; an hour
	@$(VENV)/addrl run movielens --no-baselines
	$(RUN_HM_AND_TOYS)
	@$(if $(PEER),$(VENV)/python -m benchmarks.time_to_accuracy hm --peer "$(PEER)" \
		--peer-python "$(or $(PEER_PYTHON),$(error Name an interpreter that has PyTorch: PEER_PYTHON=python))")
	@$(VENV)/python -m benchmarks.step_time movielens hm toys
	@$(VENV)/python -m benchmarks.growth
	@$(VENV)/python -m benchmarks.render

bench-explain: bootstrap ## Whether the reasons are the reasons (DATA=dir of hm and amazon_toys)
	@$(VENV)/addrl run movielens --no-baselines
	$(RUN_HM_AND_TOYS)
	@$(VENV)/python -m benchmarks.explain movielens hm toys
	@$(VENV)/python -m benchmarks.render

bench-control: bootstrap ## What a wish does to a list, beside re-ranking (DATA=dir of hm and amazon_toys)
	$(RUN_HM_AND_TOYS)
	@$(VENV)/python -m benchmarks.control hm toys
	@$(VENV)/python -m benchmarks.render

bench-disentanglement: bootstrap ## What chunks tell of attributes (DATA=dir of hm and amazon_toys); hours
	@$(VENV)/addrl run movielens --no-baselines
	$(RUN_HM_AND_TOYS)
	@$(VENV)/python -m benchmarks.disentanglement movielens hm toys --only $(PROBED)
	@$(VENV)/python -m benchmarks.chunk_maps movielens hm
	@$(VENV)/python -m benchmarks.render

bench-encoders: bootstrap ## Compare the encoders with their references, and time them (needs DATA=dir of hm)
	@$(VENV)/python -m benchmarks.encoders --data "$(or $(DATA),$(error Name the folder with the source files of hm: make bench-encoders DATA=dir))"

bench-content: bootstrap ## New items, new users, missing content, on hm (DATA=dir of hm); an hour
	@$(VENV)/addrl run hm $(if $(DATA),--data "$(DATA)") --no-baselines
	@$(VENV)/python -m benchmarks.new_items hm
	@$(VENV)/python -m benchmarks.new_users hm
	@$(VENV)/python -m benchmarks.missing_modalities hm
	@$(VENV)/python -m benchmarks.render

bench-runs: bootstrap ## Time the presets with data in DATA/hm, DATA/amazon_toys, DATA/amazon_gift_cards
	@$(VENV)/python -m benchmarks.folder_run hm --data "$(DATA)/hm"
	@$(VENV)/python -m benchmarks.folder_run toys --data "$(DATA)/amazon_toys"
	@$(VENV)/python -m benchmarks.folder_run gift-cards --data "$(DATA)/amazon_gift_cards"
	@$(VENV)/python -m benchmarks.render

lint: bootstrap ## Style, formatting, types, directions of import
	$(VENV)/ruff check $(SOURCES)
	$(VENV)/ruff format --check $(SOURCES)
	$(VENV)/mypy
	$(VENV)/lint-imports

format: bootstrap ## Rewrite the sources in the project's style
	$(VENV)/ruff check --fix $(SOURCES)
	$(VENV)/ruff format $(SOURCES)

clean: ## Remove caches and runs/, but not .venv
	rm -rf runs build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find addrl_keras tfx_pipeline serving tests -name __pycache__ -type d -prune -exec rm -rf {} +
