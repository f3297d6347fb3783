#!/usr/bin/env python3
"""Clients of the kind that nobody wants, many at a time, in a process of their own.

    bad_clients.py silent HOST PORT COUNT    they connect and say nothing
    bad_clients.py scan HOST PORT COUNT      they connect and close, COUNT a second
    bad_clients.py slow HOST PORT COUNT      they ask for /big and read a byte a second of it

"there" is printed when all of them are there. It goes on until TERM; then it says how many connections it made.
"""

import os
import signal
import socket
import sys
import time


def connect(to, receive_buffer=None):
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect(to)
    return client


def silent(to, count, made):
    clients = []
    while len(clients) < count:
        clients.append(connect(to))
        made(1)
    print("there", flush=True)
    while True:
        signal.pause()


def scan(to, count, made):
    print("there", flush=True)
    start, done = time.monotonic(), 0
    while True:
        while done < count * (time.monotonic() - start):
            connect(to).close()
            done += 1
            made(1)
        time.sleep(0.005)


def slow(to, count, made):
    clients = []
    while len(clients) < count:
        clients.append(connect(to, receive_buffer=4096))
        clients[-1].sendall(b"GET /big HTTP/1.0\r\n\r\n")
        assert clients[-1].recv(1) == b"H"
        made(1)
    print("there", flush=True)
    while True:
        time.sleep(1)
        for client in clients:
            if not client.recv(1):
                sys.exit("a slow reader was cut off")


def main():
    kind, host, port, count = sys.argv[1:]
    total = 0

    def made(more):
        nonlocal total
        total += more

    def end(*_):
        print(f"made {total}", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    {"silent": silent, "scan": scan, "slow": slow}[kind]((host, int(port)), int(count), made)


if __name__ == "__main__":
    main()
