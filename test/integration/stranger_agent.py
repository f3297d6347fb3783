#!/usr/bin/env python3
"""An agent for one proxy, from docs/PROTOCOL.md alone (a proxy given as IPv6 wants brackets: [::1]:5555)."""
import argparse, hmac, os, re, select, signal, socket, struct, sys, time

LAYOUT = struct.Struct(">BBHIQQIIHHIIB3x")  # bytes 0 to 47; the MAC follows
REGISTER, PROBE_REQUEST, PROBE_RESPONSE, DEREGISTER = 1, 2, 3, 4
POOL = 0x37A8EEC1  # "default"
parser = argparse.ArgumentParser()
parser.add_argument("interval", type=float)
parser.add_argument("proxy")
parser.add_argument("--service-port", type=int, default=80)
parser.add_argument("--key-file")
args = parser.parse_args()

def digest(key, data): return hmac.digest(key, data, "sha256")
def mac(key, body): return digest(key, body)[:16] if key else bytes(16)

keys = {}  # id: (agent->proxy, proxy->agent); the first one signs
for line in open(args.key_file) if args.key_file else ():
    if words := line.split("#")[0].split():
        labels = b"farol monitoring v1 agent->proxy", b"farol monitoring v1 proxy->agent"
        keys[int(words[0])] = [digest(bytes.fromhex(words[1]), label) for label in labels]
keys = keys or {0: (b"", b"")}
signer, boot_id = next(iter(keys)), int.from_bytes(os.urandom(8), "big")
host, port = re.fullmatch(r"\[?([^\]]+?)\]?(?::(\d+))?", args.proxy).groups()
family, _, _, _, proxy = socket.getaddrinfo(host, port or 5555, type=socket.SOCK_DGRAM)[0]
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.connect(proxy)  # a connected socket takes datagrams from that address and port alone

def send(kind, sequence=0, nonce=0, interval_ms=0, cpu=0, memory=0, machine=0, service=0, flags=0):
    body = LAYOUT.pack(1 << 3 | kind, signer, args.service_port, sequence, nonce, boot_id, POOL,
                       interval_ms, cpu, memory, machine, service, flags)
    try: sock.send(body + mac(keys[signer][0], body))
    except OSError: pass  # as good as lost

def read_probe(datagram):
    body, sent_mac = datagram[:48], datagram[48:]
    if len(datagram) != 64 or body[1] not in keys: return None
    if not hmac.compare_digest(mac(keys[body[1]][1], body), sent_mac): return None
    _, key_id, _, sequence, nonce, *_, flags = LAYOUT.unpack(body)
    right = LAYOUT.pack(1 << 3 | PROBE_REQUEST, key_id, 0, sequence, nonce, *[0] * 7, flags & 1)
    return (sequence, nonce, flags & 1) if body == right else None

def cpu_times():
    times = [int(word) for word in open("/proc/stat").readline().split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)  # busy (neither idle nor iowait), all

def measure(before, now):
    memory = {line.split(":")[0]: int(line.split()[1]) for line in open("/proc/meminfo")}
    names, values = (line.split() for line in open("/proc/net/snmp") if line.startswith("Tcp:"))
    sockets = [line.split() for name in ("/proc/net/tcp", "/proc/net/tcp6") if os.path.exists(name) for line in open(name)]
    states = [words[3] for words in sockets if words[1].endswith(f":{args.service_port:04X}")]
    return dict(cpu=10000 * (now[0] - before[0]) // max(1, now[1] - before[1]),
                memory=10000 - 10000 * memory["MemAvailable"] // memory["MemTotal"],
                machine=int(values[names.index("CurrEstab")]), service=states.count("01"), flags=int("0A" in states))

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
last_probe, last_register, last_nonce, usual_gap, urgent, times = time.monotonic(), 0.0, None, 5.0, True, cpu_times()
try:
    while True:
        now = time.monotonic()
        urgent = urgent or now - last_probe > 3 * usual_gap
        if now - last_register >= (min(1, args.interval) if urgent else args.interval):
            send(REGISTER, interval_ms=round(args.interval * 1000))
            last_register = now
        if not select.select([sock], [], [], 0.1)[0]: continue
        try: probe = read_probe(sock.recv(65))
        except OSError: continue  # an ICMP error: nobody there yet
        if probe:
            sequence, last_nonce, urgent = probe
            before, times = times, cpu_times()
            send(PROBE_RESPONSE, sequence, last_nonce, **measure(before, times))
            gap, last_probe = time.monotonic() - last_probe, time.monotonic()
            usual_gap = max(1.0, usual_gap + (min(gap, 3 * usual_gap) - usual_gap) / 8)
finally:
    if last_nonce is not None: send(DEREGISTER, nonce=last_nonce)
