# Two commands matter: `make run` and `make test`. Everything else is a piece of them.
# The steps themselves are in scripts/; each does nothing when there is nothing to do.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(or $(BUILD_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/millrace/tools)
export BUILD_TOOLS := $(TOOLS)
AWS := end2end/aws/.venv/bin/python end2end/aws/stack.py
export PATH := $(CURDIR)/node_modules/.bin:$(TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)

##@ Use it
.PHONY: help
help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: build ## Install what is missing, build, start on http://127.0.0.1:3000
	@exec $(TARGET)/release/millrace

.PHONY: build
build: setup site ## Build target/release/millrace, with its site and Leptos.toml beside it
	@cargo build --release --bin millrace
	@scripts/place-site.sh $(TARGET)/release

.PHONY: dev
dev: setup ## Build for development, start, rebuild and reload on change
	@scripts/dev.sh

##@ Test it
.PHONY: test
test: setup-test fmt lint deny site rust-tests postgres fuzz-api-short budgets e2e chaos-short disk-full backup-restore outage failpoints ## Everything but AWS: what stands below, in this order
	@printf '\nAll checks passed.\n'

.PHONY: test-aws
test-aws: setup-aws site terraform emulator ## PostgreSQL, S3, SQS, MediaConvert and CloudFront as emulators: adapters, Terraform, a browser
	@cargo build --bins --tests
	@$(AWS) run -- scripts/with-postgres.sh scripts/test-aws.sh $(TARGET) $(ARGS)
	@printf '\nAll checks on AWS emulators passed.\n'

.PHONY: fmt
fmt: ## Check the format (to change it: cargo fmt)
	cargo fmt --all --check

.PHONY: lint
lint: setup ## Clippy with warnings as errors, for the server and for the browser
	cargo clippy --all-targets -- -D warnings
	cargo clippy -p dashboard --target wasm32-unknown-unknown --target-dir $(TARGET)/front -- -D warnings
	cargo clippy -p embed --target wasm32-unknown-unknown --target-dir $(TARGET)/front -- -D warnings

.PHONY: deny
deny: setup-test ## Licences, sources and banned crates of what is built (deny.toml); needs no network
	@scripts/deny.sh

.PHONY: audit
audit: setup-test ## Known vulnerabilities of crates and npm packages; needs a network
	@scripts/audit.sh

.PHONY: fuzz-api
fuzz-api: setup-test site ## 100,000 requests made of the REST interface's own description (REQUESTS=…, FUZZ_SEED=…)
	@cargo build --bin millrace
	@scripts/fuzz-api.sh $(abspath $(TARGET)/debug/millrace) $(or $(REQUESTS),100000)

.PHONY: fuzz-api-short
fuzz-api-short: setup-test site
	@cargo build --bin millrace
	@scripts/fuzz-api.sh $(abspath $(TARGET)/debug/millrace)

.PHONY: fuzz-media
fuzz-media: setup-test ## All of the hostile corpus and MUTANTS=10000 mutants
	@scripts/fuzz-media.sh $(or $(MUTANTS),10000)

.PHONY: unit
unit: setup-test ## Unit tests
	cargo test --lib --bins

.PHONY: integration
integration: setup-test ## Integration tests: the server as a library, real files, real ffmpeg
	cargo test --test '*'

.PHONY: rust-tests
rust-tests: setup-test ## Unit, integration and documentation tests
	cargo test

.PHONY: postgres
postgres: setup-test ## The integration tests again, on a PostgreSQL that is started for them
	@scripts/with-postgres.sh cargo test -p server --test it

.PHONY: terraform
terraform: ## Format and validity of deploy/terraform
	@scripts/terraform.sh

.PHONY: emulator
emulator: setup-aws ## Tests of the MediaConvert emulator and of the edge themselves
	@end2end/aws/test.sh

.PHONY: budgets
budgets: site ## Hold what a browser loads against end2end/budgets.json
	@node scripts/check-budgets.mjs $(TARGET)/site end2end/budgets.json

.PHONY: e2e
e2e: setup-test site ## The real binary in real Chromium (ARGS="library.spec.ts --headed" and the like)
	@cargo build --bins --tests
	@CHROMIUM=$${CHROMIUM:-$$(command -v chromium || command -v chromium-browser || command -v google-chrome)} E2E_BINARY=$(abspath $(TARGET)/debug/millrace) playwright test -c end2end $(ARGS)

.PHONY: test-firefox
test-firefox: setup-firefox site ## From the first visit to a video on another site in an installed Firefox (FIREFOX=…); a minute
	@cargo build --bin millrace
	@NODE_OPTIONS=$$(node -p 'typeof WebSocket == "undefined" ? "--experimental-websocket" : ""') E2E_BINARY=$(abspath $(TARGET)/debug/millrace) playwright test -c end2end/firefox $(ARGS)

.PHONY: chaos
chaos: setup-aws site ## KILLS=1000 on each of SETS="sqlite postgres aws" (SEED=…, PACE=…), the database's faults, AWS's; hours
	@cargo build --bin millrace
	@scripts/chaos.sh $(TARGET)/debug/millrace

.PHONY: disk-full
disk-full: setup-test site ## The data folder's disk is filled and freed CYCLES=5 times under load; where no disk can be mounted it says so and passes
	@cargo build --bin millrace
	@end2end/faults/disk_full.py $(TARGET)/debug/millrace --cycles $(or $(CYCLES),5)

.PHONY: backup-restore
backup-restore: setup-test site ## Backups under load, one of them brought back and looked through
	@cargo build --bin millrace
	@end2end/faults/backup.py $(TARGET)/debug/millrace

.PHONY: chaos-short
chaos-short: setup-test site ## 30 kills on files and SQLite, always the same
	@cargo build --bin millrace
	@end2end/chaos/chaos.py $(TARGET)/debug/millrace --kills 30 --seed 1 --pace 0.5

# Built with the failure points in it, it stands aside: what else is tested is what ships.
.PHONY: failpoints
failpoints: setup-test site ## Death at each commit and rename, once each
	@cargo build --features failpoints --bin millrace
	@mkdir -p $(TARGET)/failpoints && cp $(TARGET)/debug/millrace $(TARGET)/failpoints/millrace
	@cargo build --bin millrace
	@end2end/chaos/failpoints.py $(TARGET)/failpoints/millrace

.PHONY: outage
outage: setup-test site ## PostgreSQL is stopped and frozen while a film plays and a file is uploaded; a minute
	@cargo build --bin millrace
	@end2end/faults/outage.py $(TARGET)/debug/millrace

.PHONY: fuzz-packager
fuzz-packager: ## What a fuzzer makes of small films, an hour of it: FUZZ_SECONDS=60 for less
	@scripts/fuzz-packager.sh $(or $(FUZZ_SECONDS),3600)

.PHONY: faults
faults: setup-test site ## Workers frozen beyond their lease and with clocks an hour off, on SQLite and on PostgreSQL; ten minutes each
	@cargo build --bin millrace
	@end2end/faults/workers.py $(TARGET)/debug/millrace zombie clock
	@scripts/with-postgres.sh end2end/faults/workers.py $(TARGET)/debug/millrace zombie clock

.PHONY: bench-takeover
bench-takeover: setup-test site ## How long until another worker has a dead one's job: KILLS=40 on this machine, and on another
	@cargo build --bin millrace
	@end2end/faults/workers.py $(TARGET)/debug/millrace takeover --kills $(or $(KILLS),40)

.PHONY: bench-delivery
bench-delivery: build ## Signed segments from memory and disk, beside nginx and Varnish (ARGS="--short --json FILE")
	@benches/delivery/run.sh $(abspath $(TARGET)/release/millrace) $(ARGS)

.PHONY: bench-ingest
bench-ingest: build ## Uploads in parts and by tus, in memory and on disk, beside @tus/server, @uploadx/core and nginx PUT (ARGS="--short --json FILE")
	@benches/ingest/run.sh $(abspath $(TARGET)/release/millrace) $(ARGS)

.PHONY: bench-s3-upload
bench-s3-upload: build setup-aws ## Upload to S3 through our presigned parts, beside boto3
	@benches/s3-upload/run.sh $(abspath $(TARGET)/release/millrace)

.PHONY: bench-upload-memory
bench-upload-memory: build ## Peak memory of the server while 2 GB are uploaded
	@node benches/upload-memory/run.mjs $(abspath $(TARGET)/release/millrace)

.PHONY: bench-slow-clients
bench-slow-clients: build ## 1,000 slow bodies beside an upload, and bodies that want memory
	@node benches/slow-clients/run.mjs $(abspath $(TARGET)/release/millrace)

.PHONY: bench
bench: build setup-test ## The short form of every benchmark, written to docs/benchmarks.md (ARGS="--only delivery")
	@benches/all.py $(abspath $(TARGET)/release/millrace) $(ARGS)

.PHONY: bench-transcode
bench-transcode: setup-test ## What a ladder costs and how it looks (VMAF), beside a run of ffmpeg for each rung (ARGS="CLIP --short --json FILE")
	@benches/transcode/run.sh $(ARGS)

CLIPS = $(or $(FOLDER),$(TARGET)/packager-clips)
.PHONY: bench-instant
bench-instant: build setup-test ## From the last byte of an upload to the first segment, through the server, beside ffmpeg -c copy
	@benches/instant/run.py $(TARGET)/release/millrace $(CLIPS) $(ARGS)

.PHONY: bench-packager
bench-packager: setup-test ## Packaged segments held against their sources frame by frame, played in Chromium, and timed beside ffmpeg
	@cargo build --release -p server --example package
	@benches/packager/verify.py $(TARGET)/release/examples/package $(CLIPS)
	@node benches/packager/play.mjs $(TARGET)/release/examples/package $(CLIPS)/*.m[po][4v]
	@benches/packager/run.py $(TARGET)/release/examples/package $(CLIPS)

.PHONY: bench-first-frame
bench-first-frame: build setup-test ## Time to the first frame of the embed page, beside a plain hls.js light page (ARGS="--short --json FILE")
	@node benches/first-frame/run.mjs $(abspath $(TARGET)/release/millrace) $(ARGS)

.PHONY: bench-page
bench-page: build setup-test ## Lighthouse on the library, watch and embed pages (ARGS="--short --json FILE")
	@benches/page/run.sh $(abspath $(TARGET)/release/millrace) $(ARGS)

.PHONY: soak-first-frame
soak-first-frame: build setup-test ## STARTS=200 starts of the embed page, each until hls.js has taken over
	@node benches/first-frame/soak.mjs $(abspath $(TARGET)/release/millrace) $(or $(STARTS),200)

.PHONY: bench-data
bench-data: setup-test ## Library, search and job start at a million videos, on SQLite and PostgreSQL (ARGS="--short --json FILE")
	@benches/data/run.sh $(ARGS)

##@ Pieces
.PHONY: setup
setup: ## Install what building and running need
	@scripts/setup.sh

.PHONY: setup-test
setup-test: ## Install what testing needs as well
	@scripts/setup.sh --test

.PHONY: setup-firefox
setup-firefox: ## Install what testing needs, and Firefox
	@scripts/setup.sh --test --firefox

.PHONY: setup-aws
setup-aws: setup-test ## Install the AWS emulators into end2end/aws/.venv
	@end2end/aws/setup.sh

.PHONY: site
site: setup ## Build what the browser loads into target/site
	@scripts/build-site.sh $(TARGET)

.PHONY: clean
clean: ## Remove what was built (not your data, not the tools)
	cargo clean
	rm -rf node_modules public/vendor end2end/results
