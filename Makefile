# make          builds bin/loadstar, bin/lbfmt and bin/lbbench
# make run      serves caddyfile-examples/quickstart.lb in the foreground
# make test     everything that CI checks
# make test-integration  with real servers and testssl.sh, from Debian's packages
# make bench    Loadstar, HAProxy, nginx and Caddy side by side
# make soak     1,000 reloads under load
# make install  PREFIX=/usr/local DESTDIR=
# make deb      a Debian package in dist/
# make container  an image, where something can build one

GO       ?= go
TEST     ?= ./...
RELOADS  ?= 1000
FUZZ     ?= 15
EXAMPLE  ?= caddyfile-examples/quickstart.lb
VERSION  ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LINT      = $(GO) tool -modfile=.ci/tools.mod golangci-lint
SOURCES   = cmd dsl listener logging modules

.DEFAULT_GOAL := build
.PHONY: build run test test-short test-integration real-servers race bench bench-short soak soak-short fmt fmt-check vet cross lint lb-check docs fuzz fuzz-short hostile tools peers daemons ws caddy install deb deb-check container clean

# Without cgo: the programs run anywhere, and `user` can keep the right to low ports.
build:
	CGO_ENABLED=0 $(GO) build -ldflags '$(LDFLAGS) -X main.version=$(VERSION)' -o bin/ ./cmd/loadstar ./cmd/lbfmt ./cmd/lbbench

run: build
	bin/loadstar run --config $(EXAMPLE)

# The order is from the fastest answer to the slowest.
test: fmt-check vet build lb-check race fuzz-short soak-short cross lint

# Without the race detector, the linter and the soak: for the inner loop.
test-short: fmt-check vet build
	$(GO) test -short -timeout 2m $(TEST)

race: peers daemons ws
	$(GO) test -race -timeout 20m $(TEST)

# Redis, PostgreSQL, MariaDB, OpenLDAP and OpenSMTPD run on loopback, on free
# ports and in temporary directories, and end with the tests.
test-integration: real-servers
	$(GO) test -tags integration -timeout 20m -run 'TestRealServers' -v ./modules/health ./cmd/loadstar

# policy-rc.d keeps Debian from starting what is only installed; one that is
# there already is left alone. What cannot be installed is skipped by its test.
REAL_SERVERS = redis-server postgresql mariadb-server slapd opensmtpd testssl.sh bsdextrautils
real-servers:
	@if dpkg -s $(REAL_SERVERS) >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		policy=/usr/sbin/policy-rc.d; ours=; \
		if ! test -e $$policy; then printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy && ours=1; fi; \
		apt-get -qq update >/dev/null 2>&1; \
		for p in $(REAL_SERVERS); do \
			DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$p >/dev/null 2>&1 \
			|| echo "SKIP: $$p could not be installed"; \
		done; \
		if test -n "$$ours"; then rm -f $$policy; fi; \
	else echo "SKIP: not all of $(REAL_SERVERS) are installed, and only root may install them"; fi

fmt-check:
	@bad=$$(gofmt -l $(SOURCES)); if [ -n "$$bad" ]; then echo "not gofmt'ed (make fmt mends it):"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

# Linux is what it is made for. Elsewhere it builds, without what only Linux has; what is
# configured of that is refused with its reason.
cross:
	GOOS=darwin $(GO) build ./...
	GOOS=freebsd $(GO) build ./...

lint:
	$(LINT) run ./...

# Compiles the linter once; Go keeps it in its build cache.
tools:
	$(LINT) version

# Examples take what must not stand in a file from the environment; this is the
# hash of a password that nobody knows.
lb-check: export STATS_PASSWORD_HASH = $$2a$$12$$E7vQJ5lCYvKfHTRHuZ2BgeoWMSBiSbZ0FsGo3mc1xP.yfDzZ9pbte
lb-check: build
	bin/lbfmt -l caddyfile-examples/*.lb
	bin/lbfmt lint --fail-on info caddyfile-examples
	@for f in caddyfile-examples/*.lb; do bin/loadstar check --config $$f || exit 1; \
		out=$$(bin/loadstar test --config $$f 2>&1) || { echo "$$out"; exit 1; }; done

fmt: build
	gofmt -w $(SOURCES)
	bin/lbfmt -w caddyfile-examples/*.lb

# The reference pages and the grammar files, from the vocabulary; a test fails
# when they are stale.
docs: build
	bin/lbfmt docs docs

# The fuzz targets of the language, of everything that peers send and of what is typed
# into `ctl` and `top`, one after the other: some two minutes each. They run a number of inputs, not for a time, since at the end of a time
# Go's fuzzing now and then reports "context deadline exceeded" as a failure.
FUZZ_TARGETS = dsl/syntax:FuzzParse:20000 dsl/format:FuzzFormat:60000 dsl:FuzzLoad:25000 dsl:FuzzSameMeaning:25000 dsl/lsp:FuzzServe:10000 \
	listener/wire/hello:FuzzParse:100000 listener/wire/proxyproto:FuzzV1:60000 listener/wire/proxyproto:FuzzV2:60000 listener/wire/starttls:FuzzPostgres:100000 \
	listener/wire/http1:FuzzRequest:100000 listener/wire/http1:FuzzResponse:100000 listener/wire/http1:FuzzChunked:100000 \
	listener/wire/http2:FuzzDecode:60000 listener/http2:FuzzFrames:3000 listener/wire/http3:FuzzFrame:100000 listener/wire/http3:FuzzDecode:60000 \
	listener/wire/http3:FuzzPeer:100000 listener/wire/literal:FuzzHuffman:100000 modules/transport:FuzzAnswerFrames:25000 modules/transport:FuzzStrandAnswer:40000 \
	cmd/loadstar/internal/api:FuzzChange:10000 cmd/loadstar/internal/top:FuzzKeys:50000

fuzz:
	@for t in $(FUZZ_TARGETS); do \
		set -- $$(echo $$t | tr : ' '); n=$$(($$3 * $(FUZZ))); \
		echo "$$1 $$2, $$n inputs"; \
		$(GO) test ./$$1 -run '^$$' -fuzz "^$$2\$$" -fuzztime $${n}x || exit 1; \
	done

# Hostile files of 10 MB, where `make test` takes smaller ones.
hostile:
	$(GO) test ./dsl -run Hostile -timeout 30m -large

# Some eight seconds each: enough to notice, little enough for every change.
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ=1

bench: build peers caddy
	@mkdir -p .bench
	bin/lbbench bench --json .bench/bench.json

bench-short: build peers caddy
	bin/lbbench bench --short

soak: build
	bin/lbbench soak --reloads $(RELOADS)

soak-short: build
	bin/lbbench soak --reloads 60

# HAProxy, nginx, h2load, node and chromium are Debian's packages. Whoever may not install them gets a
# comparison, and oracle tests, without them, and is told so.
peers:
	@if command -v haproxy >/dev/null && command -v nginx >/dev/null && command -v h2load >/dev/null && command -v node >/dev/null && command -v chromium >/dev/null && test -e /usr/lib/nginx/modules/ngx_stream_module.so; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y haproxy nginx-light libnginx-mod-stream nghttp2-client nodejs chromium; } >/dev/null 2>&1 \
		|| echo "SKIP: haproxy, nginx, h2load, node and chromium could not be installed"; \
	else echo "SKIP: haproxy, nginx, h2load, node and chromium are not all installed, and only root may install them"; fi

# The syslog daemons that logs are sent to. Debian lets only one of them be
# installed; rsyslog is unpacked beside, with what it is linked to.
daemons:
	@if test -e .bench/rsyslog/usr/sbin/rsyslogd && command -v syslog-ng >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		policy=/usr/sbin/policy-rc.d; ours=; \
		if ! test -e $$policy; then printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy && ours=1; fi; \
		{ apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends syslog-ng-core libestr0 libfastjson4; \
		mkdir -p .bench/rsyslog && cd .bench && apt-get -qq download rsyslog && dpkg -x rsyslog_*.deb rsyslog; rm -f rsyslog_*.deb; } >/dev/null 2>&1 \
		|| echo "SKIP: rsyslog and syslog-ng could not be had"; \
		if test -n "$$ours"; then rm -f $$policy; fi; \
	else echo "SKIP: rsyslog and syslog-ng are not installed, and only root may install them"; fi

# The WebSocket library of Node.js, both ends of a test. npm is Debian's as well.
ws: .bench/ws/node_modules/ws/package.json
.bench/ws/node_modules/ws/package.json:
	@mkdir -p .bench/ws
	@if ! command -v npm >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends npm >/dev/null 2>&1; fi; \
	npm install --silent --no-audit --no-fund --prefix .bench/ws ws@8.18.3 >/dev/null 2>&1 || echo "SKIP: the npm package ws could not be had"

# Caddy is built from its module, pinned by cmd/lbbench/caddy/go.mod.
caddy: .bench/caddy
.bench/caddy: cmd/lbbench/caddy/go.mod
	@mkdir -p .bench
	cd cmd/lbbench/caddy && $(GO) build -o ../../../.bench/caddy . || echo "SKIP: caddy could not be built"
	@touch -c .bench/caddy # go build leaves a file alone that would not change

# Programs, manuals, completions, units and examples, where PREFIX says; packages set
# DESTDIR, too. Nothing is started, and no configuration is written.
PREFIX  ?= /usr/local
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
MANDIR  ?= $(PREFIX)/share/man

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(UNITDIR) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d $(DESTDIR)$(PREFIX)/share/doc/loadstar/examples \
		$(DESTDIR)$(PREFIX)/share/doc/loadstar/monitoring
	install bin/loadstar bin/lbfmt $(DESTDIR)$(PREFIX)/bin
	bin/loadstar man $(DESTDIR)$(MANDIR)/man1 && mv $(DESTDIR)$(MANDIR)/man1/lbfile.5 $(DESTDIR)$(MANDIR)/man5
	bin/lbfmt man $(DESTDIR)$(MANDIR)/man1
	for p in loadstar lbfmt; do \
		bin/$$p completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p && \
		bin/$$p completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_$$p && \
		bin/$$p completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish || exit 1; done
	bin/loadstar systemd --program $(PREFIX)/bin/loadstar >$(DESTDIR)$(UNITDIR)/loadstar.service
	bin/loadstar systemd --socket >$(DESTDIR)$(UNITDIR)/loadstar.socket
	install -m 644 caddyfile-examples/* $(DESTDIR)$(PREFIX)/share/doc/loadstar/examples
	install -m 644 docs/monitoring.md $(DESTDIR)$(PREFIX)/share/doc/loadstar
	install -m 644 docs/monitoring/* $(DESTDIR)$(PREFIX)/share/doc/loadstar/monitoring

# A Debian package in dist/, by nfpm, which needs no Debian. A version has to begin with
# a digit: that of a commit without a tag is 0~COMMIT, which is below every release.
DEBVERSION = $(shell echo '$(VERSION)' | sed -n 's/^v\{0,1\}\([0-9]\{1,\}[.][0-9].*\)/\1/p' | sed 's/-/+/g' | grep . || echo '0~$(VERSION)' | sed 's/-/+/g')
DEBARCH    = $(shell $(GO) env GOARCH)
deb:
	rm -rf dist
	$(MAKE) --no-print-directory install LDFLAGS='-s -w' PREFIX=/usr UNITDIR=/lib/systemd/system DESTDIR=dist/root
	gzip -9nf dist/root/usr/share/man/man*/*
	VERSION='$(DEBVERSION)' ARCH=$(DEBARCH) $(GO) tool -modfile=.ci/nfpm.mod nfpm package --config cmd/loadstar/package/nfpm.yaml --packager deb --target dist/

# What is in the package, unpacked and run; it installs nothing here.
deb-check: deb
	$(GO) test -count=1 -tags package -run TestPackage ./cmd/loadstar

# An image with nothing in it but the programs, by whatever builds images here.
container:
	@for b in podman buildah docker; do \
		if command -v $$b >/dev/null && { test $$b != docker || docker info >/dev/null 2>&1; }; then \
			exec $$b build --build-arg VERSION='$(VERSION)' -f cmd/loadstar/package/Containerfile -t loadstar .; fi; done; \
	echo "SKIP: neither podman, buildah nor a running docker is here"

clean:
	rm -rf bin .bench dist
	$(GO) clean -testcache
