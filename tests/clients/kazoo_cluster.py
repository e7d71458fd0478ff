"""What only several nodes can show: reads through any of them, sessions that move, and the death of one node."""

from checks import equal, raises, wait_until
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, SessionExpiredError, SessionMovedError
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry
from kazoo_sessions import EXPIRY_SECONDS_MAX, SHORT_SESSION_SECONDS, Holder, states_of
from kazoo_world import CHECKS, in_threads, patient

check = CHECKS.check_of_several
ROUNDS = 200
# A death is noticed at once by those connected there; the rest is electing new leaders.
CARRY_ON_SECONDS_MAX = 10
CUT_OFF = (SessionMovedError, ConnectionLoss, ConnectionClosedError, SessionExpiredError)


def one_client_per_node(world):
    return [world.client_at(node.number) for node in world.server.nodes]


def everywhere(clients, call):
    """The call's results through every client, all asked before the first is awaited."""
    return [result.get(10) for result in [call(client) for client in clients]]


@check
def write_through_one_node_is_read_through_every_node_at_once(world):
    clients = one_client_per_node(world)
    clients[0].create("/node", b"")
    for number in range(ROUNDS):
        value = str(number).encode()
        stat = clients[number % len(clients)].set("/node", value)
        equal(everywhere(clients, lambda client: client.get_async("/node")), [(value, stat)] * len(clients))


@check
def birth_and_death_through_one_node_are_seen_through_every_node_at_once(world):
    clients = one_client_per_node(world)
    clients[0].create("/parent")
    for number in range(ROUNDS):
        mother, killer = clients[number % len(clients)], clients[(number + 1) % len(clients)]
        mother.create("/parent/child")
        equal(everywhere(clients, lambda client: client.get_children_async("/parent")), [["child"]] * len(clients))
        killer.delete("/parent/child")
        equal(everywhere(clients, lambda client: client.exists_async("/parent/child")), [None] * len(clients))


@check
def moved_session_keeps_its_ephemerals_and_leaves_its_old_connection_behind(world):
    old = world.client_at(1, connection_retry=KazooRetry(max_tries=0))
    old.create("/node", b"by the old connection")
    old.create("/ephemeral", ephemeral=True)
    session = old.client_id
    new = world.client_at(2, client_id=session)
    equal(new.client_id, session)
    # Its client would now and then come back at once, and take the session away from the new connection.
    old.set_hosts("127.0.0.1:1" + world.chroot)
    raises(CUT_OFF, old.set, "/node", b"behind the new connection's back")
    wait_until(lambda: not old.connected, what="the old connection's end")
    new.create("/another", ephemeral=True)
    for observer in one_client_per_node(world):
        equal(observer.get("/node")[0], b"by the old connection")
        owners = [observer.exists(path).ephemeralOwner for path in ("/ephemeral", "/another")]
        equal(owners, [session[0]] * 2)
    new.stop()
    for observer in one_client_per_node(world):
        equal([observer.exists(path) for path in ("/ephemeral", "/another")], [None] * 2)


@check
def session_moves_through_all_nodes_and_back(world):
    count = len(world.server.nodes)
    client = world.client_at(1)
    session = client.client_id
    client.create("/ephemeral", b"0", ephemeral=True)
    for turn in range(1, 2 * count + 1):
        client = world.client_at(turn % count + 1, client_id=session)
        equal(client.client_id, session)
        equal(client.get("/ephemeral")[0], str(turn - 1).encode())
        equal(client.set("/ephemeral", str(turn).encode()).version, turn)
        # Its socket is all that is left of it, as if its process had died.
        client.handler.stop()


@check
def watch_recipes_go_with_the_session_to_another_node(world):
    reader, writer = world.client(first=1), world.client(first=2)
    data, children = [], []
    reader.create("/node", b"0")
    session = reader.client_id
    reader.DataWatch("/node", lambda value, stat: data.append(value))
    reader.ChildrenWatch("/node", lambda names: children.append(sorted(names)))
    world.server.kill(1)
    patient()(writer.set, "/node", b"while it moves")
    patient()(writer.ensure_path, "/node/first")
    wait_until(lambda: data[-1] == b"while it moves" and children[-1] == ["first"], what="the changes in between")
    patient()(writer.set, "/node", b"after it has moved")
    patient()(writer.ensure_path, "/node/second")
    wait_until(lambda: data[-1] == b"after it has moved" and children[-1] == ["first", "second"], what="the changes")
    equal(reader.client_id, session)


@check
def ephemeral_outlives_the_node_that_its_client_was_connected_to(world):
    owner, observer = world.client(first=1, timeout=SHORT_SESSION_SECONDS), world.client(first=2)
    owner.create("/ephemeral", ephemeral=True)
    session, states = owner.client_id, states_of(owner)
    with Holder(world, only=2) as holder:
        world.server.kill(1)
        wait_until(lambda: states[-1:] == [KazooState.CONNECTED], what="the new connection")
        holder.kill()
        # By then the owner's session would have expired too, were it not alive elsewhere.
        wait_until(lambda: not patient()(observer.exists, "/held"), EXPIRY_SECONDS_MAX, "the other session's expiry")
    assert KazooState.LOST not in states, states
    equal(owner.client_id, session)
    equal(patient()(observer.exists, "/ephemeral").ephemeralOwner, session[0])


@check
def ephemeral_of_a_client_without_a_node_is_gone_everywhere_at_once(world):
    observers = [world.client_at(node.number) for node in world.server.nodes[1:]]
    with Holder(world, only=1) as holder:
        world.server.kill(1)
        assert patient()(observers[0].exists, "/held"), "the session must not end with its node"
        wait_until(lambda: not patient()(observers[0].exists, "/held"), EXPIRY_SECONDS_MAX, "the expiry")
        equal([observer.exists("/held") for observer in observers], [None] * len(observers))
        world.server.start(1)
        equal(world.client_at(1).exists("/held"), None)
        equal(holder.stdout.readline(), "lost\n")


def append_patiently(client):
    return patient()(client.create, "/written/n-", sequence=True)


@check
def every_client_carries_on_while_any_one_node_is_down(world):
    clients = [world.client(first=node.number) for node in world.server.nodes]
    sessions = [client.client_id for client in clients]
    clients[0].create("/written")
    written = []
    for node in world.server.nodes:
        world.server.kill(node.number)
        written += in_threads(append_patiently, *[(client,) for client in clients], seconds=CARRY_ON_SECONDS_MAX)
        world.server.start(node.number)
        returned = world.client_at(node.number)
        found = [f"/written/{name}" for name in returned.get_children("/written")]
        equal(sorted(set(written) - set(found)), [])
    equal([client.client_id for client in clients], sessions)
