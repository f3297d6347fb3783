# What the demonstrations share; sourced by scripts/demo.

export PATH="$PATH:/usr/sbin:/sbin"  # mini_httpd and ss, for users other than root
bin=${FAROL_BUILD:-build}
declare -A pid=()  # everything started here: name -> process
dir=
failures=0

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
plain_on_pipes() { [[ -t 1 ]] || say() { printf '\n%s\n' "$*"; }; }
plain_on_pipes

check() {  # check WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then
    echo "  ok: $what"
  else
    echo "  FAILED: $what"
    failures=$((failures + 1))
  fi
}

stop() {  # stop NAME [SIGNAL]
  [[ -n ${pid[$1]:-} ]] || return 0
  kill "-${2:-TERM}" "${pid[$1]}" 2>/dev/null
  wait "${pid[$1]}" 2>/dev/null
  unset "pid[$1]"
}

cleanup() {
  local name
  trap - EXIT INT TERM
  for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}" 2>/dev/null; done
  for _ in {1..30}; do
    for name in "${!pid[@]}"; do kill -0 "${pid[$name]}" 2>/dev/null || unset "pid[$name]"; done
    ((${#pid[@]})) || break
    sleep 0.1
  done
  for name in "${!pid[@]}"; do kill -KILL "${pid[$name]}" 2>/dev/null; done
  wait 2>/dev/null
  [[ -z $dir ]] || rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# free_port tcp|udp ADDRESSES WANTED: WANTED, or the next port that nobody listens on. ADDRESSES is a pattern.
free_port() {
  local kind=$1 address=$2 port=$3 taken
  taken=$(ss -Hln "--$kind" | awk '{print $4}')
  while grep -qE "^($address|0\.0\.0\.0|\*|\[::\]):$port$" <<<"$taken"; do port=$((port + 1)); done
  [[ $port == "$3" ]] || echo "  $kind port $3 is taken: using $port" >&2
  echo "$port"
}

start() {  # start NAME COMMAND...: in the background, its output in $dir/NAME.log
  local name=$1
  shift
  "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
}

until_true() {  # until_true SECONDS COMMAND...: polls ten times a second
  local end=$(($(date +%s%N) + $1 * 1000000000))
  shift
  until "$@"; do
    (($(date +%s%N) < end)) || return 1
    sleep 0.1
  done
}

prepare() {  # prepare PROGRAM...: installs what is missing and builds these
  scripts/setup demo || exit 1
  if [[ -z ${FAROL_BUILD:-} ]]; then
    local programs=("${@/#/build/}")
    make -q "${programs[@]}" 2>/dev/null || echo "building …"
    if ! build_log=$(make -j"$(nproc)" "${programs[@]}" 2>&1); then
      printf '%s\n' "$build_log" | tail -n 30 >&2
      echo "demo: the build failed (make ${programs[*]})" >&2
      exit 1
    fi
  fi
}

verdict() {  # verdict PROCESS WHAT: ends the demonstration; on a terminal WHAT stays up until Ctrl-C
  if ((failures)); then
    say "$failures of the checks failed; the last words of $1:"
    tail -n 30 "$dir/$1.log"
    exit 1
  fi
  say "Every step held."
  [[ -z $once ]] || exit 0
  echo "Still running: $2. Ctrl-C ends it."
  trap 'exit 0' INT TERM
  wait "${pid[$1]}"
}
