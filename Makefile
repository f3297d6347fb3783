# Farol. Targets: all test check asan tsan bench bench-choice agent install clean.
# VARIANT=asan|tsan builds the same tree with sanitizers into build/<variant>/.

VERSION  := 0.1.0
CXX      ?= g++
VARIANT  ?= release
PREFIX   ?= /usr/local
DESTDIR  ?=

comma := ,
OUT := $(if $(filter release,$(VARIANT)),build,build/$(VARIANT))
OBJ := $(OUT)/obj

WARNINGS  := -Wall -Wextra -Wpedantic -Wshadow -Werror -Wformat -Werror=format-security
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_GLIBCXX_ASSERTIONS
LINK_HARDENING := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack
FMT := -lfmt
COMPILER := $(CXX)
ifeq ($(VARIANT),release)
  MODE := -O2 -g1 -D_FORTIFY_SOURCE=3
else ifeq ($(VARIANT),agent)
  # Static: Debian has no libfmt.a, so fmt is compiled in. The linker's warning about getaddrinfo is known: names from
  # /etc/hosts and DNS need no plug-in since glibc 2.34.
  MODE := -O2 -g1 -D_FORTIFY_SOURCE=3 -DFMT_HEADER_ONLY
  LINK_HARDENING := -static-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--no-warnings
  FMT :=
else
  # By clang: a second opinion, its thread-safety analysis on the way, and a third of g++'s time. It dislikes how
  # libstdc++ 12 sorts.
  COMPILER := clang++-19
  MODE := -O0 -g1 -fno-omit-frame-pointer -Wthread-safety -Wno-deprecated-declarations
  MODE += $(if $(filter asan,$(VARIANT)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all,-fsanitize=thread)
endif
# Tests are compiled for speed of compilation, by clang where there is one (TEST_CXX=g++ for the other's opinion); what
# they test keeps its own flags.
TEST_CXX ?= $(or $(shell command -v clang++-19),$(CXX))
TEST_COMPILER := $(if $(filter release,$(VARIANT)),$(TEST_CXX),$(COMPILER))
TEST_MODE := -O0 -g1 -U_FORTIFY_SOURCE $(if $(findstring clang,$(TEST_COMPILER)),-Wno-deprecated-declarations)
CXXFLAGS += -std=c++20 $(MODE) -fPIE $(WARNINGS) $(HARDENING) -pthread -Iinclude -MMD -MP
LDFLAGS  += $(MODE) -pthread $(LINK_HARDENING)
# Precompiled library headers, where what is compiled is not what is shipped: that has to stand without them.
INSTANTIATE = $(if $(findstring clang,$(1)),-fpch-instantiate-templates)
SRC_HEADER  := $(if $(filter asan tsan,$(VARIANT)),$(OBJ)/precompiled.hpp)
TEST_HEADER := $(OBJ)/test/precompiled.hpp

area = $(patsubst src/%.cpp,$(OBJ)/%.o,$(filter-out %/main.cpp,$(wildcard src/$(1)/*.cpp)))
main = $(OBJ)/$(1)/main.o

COMMON     := $(call area,common)
LIBCOMMON  := $(OUT)/obj/common.a
MONITORING := $(call area,monitoring)
HTTP       := $(call area,http)
# The page is put into the programs as it is.
PAGE       := $(wildcard web/*) $(wildcard third_party/uplot/*)
DASHBOARD  := $(call area,dashboard) $(OBJ)/dashboard/embedded.o
TRANSFER   := $(call area,transfer)
PROXY      := $(call area,proxy)
GATEWAY    := $(call area,gateway)
MONITOR    := $(call area,monitor)
PROXYCTL   := $(call area,proxyctl)
FILESERVER := $(call area,fileserver)

PROGRAMS := $(OUT)/reverseProxy $(OUT)/monitorUDP $(OUT)/proxyctl $(OUT)/HttpGw $(OUT)/FastFileSrv
BALANCING_TOOLS := $(addprefix $(OUT)/bench/,backends burner load)
TRANSFER_TOOLS  := $(addprefix $(OUT)/bench/,delay_relay path_probe)
STUDY := $(patsubst %.cpp,$(OBJ)/%.o,$(filter-out %/study.cpp,$(wildcard bench/study/*.cpp)))
# The runner is Catch's own code, which needs no sanitizer: the variants share it. First, for it takes longest.
RUNNER := build/obj/test/main.o
TEST_OBJ := $(RUNNER) $(patsubst %.cpp,$(OBJ)/%.o,$(wildcard test/*/*.cpp))

.PHONY: all programs unit test check asan tsan bench bench-choice bench-tools agent install clean
.DELETE_ON_ERROR:

all: programs
programs: $(PROGRAMS)
unit: $(OUT)/unit_tests

$(OUT)/reverseProxy: $(MONITORING) $(HTTP) $(DASHBOARD) $(PROXY) $(call main,proxy) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -lcap -luring -lsystemd -o $@
$(OUT)/monitorUDP: $(MONITORING) $(MONITOR) $(call main,monitor) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -o $@
$(OUT)/proxyctl: $(MONITORING) $(PROXYCTL) $(call main,proxyctl) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -lcurl -lncursesw -ltinfo -o $@
$(OUT)/HttpGw: $(HTTP) $(DASHBOARD) $(TRANSFER) $(GATEWAY) $(call main,gateway) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -luring -lsystemd -o $@
$(OUT)/FastFileSrv: $(TRANSFER) $(FILESERVER) $(call main,fileserver) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -o $@
$(OUT)/unit_tests: $(MONITORING) $(HTTP) $(DASHBOARD) $(TRANSFER) $(PROXY) $(GATEWAY) $(MONITOR) $(PROXYCTL) $(FILESERVER) $(STUDY) $(TEST_OBJ) $(LIBCOMMON)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -lcurl -lncursesw -ltinfo -lcap -luring -lsystemd -o $@

# An archive, so that each program takes only what it uses.
$(LIBCOMMON): $(COMMON)
	rm -f $@ && ar rcs $@ $^

# The tools of bench/balancing, bench/transfer and bench/study: they emulate, ask and simulate, and are not installed.
bench-tools: $(BALANCING_TOOLS) $(TRANSFER_TOOLS) $(OUT)/bench/study
$(BALANCING_TOOLS): $(OUT)/bench/%: $(OBJ)/bench/balancing/%.o $(LIBCOMMON)
	@mkdir -p $(@D)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -o $@
$(TRANSFER_TOOLS): $(OUT)/bench/%: $(OBJ)/bench/transfer/%.o $(TRANSFER) $(LIBCOMMON)
	@mkdir -p $(@D)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -o $@
$(OUT)/bench/study: $(STUDY) $(OBJ)/bench/study/study.o $(MONITORING) $(HTTP) $(DASHBOARD) $(PROXY) $(LIBCOMMON)
	@mkdir -p $(@D)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -lcap -luring -lsystemd -o $@

# One static agent to copy to any Linux machine of this architecture: build/agent/monitorUDP.
agent:
	$(MAKE) VARIANT=agent build/agent/monitorUDP

$(OBJ)/%.o: src/%.cpp $(SRC_HEADER:=.gch)
	@mkdir -p $(@D)
	$(COMPILER) $(CXXFLAGS) $(SRC_HEADER:%=-include %) -c $< -o $@
$(OBJ)/%.o: src/%.S $(PAGE)
	@mkdir -p $(@D)
	$(COMPILER) $(filter-out -fsanitize%,$(MODE)) $(HARDENING) -c $< -o $@
$(OBJ)/bench/%.o: bench/%.cpp $(SRC_HEADER:=.gch)
	@mkdir -p $(@D)
	$(COMPILER) $(CXXFLAGS) $(SRC_HEADER:%=-include %) -c $< -o $@
$(OBJ)/test/%.o: test/%.cpp $(TEST_HEADER:=.gch)
	@mkdir -p $(@D)
	$(TEST_COMPILER) $(CXXFLAGS) $(TEST_MODE) $(TEST_HEADER:%=-include %) -Itest -c $< -o $@
$(OBJ)/test/main.o: TEST_HEADER :=
ifneq ($(VARIANT),release)
$(RUNNER):
	$(MAKE) VARIANT=release $@
endif
$(OBJ)/precompiled.hpp.gch: src/precompiled.hpp
	@mkdir -p $(@D)
	$(COMPILER) $(CXXFLAGS) $(call INSTANTIATE,$(COMPILER)) -x c++-header $< -o $@
$(OBJ)/test/precompiled.hpp.gch: test/precompiled.hpp src/precompiled.hpp
	@mkdir -p $(@D)
	$(TEST_COMPILER) $(CXXFLAGS) $(TEST_MODE) $(call INSTANTIATE,$(TEST_COMPILER)) -x c++-header $< -o $@

test: programs unit
	scripts/test --no-setup
check: programs unit
	scripts/check
	$(OUT)/unit_tests
asan:
	$(MAKE) VARIANT=asan programs unit
tsan:
	$(MAKE) VARIANT=tsan unit
bench: programs
	scripts/bench

# What a choice costs, by Google Benchmark: make bench-choice [ARGS=--benchmark_filter=acquire].
bench-choice: $(OUT)/bench/choice
	$< $(ARGS)
$(OUT)/bench/choice: $(MONITORING) $(HTTP) $(DASHBOARD) $(PROXY) $(OBJ)/bench/choice/choice.o $(LIBCOMMON)
	@mkdir -p $(@D)
	$(COMPILER) $(LDFLAGS) $^ $(FMT) -lcrypto -lcap -luring -lsystemd -lbenchmark -o $@

install: programs
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/systemd/system $(addprefix share/doc/farol/,docs prometheus grafana))
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	for unit in packaging/systemd/*; do \
	  sed 's|@BINDIR@|$(PREFIX)/bin|g' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$unit); done
	install -m 644 README.md LICENSE CHANGELOG.md CONTRIBUTING.md $(DESTDIR)$(PREFIX)/share/doc/farol
	install -m 644 docs/* $(DESTDIR)$(PREFIX)/share/doc/farol/docs
	for tool in prometheus grafana; do install -m 644 packaging/$$tool/* $(DESTDIR)$(PREFIX)/share/doc/farol/$$tool; done

clean:
	rm -rf build

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
