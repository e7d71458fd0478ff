"""One node of the server under test: a child process, its ports and its data, which outlive restarts."""

import shutil
import socket
import subprocess
import time

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20


class Node:
    """`data` is its directory, `ports` names its ports by use, `command(node)` gives the process's command line."""

    def __init__(self, number, data, ports, command):
        self.number = number
        self.data = data
        self.ports = ports
        self.command = command
        self.process = None

    @property
    def port(self):
        """The clients' port."""
        return self.ports["client"]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log(self):
        """What it printed; beside the data, which are the node's own."""
        return self.data.with_suffix(".log")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def spawn(self):
        """Starts the process, unless it runs; `await_word` tells when it is of use."""
        if self.running():
            return
        self.data.mkdir(exist_ok=True)
        command = self.command(self)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def await_word(self, word, expected):
        """Waits until the node answers a four-letter word so."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while self._answer(word) != expected:
            if not self.running() or time.monotonic() > deadline:
                tail, command = self.log_tail(), " ".join(self.process.args)
                self.kill()
                self.reap()
                raise RuntimeError(f"node {self.number} did not start: {command}\n{tail}")
            time.sleep(0.05)

    def terminate(self):
        """Sends SIGTERM; `reap` waits for the end."""
        if self.running():
            self.process.terminate()

    def kill(self):
        """Sends SIGKILL; `reap` waits for the end."""
        if self.running():
            self.process.kill()

    def reap(self):
        """Waits for the process's end, and kills it when it does not come."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS_MAX)
        self.process = None

    def forget(self):
        """Removes the data of a node that is down."""
        assert not self.running(), f"node {self.number} runs"
        shutil.rmtree(self.data, ignore_errors=True)

    def log_tail(self, lines=20):
        """The last lines that the node printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def four_letters(self, word, seconds=5):
        """The answer to a four-letter word, read until the node closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(word.encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def _answer(self, word):
        try:
            return self.four_letters(word, 1)
        except OSError:
            return None
