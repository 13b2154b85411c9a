# The only list of commands; CI calls the same targets. `make` alone prints it.
CARGO ?= cargo
# The first compile takes minutes and shows itself; later runs are quiet.
QUIET = $(if $(wildcard target/release/eegcache),--quiet)
EEGCACHE = $(CARGO) run $(QUIET) --release --bin eegcache --
# CONFIG=configs/smoke_test.yaml adds a configuration file to any of the cache targets.
CONFIG_FLAGS = $(foreach file,$(CONFIG),-c $(file))

.DEFAULT_GOAL := help
.PHONY: help cache-smoke cache-dev cache-full cache-status cache-verify preflight demo-data test check bench bench-scale

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

cache-smoke: ## Build the smoke profile (50 recordings; the demo corpus where no dataset is configured)
	@$(EEGCACHE) build --profile smoke $(CONFIG_FLAGS)

cache-dev: ## Build the dev profile (500 recordings) on top of what exists
	@$(EEGCACHE) build --profile dev $(CONFIG_FLAGS)

cache-full: ## Build the full profile (all recordings) on top of what exists
	@$(EEGCACHE) build --profile full $(CONFIG_FLAGS)

cache-status: ## Show the state of every profile and the next step
	@$(EEGCACHE) status $(CONFIG_FLAGS)

cache-verify: ## Hash every cached file again
	@$(EEGCACHE) verify $(CONFIG_FLAGS)

preflight: ## Check the cache before training
	@$(EEGCACHE) preflight $(CONFIG_FLAGS)

demo-data: ## Write the generated demo corpus to .demo/edf
	@$(EEGCACHE) demo .demo/edf

test: ## Run every test
	@$(CARGO) test

check: ## Formatting, lints, tests and documentation, warnings denied
	@$(CARGO) fmt --all --check && $(CARGO) clippy --all-targets -- -D warnings && $(MAKE) --no-print-directory test && RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet

bench: ## Run the micro-benchmarks
	@$(CARGO) bench --bench kernels

bench-scale: ## Measure status, preflight and an idle build on N recordings (100000) beside find
	@$(CARGO) bench --bench scale -- $(or $(N),100000) $(DIR)
