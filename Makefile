# What a person types in a fresh clone. Every target does the set-up that it needs, and says so.
# Nothing is written outside the clone: temporary files and caches go to .tmp, packages to .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup up down demo demo-slurm test check verify verify-prefect verify-cluster verify-nfs verify-fuse bench bench-slurm bench-nfs lock clean

bin := .venv/bin
export TMPDIR := $(CURDIR)/.tmp
export XDG_CACHE_HOME := $(CURDIR)/.tmp/cache
export MPLCONFIGDIR := $(CURDIR)/.tmp/cache/matplotlib
export PYTHONPATH :=

help: ## this list
	@echo 'phaseline: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  %-14s %s\n' "$$name" "$$what"; done

setup: ## make .venv with bin/phaseline in it (a second time: nothing to do)
	@bash .ci/setup

up: setup ## Prefect on this machine: server, work pools, deployments, workers (a second time: what is missing)
	@$(bin)/phaseline up $(ARGS)

down: setup ## end what `make up` started
	@$(bin)/phaseline down $(ARGS)

demo: setup ## Prefect up, thirty datasets through five stages, then where the reports are, Prefect down
	@$(bin)/phaseline demo $(ARGS)

demo-slurm: setup ## the demo on a private SLURM of this machine, in containers: says what to install
	@$(bin)/phaseline demo --slurm --containers $(ARGS)

test: setup ## every test but the long ones
	@echo '== tests'
	@$(bin)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: setup ## format, lint, strict types, import contracts, unused dependencies
	@echo '== format'
	@$(bin)/ruff format --check
	@echo '== lint'
	@$(bin)/ruff check
	@echo '== types'
	@$(bin)/basedpyright
	@echo '== import contracts'
	@$(bin)/lint-imports --no-cache
	@echo '== unused dependencies'
	@$(bin)/deptry .

verify: setup ## the long simulations: hours of interleavings, ten thousand datasets in a kill storm
	@echo '== long simulations'
	@$(bin)/python -m pytest -n 2 --dist worksteal -m verify --timeout 14400 $(ARGS)

verify-prefect: setup ## minutes beside a server that goes away, and limits that must last: side by side
	@echo '== long tests with Prefect'
	@$(bin)/python -m pytest -n 4 -m long $(ARGS)

verify-cluster: setup ## whatever SLURM does to a job, on private clusters: side by side
	@echo '== on a private SLURM'
	@$(bin)/python -m pytest tests/cluster -n 5 --maxschedchunk 1 -m cluster $(ARGS)

verify-nfs: setup ## real NFS with two clients, three kinds of mount side by side, in user-mode-linux (five minutes at most)
	@echo '== on real NFS'
	@$(bin)/python -m tests.nfs.packages
	@$(bin)/python -m compileall -q stages/engine tests/end_to_end tests/nfs tests/simulation # the guest keeps no bytecode
	@timeout 300 $(bin)/python -m pytest tests/nfs -n 3 --maxschedchunk 1 -m nfs $(ARGS)

verify-fuse: setup ## sshfs and glusterfs, mounted twice in namespaces (five minutes at most; glusterfs wants root)
	@echo '== on file systems in user space'
	@timeout 300 $(bin)/python -m pytest tests/fuse -n 3 --maxschedchunk 1 -m fuse $(ARGS)

bench: setup ## measure, and write benchmarks/results.json
	@echo '== benchmarks'
	@$(bin)/python -m benchmarks

bench-slurm: setup ## measure on a private SLURM: pollers against a job for each dataset and stage
	@echo '== benchmarks on SLURM'
	@$(bin)/python -m benchmarks --keep slurm

bench-nfs: setup ## measure on real NFS in user-mode-linux: calls to the server, pollers on two clients
	@echo '== benchmarks on NFS'
	@$(bin)/python -m benchmarks --keep nfs

lock: setup ## choose all versions anew (all.txt), and take what is for a compute node from it
	@echo '== locks'
	@$(call compile,all,) --upgrade --all-extras --group dev
	@$(call compile,base,all)

clean: ## remove what setup, tests and tools have made (no data root)
	rm -rf .venv .tmp .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find benchmarks flows infra stages tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One file of exact versions: no addresses, no hashes, for every Python from 3.11 on. $(1) its name, $(2) the file that binds it.
compile = $(bin)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-emit-index-url \
	--no-header --no-annotate $(if $(2),--constraints locks/$(2).txt) --output-file locks/$(1).txt
