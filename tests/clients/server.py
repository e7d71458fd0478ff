"""A server under test: Volery, or a real ZooKeeper to prove the suites against, of one node or of several.

Its processes are this script's own children, listen on the loopback interface only and die with `stop` or `kill`.
"""

import argparse
import atexit
import contextlib
import itertools
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import ports
import zookeeper
from node import Node

KINDS = ("volery", "zookeeper")
# What each node has a port for, in the order of the blocks that they are taken from.
PORTS = ("client", "peer", "election", "tls")
INIT_SECONDS_MAX = 20
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Server:
    """Nodes that serve one tree of znodes; their data and ports outlive restarts.

    Where a method takes a node's `number` (from 1), it acts on all nodes for None. `config` (a function from a node to
    zoo.cfg lines) and `properties` (-D arguments) go to ZooKeeper only.
    """

    def __init__(self, kind, binary=None, partitions=2, nodes=1, replicas=None, config=lambda node: (), properties=()):
        assert kind in KINDS, kind
        assert nodes >= 1, nodes
        self.kind = kind
        self.binary = str(binary or REPOSITORY / "target/release/volery")
        self.partitions = partitions
        self.replicas = replicas
        self.config = config
        self.properties = tuple(properties)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-under-test-"))
        self.first_port = ports.free_block(nodes * len(PORTS))
        self.nodes = [self._node(index, nodes) for index in range(nodes)]
        self.turns = itertools.cycle(self.nodes)
        atexit.register(self.destroy)
        if kind == "volery" and nodes > 1:
            self._init_cluster()

    @property
    def address(self):
        """Every node's address for clients, comma-separated."""
        return ",".join(node.address for node in self.nodes)

    @property
    def reads_are_stale(self):
        """Whether a read may miss what another session was already told is done."""
        return self.kind == "zookeeper" and len(self.nodes) > 1

    def node(self, number):
        return self.nodes[number - 1]

    def hosts(self, number=None):
        """`address` with this node's first; for None each call begins with the next node, so that clients spread."""
        first = self.nodes.index(next(self.turns)) if number is None else number - 1
        return ",".join(node.address for node in self.nodes[first:] + self.nodes[:first])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.destroy()

    @contextlib.contextmanager
    def standing(self):
        """The server, up again whatever was done to it before."""
        self.start()
        yield self

    def running(self):
        return all(node.running() for node in self.nodes)

    def start(self, number=None):
        """Starts what does not run and waits until it serves clients."""
        started = [node for node in self._named(number) if not node.running()]
        for node in started:
            node.spawn()
        for node in started:
            # A ZooKeeper is "ok" before it is one of an ensemble; "rw" it is only then.
            node.await_word("ruok", "imok")
            node.await_word("isro", "rw")

    def stop(self, number=None):
        """Ends nodes with SIGTERM, and with SIGKILL those that do not go."""
        for node in self._named(number):
            node.terminate()
        for node in self._named(number):
            node.reap()

    def kill(self, number=None):
        """Ends nodes with SIGKILL."""
        for node in self._named(number):
            node.kill()
        for node in self._named(number):
            node.reap()

    def restart(self, number=None):
        """Kills nodes without warning and starts them on the same data and ports."""
        self.kill(number)
        self.start(number)

    def reset(self, number=None):
        """Stops nodes and forgets their data."""
        self.stop(number)
        for node in self._named(number):
            node.forget()

    def destroy(self):
        """Stops the server and removes everything it wrote."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def four_letters(self, word, number=1):
        """One node's answer to a four-letter word."""
        return self.node(number).four_letters(word)

    def _named(self, number):
        return self.nodes if number is None else [self.node(number)]

    def _node(self, index, count):
        own = {use: self.first_port + block * count + index for block, use in enumerate(PORTS)}
        return Node(index + 1, self.directory / f"node-{index + 1}", own, self._command)

    def _command(self, node):
        if self.kind == "zookeeper":
            return zookeeper.command(node, self.nodes, self.config(node), self.properties)
        if len(self.nodes) > 1:
            return [self.binary, "serve", "--config", str(self.directory / "cluster.toml"), "--node", str(node.number)]
        serve = [self.binary, "serve", "--port", str(node.port), "--data-dir", str(node.data)]
        return [*serve, "--partitions", str(self.partitions)]

    def _init_cluster(self):
        """Has `volery init` write the cluster's file, in which ports count up from the first node's."""
        first = self.node(1).ports
        command = [self.binary, "init", "--dir", str(self.directory), "--nodes", str(len(self.nodes))]
        command += ["--partitions", str(self.partitions)]
        command += ["--replicas", str(self.replicas)] if self.replicas else []
        command += ["--client-port", str(first["client"]), "--peer-port", str(first["peer"])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INIT_SECONDS_MAX)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def exit_on_sigterm():
    """Makes SIGTERM an orderly exit, so that the servers that were started here end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def arguments(description):
    """The command line that all suites share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", choices=KINDS, required=True)
    parser.add_argument("--binary", help="path of the volery binary (default: target/release/volery)")
    parser.add_argument("--partitions", type=int, default=2, help="volery's partitions")
    parser.add_argument("--nodes", type=int, default=1, help="nodes of the server under test (default: 1)")
    parser.add_argument("--replicas", type=int, help="volery's replicas per partition (default: volery's)")
    parser.add_argument("--only", help="run only the checks whose names contain this")
    exit_on_sigterm()
    return parser


def of(options):
    """The server that the command line asks for."""
    return Server(options.server, options.binary, options.partitions, options.nodes, options.replicas)
