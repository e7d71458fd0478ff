"""Znodes through kazoo: creation modes, stats, transactions, ACLs, pipelines and limits."""

import time

import checks
from checks import equal, raises
from kazoo import exceptions
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, make_acl, make_digest_acl
from kazoo_world import CHECKS, in_threads

check = CHECKS.check


@check
def create_get_set_delete(world):
    client = world.client()
    equal(client.create("/node", b"one"), "/node")
    data, created = client.get("/node")
    equal((data, created.version, created.numChildren, created.dataLength), (b"one", 0, 0, 3))
    equal((created.czxid, created.ctime, created.ephemeralOwner), (created.mzxid, created.mtime, 0))
    assert abs(time.time() * 1000 - created.ctime) < 60_000, created.ctime
    changed = client.set("/node", b"three", version=0)
    equal((changed.version, changed.czxid, changed.pzxid), (1, created.czxid, created.pzxid))
    assert changed.mzxid > created.czxid
    equal(client.get("/node"), (b"three", changed))
    raises(exceptions.BadVersionError, client.set, "/node", b"", version=0)
    raises(exceptions.BadVersionError, client.delete, "/node", version=0)
    client.delete("/node", version=1)
    equal(client.exists("/node"), None)


@check
def every_error_of_a_node(world):
    client = world.client()
    raises(exceptions.NoNodeError, client.get, "/absent")
    raises(exceptions.NoNodeError, client.set, "/absent", b"")
    raises(exceptions.NoNodeError, client.delete, "/absent")
    raises(exceptions.NoNodeError, client.get_children, "/absent")
    raises(exceptions.NoNodeError, client.create, "/absent/child")
    client.create("/parent/child", makepath=True)
    raises(exceptions.NodeExistsError, client.create, "/parent")
    raises(exceptions.NotEmptyError, client.delete, "/parent")
    client.create("/ephemeral", ephemeral=True)
    raises(exceptions.NoChildrenForEphemeralsError, client.create, "/ephemeral/child")


@check
def create_with_stat(world):
    client = world.client()
    path, stat = client.create("/node", b"data", include_data=True)
    equal((path, stat), ("/node", client.get("/node")[1]))


@check
def parent_counts_its_children(world):
    client = world.client()
    client.create("/parent")
    for name in ("a", "b"):
        client.create(f"/parent/{name}")
    client.delete("/parent/a")
    last = client.exists("/parent/b")
    children, stat = client.get_children("/parent", include_data=True)
    equal((children, stat.numChildren, stat.cversion, stat.version), (["b"], 1, 3, 0))
    assert stat.pzxid > last.czxid


@check
def sequential_nodes(world):
    client = world.client()
    client.create("/parent")
    equal(client.create("/parent/a-", sequence=True), "/parent/a-0000000000")
    client.create("/parent/plain")
    equal(client.create("/parent/b-", sequence=True), "/parent/b-0000000002")
    client.delete("/parent/b-0000000002")
    client.delete("/parent/plain")
    equal(client.create("/parent/", sequence=True), "/parent/0000000003")
    equal(client.create("/parent/a-", sequence=True, ephemeral=True), "/parent/a-0000000004")


@check
def sequential_nodes_under_contention(world):
    clients = [world.client() for _ in range(4)]
    clients[0].create("/parent")

    def create(client):
        results = [client.create_async("/parent/n-", sequence=True) for _ in range(50)]
        return [result.get(20) for result in results]

    paths = in_threads(create, *[(client,) for client in clients])
    for own in paths:
        equal(own, sorted(own))
    equal(sorted(sum(paths, [])), [f"/parent/n-{number:010d}" for number in range(200)])


@check
def transaction_commits(world):
    client = world.client()
    client.create("/old", b"old")
    client.create("/changed", b"")
    transaction = client.transaction()
    transaction.check("/old", 0)
    transaction.create("/new", b"new")
    transaction.create("/new/child-", sequence=True)
    transaction.set_data("/changed", b"1")
    transaction.delete("/old")
    results = transaction.commit()
    equal(results[:3], [True, "/new", "/new/child-0000000000"])
    equal((results[3].version, results[4]), (1, True))
    equal(client.exists("/old"), None)
    equal({client.exists(path).mzxid for path in ("/new", "/new/child-0000000000", "/changed")}, {results[3].mzxid})


@check
def transaction_that_fails_does_nothing(world):
    client = world.client()
    client.create("/kept", b"kept")
    before = client.exists("/")
    transaction = client.transaction()
    transaction.create("/new")
    transaction.set_data("/kept", b"changed")
    transaction.check("/kept", 7)
    transaction.delete("/kept")
    results = transaction.commit()
    expected = [
        exceptions.RolledBackError,
        exceptions.RolledBackError,
        exceptions.BadVersionError,
        exceptions.RuntimeInconsistency,
    ]
    equal([type(result) for result in results], expected)
    equal((client.get("/kept")[0], client.exists("/new"), client.exists("/")), (b"kept", None, before))


@check
def transaction_sees_its_own_steps(world):
    client = world.client()
    transaction = client.transaction()
    transaction.create("/a", b"0")
    transaction.set_data("/a", b"1", version=0)
    transaction.create("/a/b", ephemeral=True)
    transaction.delete("/a/b")
    transaction.delete("/a", version=1)
    transaction.create("/a", b"again")
    results = transaction.commit()
    equal([isinstance(result, Exception) for result in results], [False] * 6)
    equal(client.get("/a")[0], b"again")


@check
def transactions_over_many_nodes_stay_atomic(world):
    clients = [world.client() for _ in range(4)]
    names = [f"/account-{number}" for number in range(6)]
    for name in names:
        clients[0].create(name, b"100")

    def move(client, step):
        for turn in range(15):
            source, target = names[turn % 6], names[(turn + step) % 6]
            while True:
                (there, from_stat), (here, to_stat) = client.get(source), client.get(target)
                transaction = client.transaction()
                transaction.set_data(source, str(int(there) - 1).encode(), from_stat.version)
                transaction.set_data(target, str(int(here) + 1).encode(), to_stat.version)
                if not any(isinstance(result, Exception) for result in transaction.commit()):
                    break

    in_threads(move, *[(client, step) for step, client in enumerate(clients, start=1)])
    balances = [int(clients[0].get(name)[0]) for name in names]
    equal(sum(balances), 600)
    equal(sum(clients[0].exists(name).version for name in names), 4 * 15 * 2)


@check
def pipelined_requests_are_answered_in_order(world):
    client = world.client()
    order = []
    client.create("/node", b"")
    results = []
    for number in range(500):
        pair = (client.set_async("/node", str(number).encode()), client.get_async("/node"))
        for result in pair:
            result.rawlink(lambda _, position=len(results): order.append(position))
            results.append(result)
    for number in range(500):
        equal(results[2 * number].get(20).version, number + 1)
        equal(results[2 * number + 1].get(20)[0], str(number).encode())
    checks.wait_until(lambda: len(order) == 1000, what="every completion")
    equal(order, list(range(1000)))


@check
def pipelined_requests_over_many_nodes_are_answered_in_order(world):
    client = world.client()
    order, results = [], []
    names = [f"/node-{number}" for number in range(10)]
    for name in names:
        client.create(name, b"")
    for number in range(200):
        name, data = names[number % 10], str(number).encode()
        step = (client.set_async(name, data), client.get_async(name), client.get_children_async("/"))
        for result in step:
            result.rawlink(lambda _, position=len(results): order.append(position))
            results.append(result)
    for number in range(200):
        changed, read, _ = results[3 * number : 3 * number + 3]
        equal(read.get(20), (str(number).encode(), changed.get(20)))
    checks.wait_until(lambda: len(order) == 600, what="every completion")
    equal(order, list(range(600)))


@check
def a_thousand_children(world):
    client = world.client()
    client.create("/parent")
    names = [f"child-with-a-rather-long-name-{number:04d}" for number in range(1000)]
    for result in [client.create_async(f"/parent/{name}") for name in names]:
        result.get(30)
    children, stat = client.get_children("/parent", include_data=True)
    equal((sorted(children), stat.numChildren), (names, 1000))
    client.delete("/parent", recursive=True)
    equal(client.exists("/parent"), None)


@check
def data_up_to_the_cap(world):
    client = world.client()
    data = bytes(range(256)) * 4000
    client.create("/large", data)
    equal(client.get("/large")[0], data)
    client.set("/large", b"")
    equal(client.get("/large")[0], b"")


@check
def data_over_the_cap_drops_the_connection_and_keeps_the_session(world):
    client = world.client()
    client.create("/ephemeral", ephemeral=True)
    session = client.client_id
    raises(exceptions.ConnectionLoss, client.create_async("/larger", b"x" * (2 << 20)).get, timeout=20)
    checks.wait_until(lambda: client.connected, what="the new connection")
    equal((client.retry(client.exists, "/larger"), client.client_id), (None, session))
    assert client.exists("/ephemeral")


@check
def names_beyond_ascii(world):
    client = world.client()
    client.create("/größe-å-日本", "zoë".encode())
    equal(client.get_children("/"), ["größe-å-日本"])
    equal(client.get("/größe-å-日本")[0], "zoë".encode())


@check
def digest_acl(world):
    owner, stranger = world.client(), world.client()
    owner.add_auth("digest", "owner:secret")
    owner.create("/private", b"secret", acl=CREATOR_ALL_ACL)
    raises(exceptions.NoAuthError, stranger.get, "/private")
    raises(exceptions.NoAuthError, stranger.set, "/private", b"")
    raises(exceptions.NoAuthError, stranger.get_children, "/private")
    raises(exceptions.NoAuthError, stranger.create, "/private/child")
    # ZooKeeper asks for READ here from 3.8.4 and 3.9.2 on.
    if world.server.kind == "volery":
        raises(exceptions.NoAuthError, stranger.exists, "/private")
    equal(owner.get("/private")[0], b"secret")
    acls, stat = owner.get_acls("/private")
    equal((acls, stat.aversion), ([make_digest_acl("owner", "secret", all=True)], 0))
    stranger.add_auth("digest", "owner:wrong")
    raises(exceptions.NoAuthError, stranger.get, "/private")
    stranger.add_auth("digest", "owner:secret")
    equal(stranger.get("/private")[0], b"secret")


@check
def auth_given_at_the_start_survives_a_reconnect(world):
    owner = world.client(auth_data=[("digest", "owner:secret")])
    owner.create("/private", b"secret", acl=CREATOR_ALL_ACL)
    world.server.restart()
    equal(owner.retry(owner.get, "/private")[0], b"secret")


@check
def acls_are_versioned_and_checked(world):
    owner, stranger = world.client(), world.client()
    owner.add_auth("digest", "owner:secret")
    owner.create("/node", b"")
    acl = [make_digest_acl("owner", "secret", all=True), *READ_ACL_UNSAFE]
    equal(owner.set_acls("/node", acl, version=0).aversion, 1)
    raises(exceptions.BadVersionError, owner.set_acls, "/node", acl, version=0)
    equal(stranger.get("/node")[0], b"")
    raises(exceptions.NoAuthError, stranger.set, "/node", b"")
    raises(exceptions.NoAuthError, stranger.set_acls, "/node", OPEN_ACL_UNSAFE)
    equal(stranger.get_acls("/node")[0][0].id.id, "owner:x")
    raises(exceptions.InvalidACLError, owner.create, "/bad", acl=[make_acl("no-such-scheme", "x", all=True)])
    raises(exceptions.InvalidACLError, stranger.create, "/bad", acl=CREATOR_ALL_ACL)


@check
def delete_is_checked_on_the_parent(world):
    owner, stranger = world.client(), world.client()
    owner.add_auth("digest", "owner:secret")
    owner.create("/parent", acl=[make_digest_acl("owner", "secret", all=True), *READ_ACL_UNSAFE])
    owner.create("/parent/child", acl=OPEN_ACL_UNSAFE)
    stranger.set("/parent/child", b"open")
    raises(exceptions.NoAuthError, stranger.delete, "/parent/child")
    raises(exceptions.NoAuthError, stranger.create, "/parent/other")
    owner.delete("/parent/child")


@check
def ip_acl(world):
    client = world.client()
    client.create("/here", b"here", acl=[make_acl("ip", "127.0.0.0/8", all=True)])
    client.create("/there", b"there", acl=[make_acl("ip", "10.1.2.3", read=True)])
    equal(client.get("/here")[0], b"here")
    raises(exceptions.NoAuthError, client.get, "/there")


@check
def unknown_auth_scheme_fails(world):
    client = world.client()
    raises(exceptions.AuthFailedError, client.add_auth, "no-such-scheme", "x")
