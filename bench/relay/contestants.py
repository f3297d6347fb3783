"""The proxies that are compared: how each is started in front of the same two back-ends, with or without access log."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from machine import BenchError, Process, free_port

PEERS = ("haproxy", "nginx")  # the better of these two in each round is what the ratios are against
ENGINES = ("threads", "events")
TITLES = {"haproxy": "HAProxy", "nginx": "nginx stream", "pen": "pen", "threads": "Farol threads",
          "events": "Farol events", "direct": "no proxy"}

HAPROXY = """\
global
    nbthread 2
    maxconn {most}
    maxpipes 64
{log}
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{use_log}
listen bench
    bind 127.0.0.1:{port}
    balance roundrobin
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
"""

NGINX = """\
{module}
daemon off;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
worker_processes 2;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {descriptors}; }}
stream {{
    {log}
    upstream bench {{ server 127.0.0.1:{a}; server 127.0.0.1:{b}; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 so_keepalive=off;
        tcp_nodelay on;
        proxy_connect_timeout 5s;
        proxy_timeout 1h;
        proxy_pass bench;
    }}
}}
"""


class Contestant:
    """One proxy (or none) in front of the back-ends, for the length of a `with`. `log` turns its access log on, `admin` its admin
    endpoint."""

    def __init__(self, name, bench, log=False, admin=False):
        self.name, self.bench, self.log = name, bench, log
        self.admin_port = free_port() if admin else None
        self.process = None

    def __enter__(self):
        if self.name == "direct":
            self.port = self.bench.backend_ports[0]
            return self
        self.port = free_port()
        with open(self.bench.scratch / f"{self.name}.out", "wb") as output:
            self.process = Process(getattr(self, f"command_{self.name}")(), stdout=output, stderr=output)
        try:
            self.await_ready()
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stop()

    def await_ready(self):
        """Until as many requests in a row as there are back-ends came back through it."""
        deadline, answers = time.monotonic() + 10, 0
        while answers < 4:
            if time.monotonic() > deadline or not self.process.alive():
                said = (self.bench.scratch / f"{self.name}.out").read_text(errors="replace").strip()
                raise BenchError(f"{self.name} does not serve on 127.0.0.1:{self.port}: {said[-300:] or 'no message'}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                    answers = answers + 1 if client.recv(4096).startswith(b"HTTP/1.1 200") else 0
            except OSError:
                answers = 0
            if not answers:
                time.sleep(.02)

    def command_haproxy(self):
        a, b = self.bench.backend_ports
        config = self.bench.scratch / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=self.port, a=a, b=b, most=self.bench.descriptors // 2 - 150,
                                         log="    log stdout format raw local0 info" if self.log else "",
                                         use_log="    log global\n    option tcplog" if self.log else ""))
        return ["haproxy", "-db", "-f", config]

    def command_nginx(self):
        a, b = self.bench.backend_ports
        directory = self.bench.scratch
        log = ("log_format line '$remote_addr [$time_local] $status $bytes_sent $bytes_received $session_time "
               f"$upstream_addr'; access_log {directory}/nginx.access line;" if self.log else "access_log off;")
        config = directory / "nginx.conf"
        config.write_text(NGINX.format(module=nginx_stream_module(), directory=directory, log=log, a=a, b=b,
                                       port=self.port, descriptors=self.bench.descriptors,
                                       user="user root;" if os.geteuid() == 0 else ""))
        return ["nginx", "-p", directory, "-c", config, "-e", directory / "error.log"]

    def command_pen(self):
        limit = self.bench.descriptors // 2 - 50
        return ["pen", "-f", "-r", "-x", limit, "-c", limit, f"127.0.0.1:{self.port}",
                *(f"127.0.0.1:{port}" for port in self.bench.backend_ports)]

    def farol(self, engine):
        backends = [word for port in self.bench.backend_ports for word in ("--backend", f"127.0.0.1:{port}")]
        admin = f"127.0.0.1:{self.admin_port}" if self.admin_port else "off"
        return [self.bench.farol, "--engine", engine, "--log-level", "info" if self.log else "warn", "--admin", admin,
                "--listen", f"127.0.0.1:{self.port}", "--monitor-listen", "127.0.0.1:0", *backends]

    def command_threads(self):
        return self.farol("threads")

    def command_events(self):
        return self.farol("events")


def nginx_stream_module():
    """The line that loads the stream module where it is a shared object (Debian), or nothing where it is built in."""
    build = subprocess.run(["nginx", "-V"], text=True, capture_output=True).stderr
    path = re.search(r"--modules-path=(\S+)", build)
    module = pathlib.Path(path[1] if path else "/usr/lib/nginx/modules") / "ngx_stream_module.so"
    return f"load_module {module};" if module.exists() else ""


def installed(names):
    return [name for name in names if name in ENGINES or name == "direct" or shutil.which(name)]
