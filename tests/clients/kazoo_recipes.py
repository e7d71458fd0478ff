"""kazoo's recipes, and what they stand on, from clients that contend."""

import datetime
import threading
import time

import checks
import kazoo_cluster  # noqa: F401 (declares its checks)
import kazoo_nodes  # noqa: F401 (declares its checks)
import kazoo_sessions  # noqa: F401 (declares its checks)
import kazoo_watches  # noqa: F401 (declares its checks)
import kazoo_world
from checks import equal, wait_until
from kazoo.exceptions import LockTimeout
from kazoo_world import in_threads

check = kazoo_world.CHECKS.check


class Exclusion:
    """Counts who is inside a critical section."""

    def __init__(self):
        self.guard = threading.Lock()
        self.inside = 0
        self.most = 0

    def __enter__(self):
        with self.guard:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_):
        with self.guard:
            self.inside -= 1


@check
def lock_contended(world):
    clients = [world.client() for _ in range(4)]
    exclusion, tally = Exclusion(), []

    def work(client):
        for _ in range(10):
            with client.Lock("/lock", "worker"):
                with exclusion:
                    count = int(client.get("/tally")[0])
                    client.set("/tally", str(count + 1).encode())
                    tally.append(count)

    clients[0].create("/tally", b"0")
    in_threads(work, *[(client,) for client in clients])
    equal(exclusion.most, 1)
    equal(tally, list(range(40)))


@check
def lock_times_out_and_is_released_by_a_closed_session(world):
    holder, waiter = world.client(), world.client()
    assert holder.Lock("/lock", "holder").acquire()
    lock = waiter.Lock("/lock", "waiter")
    checks.raises(LockTimeout, lock.acquire, timeout=0.5)
    equal(lock.acquire(blocking=False), False)
    equal(lock.contenders(), ["holder"])
    holder.stop()
    assert lock.acquire(timeout=10)


@check
def lock_serves_waiters_in_order(world):
    client = world.client()
    first = client.Lock("/lock", "first")
    first.acquire()
    order, threads = [], []

    def queue_up(name, contender):
        with contender.Lock("/lock", name):
            order.append(name)

    names = ["a", "b", "c"]
    for count, name in enumerate(names, start=2):
        contender = world.client()
        threads.append(threading.Thread(target=queue_up, args=(name, contender), daemon=True))
        threads[-1].start()
        wait_until(lambda: len(client.get_children("/lock")) == count, what="the waiter's node")
    first.release()
    wait_until(lambda: len(order) == len(names), what="every waiter's turn")
    equal(order, names)


@check
def read_write_lock(world):
    readers, writer = [world.client() for _ in range(2)], world.client()
    held = [reader.ReadLock("/rw") for reader in readers]
    equal([lock.acquire(timeout=5) for lock in held], [True, True])
    write = writer.WriteLock("/rw")
    checks.raises(LockTimeout, write.acquire, timeout=0.5)
    for lock in held:
        lock.release()
    assert write.acquire(timeout=5)
    checks.raises(LockTimeout, held[0].acquire, timeout=0.5)
    write.release()
    assert held[0].acquire(timeout=5)


@check
def semaphore(world):
    clients = [world.client() for _ in range(5)]
    exclusion = Exclusion()

    def work(client):
        for _ in range(4):
            with client.Semaphore("/semaphore", max_leases=2):
                with exclusion:
                    client.exists("/semaphore")

    in_threads(work, *[(client,) for client in clients])
    assert 1 <= exclusion.most <= 2, exclusion.most


@check
def election(world):
    clients = [world.client() for _ in range(3)]
    exclusion, led = Exclusion(), []

    def lead(name):
        with exclusion:
            led.append(name)

    in_threads(lambda number: clients[number].Election("/election", str(number)).run(lead, number), (0,), (1,), (2,))
    equal(exclusion.most, 1)
    equal(sorted(led), [0, 1, 2])


@check
def queue(world):
    producer, consumers = world.client(), [world.client() for _ in range(3)]
    items = [f"item {number}".encode() for number in range(30)]
    for item in items:
        producer.Queue("/queue").put(item)
    equal(len(producer.Queue("/queue")), 30)

    def drain(client):
        taken = []
        while (item := client.Queue("/queue").get()) is not None:
            taken.append(item)
        return taken

    taken = in_threads(drain, *[(client,) for client in consumers])
    equal(sorted(sum(taken, [])), sorted(items))
    for part in taken:
        equal(part, sorted(part, key=items.index))


@check
def queue_by_priority(world):
    queue = world.client().Queue("/queue")
    for item, priority in ((b"low", 300), (b"middle", 100), (b"high", 1)):
        queue.put(item, priority)
    equal([queue.get() for _ in range(4)], [b"high", b"middle", b"low", None])


@check
def locking_queue(world):
    first, second = world.client(), world.client()
    queue, rival = first.LockingQueue("/queue"), second.LockingQueue("/queue")
    queue.put_all([b"one", b"two"])
    equal(queue.get(5), b"one")
    equal(rival.get(5), b"two")
    assert queue.holds_lock() and queue.consume()
    rival.release()
    equal(queue.get(5), b"two")
    assert queue.consume()
    equal(rival.get(0.3), None)


@check
def locking_queue_returns_the_item_of_a_lost_consumer(world):
    first, second = world.client(), world.client()
    first.LockingQueue("/queue").put(b"item")
    lost, heir = first.LockingQueue("/queue"), second.LockingQueue("/queue")
    equal(lost.get(5), b"item")
    first.stop()
    equal(heir.get(10), b"item")


@check
def barrier(world):
    keeper, visitor = world.client(), world.client()
    gate = keeper.Barrier("/barrier")
    gate.create()
    equal(visitor.Barrier("/barrier").wait(0.3), False)
    thread = threading.Timer(0.2, gate.remove)
    thread.start()
    equal(visitor.Barrier("/barrier").wait(10), True)


@check
def double_barrier(world):
    clients = [world.client() for _ in range(4)]
    entered, left, guard = [], [], threading.Lock()

    def visit(client):
        gate = client.DoubleBarrier("/double", len(clients))
        gate.enter()
        with guard:
            entered.append(len(left))
        gate.leave()
        with guard:
            left.append(len(entered))

    in_threads(visit, *[(client,) for client in clients])
    equal(left, [4, 4, 4, 4])
    equal(entered, [0, 0, 0, 0])


@check
def party(world):
    clients = [world.client() for _ in range(3)]
    parties = [client.Party("/party", f"guest {number}") for number, client in enumerate(clients)]
    for member in parties:
        member.join()
    equal(sorted(parties[0]), ["guest 0", "guest 1", "guest 2"])
    parties[1].leave()
    clients[2].stop()
    wait_until(lambda: list(parties[0]) == ["guest 0"], what="the guests' leaving")


@check
def shallow_party(world):
    first, second = world.client(), world.client()
    first.ShallowParty("/party", "one").join()
    member = second.ShallowParty("/party", "two")
    member.join()
    equal(sorted(member), ["one", "two"])


@check
def counter_under_contention(world):
    clients = [world.client() for _ in range(4)]

    def count(client):
        counter = client.Counter("/counter")
        for _ in range(15):
            counter += 2
            counter -= 1

    in_threads(count, *[(client,) for client in clients])
    equal(clients[0].Counter("/counter").value, 60)


@check
def lease(world):
    first, second = world.client(), world.client()
    hour = datetime.timedelta(hours=1)
    assert first.NonBlockingLease("/lease", hour, identifier="first")
    assert not second.NonBlockingLease("/lease", hour, identifier="second")
    assert first.NonBlockingLease("/lease", hour, identifier="first")


def settle(share, size):
    """Takes part in the partitioning until this member holds `size` items."""
    while not (share.acquired and len(list(share)) == size):
        assert not share.failed
        if share.allocating:
            share.wait_for_acquire(1)
        elif share.release:
            share.release_set()
        else:
            time.sleep(0.02)


@check
def set_partitioner(world):
    clients = [world.client() for _ in range(2)]
    shares = [
        client.SetPartitioner("/share", set=range(6), time_boundary=0.5, identifier=f"member {number}")
        for number, client in enumerate(clients)
    ]
    in_threads(settle, *[(share, 3) for share in shares])
    equal(sorted([*shares[0], *shares[1]]), list(range(6)))
    for share in shares:
        share.finish()


if __name__ == "__main__":
    checks.exit_with(kazoo_world.main(__doc__))
