"""ZooKeeper's own shell, zkCli, as one-shot commands and as a session that stays open."""

import base64
import hashlib
import pathlib
import queue
import re
import subprocess
import threading
import time

import checks
import server as under_test
from checks import contains, equal, wait_until

CHECKS = checks.Checks("zkCli")
check = CHECKS.check
SHELL = pathlib.Path("/usr/share/zookeeper/bin/zkCli.sh")
ANSWER_SECONDS_MAX = 20
# A command that the shell answers by itself: when its line is there, the answer before it is complete.
MARK_COMMAND, MARK = "printwatches", "printwatches is on"
# For `create -t`.
TTL_MS = 100_000


def next_address(server):
    """One node's address, another than the last time. A shell that is given several connects to any of them."""
    return server.hosts().split(",")[0]


def once(server, *words):
    """Runs one command in a shell of its own, at the next node, and returns its exit status and what it printed."""
    command = [str(SHELL), "-server", next_address(server), *words]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    return done.returncode, done.stdout


class Session:
    """A shell that is fed through a pipe. It connects to `hosts`, or else to the next node."""

    def __init__(self, server, hosts=None):
        self.reads_are_stale = server.reads_are_stale
        self.process = subprocess.Popen(
            [str(SHELL), "-server", hosts or next_address(server)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = queue.SimpleQueue()
        self.seen = ""
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        self.wait_for("state:SyncConnected type:None")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def run(self, command):
        """Sends a command and returns what was printed until it was done."""
        self.process.stdin.write(f"{command}\n{MARK_COMMAND}\n")
        self.process.stdin.flush()
        return self._read_until(MARK)

    def read(self, command):
        """`run` for a command that reads what another session wrote."""
        if self.reads_are_stale:
            # A write, though it fails, has its place in the order, and what comes after it reads no older state.
            self.run("delete /absent/znode")
        return self.run(command)

    def wait_for(self, text):
        """Reads on until a line contains the text, unless one that was already read does."""
        if text not in self.seen:
            self._read_until(text)

    def forget(self):
        """Lets `wait_for` look only at what comes from now on."""
        self.seen = ""

    def quit(self):
        """Leaves the shell with `quit` and returns its exit status."""
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        return self.process.wait(ANSWER_SECONDS_MAX)

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def _read_until(self, text):
        answer = ""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while text not in answer:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{text!r} did not come, but {answer[-400:]!r}") from None
            answer += line
            self.seen += line
        return answer


def field(text, name):
    """A number of a printed stat."""
    found = re.search(rf"^{name} = (\w+)$", text, re.MULTILINE)
    assert found, f"no {name} in {text[-600:]!r}"
    return int(found[1], 0)


def digest_id(user, password):
    """The id of ZooKeeper's digest scheme."""
    digest = hashlib.sha1(f"{user}:{password}".encode()).digest()
    return f"{user}:{base64.b64encode(digest).decode()}"


@check
def one_shot_commands(server):
    status, printed = once(server, "create", "/once", "some data")
    equal(status, 0)
    contains(printed, "Created /once")
    status, printed = once(server, "get", "/once")
    equal(status, 0)
    contains(printed, "\nsome data\n")
    status, printed = once(server, "get", "/absent")
    equal(status, 1)
    contains(printed, "Node does not exist: /absent")
    status, printed = once(server, "deleteall", "/once")
    equal(status, 0)
    status, printed = once(server, "ls", "/")
    contains(printed, "\n[zookeeper]\n")


@check
def create_in_every_mode(server):
    with Session(server) as shell:
        contains(shell.run("create /modes data"), "Created /modes\n")
        contains(shell.run("create -s /modes/s- data"), "Created /modes/s-0000000000\n")
        contains(shell.run("create -e /modes/e data"), "Created /modes/e\n")
        contains(shell.run("create -e -s /modes/es- data"), "Created /modes/es-0000000002\n")
        contains(shell.run("create -c /modes/c"), "Created /modes/c\n")
        contains(shell.run(f"create -t {TTL_MS} /modes/t data"), "Created /modes/t\n")
        contains(shell.run(f"create -t {TTL_MS} -s /modes/ts- data"), "Created /modes/ts-0000000005\n")
        contains(shell.run("ls /modes"), "[c, e, es-0000000002, s-0000000000, t, ts-0000000005]\n")
        owners = [field(shell.run(f"stat /modes/{name}"), "ephemeralOwner") for name in ("c", "t", "s-0000000000")]
        equal(owners, [0, 0, 0])
        assert field(shell.run("stat /modes/e"), "ephemeralOwner") != 0
        equal(shell.quit(), 0)
    with Session(server) as shell:
        contains(shell.run("ls /modes"), "[c, s-0000000000, t, ts-0000000005]\n")


@check
def create_errors(server):
    with Session(server) as shell:
        shell.run("create /errors data")
        contains(shell.run("create /errors data"), "Node already exists: /errors")
        contains(shell.run("create /errors/no/such data"), "Node does not exist: /errors/no/such")
        shell.run("create -e /errors/e data")
        contains(shell.run("create /errors/e/child data"), "Ephemerals cannot have children: /errors/e/child")
        contains(shell.run("create /errors/acl data no:such:cdrwa"), "errors/acl")
        contains(shell.run("ls /errors"), "[e]\n")


@check
def ls(server):
    with Session(server) as shell:
        for path in ("/ls", "/ls/b", "/ls/a", "/ls/a/deep"):
            shell.run(f"create {path} data")
        contains(shell.run("ls /ls"), "[a, b]\n")
        contains(shell.run("ls -R /ls"), "/ls\n/ls/a\n/ls/b\n/ls/a/deep\n")
        stat = shell.run("ls -s /ls")
        equal((field(stat, "numChildren"), field(stat, "cversion")), (2, 2))
        contains(shell.run("ls -w /ls"), "[a, b]\n")
        shell.run("create /ls/c data")
        shell.wait_for("type:NodeChildrenChanged path:/ls")
        contains(shell.run("ls /absent"), "Node does not exist: /absent")


@check
def get_set_stat(server):
    with Session(server) as shell:
        shell.run("create /data one")
        printed = shell.run("get -s /data")
        contains(printed, "one\ncZxid = 0x")
        equal((field(printed, "dataVersion"), field(printed, "dataLength")), (0, 3))
        contains(shell.run("get -w /data"), "one\n")
        contains(shell.run("set -s /data changed"), "dataVersion = 1\n")
        shell.wait_for("type:NodeDataChanged path:/data")
        contains(shell.run("set -v 7 /data x"), "version No is not valid : /data")
        contains(shell.run("set -v 1 /data x"), MARK)
        stat = shell.run("stat -w /data")
        equal((field(stat, "dataVersion"), field(stat, "dataLength")), (2, 1))
        assert field(stat, "mZxid") > field(stat, "cZxid")
        shell.forget()
        shell.run("delete /data")
        shell.wait_for("type:NodeDeleted path:/data")
        contains(shell.run("stat /data"), "Node does not exist: /data")
        contains(shell.run("set /data x"), "Node does not exist: /data")


@check
def delete_and_deleteall(server):
    with Session(server) as shell:
        for path in ("/tree", "/tree/a", "/tree/a/b", "/tree/c"):
            shell.run(f"create {path} data")
        contains(shell.run("delete /tree"), "Node not empty: /tree")
        contains(shell.run("delete -v 3 /tree/c"), "version No is not valid : /tree/c")
        shell.run("delete -v 0 /tree/c")
        contains(shell.run("ls -R /tree"), "/tree\n/tree/a\n/tree/a/b\n")
        for number in range(20):
            shell.run(f"create /tree/a/{number}")
        shell.run("deleteall /tree -b 7")
        contains(shell.run("ls /tree"), "Node does not exist: /tree")
        contains(shell.run("delete /tree"), "Node does not exist: /tree")


@check
def acls_and_auth(server):
    digest = digest_id("user", "secret")
    with Session(server) as owner, Session(server) as stranger:
        contains(owner.run("whoami"), "Auth scheme: User\n", "ip: 127.0.0.1\n")
        owner.run("addauth digest user:secret")
        contains(owner.run("whoami"), "digest: user\n")
        contains(owner.run("create /acl data auth::cdrwa"), "Created /acl\n")
        contains(owner.run("getAcl /acl"), f"'digest,'{digest}\n: cdrwa\n")
        contains(stranger.read("get /acl"), "Insufficient permission : /acl")
        shared = owner.run(f"setAcl -s /acl world:anyone:r,digest:{digest}:cdrwa")
        equal(field(shared, "aclVersion"), 1)
        contains(stranger.read("get /acl"), "data\n")
        contains(stranger.run("set /acl x"), "Insufficient permission : /acl")
        printed = stranger.run("getAcl -s /acl")
        contains(printed, "aclVersion = 1\n", "'world,'anyone\n: r\n", "'digest,'user:x\n: cdrwa\n")
        contains(owner.run("setAcl -v 0 /acl world:anyone:r"), "version No is not valid : /acl")
        owner.run("setAcl /acl world:anyone:cdrwa")
        contains(stranger.read("getAcl /acl"), "'world,'anyone\n: cdrwa\n")


@check
def ephemerals_and_counts(server):
    with Session(server) as shell:
        shell.run("create /counted data")
        for path in ("/counted/a", "/counted/a/b", "/counted/c"):
            shell.run(f"create {path} data")
        for path in ("/counted/e1", "/counted/a/e2", "/elsewhere"):
            shell.run(f"create -e {path} data")
        contains(shell.run("getAllChildrenNumber /counted"), "5\n")
        found = re.search(r"^\[(.*)\]$", shell.run("getEphemerals"), re.MULTILINE)[1]
        equal(sorted(found.split(", ")), ["/counted/a/e2", "/counted/e1", "/elsewhere"])
        found = re.search(r"^\[(.*)\]$", shell.run("getEphemerals /counted/a"), re.MULTILINE)[1]
        equal(found, "/counted/a/e2")
        contains(shell.run("sync /counted"), "Sync is OK\n")
        shell.run("deleteall /counted")


@check
def persistent_watches(server):
    with Session(server) as shell:
        shell.run("create /watched data")
        shell.run("addWatch -m PERSISTENT /watched")
        for number in range(2):
            shell.forget()
            shell.run(f"set /watched {number}")
            shell.wait_for("type:NodeDataChanged path:/watched")
        shell.run("create /watched/child data")
        shell.wait_for("type:NodeChildrenChanged path:/watched")
        shell.forget()
        shell.run("set /watched/child not-seen")
        shell.run("removewatches /watched -a")
        shell.wait_for("type:PersistentWatchRemoved path:/watched")
        shell.run("set /watched not-seen")
        assert "NodeDataChanged" not in shell.run("sync /watched") + shell.seen, shell.seen
        shell.run("deleteall /watched")


@check
def persistent_recursive_watches(server):
    with Session(server) as shell:
        shell.run("create /watched data")
        shell.run("addWatch /watched")
        shell.run("create /watched/child data")
        shell.run("create /watched/child/deep data")
        shell.run("set /watched/child/deep changed")
        shell.run("deleteall /watched/child")
        for event in ("NodeCreated path:/watched/child\n", "NodeCreated path:/watched/child/deep\n"):
            shell.wait_for(f"type:{event}")
        shell.wait_for("type:NodeDataChanged path:/watched/child/deep\n")
        shell.wait_for("type:NodeDeleted path:/watched/child/deep\n")
        shell.wait_for("type:NodeDeleted path:/watched/child\n")
        assert "NodeChildrenChanged" not in shell.seen, shell.seen
        shell.run("removewatches /watched")
        shell.wait_for("type:PersistentWatchRemoved path:/watched\n")
        contains(shell.run("removewatches /watched"), "KeeperErrorCode = No such watcher for /watched")
        shell.run("deleteall /watched")


@check
def session_is_closed_and_opened_again(server):
    with Session(server) as shell:
        shell.run("create -e /ephemeral data")
        shell.run("close")
        shell.wait_for("state:Closed")
        shell.forget()
        shell.run(f"connect {server.address}")
        shell.wait_for("state:SyncConnected")
        contains(shell.run("stat /ephemeral"), "Node does not exist: /ephemeral")


@check
def session_and_watches_survive_a_kill_of_the_server(server):
    with Session(server, server.address) as shell:
        shell.run("create /kept data")
        shell.run("create -e /kept/e data")
        shell.run("get -w /kept")
        shell.run("addWatch /kept/e")
        server.restart()
        shell.forget()
        wait_until(lambda: "[e]\n" in shell.run("ls /kept"), what="the new connection")
        shell.run("set /kept changed")
        shell.wait_for("type:NodeDataChanged path:/kept\n")
        for number in range(2):
            shell.forget()
            shell.run(f"set /kept/e {number}")
            shell.wait_for("type:NodeDataChanged path:/kept/e\n")
        shell.run("deleteall /kept")


@check
def version_and_config(server):
    with Session(server) as shell:
        contains(shell.run("version"), "ZooKeeper CLI version: 3.")
        assert "KeeperErrorCode" not in shell.run("config")
        refusals = "Unimplemented|Reconfig is disabled|No quorum|Insufficient permission"
        assert re.search(refusals, shell.run("reconfig -remove 1"))


def main():
    options = under_test.arguments(__doc__).parse_args()
    with under_test.of(options) as server:
        return CHECKS.run(options, server.standing)


if __name__ == "__main__":
    checks.exit_with(main())
