"""What every kazoo check is given: the server, and clients in a chroot of the check's own."""

import contextlib
import logging
import threading
import uuid
import warnings

import checks
import server as under_test
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.retry import KazooRetry

CHECKS = checks.Checks("kazoo recipes")


class World:
    """One check's world. The chroot is a single component, so that its children may lie in different partitions."""

    def __init__(self, server):
        self.server = server
        self.chroot = "/check-" + uuid.uuid4().hex[:12]
        self.clients = []

    def client(self, **options):
        """A started client; it is closed when the check ends."""
        options.setdefault("timeout", 10)
        options.setdefault("connection_retry", patient())
        client = KazooClient(self.server.address + self.chroot, **options)
        self.clients.append(client)
        client.start(timeout=20)
        client.ensure_path("/")
        return client

    def close(self):
        for client in self.clients:
            with contextlib.suppress(KazooException):
                client.stop()
            with contextlib.suppress(KazooException):
                client.close()


def patient():
    """Tries to connect for as long as a server takes to start again."""
    return KazooRetry(max_tries=-1, delay=0.1, backoff=1, max_delay=0.5)


def in_threads(function, *argument_lists, seconds=60):
    """Runs the function once per argument list, at the same time, and returns the values in that order."""
    results = [None] * len(argument_lists)

    def body(index):
        try:
            results[index] = (function(*argument_lists[index]), None)
        except Exception as error:
            results[index] = (None, error)

    threads = [threading.Thread(target=body, args=(index,), daemon=True) for index in range(len(argument_lists))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), f"a client hung for {seconds} s"
    for _, error in results:
        if error is not None:
            raise error
    return [value for value, _ in results]


def main(description):
    """Starts the server, runs every declared check and returns the exit status."""
    options = under_test.arguments(description).parse_args()
    # Lost connections are what many checks are about.
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="kazoo")
    with under_test.Server(options.server, options.binary, options.partitions) as server:
        return CHECKS.run(options.only, lambda: world(server))


@contextlib.contextmanager
def world(server):
    """A fresh world, with the server up again whatever the last check did to it."""
    server.start()
    value = World(server)
    try:
        yield value
    finally:
        value.close()
