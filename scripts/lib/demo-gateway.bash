# The second report's three tests: an image from three servers, one that dies, a file that nobody has.

start_file_server() { start "server$1" "$bin/FastFileSrv" 127.0.0.1 "$port" --root "$dir/files$1" --name "server$1"; }

status() { curl -s --max-time 5 "http://127.0.0.1:$admin/api/v1/status"; }
servers_up() { (($(status | grep -o '"state":"up"' | wc -l) == $1)); }  # servers_up N
took_part() {  # took_part LEAST: so many servers gave chunks of the last file
  local servers
  servers=$(grep -o ' servers=[0-9]*' "$dir/gateway.log" | tail -n 1)
  ((${servers#*=} >= $1))
}
same() { cmp -s "$dir/$1" "$dir/files1/${2:-$1}"; }  # same GOT [FILE]
fetch() { wget -nv -T 10 -t 1 -O "$dir/$1" "http://127.0.0.1:$port/${2:-$1}" 2>&1 | sed 's/^/    /'; return "${PIPESTATUS[0]}"; }
got() { (($(stat -c %s "$dir/$1" 2>/dev/null || echo 0) >= $2)); }  # got FILE BYTES

# A picture that any browser shows: 24-bit BMP, 640 x 546 pixels of noise.
picture() {
  printf 'BM\x36\xff\x0f\x00\0\0\0\0\x36\0\0\0\x28\0\0\0\x80\x02\0\0\x22\x02\0\0\x01\0\x18\0\0\0\0\0'
  head -c 20 /dev/zero
  head -c $((640 * 546 * 3)) /dev/urandom
}

prepare HttpGw FastFileSrv
dir=$(mktemp -d)
port=$(free_port tcp '127\.0\.0\.1' 8080)
port=$(free_port udp '127\.0\.0\.1' "$port")
admin=$(free_port tcp '127\.0\.0\.1' $((port + 1)))
large=$((128 * 1024 * 1024))
mkdir "$dir/files1"
picture >"$dir/files1/testfile.bmp"
head -c "$large" /dev/urandom >"$dir/files1/large"
for n in 2 3; do cp -al "$dir/files1" "$dir/files$n"; done  # links: they need no room

start gateway "$bin/HttpGw" 127.0.0.1 "$port" --admin "127.0.0.1:$admin"
for n in 1 2 3; do start_file_server "$n"; done

say "1. Three file servers register with the gateway"
if ! until_true 15 servers_up 3; then
  echo "  FAILED: not all of them are up after 15 s"
  tail -n 20 "$dir"/*.log
  exit 1
fi
grep -o '"Added server.*' "$dir/gateway.log" | sed 's/^/    /'

say "2. wget http://127.0.0.1:$port/testfile.bmp"
check "wget has it" fetch testfile.bmp
check "byte for byte" same testfile.bmp

say "3. A larger file, and one of the servers is killed in the middle of it"
start download curl -s --max-time 60 --limit-rate 60M -o "$dir/large" "http://127.0.0.1:$port/large"
until_true 30 got large $((large * 2 / 5))
stop server2 KILL
echo "    server2 killed after $(($(stat -c %s "$dir/large") >> 20)) of $((large >> 20)) MiB"
wait "${pid[download]}"
status_of_curl=$?
unset "pid[download]"
check "curl has it" test "$status_of_curl" = 0
check "byte for byte" same large
check "more than one server took part" took_part 2

say "4. A file that nobody has"
fetch nothing && echo "    (no error)"
check "wget is told 404" grep -q 'target=/nothing status=404' "$dir/gateway.log"
check "the pool is as it was: the other two are up" until_true 10 servers_up 2
check "and they still serve" fetch again testfile.bmp
check "byte for byte" same again testfile.bmp

say "5. The killed server is started again"
start_file_server 2
check "it is back in the pool" until_true 10 servers_up 3
check "and the file comes" fetch once-more large
check "byte for byte" same once-more large
check "from all three" took_part 3

verdict gateway "files on http://127.0.0.1:$port/testfile.bmp, the dashboard on http://127.0.0.1:$admin/"
