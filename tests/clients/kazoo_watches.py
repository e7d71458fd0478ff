"""kazoo's watches: one-shot ones, and the recipes that set them anew."""

import threading

from checks import equal, wait_until
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import EventType
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo_world import CHECKS

check = CHECKS.check


def kinds(events):
    return [event.type for event in events]


@check
def one_shot_data_watch(world):
    reader, writer = world.client(), world.client()
    events = []
    reader.create("/node", b"")
    reader.get("/node", watch=events.append)
    writer.set("/node", b"1")
    writer.set("/node", b"2")
    wait_until(lambda: events, what="the event")
    reader.sync("/node")
    equal([(event.type, event.path) for event in events], [(EventType.CHANGED, "/node")])


@check
def one_shot_exists_watch(world):
    reader, writer = world.client(), world.client()
    events = []
    equal(reader.exists("/node", watch=events.append), None)
    writer.create("/node")
    wait_until(lambda: len(events) == 1, what="the creation")
    assert reader.exists("/node", watch=events.append)
    writer.delete("/node")
    wait_until(lambda: len(events) == 2, what="the deletion")
    equal(kinds(events), [EventType.CREATED, EventType.DELETED])


@check
def one_shot_children_watch(world):
    reader, writer = world.client(), world.client()
    events = []
    reader.create("/parent")
    equal(reader.get_children("/parent", watch=events.append), [])
    writer.create("/parent/child")
    wait_until(lambda: len(events) == 1, what="the new child")
    reader.get_children("/parent", watch=events.append)
    writer.set("/parent", b"the children's watch does not see data")
    writer.delete("/parent/child")
    wait_until(lambda: len(events) == 2, what="the child's end")
    reader.get_children("/parent", watch=events.append)
    writer.delete("/parent")
    wait_until(lambda: len(events) == 3, what="the parent's end")
    equal(kinds(events), [EventType.CHILD, EventType.CHILD, EventType.DELETED])


@check
def one_write_fires_every_kind_of_watch(world):
    reader, writer = world.client(), world.client()
    data, exists, children = [], [], []
    reader.create("/node")
    reader.get("/node", watch=data.append)
    reader.exists("/node", watch=exists.append)
    reader.get_children("/node", watch=children.append)
    writer.delete("/node")
    wait_until(lambda: data and exists and children, what="three events")
    equal([kinds(events) for events in (data, exists, children)], [[EventType.DELETED]] * 3)


class WireOrder(SequentialThreadingHandler):
    """Notes events and replies in the order in which the connection's thread reads them off the wire."""

    def __init__(self):
        super().__init__()
        self.order = []

    def dispatch_callback(self, callback):
        if callback.type == "watch":
            self.order.append("event")
        super().dispatch_callback(callback)

    def async_result(self):
        result = super().async_result()
        set_value = result.set

        def note_and_set(value=None):
            self.order.append(value)
            set_value(value)

        result.set = note_and_set
        return result


def wire_order_of_a_change(reader, writer, handler, expected):
    """Reads in a pipeline while another session writes; what was read off the wire up to the change."""
    reader.get("/node", watch=lambda event: None)
    del handler.order[:]
    written = writer.set_async("/node", expected)
    while True:
        results = [reader.get_async("/node") for _ in range(20)]
        if results[-1].get(10)[0] == expected:
            break
    written.get(10)
    values = [item if item == "event" else item[0] for item in handler.order]
    return [item for item in values if item in ("event", expected)]


@check
def event_comes_before_the_reply_that_shows_the_change(world):
    handler = WireOrder()
    reader, writer = world.client(handler=handler), world.client()
    reader.create("/node", b"0")
    for round_number in range(30):
        expected = str(round_number + 1).encode()
        order = wire_order_of_a_change(reader, writer, handler, expected)
        equal(order[0], "event")
        equal(order.count("event"), 1)


@check
def own_write_fires_the_event_before_its_reply(world):
    handler = WireOrder()
    client = world.client(handler=handler)
    client.create("/node", b"")
    client.get("/node", watch=lambda event: None)
    del handler.order[:]
    stat = client.set("/node", b"1")
    equal(handler.order, ["event", stat])


@check
def data_watch_recipe(world):
    reader, writer = world.client(), world.client()
    seen = []
    reader.DataWatch("/node", lambda data, stat: seen.append(data))
    writer.create("/node", b"created")
    wait_until(lambda: seen[-1] == b"created", what="the creation")
    writer.set("/node", b"changed")
    wait_until(lambda: seen[-1] == b"changed", what="the change")
    writer.delete("/node")
    wait_until(lambda: seen[-1] is None, what="the deletion")
    equal(seen, [None, b"created", b"changed", None])


@check
def children_watch_recipe(world):
    reader, writer = world.client(), world.client()
    seen = []
    reader.create("/parent")
    reader.ChildrenWatch("/parent", lambda children: seen.append(sorted(children)))
    for number in range(5):
        writer.create(f"/parent/{number}")
    wait_until(lambda: seen[-1] == ["0", "1", "2", "3", "4"], what="five children")
    writer.delete("/parent/3")
    wait_until(lambda: seen[-1] == ["0", "1", "2", "4"], what="four children")


@check
def tree_cache_recipe(world):
    reader, writer = world.client(), world.client()
    cache, kinds_seen, ready = TreeCache(reader, "/tree"), [], threading.Event()

    def listen(event):
        kinds_seen.append(event.event_type)
        if event.event_type == TreeEvent.INITIALIZED:
            ready.set()

    cache.listen(listen)
    cache.start()
    assert ready.wait(10)
    writer.create("/tree/a/b", b"leaf", makepath=True)
    wait_until(lambda: cache.get_data("/tree/a/b"), what="the leaf")
    writer.set("/tree/a/b", b"changed")
    wait_until(lambda: cache.get_data("/tree/a/b").data == b"changed", what="the changed leaf")
    writer.delete("/tree", recursive=True)
    wait_until(lambda: cache.get_data("/tree") is None, what="the tree's end")
    assert TreeEvent.NODE_REMOVED in kinds_seen
    cache.close()


@check
def a_thousand_watches_of_one_session(world):
    reader, writer = world.client(), world.client()
    events = []
    created = [writer.create_async(f"/node-{number}") for number in range(1000)]
    equal(len({result.get(20) for result in created}), 1000)
    watched = [reader.get_async(f"/node-{number}", watch=events.append) for number in range(1000)]
    for result in watched:
        result.get(20)
    deleted = [writer.delete_async(f"/node-{number}") for number in range(1000)]
    for result in deleted:
        result.get(20)
    wait_until(lambda: len(events) == 1000, what="every event")
    equal(len({event.path for event in events}), 1000)
