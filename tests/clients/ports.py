"""Ports of the loopback interface for servers under test.

They lie below the range that the system hands out by itself, or a client's connection could be given a server's port
while the server is down.
"""

import random
import socket

FIRST, LAST = 20000, 30000
TRIES = 200


def free_block(count):
    """The first of `count` ports in a row that nothing listens on now."""
    for first in random.sample(range(FIRST, LAST - count), TRIES):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError(f"no {count} free ports in a row between {FIRST} and {LAST}")


def is_free(port):
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
