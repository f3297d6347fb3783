#!/usr/bin/env bash
# The agent of `make agent`: one static file that finds its proxy by name. Prints "N passed, N failed".
set -u
agent=${1:-build/agent/monitorUDP}
passed=0 failed=0
check() {  # check WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $what"; fi
}
is_static() { ! readelf -d "$agent" | grep -q NEEDED; }
registers_by_name() {
  timeout 5 "$agent" 1 localhost:9 --bind 127.0.0.1:0 --log-level debug 2>&1 </dev/null |
    grep -m 1 -q 'msg="register sent" proxy=127.0.0.1:9'
}
check "it needs no shared library" is_static
check "it says its version" "$agent" --version
check "it resolves localhost and registers there" registers_by_name
echo "$passed passed, $failed failed"
((failed == 0))
