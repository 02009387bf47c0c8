# Every target is complete by itself on a fresh Debian machine.
.PHONY: all demo test bench bench-peers format lint clean packages configure install
BUILD := build
JOBS ?= $(shell nproc)

all: configure
	cmake --build $(BUILD) -j $(JOBS)

packages:
	@scripts/install-packages

configure: packages
	@cmake --preset release >$(BUILD).log 2>&1 || { cat $(BUILD).log; rm $(BUILD).log; exit 1; }
	@mkdir -p $(BUILD) && mv $(BUILD).log $(BUILD)/configure.log

demo: configure
	cmake --build $(BUILD) -j $(JOBS) --target tessera_cli
	demo/run

test: all
	cd $(BUILD) && ctest -j $(JOBS) --output-on-failure

bench: all
	bench/run

# Other programs, from Debian and npm, on the same models; options: make bench-peers ARGS="--only vit --runs 15"
bench-peers: configure
	cmake --build $(BUILD) -j $(JOBS) --target tessera_bench_side
	bench/peers/install
	BUILD=$(BUILD) bench/peers/run $(ARGS)

format:
	git ls-files '*.cpp' '*.h' | xargs clang-format -i

lint: configure
	scripts/lint

install: all
	cmake --install $(BUILD)

clean:
	rm -rf $(BUILD) build-debug build-sanitize build-sanitize-thread build-fuzz
