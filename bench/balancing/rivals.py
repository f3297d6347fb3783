"""The proxies that are compared, each in front of a pool of its own."""

import os
import pathlib
from typing import NamedTuple

from contestants import nginx_stream_module

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROXY, AGENT = ROOT / "build/reverseProxy", ROOT / "build/monitorUDP"


class Rival(NamedTuple):
    name: str
    title: str
    program: str            # farol, haproxy, nginx
    policy: str
    interval: str = ""      # Farol: --probe-interval
    agent_check: bool = False


RIVALS = (
    Rival("weighted", "Farol weighted, 1 s", "farol", "weighted", "1s"),
    Rival("weighted-5s", "Farol weighted, 5 s", "farol", "weighted", "5s"),
    Rival("report", "Farol report", "farol", "report", "5s"),
    Rival("haproxy-lc", "HAProxy leastconn", "haproxy", "leastconn"),
    Rival("haproxy-rr", "HAProxy roundrobin", "haproxy", "roundrobin"),
    Rival("haproxy-r2", "HAProxy random(2)", "haproxy", "random(2)"),
    Rival("haproxy-lc-agent", "HAProxy leastconn + agent-check", "haproxy", "leastconn", agent_check=True),
    Rival("haproxy-rr-agent", "HAProxy roundrobin + agent-check", "haproxy", "roundrobin", agent_check=True),
    Rival("nginx-lc", "nginx least_conn", "nginx", "least_conn"),
    Rival("nginx-r2", "nginx random two", "nginx", "random two least_conn"),
)
BY_NAME = {rival.name: rival for rival in RIVALS}
REFERENCE = "haproxy-lc"

# Checks and agent-checks as often as HAProxy does them by itself: every 2 s. Weight 100, for with the default of 1 every
# answer below 100 % would mean drain.
HAPROXY = """\
global
    nbthread 1
    maxconn 8000
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    retries 3
    option redispatch 1
listen pool
    bind 127.0.0.1:{port}
    balance {policy}
    default-server weight 100 check{agent_check}
"""

NGINX = """\
{module}
daemon off;
{user}
pid {directory}/{tag}.pid;
error_log {directory}/{tag}.log error;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
stream {{
    access_log off;
    upstream pool {{
        {policy};
{servers}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        tcp_nodelay on;
        proxy_connect_timeout 2s;
        proxy_timeout 1h;
        proxy_pass pool;
    }}
}}
"""


class Pool(NamedTuple):
    """Where the back-ends of one rival are. `services` and `checks` are (address, port)."""
    services: list
    checks: list


def haproxy(rival, pool, port, directory, tag):
    agent = " agent-check" if rival.agent_check else ""
    lines = [HAPROXY.format(port=port, policy=rival.policy, agent_check=agent)]
    for number, ((address, service), (_, check)) in enumerate(zip(pool.services, pool.checks)):
        lines.append(f"    server s{number} {address}:{service}" + (f" agent-port {check}" if rival.agent_check else "") + "\n")
    config = directory / f"{tag}.cfg"
    config.write_text("".join(lines))
    return ["haproxy", "-db", "-f", config]


def nginx(rival, pool, port, directory, tag):
    servers = "\n".join(f"        server {address}:{service};" for address, service in pool.services)
    config = directory / f"{tag}.conf"
    config.write_text(NGINX.format(module=nginx_stream_module(), user="user root;" if os.geteuid() == 0 else "", tag=tag,
                                   directory=directory, policy=rival.policy, servers=servers, port=port))
    return ["nginx", "-p", directory, "-c", config, "-e", directory / f"{tag}.log"]


def farol(rival, _pool, port, _directory, _tag):
    return [PROXY, "--engine", "events", "--workers", 1, "--log-level", "warn", "--admin", "off",
            "--listen", f"127.0.0.1:{port}", "--monitor-listen", f"127.0.0.1:{port}", "--policy", rival.policy,
            "--probe-interval", rival.interval]


def command(rival, *arguments):
    return {"haproxy": haproxy, "nginx": nginx, "farol": farol}[rival.program](rival, *arguments)
