#!/usr/bin/env python3
"""Connections at a fixed rate, whatever becomes of those before, and a server for them.

    flood.py PORT RATE     until its input ends; then one line of JSON: asked, seconds, failed (what went wrong, each)
    flood.py --serve PORT  the server

Each connection sends one byte and wants two back and the end.
"""

import contextlib
import json
import resource
import select
import socket
import sys
import threading
import time

ANSWER = b"ok"
PATIENCE = 20


class Connection:
    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(address)
        self.since, self.sent, self.got = time.monotonic(), False, b""

    def step(self):
        """What went wrong, "" when all went well, None when there is more to come."""
        try:
            if not self.sent:
                self.socket.send(b"x")
                self.sent = True
                return None
            block = self.socket.recv(16)
        except OSError as error:
            return repr(error)
        self.got += block
        if block:
            return None
        return "" if self.got == ANSWER else f"ended after {self.got!r}"


def flood(port, rate):
    poll, user = select.epoll(), sys.stdin.fileno()
    poll.register(user, select.EPOLLIN)
    live, failed, asked, seconds = {}, [], 0, None
    began = time.monotonic()

    def end(number, trouble):
        live.pop(number).socket.close()
        if trouble:
            failed.append(trouble)

    while seconds is None or live:
        now = time.monotonic()
        while seconds is None and asked < (now - began) * rate:
            connection = Connection(("127.0.0.1", port))
            live[connection.socket.fileno()] = connection
            poll.register(connection.socket.fileno(), select.EPOLLOUT)
            asked += 1
        for number, _ in poll.poll(0.1 if seconds else 1 / rate):
            if number == user:
                poll.unregister(user)
                seconds = now - began
            elif (outcome := live[number].step()) is not None:
                end(number, outcome)
            else:
                poll.modify(number, select.EPOLLIN)
        for number in [number for number, each in live.items() if now - each.since > PATIENCE]:
            end(number, "nothing for too long")
    return {"asked": asked, "seconds": seconds, "failed": failed}


def serve(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)

    def answer():
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                if connection.recv(1):  # else the proxy looks whether somebody listens
                    connection.sendall(ANSWER)

    for _ in range(4):
        threading.Thread(target=answer).start()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # who was held up opens many at once
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        print(json.dumps(flood(int(sys.argv[1]), float(sys.argv[2]))), flush=True)
