# The only list of commands; CI calls the same targets. `make` alone prints it.
CARGO ?= cargo
# The first compile takes minutes and shows itself; later runs are quiet.
QUIET = $(if $(wildcard target/release/eegcache),--quiet)
EEGCACHE = $(CARGO) run $(QUIET) --release --bin eegcache --
# CONFIG=configs/smoke_test.yaml adds a configuration file to any of the cache targets.
CONFIG_FLAGS = $(foreach file,$(CONFIG),-c $(file))
# Tests of faults enter what they injected, and what cannot be tested here; both are printed behind the tests.
TALLY = target/faults.tally
COUNTED = rm -f $(TALLY); export EEGCACHE_TALLY=$(abspath $(TALLY));
COUNT = code=$$?; test ! -f $(TALLY) || awk -F '\t' '/^skipped/ {print; next} {n[$$2] += $$1; all += $$1} \
	END {for (kind in n) printf "%7d  %s\n", n[kind], kind | "sort -k2"; close("sort -k2"); printf "%7d  injected faults\n", all}' $(TALLY); exit $$code

.DEFAULT_GOAL := help
.PHONY: help cache-smoke cache-dev cache-full cache-status cache-verify preflight demo-data test torture test-python wheel fuzz check check-portable bench bench-scale

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
	@$(COUNTED) $(CARGO) test && python/test.sh; $(COUNT)

torture: ## Inject faults at every operation and system call of a build, and more (TORTURE=all: into everything)
	@$(COUNTED) EEGCACHE_TORTURE=$(or $(TORTURE),1) $(CARGO) test --lib --test it -- torture faults export; $(COUNT)

test-python: ## Test the Python package alone (EEGCACHE_TORCH=1 installs PyTorch for it)
	@python/test.sh

wheel: ## Build the Python package into target/wheels
	@python/test.sh wheel && ls target/wheels/*.whl

fuzz: ## Fuzz one reader of foreign bytes: make fuzz TARGET=header (needs cargo-fuzz)
	@cd tests && RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir fuzz $(TARGET) -- -rss_limit_mb=1024 -timeout=10

check-portable: ## Show that an emulated processor without AVX makes the same bytes (needs qemu-user)
	@$(CARGO) build --quiet --release && tests/portable/check.sh

check: ## Formatting, lints, tests and documentation, warnings denied
	@$(CARGO) fmt --all --check && $(CARGO) clippy --workspace --all-targets -- -D warnings && $(MAKE) --no-print-directory test && RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet

bench: ## Run the micro-benchmarks, then the whole program beside others (PYTHON=python3)
	@$(CARGO) bench --bench kernels && $(CARGO) bench --bench whole

bench-scale: ## Measure status, preflight and an idle build on N recordings (100000) beside find
	@$(CARGO) bench --bench scale -- $(or $(N),100000) $(DIR)
