"""The contestants: what each starts for one measurement, and what its download was like: {metric: value}."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import sys
import time

from machine import BenchError, Process, free_port, run

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
GIB = 1 << 30
WARM_UP = GIB // 8
SERVERS = 3
ONE_WAY_US = 500
NAME = "gibibyte"
CURL = ("curl", "-sS", "--fail", "--noproxy", "*", "-m", "100")

NGINX = """\
daemon off;
{user}
pid {directory}/{name}.pid;
error_log {directory}/{name}.out error;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {directory}/{name}.body;
    proxy_temp_path {directory}/{name}.proxy;
    server {{
        listen 127.0.0.1:{port};
        location / {{ {serve} }}
    }}
}}
"""


class Setup(contextlib.ExitStack):
    """The processes of one measurement, by the part they play. All of them end with the `with`."""

    def __init__(self, bench):
        super().__init__()
        self.bench, self.parts = bench, {}

    def start(self, part, *command):
        with open(self.output(part), "ab" if part in self.parts else "wb") as output:
            process = Process(command, stdout=output, stderr=output)
        self.callback(process.stop)
        self.parts.setdefault(part, []).append(process)

    def output(self, part):
        return self.bench.scratch / f"{part}.out"

    def said(self, part):
        return " ".join(self.output(part).read_text(errors="replace").split())[-300:] or "no message"

    def cpu_seconds(self):
        return {part: sum(process.cpu_seconds() for process in processes) for part, processes in self.parts.items()}

    def end(self, part):
        """Ends those that play the part and returns the last line they wrote."""
        for process in self.parts.pop(part):
            process.stop()
        return self.output(part).read_text().splitlines()[-1]

    def settle(self):
        """Until nothing computes any more: file servers hash in the background what they were asked for."""
        deadline = time.monotonic() + 60
        before = sum(self.cpu_seconds().values())
        while time.monotonic() < deadline:
            time.sleep(.3)
            now = sum(self.cpu_seconds().values())
            if now - before < .003:
                return
            before = now
        raise BenchError("the programs do not come to rest")


def await_true(condition, what):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(BenchError, OSError, ValueError, http.client.HTTPException):
            if found := condition():
                return found
        time.sleep(.02)
    raise BenchError(f"{what}: not after 10 s")


def file_servers(admin):
    """The gateway's rows of the servers that are up, by name."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=2)
    with contextlib.closing(connection):
        connection.request("GET", "/api/v1/status")
        rows = json.load(connection.getresponse())["servers"]
    return {row["name"]: row for row in rows if row["state"] == "up"}


def start_relay(setup, gateway_port):
    """Puts the delay before the gateway's UDP port; the port where file servers find it then."""
    port = free_port()
    setup.start("relay", BUILD / "bench/delay_relay", port, gateway_port, ONE_WAY_US)
    await_true(lambda: f":{port:04X} " in pathlib.Path("/proc/net/udp").read_text(), "the delay relay")
    return port


def start_gateway(setup, delayed):
    """HttpGw with its FastFileSrv, all of the same directory: (URL, port of its status)."""
    port, admin = free_port(), free_port()
    setup.start("gateway", BUILD / "HttpGw", "127.0.0.1", port, "--admin", f"127.0.0.1:{admin}")
    meeting = start_relay(setup, port) if delayed else port
    for number in range(1, SERVERS + 1):
        setup.start("servers", BUILD / "FastFileSrv", "127.0.0.1", meeting, "--root", setup.bench.files,
                    "--name", f"server-{number}")
    try:
        await_true(lambda: len(file_servers(admin)) == SERVERS, f"{SERVERS} file servers")
    except BenchError as error:
        raise BenchError(f"{error}; gateway: {setup.said('gateway')}; servers: {setup.said('servers')}") from None
    return f"http://127.0.0.1:{port}/{NAME}", admin


def start_nginx(setup, part, serve):
    port, directory = free_port(), setup.bench.scratch
    config = directory / f"{part}.conf"
    config.write_text(NGINX.format(directory=directory, name=part, port=port, serve=serve,
                                   user="user root;" if os.geteuid() == 0 else ""))
    setup.start(part, "nginx", "-p", directory, "-c", config, "-e", setup.output(part))
    try:
        await_true(lambda: run([*CURL, "-I", f"http://127.0.0.1:{port}/{NAME}"]) and port, "nginx")
    except BenchError as error:
        raise BenchError(f"{error}: {setup.said(part)}") from None
    return port


def fetch(url, *flags, size):
    said = json.loads(run([*CURL, "-o", "/dev/null", "-w", "%{json}", *flags, url]))
    if said["size_download"] != size:
        raise BenchError(f"{said['size_download']} of {size} bytes arrived")
    return said


def timed_download(setup, url):
    """The whole file, after a part of it and a pause for what that set off."""
    fetch(url, "-r", f"0-{WARM_UP - 1}", size=WARM_UP)
    setup.settle()
    before = setup.cpu_seconds()
    said = fetch(url, size=GIB)
    used = {f"{part}_cpu": seconds - before[part] for part, seconds in setup.cpu_seconds().items()}
    return {"mb_per_s": GIB / 1e6 / said["time_total"], "first_byte_ms": 1e3 * said["time_starttransfer"]} | used


def through_gateway(bench, delayed=False):
    with Setup(bench) as setup:
        url, admin = start_gateway(setup, delayed)
        found = timed_download(setup, url)
        chunks = [row["chunks"] for row in file_servers(admin).values()]
        received = [row["received"] for row in chunks]
        if len(received) < SERVERS or min(received) == 0:
            raise BenchError(f"not a download from {SERVERS} servers: {received} chunks came from them")
        found |= {"received": received, "lost": [row["lost"] for row in chunks]}
        if delayed:
            found["relay"] = json.loads(setup.end("relay"))
        return found


def through_gateway_delayed(bench):
    return through_gateway(bench, delayed=True)


def nginx(bench):
    with Setup(bench) as setup:
        port = start_nginx(setup, "servers", f"root {bench.files};")
        return timed_download(setup, f"http://127.0.0.1:{port}/{NAME}")


def nginx_proxy(bench):
    """To one origin: a single download never uses more."""
    with Setup(bench) as setup:
        origin = start_nginx(setup, "servers", f"root {bench.files};")
        pass_on = f"proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1; proxy_max_temp_file_size 0;"
        port = start_nginx(setup, "gateway", pass_on)
        return timed_download(setup, f"http://127.0.0.1:{port}/{NAME}")


def report_loop(bench):
    """As far as it comes in a few seconds: every chunk of it takes the same time."""
    loop = (sys.executable, HERE / "report_loop.py")
    with Setup(bench) as setup:
        port = free_port()
        front = start_relay(setup, port)
        for _ in range(SERVERS):
            setup.start("servers", *loop, "server", front, bench.files)
        said = json.loads(run([*loop, "gateway", port, SERVERS, NAME, bench.loop_seconds]))
    with open(bench.files / NAME, "rb") as file:
        if said["timeouts"] or hashlib.sha256(file.read(said["bytes"])).hexdigest() != said["sha256"]:
            raise BenchError(f"the loop had {said['timeouts']} time-outs, or its bytes differ from the file's")
    return {"mb_per_s": said["bytes"] / 1e6 / said["seconds"], "chunk_us": 1e6 * said["seconds"] / said["chunks"]}


def path(bench):
    """The relay alone: its round trip, and what it carries."""
    with Setup(bench) as setup:
        port = free_port()
        relay = start_relay(setup, port)
        found = json.loads(run([BUILD / "bench/path_probe", relay, port, bench.probe_seconds]))
        return found | {"relay": json.loads(setup.end("relay"))}


def verify(bench, delayed):
    """That what comes through the gateway is the file, by SHA-256."""
    with Setup(bench) as setup:
        url, _ = start_gateway(setup, delayed)
        digest = run(["sh", "-c", '"$@" | sha256sum', "sh", *CURL, url]).split()[0]
    if digest != bench.digest:
        raise BenchError(f"SHA-256 of what came is {digest}, of the file {bench.digest}")


CONTESTANTS = {"loopback": through_gateway, "nginx": nginx, "nginx_proxy": nginx_proxy, "path": path,
               "delayed": through_gateway_delayed, "report_loop": report_loop}


def installed():
    return [name for name in CONTESTANTS if shutil.which("nginx") or not name.startswith("nginx")]
