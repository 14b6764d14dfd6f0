# Everything that needs tools asks scripts/bootstrap for them first: with nothing to do it is silent.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help up down test unit integration load bench bench-proxy bench-serving bench-deploy lint format lock

export LLM_GATEWAY_STACK ?= dev
TOOLS := eval "$$(scripts/bootstrap --env)"
PACKAGES := images/claude-code-proxy images/demo-upstream
SHELL_SCRIPTS := scripts/bootstrap scripts/rootfs .ci/run images/base/collect
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What is accepted unseen needs no preview, which takes as long as an `up` with nothing to do.
up: ## deploy the gateway, making the machine ready first, and ask it something
	@scripts/bootstrap
	@$(TOOLS) && python scripts/recover --stack $(LLM_GATEWAY_STACK)
	@$(TOOLS) && pulumi up --yes --skip-preview --stack $(LLM_GATEWAY_STACK)
	@$(TOOLS) && PULUMI_OPTION_STACK=$(LLM_GATEWAY_STACK) scripts/hello

down: ## remove the gateway; its configuration and secrets stay
	@$(TOOLS) && pulumi destroy --yes --skip-preview --stack $(LLM_GATEWAY_STACK)

test: ## run every test, against a real engine
	@scripts/bootstrap --dev
	@$(TOOLS) && failed=; \
	for directory in . $(PACKAGES); do \
	  echo "== pytest in $$directory"; \
	  (cd "$$directory" && python -m pytest) || failed="$$failed $$directory"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

unit: ## run the tests that need no engine
	@scripts/bootstrap --dev
	@$(TOOLS) && python -m pytest -m "not integration" \
	  && for directory in $(PACKAGES); do (cd "$$directory" && python -m pytest) || exit; done

integration: ## run the tests that deploy
	@scripts/bootstrap --dev
	@$(TOOLS) && python -m pytest -m integration

load: ## change and break a gateway under load and print what clients saw (ARGS=--help)
	@scripts/bootstrap --dev
	@$(TOOLS) && python -m tests.load $(ARGS)

bench: bench-serving bench-proxy ## measure what serving costs (needs the images of `make up`)

bench-proxy: ## measure what the proxy costs beside a pass-through and LiteLLM (ARGS=--help)
	@scripts/bootstrap --dev
	@$(TOOLS) && PYTHONPATH=images/claude-code-proxy/src python -m bench.proxy $(ARGS)

bench-serving: ## measure what LiteLLM serves, and what stands in front of it adds
	@scripts/bootstrap --dev
	@$(TOOLS) && PYTHONPATH=images/claude-code-proxy/src python -m bench.serving $(ARGS)

bench-deploy: ## measure how long changes take (needs docker-compose and the images of `make up`)
	@scripts/bootstrap --dev
	@$(TOOLS) && python -m bench.deploy $(ARGS)

lint: ## check style, types and shell scripts
	@scripts/bootstrap --dev
	@$(TOOLS) && ruff check . && ruff format --check . && mypy && mypy scripts/hello \
	  && for directory in $(PACKAGES); do (cd "$$directory" && mypy) || exit; done \
	  && shellcheck --external-sources $(SHELL_SCRIPTS)

format: ## apply the style
	@scripts/bootstrap --dev
	@$(TOOLS) && ruff check --fix . && ruff format .

lock: ## take newer versions of the Python packages into the locks
	$(LOCK) --upgrade requirements.in -o requirements.txt
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt
	$(LOCK) --upgrade --no-annotate toolchain/uv-requirements.in -o toolchain/uv-requirements.txt
