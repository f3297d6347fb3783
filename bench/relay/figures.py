"""The figures: each function measures one proxy once and returns {metric: value}."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import time

from contestants import Contestant
from machine import BenchError, run
from observers import Observers

GIB = 1 << 30
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LAST_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


def wrk(port, path, seconds, close=False):
    """Requests per second and their number, by 32 connections that each wait for their answer."""
    header = ["-H", "Connection: close"] if close else []
    text = run(["wrk", "-t2", "-c32", f"-d{seconds}s", *header, f"http://127.0.0.1:{port}{path}"])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    if (errors and any(int(count) for count in errors.groups())) or "Non-2xx" in text:
        raise BenchError("wrk saw errors: " + " ".join(text.split()))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), int(re.search(r"(\d+) requests in", text)[1])


def rate(bench, name, metric, path, close=False):
    with Contestant(name, bench) as proxy:
        if bench.warm_up:
            wrk(proxy.port, path, bench.warm_up, close)
        before = proxy.process.cpu_seconds() if proxy.process else 0
        per_second, requests = wrk(proxy.port, path, bench.seconds, close)
        found = {metric: per_second}
        if proxy.process:
            found[f"{metric}_cpu"] = (proxy.process.cpu_seconds() - before) / requests * 1e6
        return found


def connect(bench, name):
    return rate(bench, name, "connect", "/", close=True)


def keepalive(bench, name):
    return rate(bench, name, "keepalive", "/")


def small(bench, name):
    return rate(bench, name, "small", "/bytes/16384")


def download(bench, name):
    with Contestant(name, bench) as proxy:
        def fetch(size):
            url = f"http://127.0.0.1:{proxy.port}/bytes/{size}"
            said = json.loads(run(["curl", "-sS", "-m", "30", "-o", "/dev/null", "-w", "%{json}", url]))
            if said["size_download"] != size:
                raise BenchError(f"{name}: {said['size_download']} of {size} bytes arrived")
            return said["time_total"]

        fetch(GIB // 8)
        before = proxy.process.cpu_seconds() if proxy.process else 0
        seconds = fetch(GIB)
        found = {"download": GIB / seconds / 1e9}
        if proxy.process:
            found["download_cpu"] = proxy.process.cpu_seconds() - before
        return found


def open_loop(bench, port, requests_per_second, connections, kind):
    said = json.loads(run([bench.tools / "openloop", port, "/", requests_per_second, bench.latency_seconds,
                           connections, kind]))
    if said["done"] < .99 * said["intended"]:
        raise BenchError(f"open loop: {said['done']} of {said['intended']} requests answered, {said['errors']} errors")
    return said


def latency(bench, name):
    found = {}
    with Contestant(name, bench) as proxy:
        for kind, metric, connections in (("keep", "keepalive", 32), ("close", "connect", 512)):
            said = open_loop(bench, proxy.port, bench.half_rate(metric), connections, kind)
            found |= {f"{metric}_p50": said["p50_us"], f"{metric}_p99": said["p99_us"],
                      f"{metric}_late": said["late_p99_us"]}
    return found


def exchange(client, request=REQUEST):
    client.sendall(request)
    if not client.recv(4096).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("no answer")


def traced(proxy, work):
    """Calls of each system call that the proxy makes while `work` runs, by name."""
    pids = [word for pid in proxy.process.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "name,calls", *pids], text=True, stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL)
    try:
        time.sleep(.5)  # strace says that it is attached before it is, to every thread
        if tracer.poll() is not None:
            raise BenchError(f"strace: {tracer.stderr.read().strip()[-200:]}")
        work()
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        text = tracer.communicate()[1]
    counted = re.findall(r"^(\w+)\s+(\d+)\s*$", text, re.MULTILINE)
    return {name: int(calls) for name, calls in counted if name != "total"}


def syscalls(bench, name):
    count = bench.traced_connections
    with Contestant(name, bench) as proxy:
        def connections():
            for _ in range(count):
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                    exchange(client, LAST_REQUEST)
                    while client.recv(4096):
                        pass

        def requests():
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                for _ in range(count):
                    exchange(client)

        found = {}
        for metric, work in (("connect_calls", connections), ("request_calls", requests)):
            per_name = {call: calls / count for call, calls in traced(proxy, work).items()}
            found[metric] = sum(per_name.values())
            found[f"{metric}_by_name"] = dict(sorted(per_name.items(), key=lambda item: -item[1]))
        return found


@contextlib.contextmanager
def idle_clients(port, most):
    """Up to `most` connections, each of which has had an answer; fewer when one is refused."""
    clients = []
    try:
        while len(clients) < most:
            client = socket.socket()
            client.settimeout(2)
            try:
                client.connect(("127.0.0.1", port))
                exchange(client)
            except OSError:
                client.close()
                break
            clients.append(client)
        yield clients
    finally:
        for client in clients:
            client.close()


def memory(bench, name):
    with Contestant(name, bench) as proxy:
        time.sleep(.2)
        before = proxy.process.rss_bytes()
        with idle_clients(proxy.port, bench.idle_connections) as clients:
            if len(clients) < bench.idle_connections:
                raise BenchError(f"{name} holds only {len(clients)} connections")
            time.sleep(.5)
            return {"idle_bytes": (proxy.process.rss_bytes() - before) / len(clients)}


def held(bench, name):
    with Contestant(name, bench) as proxy, idle_clients(proxy.port, bench.descriptors - 200) as clients:
        return {"held": len(clients)}


def access_log(bench, name):
    """What is left of the connection rate with one access log line per connection, written to a file."""
    rates = []
    for log in (False, True):
        with Contestant(name, bench, log=log) as proxy:
            if bench.warm_up:
                wrk(proxy.port, "/", bench.warm_up, close=True)
            rates.append(wrk(proxy.port, "/", bench.seconds, close=True)[0])
    return {"log_kept": rates[1] / rates[0], "log_rate": rates[1]}


def watched(bench, name):
    """What is left of the rates with fifty open dashboards and a scrape a second. Both are of the same process, one after
    the other, and the next time the other way round."""
    found = {}
    with Contestant(name, bench, admin=True) as proxy:
        for metric, close in (("connect", True), ("keepalive", False)):
            rates = {}
            bench.turns += 1
            for looking in (False, True) if bench.turns % 2 else (True, False):
                with Observers(proxy.admin_port, 50) if looking else contextlib.nullcontext():
                    rates[looking] = wrk(proxy.port, "/", bench.seconds, close)[0]
            found[f"{metric}_watched"] = rates[True] / rates[False]
    return found


# name: (what, which proxies, how many rounds at most)
FIGURES = {
    "connect": (connect, "haproxy nginx pen threads events direct", None),
    "keepalive": (keepalive, "haproxy nginx pen threads events direct", None),
    "download": (download, "haproxy nginx pen threads events direct", None),
    "small": (small, "haproxy nginx pen threads events direct", None),
    "latency": (latency, "haproxy nginx threads events direct", None),
    "syscalls": (syscalls, "haproxy nginx pen threads events", 1),
    "memory": (memory, "haproxy nginx pen threads events", 3),
    "held": (held, "haproxy nginx pen threads events", 1),
    "watched": (watched, "threads events", None),
    "log": (access_log, "haproxy nginx threads events", 5),
}


def missing_tools():
    return [tool for tool in ("wrk", "curl", "strace", "haproxy", "nginx", "pen") if not shutil.which(tool)]
