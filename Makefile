# Every target works on a fresh clone: what is missing is installed first. Paths are relative, so that the folder may
# have any name, one with spaces too.

SHELL := /bin/sh
.SUFFIXES:
.DEFAULT_GOAL := help

# npm puts a Node 24 here where the machine's own is older, and it comes first.
NODE := PATH="$$PWD/node_modules/.bin:$$PATH" node
INSTALLED := node_modules/.installed

.PHONY: help serve test test-times check format bench bench-gateway bench-log bench-gpu bench-scrape bench-rollback limits-proof outage-proof kill-proof switch-kill-proof soak-proof memory-proof canary-proof rolling-proof docker-proof bench-embeddings watch-proof contact-sheet dashboards clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | while IFS=@ read -r name text; do printf '%-20s %s\n' "$$name" "$$text"; done

serve: $(INSTALLED) ## start everything and print URL, key and an example
	@exec ./headrace serve

test: $(INSTALLED) ## run all tests; FILES="test/a.test.ts …" for some
	@$(NODE) test/run.ts $(FILES)

test-times: $(INSTALLED) ## run all tests and list what took longest
	@$(NODE) test/run.ts --times $(FILES)

check: $(INSTALLED) ## check types, lint, import boundaries, format and unused code
	@PATH="$$PWD/node_modules/.bin:$$PATH" npm run --silent check

format: $(INSTALLED) ## format every file
	@PATH="$$PWD/node_modules/.bin:$$PATH" npm run --silent format

bench: $(INSTALLED) ## measure speed, memory and quality
	@$(NODE) test/bench/main.ts $(ARGS)

bench-gateway: $(INSTALLED) ## measure what the gateway costs, beside others
	@$(NODE) test/bench/overhead/main.ts $(ARGS)

bench-embeddings: $(INSTALLED) ## measure how fast texts become vectors, beside transformers.js
	@$(NODE) test/bench/embeddings/main.ts $(ARGS)

bench-log: $(INSTALLED) ## measure how fast exchanges are kept and found
	@$(NODE) test/bench/log/main.ts $(ARGS)

bench-gpu: $(INSTALLED) ## measure how near a GPU comes to what it could do; says so where there is none
	@$(NODE) test/bench/gpu.ts $(ARGS)

bench-rollback: $(INSTALLED) ## measure what a deployment and its rollback cost who is being answered
	@$(NODE) test/bench/rollback/main.ts $(ARGS)

bench-scrape: $(INSTALLED) ## measure what Prometheus' scrape of a large installation costs
	@$(NODE) test/bench/scrape.ts

limits-proof: $(INSTALLED) ## show that two gateways on one Redis admit one limit; takes a minute
	@$(NODE) test/proofs/limits.ts $(ARGS)

outage-proof: $(INSTALLED) ## show that nothing is refused or lost without PostgreSQL or Redis; takes three minutes
	@$(NODE) test/proofs/outage.ts $(ARGS)

kill-proof: $(INSTALLED) ## show that no answer is missing in the log after kill -9; takes a minute
	@$(NODE) test/proofs/kill.ts $(ARGS)

switch-kill-proof: $(INSTALLED) ## show that kill -9 at any step of a deployment leaves no half of it; takes four minutes
	@$(NODE) test/proofs/switch-kill.ts $(ARGS)

soak-proof: $(INSTALLED) ## show that nothing leaks under mixed traffic; takes ten minutes
	@$(NODE) test/proofs/soak.ts $(ARGS)

memory-proof: $(INSTALLED) ## show that unloading a version gives its memory back; takes a minute
	@$(NODE) test/proofs/memory.ts $(ARGS)

canary-proof: $(INSTALLED) ## show that bad versions are taken back by themselves, good ones are not; takes five minutes
	@$(NODE) test/proofs/canary.ts $(ARGS)

rolling-proof: $(INSTALLED) ## show that updates of gateways and runtimes lose nothing; takes two minutes, needs nginx
	@$(NODE) test/proofs/rolling.ts $(ARGS)

docker-proof: $(INSTALLED) ## build the images and bring up the compose file, without a Docker engine; takes minutes
	@$(NODE) test/proofs/docker.ts $(ARGS)

watch-proof: $(INSTALLED) ## show that Prometheus sees what it has to, and that an alert is told; takes a minute
	@$(NODE) test/proofs/watch.ts $(ARGS)

contact-sheet: $(INSTALLED) ## draw every panel over a day that is made up, into .cache/contact-sheet
	@$(NODE) test/watch/contact-sheet/main.ts $(ARGS)

dashboards: $(INSTALLED) ## write grafana/dashboards from their source
	@$(NODE) grafana/write.ts

clean: ## delete what was installed and cached; the data folder stays
	rm -rf node_modules .cache

# The stamp is written last and removed first: an install that was interrupted is run again, from the start.
$(INSTALLED): package-lock.json package.json
	@command -v npm >/dev/null 2>&1 || { echo "Node 20 or newer with npm is needed; there is no npm here." >&2; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { echo "Node 20 or newer is needed; here is $$(node --version 2>/dev/null || echo none)." >&2; exit 1; }
	@rm -f $(INSTALLED)
	npm ci --no-audit --no-fund --loglevel=error
	@touch $(INSTALLED)
