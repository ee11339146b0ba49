# make run    builds and starts the daemon on a store in ./data
# make test   installs what it needs and checks everything; what CI runs
# make help   the rest

TOOL    := go tool -modfile=.ci/tools/go.mod
VERSION := 0.1.0
SHA     := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.gitSHA=$(SHA)
# Without it gRPC brings pages of traces along that nothing of ours serves, and with them
# golang.org/x/net/trace and html/template.
TAGS    := grpcnotrace

# Go keeps its caches in the home directory. Where there is none, or none that can be
# written to, they are in .cache: .ci/gocache says which have to be.
$(foreach cache,$(shell .ci/gocache),$(eval export $(cache) := $(CURDIR)/.cache/$(cache)))

.PHONY: help build run cluster failover test check race sim soak python typescript ui fuzz vuln generate bench dist image sbom conformance clean

help:
	@sed -n 's/^# //p' Makefile
	@echo "make build | cluster | failover | check | race | sim | soak | python | typescript | ui | fuzz | vuln | generate | bench | dist | image | sbom | conformance | clean"

build:
	go build -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

run: build
	./bin/statehoused --data-dir data

# Programs that only tests run are linked without what a debugger reads: it takes a third of the time.
race sim python typescript: export GOFLAGS := $(GOFLAGS) -ldflags=-w

# Two at a time, for the detector and the SDKs wait as much as they compute; each shows what it printed when it has
# ended. (-o: what was just built is not built again.)
test: check build
	@echo "race, python, sim, typescript, ui, vuln: two at a time, and quiet until one has ended"
	$(MAKE) --no-print-directory -j2 -Oline -o build race python sim typescript ui vuln

# Three daemons on loopback that keep one store in data/cluster, until Ctrl-C. Experimental: docs/CLUSTER.md.
cluster: build
	@.ci/cluster

# Three daemons as above, under load; the one that leads is killed. All must go on, and every answer be right.
failover: build
	@.ci/failover

# Static checks: formatting, vet, staticcheck, and that the generated code is
# what the contract generates.
check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet -tags $(TAGS) ./...
	$(TOOL) staticcheck -tags $(TAGS) ./...
	.ci/check-generated

# Everything runs under the race detector, but for what has nothing for it to see and would take
# ten times as long: packages of one goroutine (.ci/packages); enumerations of runs (cluster/member, engine) and
# megabytes of one client (server), which skip it; and what is a process of its own.
# Those run without it. The worlds of the simulator are for one thread, too: "make sim" runs
# them. "make check" has vetted all before, and vet would go through every dependency a second
# time, as the detector builds it.
race:
	go test -race -tags $(TAGS) -vet=off -timeout 20m $$(.ci/packages raced)
	go test -tags $(TAGS) -vet=off ./cluster/member ./cmd/statehoused ./engine ./server $$(.ci/packages apart) $$(.ci/packages serial | grep -v ^./sim)

# The simulator: scenarios, seeds, planted bugs. What it writes of a failure is in
# sim-failures/.
sim: build
	.ci/sim

# What of the simulator takes hours: a sample of mutants, what of the code runs come by,
# thousands of runs done twice, and tens of thousands of runs.
soak: build
	.ci/reproducible
	bin/statehouse-sim prove --shrink-for 60s
	bin/statehouse-sim interleave --for 5m
	bin/statehouse-sim prove --mutants --sample 400 --seed 1
	bin/statehouse-sim prove --coverage --seeds 2000
	bin/statehouse-sim fuzz --seeds 5000 --check-determinism
	.ci/soak $(PARTS)

# The Python SDK, in virtual environments of its own.
python:
	python/ci.sh

# The inspector is looked at in a browser by "make race" already, where there is one; here axe-core, which
# comes from npm, looks for barriers.
ui:
	if command -v npm >/dev/null; then npm ci --prefix ui/test --ignore-scripts --no-audit --no-fund; fi
	go test -tags $(TAGS) -vet=off -count=1 -v -run TestNoBarriers ./ui

# The TypeScript SDK, with what it needs in typescript/node_modules.
typescript:
	typescript/ci.sh

# Every fuzz target for a moment. Their seeds run with "make race" already; what
# fuzzing finds is new each time, so it is no gate.
fuzz:
	.ci/fuzz 5s

vuln:
	.ci/vuln

generate:
	.ci/generate

# What is given away: static programs in dist/ with version and commit inside, and what they
# are made of. "make soak" builds them twice and compares.
dist:
	VERSION=$(VERSION) SHA=$(SHA) .ci/dist dist

sbom: dist
	.ci/sbom dist

# The image, built with buildah and run where that is possible; else the same files tried
# under chroot.
image: dist
	deploy/try-image.sh

# The public suites of the frameworks and protocols that Statehouse has a door for, against a
# real daemon. Writes docs/CONFORMANCE.md.
conformance: build
	.ci/conformance $(PARTS)

bench: build
	.ci/bench

clean:
	@chmod -R u+w .cache 2>/dev/null || true # Go writes modules read-only
	rm -rf bin dist .cache
