"""What a thousand agents at the default timers ask of the machine itself, whoever probes them: 200 datagrams each second,
sent by a thread that wakes every 20 ms, and read by another as they come. Runs until it is killed."""

import select
import socket
import threading
import time

PER_SECOND = 200
TICK_MS = 20


def read_all(agent):
    waiting = select.poll()
    waiting.register(agent, select.POLLIN)
    while True:
        waiting.poll()
        try:
            while True:
                agent.recvmsg(64, 128)
        except BlockingIOError:
            pass


def main():
    asker, agent = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
    agent.bind(("127.0.0.1", 0))
    threading.Thread(target=read_all, args=(agent,), daemon=True).start()
    waiting = select.poll()
    waiting.register(asker, select.POLLIN)
    begun, sent = time.monotonic(), 0
    while True:
        waiting.poll(TICK_MS)
        while sent < (time.monotonic() - begun) * PER_SECOND:
            asker.sendmsg([bytes(64)], [], 0, agent.getsockname())
            sent += 1


main()
