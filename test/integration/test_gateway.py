"""HttpGw and FastFileSrv together, on loopback: whole files, equal to the byte, whatever happens to the servers."""

import concurrent.futures
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.parse

from gateway_harness import CHUNK, GatewayTest, content, png, sha256
from harness import ROOT, SANITIZED, SLOW, Process, real_program_only, wait_until

MIDDLE = 64_000_000 if SANITIZED else 100_000_000  # more than gateway and sockets can hold


class Files(GatewayTest):
    def setUp(self):
        self.pool()

    def assert_serves(self, name, data):
        self.file(name, data)
        self.assertEqual(sha256(self.get(urllib.parse.quote(name))), sha256(data), name)

    def test_every_size(self):
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 64 * CHUNK - 1, 64 * CHUNK, 64 * CHUNK + 1, 1_000_000):
            with self.subTest(size=size):
                self.assert_serves(f"file-{size}", content(size, size))

    def test_every_name(self):
        for name in ("with space.txt", "100%.txt", "%2e%2e", "%41", "café/日本.txt", "a+b&c=d?e#f;g.txt", "'quoted\".txt",
                     "deep/er/and/deep.er", "...", ".hidden", "n" * 255):
            with self.subTest(name=name):
                self.assert_serves(name, content(5000, len(name)))

    def test_five_gibibytes_with_holes(self):
        end = 5 << 30
        marks = {0: b"first", (4 << 30) - 3: b"across 4 GiB", end - 10: b"0123456789"}
        with open(self.root / "sparse", "wb") as file:
            for at, text in marks.items():
                file.seek(at)
                file.write(text)
        head = self.curl("-I", self.gw.url("sparse")).stdout.decode()
        self.assertIn(f"Content-Length: {end}\r\n", head)
        for at, text in marks.items():
            self.assertEqual(self.get("sparse", "-r", f"{at}-{at + len(text) - 1}"), text)
        self.assertEqual(self.get("sparse", "-r", "-10"), b"0123456789")
        self.assertEqual(sha256(self.get("sparse", "-r", f"{end - 5_000_000}-")), sha256(bytes(4_999_990) + b"0123456789"))

    def test_many_at_once(self):
        files = {f"file-{i}": content(3_000_000 + i, i) for i in range(8)}
        for name, data in files.items():
            self.file(name, data)
        with concurrent.futures.ThreadPoolExecutor(16) as executor:
            for name, body in executor.map(lambda name: (name, self.get(name)), [*files] * 4):
                self.assertEqual(sha256(body), sha256(files[name]))

    def test_nobody_has_it(self):
        self.file("here", b"x")
        self.assertEqual(self.status_of("testfile2.jpg"), 404)
        self.assertEqual(self.status_of("no/such/directory/f"), 404)
        self.assertEqual(set(self.gw.servers()), {"srv1", "srv2", "srv3"})
        self.assertEqual(self.get("here"), b"x")

    def test_what_is_no_file(self):
        (self.root / "directory").mkdir()
        os.mkfifo(self.root / "fifo")
        (self.root / "out").symlink_to("/etc/passwd")
        for path in ("directory", "fifo", "out", "%2e%2e/%2e%2e/etc/passwd"):
            with self.subTest(path=path):
                self.assertIn(self.status_of(path), (400, 404))


class Replicas(GatewayTest):
    def test_copies_with_other_times_are_one_file(self):
        roots = [self.directory() for _ in range(3)]
        data = content(4_000_000)
        for i, root in enumerate(roots):
            os.utime(self.file("image.jpg", data, root), (1_600_000_000 + i, 1_600_000_000 + i))
        self.pool(roots=roots)
        time.sleep(0.1)  # a file that was written to a moment ago has no content tag yet (docs/TRANSFER.md, 5)

        def shared():  # once takes a moment, and that may be over before a busy machine lets each server run
            self.assertEqual(sha256(self.get("image.jpg")), sha256(data))
            received = self.gw.received().values()
            return len(received) == 3 and min(received) > 100
        wait_until(shared, 10 * SLOW, "chunks from all three")

    def test_different_files_of_one_name_are_never_mixed(self):
        roots = [self.directory() for _ in range(3)]
        versions = [content(3_000_000, seed) for seed in range(3)]
        for root, data in zip(roots, versions):
            self.file("file", data, root)
        self.pool(roots=roots)
        for _ in range(5):
            self.assertIn(sha256(self.get("file")), [sha256(data) for data in versions])

    def test_a_server_that_lacks_the_file_is_no_matter(self):
        roots = [self.directory() for _ in range(3)]
        data = content(2_000_000)
        self.file("only-here", data, roots[1])
        self.pool(roots=roots)
        self.assertEqual(sha256(self.get("only-here")), sha256(data))
        self.assertEqual(len(self.gw.servers()), 3)

    def test_a_strangers_server_shares_with_ours(self):
        """The Python server of docs/TRANSFER.md's appendix."""
        self.pool(count=1)
        stranger = self.started(Process(sys.executable, ROOT / "test/integration/stranger_file_server.py", "127.0.0.1",
                                        self.gw.port, cwd=self.root))
        both = wait_until(lambda: len(up := self.gw.servers()) == 2 and up, 10 * SLOW, "both servers")
        name = next(name for name in both if name.startswith("stranger"))
        data = content(1_000_000)
        self.file("shared", data)
        time.sleep(0.1)

        def shared():  # on a busy machine ours may have sent the whole file before Python has answered
            self.assertEqual(sha256(self.get("shared")), sha256(data))
            return self.gw.received().get(name, 0) > 0

        wait_until(shared, 10 * SLOW, "chunks from the stranger's")
        self.servers[0].stop()
        self.gw.wait_for_servers(name)
        small = content(50_000, 2)
        self.file("by the stranger alone", small)
        self.assertEqual(self.get("by%20the%20stranger%20alone"), small)
        stranger.stop()
        wait_until(lambda: not self.gw.servers(), 5 * SLOW, "its goodbye")


class Slow:
    """A download that a test reads piece by piece, with more patience than the gateway's own 30 s."""

    def __init__(self, gateway, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60 * SLOW)
        self.connection.request("GET", "/" + path)
        self.response = self.connection.getresponse()
        self.body = bytearray()

    def read_to(self, size):
        while len(self.body) < size and (block := self.response.read1(1 << 20)):
            self.body += block

    def rest(self):
        while block := self.response.read1(1 << 20):
            self.body += block
        self.connection.close()
        if self.response.length:
            raise http.client.IncompleteRead(bytes(self.body), self.response.length)
        return bytes(self.body)


class Failures(GatewayTest):
    def setUp(self):
        self.pool()
        self.data = content(MIDDLE)
        self.file("film", self.data)

    def test_a_server_killed_at_forty_percent(self):
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE * 4 // 10)
        self.servers[0].popen.kill()
        started = time.monotonic()
        self.assertEqual(sha256(download.rest()), sha256(self.data))
        print(f"[the other 60 % in {time.monotonic() - started:.2f} s] ", end="", flush=True)
        wait_until(lambda: set(self.gw.servers()) == {"srv2", "srv3"}, 15 * SLOW, "the dead server is out")

    def test_two_of_three_stopped_in_the_middle(self):
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE // 10)
        self.servers[0].send(signal.SIGSTOP)
        self.addCleanup(self.servers[0].send, signal.SIGCONT)
        download.read_to(MIDDLE // 3)
        self.assertEqual(self.servers[1].stop(), 0)
        self.assertEqual(sha256(download.rest()), sha256(self.data))

    def test_a_new_server_helps_at_once(self):
        self.servers[1].stop()
        self.servers[2].stop()
        self.gw.wait_for_servers("srv1")
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE // 10)
        self.server(self.gw, self.root, "late")
        self.gw.wait_for_servers("srv1", "late")

        def helped():  # a busy machine may let the late one run only after the other has sent all: so bit by bit
            download.read_to(min(len(download.body) + 1_000_000, MIDDLE * 8 // 10))
            return self.gw.received().get("late", 0) > 1000
        wait_until(helped, 10 * SLOW, "chunks from the late one")
        self.assertEqual(sha256(download.rest()), sha256(self.data))

    @real_program_only("half a minute of patience, which the simulated gateway has in no time")
    def test_all_gone_is_an_incomplete_body_never_a_complete_one(self):
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE // 10)
        for server in self.servers:
            server.popen.kill()
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)) as caught:
            download.rest()
        if isinstance(caught.exception, http.client.IncompleteRead):
            self.assertTrue(self.data.startswith(caught.exception.partial))
        wait_until(lambda: self.status_of("film") in (503, 504), 20 * SLOW, "an honest status")
        self.server(self.gw, self.root, "again")
        wait_until(lambda: self.status_of("film") == 200, 10 * SLOW, "the film again")

    def test_a_file_replaced_in_the_middle_comes_in_the_old_version(self):
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE // 10)
        self.file("film.new", content(MIDDLE, 2))
        os.replace(self.root / "film.new", self.root / "film")
        self.assertEqual(sha256(download.rest()), sha256(self.data))
        self.assertEqual(sha256(self.get("film")), sha256(content(MIDDLE, 2)))

    def test_a_file_written_to_in_the_middle_is_never_complete(self):
        download = Slow(self.gw, "film")
        download.read_to(MIDDLE // 10)
        with open(self.root / "film", "r+b") as file:
            file.seek(MIDDLE - 100)
            file.write(b"x" * 100)
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            download.rest()
        self.assertEqual(self.get("film", "-r", "-100"), b"x" * 100)

    def test_a_client_that_leaves_is_no_matter(self):
        for _ in range(5):
            download = Slow(self.gw, "film")
            download.read_to(1_000_000)
            download.connection.close()
        wait_until(lambda: self.gw.status()["transfers"] == 0, 10 * SLOW, "no transfer left")
        self.assertEqual(sha256(self.get("film")), sha256(self.data))

    def test_a_slow_client_holds_up_nobody(self):
        download = Slow(self.gw, "film")
        download.read_to(1_000_000)
        self.file("small", b"quick")
        started = time.monotonic()
        self.assertEqual(self.get("small"), b"quick")
        self.assertEqual(sha256(self.get("film")), sha256(self.data))
        self.assertLess(time.monotonic() - started, 20 * SLOW)
        self.assertEqual(sha256(download.rest()), sha256(self.data))

    def test_the_gateway_restarted(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                self.gw.send(number)
                self.gw.popen.wait(10 * SLOW)
                self.gw = self.gateway(port=self.gw.port)
                started = time.monotonic()
                self.gw.wait_for_servers("srv1", "srv2", "srv3", seconds=10)
                print(f"[signal {number}: pool back in {time.monotonic() - started:.1f} s] ", end="", flush=True)
                self.assertEqual(sha256(self.get("film")), sha256(self.data))

    def test_a_server_restarted_with_its_name(self):
        self.servers[0].popen.kill()
        self.server(self.gw, self.root, "srv1")
        self.gw.wait_for_servers("srv1", "srv2", "srv3")
        self.assertEqual(len(self.gw.status()["servers"]), 3)


class Empty(GatewayTest):
    def test_an_empty_pool_is_not_a_missing_file(self):
        self.gw = self.gateway()
        self.assertEqual(self.status_of("file"), 503)


class Clients(GatewayTest):
    """The image of the report, opened by the clients that people have."""

    def setUp(self):
        self.pool()
        self.image = self.file("testfile.png", png())

    def test_wget(self):
        out = self.directory()
        run = subprocess.run(["wget", "-q", self.gw.url("testfile.png")], cwd=out, capture_output=True,
                             timeout=30 * SLOW)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(sha256(out / "testfile.png"), sha256(self.image))
        run = subprocess.run(["wget", self.gw.url("nothing.png")], cwd=out, capture_output=True, text=True,
                             timeout=30 * SLOW)
        self.assertEqual(run.returncode, 8)
        self.assertIn("404", run.stderr)

    def test_wget_continues_what_it_has_the_half_of(self):
        out = self.directory()
        data = content(5_000_000)
        self.file("film", data)
        (out / "film").write_bytes(data[:2_000_000])
        run = subprocess.run(["wget", "-q", "-c", self.gw.url("film")], cwd=out, capture_output=True,
                             timeout=30 * SLOW)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(sha256(out / "film"), sha256(data))

    def test_curl_with_keep_alive(self):
        url = self.gw.url("testfile.png")
        run = self.curl("-o", os.devnull, "-o", os.devnull, "-w", "%{http_code} %{num_connects} %{content_type}\n", url, url)
        self.assertEqual(run.stdout.decode().splitlines(), ["200 1 image/png", "200 0 image/png"])

    def test_chromium_opens_the_image(self):
        chromium = shutil.which("chromium")
        if not chromium:
            self.skipTest("chromium is not installed")
        self.file("page.html", b"<!doctype html><title>?</title><img src=testfile.png onload=\"document.title ="
                               b" 'seen ' + this.naturalWidth + 'x' + this.naturalHeight\">")
        run = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                              "--no-proxy-server", "--virtual-time-budget=5000", f"--user-data-dir={self.directory()}",
                              "--dump-dom", self.gw.url("page.html")], capture_output=True, text=True,
                             timeout=60 * SLOW)
        self.assertIn("<title>seen 640x480</title>", run.stdout, run.stderr[-2000:])


if __name__ == "__main__":
    unittest.main()
