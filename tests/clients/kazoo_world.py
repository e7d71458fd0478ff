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
# A znode that never exists.
ABSENT = "/absent/znode"


class CaughtUp(KazooClient):
    """A client of a ZooKeeper of several nodes: each read follows a write in the pipeline, so that it is not stale.

    A sync is not enough: at ZooKeeper's leader it does not wait for what the leader has yet to apply. The write fails,
    but not before its place in the order has come.
    """

    def catch_up(self):
        self.delete_async(ABSENT)

    def exists_async(self, path, watch=None):
        self.catch_up()
        return super().exists_async(path, watch)

    def get_async(self, path, watch=None):
        self.catch_up()
        return super().get_async(path, watch)

    def get_children_async(self, path, watch=None, include_data=False):
        self.catch_up()
        return super().get_children_async(path, watch, include_data)

    def get_acls_async(self, path):
        self.catch_up()
        return super().get_acls_async(path)


class World:
    """One check's world. The chroot is a single component, so that its children may lie in different partitions."""

    def __init__(self, server):
        self.server = server
        self.chroot = "/check-" + uuid.uuid4().hex[:12]
        self.clients = []

    def client(self, first=None, **options):
        """A started client; it is closed when the check ends.

        It connects to the node of the number `first`, or else to another node than the last client, and goes on to the
        others when it loses that one.
        """
        return self._started(self.server.hosts(first), options)

    def client_at(self, number, **options):
        """A started client that knows one node only."""
        return self._started(self.server.node(number).address, options)

    def _started(self, hosts, options):
        options.setdefault("timeout", 10)
        options.setdefault("connection_retry", patient())
        kind = CaughtUp if self.server.reads_are_stale else KazooClient
        client = kind(hosts + self.chroot, randomize_hosts=False, **options)
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
    with under_test.of(options) as server:
        return CHECKS.run(options, lambda: world(server))


@contextlib.contextmanager
def world(server):
    """A fresh world, with the server up again whatever the last check did to it."""
    server.start()
    value = World(server)
    try:
        yield value
    finally:
        value.close()
