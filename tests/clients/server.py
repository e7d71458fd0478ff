"""A server under test: Volery, or a real ZooKeeper to prove the suites against.

The process is this script's own child, listens on the loopback interface only and dies with `stop` or `kill`.
"""

import argparse
import atexit
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

KINDS = ("volery", "zookeeper")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
JARS = pathlib.Path("/usr/share/java")
# Debian's zookeeper.jar names most of what it needs in its manifest; these it forgets.
ZOOKEEPER_JARS = ("zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "slf4j-simple")
# super:test
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
ZOOKEEPER_CONFIG = (
    "tickTime=2000",
    "initLimit=10",
    "syncLimit=5",
    "maxClientCnxns=0",
    "admin.enableServer=false",
    "4lw.commands.whitelist=*",
    "extendedTypesEnabled=true",
    "reconfigEnabled=true",
)


class Server:
    """One standalone server with a data directory and a client port that outlive restarts.

    `config` (zoo.cfg lines) and `properties` (-D arguments) go to ZooKeeper only.
    """

    def __init__(self, kind, binary=None, partitions=2, port=None, config=(), properties=()):
        assert kind in KINDS, kind
        self.kind = kind
        self.binary = str(binary or REPOSITORY / "target/release/volery")
        self.partitions = partitions
        self.port = port or free_port()
        self.config = tuple(config)
        self.properties = tuple(properties)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-under-test-"))
        self.process = None
        atexit.register(self.destroy)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def data(self):
        return self.directory / "data"

    @property
    def log(self):
        return self.directory / "server.log"

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
        return self.process is not None and self.process.poll() is None

    def start(self):
        """Starts the process and waits until it answers `ruok`."""
        if self.running():
            return
        self.data.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_ready()

    def stop(self):
        """Ends the process with SIGTERM, and with SIGKILL when it does not go."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._reap()

    def kill(self):
        """Ends the process with SIGKILL."""
        if self.running():
            self.process.kill()
        self._reap()

    def restart(self):
        """Kills the process without warning and starts it on the same data directory and port."""
        self.kill()
        self.start()

    def reset(self):
        """Stops the server and forgets its data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def destroy(self):
        """Stops the server and removes everything it wrote."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log_tail(self, lines=20):
        """The last lines that the server printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def four_letters(self, word, seconds=5):
        """The answer to a four-letter word, read until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(word.encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def _command(self):
        if self.kind == "volery":
            serve = [self.binary, "serve", "--port", str(self.port), "--data-dir", str(self.data)]
            return [*serve, "--partitions", str(self.partitions)]
        config = self.directory / "zoo.cfg"
        place = (f"dataDir={self.data}", f"clientPort={self.port}", "clientPortAddress=127.0.0.1")
        config.write_text("\n".join((*place, *ZOOKEEPER_CONFIG, *self.config)) + "\n")
        system = (
            "-Xmx512m",
            "-Dfile.encoding=UTF-8",
            "-Djava.awt.headless=true",
            "-Dreadonlymode.enabled=true",
            f"-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}",
        )
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return ["java", "-cp", class_path(*ZOOKEEPER_JARS), *system, *self.properties, main, str(config)]

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if not self.running() or time.monotonic() > deadline:
                tail = self.log_tail()
                self.kill()
                raise RuntimeError(f"the server did not start: {' '.join(self._command())}\n{tail}")
            time.sleep(0.05)

    def _answers(self):
        try:
            return self.four_letters("ruok", 1) == "imok"
        except OSError:
            return False

    def _reap(self):
        if self.process is not None:
            self.process.wait(STOP_SECONDS_MAX)
            self.process = None


def class_path(*names):
    """Debian's jars of these names, as a Java class path."""
    return os.pathsep.join(str(JARS / f"{name}.jar") for name in names)


def free_port():
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def exit_on_sigterm():
    """Makes SIGTERM an orderly exit, so that the servers that were started here end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def arguments(description):
    """The command line that all suites share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", choices=KINDS, required=True)
    parser.add_argument("--binary", help="path of the volery binary (default: target/release/volery)")
    parser.add_argument("--partitions", type=int, default=2, help="volery's partitions")
    parser.add_argument("--only", help="run only the checks whose names contain this")
    exit_on_sigterm()
    return parser
