import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Locks, leaders, queues, barriers and counters under contention. */
final class Recipes {
    private static final int CLIENTS = 4;

    private Recipes() {}

    static void declare(Map<String, Suite.Check> checks) {
        checks.put("mutex_contended", Recipes::mutexContended);
        checks.put("mutex_is_reentrant_and_times_out", Recipes::mutexIsReentrantAndTimesOut);
        checks.put("mutex_goes_to_the_next_when_its_holder_ends", Recipes::mutexOutlivesItsHolder);
        checks.put("read_write_lock", Recipes::readWriteLock);
        checks.put("multi_lock", Recipes::multiLock);
        checks.put("semaphore", Recipes::semaphore);
        checks.put("leader_selector", Recipes::leaderSelector);
        checks.put("leader_latch", Recipes::leaderLatch);
        checks.put("simple_queue", Recipes::simpleQueue);
        checks.put("distributed_queue", Recipes::distributedQueue);
        checks.put("barrier", Recipes::barrier);
        checks.put("double_barrier", Recipes::doubleBarrier);
        checks.put("atomic_long", Recipes::atomicLong);
        checks.put("shared_count", Recipes::sharedCount);
        checks.put("group_member", Recipes::groupMember);
    }

    private static List<CuratorFramework> clients(World world) throws InterruptedException {
        List<CuratorFramework> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            clients.add(world.client());
        }
        return clients;
    }

    private static void mutexContended(World world) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        List<Integer> tally = Collections.synchronizedList(new ArrayList<>());
        List<Callable<Void>> bodies = new ArrayList<>();
        for (CuratorFramework client : clients(world)) {
            InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
            bodies.add(() -> {
                for (int turn = 0; turn < 10; turn++) {
                    mutex.acquire();
                    Suite.equal(inside.incrementAndGet(), 1);
                    tally.add(tally.size());
                    inside.decrementAndGet();
                    mutex.release();
                }
                return null;
            });
        }
        Suite.together(bodies);
        Suite.equal(tally.size(), CLIENTS * 10);
        Suite.equal(tally.get(tally.size() - 1), CLIENTS * 10 - 1);
    }

    private static void mutexIsReentrantAndTimesOut(World world) throws Exception {
        InterProcessMutex held = new InterProcessMutex(world.client(), "/mutex");
        InterProcessMutex wanted = new InterProcessMutex(world.client(), "/mutex");
        held.acquire();
        held.acquire();
        held.release();
        Suite.that(!wanted.acquire(300, TimeUnit.MILLISECONDS), "the mutex is still held");
        held.release();
        Suite.that(wanted.acquire(10, TimeUnit.SECONDS), "the mutex is free");
    }

    private static void mutexOutlivesItsHolder(World world) throws Exception {
        CuratorFramework holder = world.client();
        new InterProcessMutex(holder, "/mutex").acquire();
        InterProcessMutex wanted = new InterProcessMutex(world.client(), "/mutex");
        holder.close();
        Suite.that(wanted.acquire(10, TimeUnit.SECONDS), "the mutex of a closed session is free");
    }

    private static void readWriteLock(World world) throws Exception {
        InterProcessReadWriteLock first = new InterProcessReadWriteLock(world.client(), "/rw");
        InterProcessReadWriteLock second = new InterProcessReadWriteLock(world.client(), "/rw");
        first.readLock().acquire();
        Suite.that(second.readLock().acquire(5, TimeUnit.SECONDS), "two readers");
        second.readLock().release();
        Suite.that(!second.writeLock().acquire(300, TimeUnit.MILLISECONDS), "no writer beside a reader");
        first.readLock().release();
        Suite.that(second.writeLock().acquire(5, TimeUnit.SECONDS), "a writer alone");
        Suite.that(!first.readLock().acquire(300, TimeUnit.MILLISECONDS), "no reader beside a writer");
    }

    private static void multiLock(World world) throws Exception {
        InterProcessMultiLock both = new InterProcessMultiLock(world.client(), List.of("/one", "/two"));
        InterProcessMutex two = new InterProcessMutex(world.client(), "/two");
        both.acquire();
        Suite.that(!two.acquire(300, TimeUnit.MILLISECONDS), "the second lock is held");
        both.release();
        Suite.that(two.acquire(5, TimeUnit.SECONDS), "the second lock is free");
        Suite.that(!both.acquire(300, TimeUnit.MILLISECONDS), "not both are to be had");
    }

    private static void semaphore(World world) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        List<Callable<Void>> bodies = new ArrayList<>();
        for (CuratorFramework client : clients(world)) {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, "/semaphore", 2);
            bodies.add(() -> {
                for (int turn = 0; turn < 5; turn++) {
                    Lease lease = semaphore.acquire();
                    Suite.that(inside.incrementAndGet() <= 2, "at most two leases");
                    client.checkExists().forPath("/semaphore");
                    inside.decrementAndGet();
                    semaphore.returnLease(lease);
                }
                return null;
            });
        }
        Suite.together(bodies);
    }

    private static void leaderSelector(World world) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Queue<String> led = new ConcurrentLinkedQueue<>();
        List<LeaderSelector> selectors = new ArrayList<>();
        for (CuratorFramework client : clients(world)) {
            String name = "candidate " + selectors.size();
            LeaderSelector selector = new LeaderSelector(client, "/leader", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework leader) throws Exception {
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    leader.checkExists().forPath("/leader");
                    led.add(name);
                    inside.decrementAndGet();
                }
            });
            selector.setId(name);
            selectors.add(selector);
        }
        selectors.forEach(LeaderSelector::start);
        Suite.eventually("everybody has led", () -> led.size() == CLIENTS);
        selectors.forEach(LeaderSelector::close);
        Suite.equal(most.get(), 1);
        Suite.equal(new TreeSet<>(led).size(), CLIENTS);
    }

    private static void leaderLatch(World world) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        List<CuratorFramework> clients = clients(world);
        for (CuratorFramework client : clients) {
            LeaderLatch latch = new LeaderLatch(client, "/latch", "candidate " + latches.size());
            latch.start();
            latches.add(latch);
        }
        while (!latches.isEmpty()) {
            Suite.eventually("somebody leads", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
            Suite.equal(latches.stream().filter(LeaderLatch::hasLeadership).count(), 1L);
            LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
            world.caughtUp(clients.get(clients.size() - 1));
            Suite.equal(latches.get(latches.size() - 1).getLeader().getId(), leader.getId());
            leader.close();
            clients.remove(latches.indexOf(leader));
            latches.remove(leader);
        }
    }

    private static void simpleQueue(World world) throws Exception {
        CuratorFramework producer = world.client();
        SimpleDistributedQueue queue = new SimpleDistributedQueue(producer, "/queue");
        for (int i = 0; i < 20; i++) {
            queue.offer(new byte[] {(byte) i});
        }
        Queue<Byte> taken = new ConcurrentLinkedQueue<>();
        List<Callable<Void>> bodies = new ArrayList<>();
        for (CuratorFramework client : List.of(world.client(), world.client())) {
            SimpleDistributedQueue own = new SimpleDistributedQueue(client, "/queue");
            bodies.add(() -> {
                for (byte[] item = own.poll(1, TimeUnit.SECONDS); item != null; item = own.poll()) {
                    taken.add(item[0]);
                }
                return null;
            });
        }
        Suite.together(bodies);
        Suite.equal(taken.size(), 20);
        Suite.equal(new TreeSet<>(taken).size(), 20);
    }

    private static void distributedQueue(World world) throws Exception {
        Queue<String> consumed = new ConcurrentLinkedQueue<>();
        try (DistributedQueue<String> in = queue(world.client(), null);
                DistributedQueue<String> out = queue(world.client(), consumed)) {
            in.start();
            out.start();
            for (int i = 0; i < 20; i++) {
                in.put("item " + i);
            }
            Suite.eventually("every item is consumed", () -> consumed.size() == 20);
            Suite.equal(new ArrayList<>(consumed).get(7), "item 7");
        }
    }

    private static DistributedQueue<String> queue(CuratorFramework client, Queue<String> consumed) {
        QueueSerializer<String> serializer = new QueueSerializer<>() {
            @Override
            public byte[] serialize(String item) {
                return item.getBytes();
            }

            @Override
            public String deserialize(byte[] bytes) {
                return new String(bytes);
            }
        };
        QueueConsumer<String> consumer = consumed == null ? null : new QueueConsumer<>() {
            @Override
            public void consumeMessage(String item) {
                consumed.add(item);
            }

            @Override
            public void stateChanged(CuratorFramework changed, ConnectionState state) {}
        };
        return QueueBuilder.builder(client, consumer, serializer, "/queue").lockPath("/queue-locks").buildQueue();
    }

    private static void barrier(World world) throws Exception {
        DistributedBarrier keeper = new DistributedBarrier(world.client(), "/barrier");
        CuratorFramework client = world.client();
        DistributedBarrier visitor = new DistributedBarrier(client, "/barrier");
        keeper.setBarrier();
        world.caughtUp(client);
        Suite.that(!visitor.waitOnBarrier(300, TimeUnit.MILLISECONDS), "the barrier is down");
        keeper.removeBarrier();
        Suite.that(visitor.waitOnBarrier(10, TimeUnit.SECONDS), "the barrier is up");
    }

    private static void doubleBarrier(World world) throws Exception {
        AtomicInteger entered = new AtomicInteger();
        AtomicInteger left = new AtomicInteger();
        List<Callable<Void>> bodies = new ArrayList<>();
        for (CuratorFramework client : clients(world)) {
            DistributedDoubleBarrier gate = new DistributedDoubleBarrier(client, "/double", CLIENTS);
            bodies.add(() -> {
                Suite.that(gate.enter(30, TimeUnit.SECONDS), "everybody enters");
                Suite.equal(left.get(), 0);
                entered.incrementAndGet();
                Suite.that(gate.leave(30, TimeUnit.SECONDS), "everybody leaves");
                left.incrementAndGet();
                return null;
            });
        }
        Suite.together(bodies);
        Suite.equal(entered.get() + left.get(), 2 * CLIENTS);
    }

    private static void atomicLong(World world) throws Exception {
        List<Callable<Void>> bodies = new ArrayList<>();
        for (CuratorFramework client : clients(world)) {
            DistributedAtomicLong counter = new DistributedAtomicLong(client, "/atomic", new RetryNTimes(1000, 1));
            bodies.add(() -> {
                for (int turn = 0; turn < 20; turn++) {
                    AtomicValue<Long> value = counter.increment();
                    Suite.that(value.succeeded(), "the counter is moved on");
                }
                return null;
            });
        }
        Suite.together(bodies);
        DistributedAtomicLong counter = new DistributedAtomicLong(world.client(), "/atomic", new RetryNTimes(10, 1));
        Suite.equal(counter.get().postValue(), CLIENTS * 20L);
    }

    private static void sharedCount(World world) throws Exception {
        try (SharedCount writer = new SharedCount(world.client(), "/count", 3);
                SharedCount reader = new SharedCount(world.client(), "/count", 3)) {
            writer.start();
            reader.start();
            Suite.that(writer.trySetCount(writer.getVersionedValue(), 4), "the first change");
            Suite.eventually("the reader sees it", () -> reader.getCount() == 4);
        }
    }

    private static void groupMember(World world) throws Exception {
        GroupMember first = new GroupMember(world.client(), "/group", "one", "1".getBytes());
        GroupMember second = new GroupMember(world.client(), "/group", "two", "2".getBytes());
        first.start();
        second.start();
        Suite.eventually("both are members", () -> first.getCurrentMembers().keySet().equals(Set.of("one", "two")));
        second.close();
        Suite.eventually("one is left", () -> first.getCurrentMembers().keySet().equals(Set.of("one")));
        first.close();
    }
}
