# modelwatch. `make` lists the targets.

# The binary is Go and Go's assembly, no C. Tests run under the race detector, which needs a C compiler, set it themselves.
export CGO_ENABLED := 0

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 1
IMAGE    ?= modelwatch:dev
ARGS     ?=
DURATION ?= 30m
RATE     ?= 5000
STRIKE   ?= 20s
SEED     ?= 1
# For tests alone; a benchmark or a fuzz target has no time limit.
TIMEOUT  ?= 20m

.DEFAULT_GOAL := help
.PHONY: help dev build test soak producers lint fuzz bench generate image servers

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: build ## run everything in one process, with simulated traffic (ARGS="--speed 120")
	bin/modelwatch dev $(ARGS)

build: ## build bin/modelwatch, static
	$(GO) build -ldflags '-s -w' -o bin/modelwatch ./cmd/modelwatch

servers: ## fetch and build the servers that tests start (Kafka, PostgreSQL, S3) into the cache folder
	@tools/servers/setup

# The client of Datadog's API compiles for minutes, and again for the race detector, in which it has nothing to be
# found: packages that link it are tested without. -count=1 because the servers are no input that go test knows of.
test: servers ## vet, and run every test against real servers
	$(GO) vet ./...
	packages=$$(tools/packages light) && CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) $$packages
	$(GO) test -count=1 -timeout $(TIMEOUT) -run Calibration ./drift # in full, which takes minutes under the race detector
	packages=$$(tools/packages heavy) && $(GO) test -count=1 -timeout $(TIMEOUT) $$packages

soak: servers ## kill and freeze processes under traffic, then compare the archive (DURATION=30m RATE=5000 events/s, STRIKE=20s, SEED=1)
	SOAK_DURATION=$(DURATION) SOAK_RATE=$(RATE) SOAK_STRIKE=$(STRIKE) SOAK_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v -run '^TestSoak$$' ./cmd/modelwatch

producers: servers ## let MLServer, BentoML, Azure's collector, KServe's agent, Confluent's serializers and a CloudEvents sender produce, and find their rows in the archive
	envs=$$(tools/producers/setup) && PRODUCERS=$$envs $(GO) test -count=1 -timeout $(TIMEOUT) -v -run '^TestProducers$$' ./cmd/modelwatch

lint: ## check formatting, style, the import table and go.mod
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(TOOL) golangci-lint run ./...
	$(GO) mod tidy -diff

fuzz: ## run each fuzz target for FUZZTIME
	tools/fuzz $(FUZZTIME)

bench: ## run the benchmarks (BENCH=regexp COUNT=10); compare two outputs with: go tool -modfile=tools/go.mod benchstat OLD NEW
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 ./...

generate: ## write generated files anew
	$(GO) generate ./...

image: ## build the container image IMAGE
	docker build --tag $(IMAGE) .
