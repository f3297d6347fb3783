#!/usr/bin/env python3
"""The service of a back-end: takes an upload and gives a download, both at once, and closes.

    server.py ADDRESS PORT

A client says in its first line "NUMBER SEED UP DOWN PACE\\n", then come UP bytes of it. It gets DOWN bytes, and in the
end the SHA-256 of its upload. Both wait PACE milliseconds between two blocks of theirs. Every request is written down
here, and so is every byte that is not what the client sent.
"""

import os
import socket
import sys
import threading
import time

from content import BLOCK, Arriving, blocks

PATIENCE = 40  # of one who waits for a client that no longer exists


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # one write is one line, whatever kills this process


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(line) > 100:
            return line
        line += byte
    return line


def send_all(connection, seed, size, pace):
    try:
        for block in blocks(seed, size):
            connection.sendall(block)
            time.sleep(pace / 1000)
    except OSError:
        pass  # who reads will notice


def serve(connection):
    line = read_line(connection)
    if not line:
        return  # the proxy looks whether somebody listens
    try:
        number, seed, up, down, pace = map(int, line.split())
    except ValueError:
        return say("WRONG line", line)
    say("request", number)
    sender = threading.Thread(target=send_all, args=(connection, f"down{seed}", down, pace))
    sender.start()
    upload = Arriving(f"up{seed}", up)
    try:
        while not upload.whole() and (data := connection.recv(BLOCK)):
            upload.take(data)
        sender.join()
        if upload.whole():
            connection.sendall(upload.digest.digest())
    finally:
        if not upload.right():
            say("WRONG upload of request", number)
        sender.join()


def serve_and_close(connection):
    with connection:
        connection.settimeout(PATIENCE)
        try:
            serve(connection)
        except OSError:
            pass


def main():
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
    say("listening")
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_and_close, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
