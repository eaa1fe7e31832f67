# SPDX-License-Identifier: GPL-2.0
#
# `make help` says what there is. The kernel's own build system reads Kbuild.

.DEFAULT_GOAL := all
.PHONY: all module plugins tools deb test check lint test-proto test-tools test-guest test-cluster \
	test-packages test-secure-boot test-machine test-debug test-kernel test-smp soak fuzz mutants model \
	bench demo install clean clean-cache shell rust-analyzer help

all: module plugins tools ## build carp.ko, the plug-ins for ip(8) and carpctl

module: ## build carp.ko; KDIR=... for a kernel that was built with Rust
	@scripts/build-module --no-print-directory modules

plugins: ## build the plug-ins for ip(8)
	@scripts/in-root $(MAKE) --no-print-directory -C iproute2

tools: ## build carpctl
	@scripts/tools --out

test: ## everything: lint, protocol tests, guests (what CI runs)
	@scripts/test

check: ## what one wants to know before a commit: all that needs no guest (3 minutes)
	@scripts/test lint test-proto test-tools plugin-test

lint: ## style and warnings only
	@scripts/lint

test-proto: ## the protocol's tests only
	@scripts/test-proto

test-tools: ## the tests of carpctl only
	@scripts/test-tools

test-guest: module plugins ## the guest tests only; T="-k bow_out" picks some
	@scripts/guest-test $(T)

test-cluster: module plugins ## two hosts and a client as guests of their own, one loses its power
	@scripts/run-cluster $(T)

test-packages: module plugins ## Debian packages: made, installed, built by DKMS, purged
	@scripts/test-packages

test-secure-boot: module plugins ## a signed module, and others, on a machine with Secure Boot
	@scripts/test-secure-boot $(T)

test-machine: deb ## firewalls with disks and systemd: installed, booted, upgraded, purged (25 min)
	@scripts/test-machine $(T)

test-debug: plugins ## the guest tests on a kernel that looks for mistakes (builds it once: 12 min)
	@scripts/test-debug $(T)

test-kernel: plugins ## the modules on the kernel of another Debian release; SUITE=sid (default forky)
	@CARP_SUITE=$(or $(SUITE),forky) scripts/test-kernel $(T)

test-smp: module plugins ## races of two processors, in real time; T=--debug on the kernel of test-debug
	@scripts/test-smp $(T)

soak: plugins ## an hour in which much happens, on the kernel of test-debug; T="--soak=60 --seed=7"
	@scripts/test-debug test_soak.py --soak=3600 --timeout 10800 $(T)

fuzz: ## hostile input for the protocol, for hours; T=target TIME=seconds for each
	@scripts/fuzz "$(T)" $(or $(TIME),3600)

mutants: ## which changes of proto/ no test notices (hours); T=pfsync/merge.rs some
	@scripts/mutants $(T)

model: ## every situation of a small group of hosts, in the large (minutes, some GB)
	@scripts/model $(T)

bench: module plugins ## figures beside ucarp, keepalived, macvlan, conntrackd; T=packets some
	@scripts/bench $(T)

demo: module plugins ## boot two hosts and a client, and watch a failover
	@scripts/demo

shell: module plugins ## a shell in a guest with carp.ko; Ctrl-A X leaves
	@scripts/run-guest --shell

deb: module plugins tools ## Debian packages, in out/deb/: tools, modules, modules built by DKMS
	@scripts/deb

install: ## install module, plug-ins, carpctl, headers, manuals, units (DESTDIR=... respected)
	@scripts/install

rust-analyzer: ## write rust-project.json, so that editors understand the module
	@scripts/rust-analyzer

clean: ## remove what was built
	@scripts/clean

clean-cache: ## remove build root, kernel tree and guests, to get newer ones
	@scripts/clean --cache

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
