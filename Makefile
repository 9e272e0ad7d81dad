# make help lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE ?= elevate:$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GITLEAKS := github.com/zricethezav/gitleaks/v8@v8.30.1
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Packages whose tests drive browsers, emulators and servers against the clock; the race detector slows them out of it.
TIMED := /cmd/|/bot/web$$|/connectors/postgres|/connectors/activedirectory
# Flags of the comparison that make bench runs, such as BENCH=--quick; with -h it lists them.
BENCH ?= --million 1000000
# Packages whose tests start a server or a browser.
BACKED := /cmd/|/bot/web$$|/bot/slack$$|/bot/api$$|/bot/linking$$|/bot/signin$$|/connectors/postgres|/connectors/activedirectory|/storage/|/workflows$$

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the binary, elevate
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o elevate ./cmd/elevate

.PHONY: playground
playground: ## try it in the browser: no accounts, no servers
	go run ./cmd/playground

.PHONY: deps
deps: ## install the back ends that tests run, or say what is missing
	.ci/deps

.PHONY: test
test: deps ## every test, with real Redis, PostgreSQL, Samba and Chromium
	go test -timeout 20m ./...

.PHONY: test-race
test-race: deps ## every test, with the race detector where timing allows it
	@status=0; \
	go test -p 1 -timeout 20m $$(go list ./... | grep -E '$(TIMED)') || status=1; \
	go test -race -timeout 20m $$(go list ./... | grep -vE '$(TIMED)') || status=1; \
	exit $$status

.PHONY: test-quick
test-quick: ## the tests that need nothing but Go
	go test -short $$(go list ./... | grep -vE '$(BACKED)')

.PHONY: test-long
test-long: deps ## everything three times, the long chaos suite, then a minute for each fuzz target
	go test -count 3 -timeout 90m ./...
	go test -count 1 -timeout 90m -v ./cmd/elevate/chaos -long
	go test -count 1 -timeout 30m -v ./storage/redis -run AcknowledgedGrants -failovers 12
	.ci/fuzz 60s

.PHONY: attack
attack: deps ## every attack that is known, on the product and without each defence; writes the table in SECURITY.md
	go test -count 1 -timeout 90m -v ./cmd/elevate/attack -long

.PHONY: bench
bench: deps ## every benchmark, then the comparison with asynq and river: about half an hour
	go test -run '^$$' -bench . -benchmem ./...
	cd storage/redis/bench && go run . $(BENCH)

.PHONY: fuzz
fuzz: ## ten seconds for each fuzz target; N=10000000 for a number of executions, P=./bot/... for some packages
	.ci/fuzz $(if $(N),$(N)x,10s) $(P)

.PHONY: lint
lint: ## gofmt, vet, staticcheck and golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these" >&2; exit 1; }
	go vet ./...
	go run $(STATICCHECK) -checks 'SA*,S1*,U1000' ./...
	go run $(GOLANGCI) run

.PHONY: vulncheck
vulncheck: ## known vulnerabilities in what the program calls
	.ci/vulncheck

.PHONY: gosec
gosec: ## what gosec finds, with the exceptions of .golangci.yml
	go run $(GOLANGCI) run --enable-only gosec

.PHONY: secrets
secrets: ## secrets in the tree, and in the history of this branch
	go run $(GITLEAKS) dir --no-banner --redact .
	go run $(GITLEAKS) git --no-banner --redact --log-opts HEAD .

# Of the built binaries, not of go.mod: what is shipped, and no more.
.PHONY: sbom
sbom: ## bills of materials (CycloneDX, JSON) of the binaries, into dist
	@mkdir -p dist
	@for name in elevate playground; do \
		CGO_ENABLED=0 go build -trimpath -o "dist/$$name" "./cmd/$$name"; \
		go run $(CYCLONEDX) bin -json -licenses -std -version '$(VERSION)' -output "dist/$$name.cdx.json" "dist/$$name" 2>dist/sbom.log || \
			{ cat dist/sbom.log >&2; exit 1; }; \
		rm "dist/$$name"; \
		echo "dist/$$name.cdx.json"; \
	done

.PHONY: licences
licences: sbom ## licences of what is shipped; fails where one is not permissive
	@go run ./.ci/licences dist/elevate.cdx.json dist/playground.cdx.json

.PHONY: image
image: ## build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

# NAME and VERSION count only when they are given to make: the environment may have others, and VERSION above is the binary's.
.PHONY: teams-package
teams-package: ## the Teams app packages, into dist: APP_ID=GUID DOMAIN=elevate.example.com [NAME=…] [VERSION=1.2.0]
	@go run ./manifests/teams -app-id "$${APP_ID-}" -domain "$${DOMAIN-}" \
		-name "$(if $(filter command,$(origin NAME)),$$NAME)" \
		-version "$(if $(filter command,$(origin VERSION)),$$VERSION)"
