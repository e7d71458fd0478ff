"""Sessions through kazoo: their ends, what survives a crash of the server, and the four-letter words."""

import re
import signal
import subprocess
import sys

from checks import contains, equal, wait_until
from kazoo.client import KazooClient
from kazoo.protocol.connection import _CONNECTION_DROP, _SESSION_EXPIRED
from kazoo.protocol.states import KazooState
from kazoo_world import CHECKS

check = CHECKS.check
# The least that ZooKeeper grants with ticks of two seconds.
SHORT_SESSION_SECONDS = 4
EXPIRY_SECONDS_MAX = 20
# A client in a process of its own, to be killed or paused. It says when its node stands and when its session is lost.
HOLDER = f"""
import logging, sys, threading
from kazoo.client import KazooClient
logging.disable()
client = KazooClient(sys.argv[1], timeout={SHORT_SESSION_SECONDS})
lost = threading.Event()
client.add_listener(lambda state: lost.set() if state == "LOST" else None)
client.start()
client.create("/held", ephemeral=True)
print("standing", flush=True)
lost.wait(60)
print("lost", flush=True)
"""


class Holder:
    """That process, ended at the end of the block. It knows all nodes, or the one of the number `only`."""

    def __init__(self, world, only=None):
        server = world.server
        self.address = (server.address if only is None else server.node(only).address) + world.chroot

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER, self.address], stdout=subprocess.PIPE, text=True)
        equal(self.process.stdout.readline(), "standing\n")
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def states_of(client):
    states = []
    client.add_listener(states.append)
    return states


@check
def ephemerals_vanish_when_the_session_closes(world):
    client, observer = world.client(), world.client()
    for path in ("/a", "/b", "/c"):
        client.create(path, ephemeral=True)
    equal(observer.exists("/a").ephemeralOwner, client.client_id[0])
    client.stop()
    equal([observer.exists(path) for path in ("/a", "/b", "/c")], [None] * 3)


@check
def ephemerals_vanish_when_the_client_process_dies(world):
    observer, events = world.client(), []
    with Holder(world) as holder:
        assert observer.exists("/held", watch=events.append)
        holder.kill()
        assert observer.exists("/held"), "the session must not end with its connection"
        wait_until(lambda: events, EXPIRY_SECONDS_MAX, "the expiry")
    equal((events[0].type, observer.exists("/held")), ("DELETED", None))


@check
def session_expires_while_the_client_is_paused(world):
    observer = world.client()
    with Holder(world) as holder:
        holder.send_signal(signal.SIGSTOP)
        wait_until(lambda: not observer.exists("/held"), EXPIRY_SECONDS_MAX, "the expiry")
        holder.send_signal(signal.SIGCONT)
        equal(holder.stdout.readline(), "lost\n")


@check
def idle_session_is_kept_alive_by_pings(world):
    observer = world.client()
    idle = world.client(timeout=SHORT_SESSION_SECONDS)
    idle.create("/idle", ephemeral=True)
    states = states_of(idle)
    with Holder(world) as holder:
        holder.kill()
        wait_until(lambda: not observer.exists("/held"), EXPIRY_SECONDS_MAX, "the expiry of the other session")
    equal((states, observer.exists("/idle") is not None), ([], True))


@check
def lost_connection_keeps_the_session(world):
    client = world.client()
    client.create("/ephemeral", ephemeral=True)
    session, states = client.client_id, states_of(client)
    client._call(_CONNECTION_DROP, None)
    wait_until(lambda: states == [KazooState.SUSPENDED, KazooState.CONNECTED], what="the new connection")
    equal(client.client_id, session)
    assert client.exists("/ephemeral")


@check
def expired_session_loses_its_ephemerals_and_gets_a_successor(world):
    client = world.client()
    client.create("/ephemeral", ephemeral=True)
    session, states = client.client_id, states_of(client)
    client._call(_SESSION_EXPIRED, None)
    wait_until(lambda: KazooState.LOST in states and states[-1] == KazooState.CONNECTED, what="the new session")
    assert client.client_id[0] != session[0]
    wait_until(lambda: client.exists("/ephemeral") is None, EXPIRY_SECONDS_MAX, "the ephemeral's end")


@check
def session_is_not_handed_out_for_a_wrong_password(world):
    owner = world.client()
    owner.create("/ephemeral", ephemeral=True)
    session, password = owner.client_id
    wrong = bytes(byte ^ 0x55 for byte in password)
    thief = KazooClient(world.server.address + world.chroot, client_id=(session, wrong), timeout=10)
    world.clients.append(thief)
    states = states_of(thief)
    thief.start_async()
    wait_until(lambda: thief.connected, what="the thief's connection")
    assert thief.client_id[0] != session, states
    assert owner.exists("/ephemeral")


@check
def session_moves_to_a_new_connection_by_id_and_password(world):
    first = world.client()
    first.create("/ephemeral", ephemeral=True)
    session = first.client_id
    first.handler.stop()
    second = world.client(client_id=session)
    equal(second.client_id[0], session[0])
    equal(second.exists("/ephemeral").ephemeralOwner, session[0])
    second.delete("/ephemeral")


def connection_line(world, client):
    """What the four-letter word `cons` says of the client's connection, at the node that has it."""
    session = f"sid=0x{client.client_id[0]:x},"
    lines = [line for node in world.server.nodes for line in node.four_letters("cons").splitlines()]
    return next(line for line in lines if session in line)


@check
def negotiated_timeout_is_clamped(world):
    for asked_seconds, granted_ms in ((1, 4000), (12, 12000), (1000, 40000)):
        contains(connection_line(world, world.client(timeout=asked_seconds)), f",to={granted_ms},")


@check
def killed_server_loses_nothing(world):
    client = world.client()
    client.create("/parent")
    for number in range(100):
        client.create("/parent/n-", str(number).encode(), sequence=True)
    client.create("/ephemeral", ephemeral=True)
    session, before = client.client_id, client.get("/parent")
    states = states_of(client)
    world.server.restart()
    wait_until(lambda: states[-1:] == [KazooState.CONNECTED], 30, "the new connection")
    equal(states, [KazooState.SUSPENDED, KazooState.CONNECTED])
    equal((client.client_id, client.get("/parent")), (session, before))
    equal(client.get("/parent/n-0000000099")[0], b"99")
    equal(client.exists("/ephemeral").ephemeralOwner, session[0])
    equal(client.create("/parent/n-", sequence=True), "/parent/n-0000000100")
    assert client.exists("/parent/n-0000000100").czxid > before[1].pzxid


@check
def watch_recipes_go_on_after_the_server_was_killed(world):
    reader, writer = world.client(), world.client()
    data, children = [], []
    reader.create("/node", b"0")
    reader.DataWatch("/node", lambda value, stat: data.append(value))
    reader.ChildrenWatch("/node", lambda names: children.append(names))
    world.server.restart()
    writer.retry(writer.set, "/node", b"1")
    writer.retry(writer.create, "/node/child")
    wait_until(lambda: data[-1] == b"1" and children[-1] == ["child"], 30, "the changes")


@check
def lock_is_held_over_a_kill_of_the_server(world):
    holder, waiter = world.client(), world.client()
    lock = holder.Lock("/lock", "holder")
    lock.acquire()
    world.server.restart()
    rival = waiter.Lock("/lock", "waiter")
    equal(waiter.retry(rival.acquire, blocking=False), False)
    wait_until(lambda: holder.connected, 30, "the holder's connection")
    lock.release()
    assert rival.acquire(timeout=10)


@check
def sessions_without_a_client_expire_after_a_restart(world):
    observer = world.client()
    with Holder(world) as holder:
        holder.kill()
        world.server.restart()
        wait_until(lambda: observer.connected, 30, "the observer's connection")
        wait_until(lambda: not observer.retry(observer.exists, "/held"), EXPIRY_SECONDS_MAX, "the expiry")


@check
def word_ruok(world):
    equal(world.server.four_letters("ruok"), "imok")


@check
def words_srvr_and_stat(world):
    client = world.client()
    server = world.server.four_letters("srvr")
    for line in (
        r"Zookeeper version: \d+\.\d+\.\d+.*",
        r"Latency min/avg/max: \d+/[\d.]+/\d+",
        r"Received: \d+",
        r"Sent: \d+",
        r"Connections: \d+",
        r"Outstanding: \d+",
        r"Zxid: 0x[0-9a-f]+",
        r"Mode: (standalone|leader|follower)",
        r"Node count: \d+",
    ):
        assert re.search(f"^{line}$", server, re.MULTILINE), f"{line} is not in {server!r}"
    stat = world.server.four_letters("stat")
    contains(stat, "Zookeeper version: ", "Clients:\n", " /127.0.0.1:", "(queued=0,recved=", "Mode: ", "Node count: ")
    contains(client.command(b"srvr"), "Zookeeper version: ")


@check
def word_mntr(world):
    client = world.client(first=1)
    client.create("/ephemeral", ephemeral=True, value=b"x")
    lines = [line.split("\t", 1) for line in world.server.four_letters("mntr").splitlines()]
    values = {line[0]: line[1] for line in lines}
    contains(values["zk_version"], "3.")
    assert values["zk_server_state"] in ("standalone", "leader", "follower"), values
    for name in (
        "zk_avg_latency",
        "zk_max_latency",
        "zk_min_latency",
        "zk_packets_received",
        "zk_packets_sent",
        "zk_outstanding_requests",
        "zk_watch_count",
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
    ):
        assert float(values[name]) >= 0, f"{name} {values[name]}"
    assert int(values["zk_znode_count"]) >= 3, values
    ephemerals = [re.search(r"zk_ephemerals_count\t(\d+)", node.four_letters("mntr")) for node in world.server.nodes]
    assert any(int(found[1]) >= 1 for found in ephemerals), ephemerals
    assert int(values["zk_num_alive_connections"]) >= 1, values
    if len(world.server.nodes) == 1 and not world.server.reads_are_stale:
        stages = [f"volery_stage_{stage}_us_mean" for stage in ("batching", "multicasting", "waiting", "executing")]
        assert sum(int(values[stage]) for stage in stages) > 0, values


@check
def word_isro(world):
    equal(world.server.four_letters("isro"), "rw")


@check
def word_conf(world):
    lines = world.server.four_letters("conf").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    equal(values["clientPort"], str(world.server.node(1).port))
    equal((values["minSessionTimeout"], values["maxSessionTimeout"], values["tickTime"]), ("4000", "40000", "2000"))
    contains(values["dataDir"], str(world.server.node(1).data))


@check
def word_cons(world):
    line = connection_line(world, world.client())
    counts = r"\(queued=0,recved=\d+,sent=\d+,sid=0x[0-9a-f]+,lop=\w+,est=\d+,to=10000,"
    assert re.match(r" /127\.0\.0\.1:\d+\[\d\]" + counts, line), line


@check
def word_envi_gives_the_version(world):
    contains(world.server.four_letters("envi"), "Environment:\n", "zookeeper.version=", "os.name=")
    assert world.client().server_version() >= (3, 8)
