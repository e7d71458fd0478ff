import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.EventType;

/** What only several nodes can show: sessions and their watches that outlive the node they were at. */
final class Cluster {
    private Cluster() {}

    static void declare(Map<String, Suite.Check> checks) {
        checks.put("one_shot_watches_go_with_the_session_to_another_node", Cluster::watchesMove);
        checks.put("mutex_is_held_while_its_holder_moves_to_another_node", Cluster::mutexMoves);
    }

    private static void watchesMove(World world) throws Exception {
        CuratorFramework reader = world.client();
        CuratorFramework writer = world.client();
        Queue<EventType> data = new ConcurrentLinkedQueue<>();
        Queue<EventType> absent = new ConcurrentLinkedQueue<>();
        Queue<EventType> children = new ConcurrentLinkedQueue<>();
        Queue<ConnectionState> states = statesOf(reader);
        reader.create().forPath("/node");
        reader.getData().usingWatcher(Caches.nodeEvents(data)).forPath("/node");
        reader.checkExists().usingWatcher(Caches.nodeEvents(absent)).forPath("/absent");
        reader.getChildren().usingWatcher(Caches.nodeEvents(children)).forPath("/node");
        world.leaveMomentsBehind(reader);
        Suite.killNode(1);
        Suite.eventually("the new connection", () -> states.contains(ConnectionState.RECONNECTED));
        Suite.that(data.isEmpty() && absent.isEmpty() && children.isEmpty(), "nothing has changed yet");
        writer.setData().forPath("/node", "1".getBytes());
        writer.create().forPath("/absent");
        writer.create().forPath("/node/child");
        Suite.eventually("three events", () -> data.size() + absent.size() + children.size() == 3);
        Suite.equal(List.of(data.peek(), absent.peek(), children.peek()),
                List.of(EventType.NodeDataChanged, EventType.NodeCreated, EventType.NodeChildrenChanged));
    }

    private static void mutexMoves(World world) throws Exception {
        CuratorFramework holder = world.client();
        CuratorFramework other = world.client();
        Queue<ConnectionState> states = statesOf(holder);
        InterProcessMutex held = new InterProcessMutex(holder, "/mutex");
        InterProcessMutex wanted = new InterProcessMutex(other, "/mutex");
        held.acquire();
        holder.create().withMode(CreateMode.EPHEMERAL).forPath("/ephemeral");
        long session = holder.getZookeeperClient().getZooKeeper().getSessionId();
        Suite.killNode(1);
        Suite.eventually("the new connection", () -> states.contains(ConnectionState.RECONNECTED));
        Suite.equal(holder.getZookeeperClient().getZooKeeper().getSessionId(), session);
        Suite.equal(world.caughtUp(other).checkExists().forPath("/ephemeral").getEphemeralOwner(), session);
        Suite.that(!wanted.acquire(300, TimeUnit.MILLISECONDS), "the mutex is still held");
        held.release();
        Suite.that(wanted.acquire(10, TimeUnit.SECONDS), "the mutex is free");
    }

    private static Queue<ConnectionState> statesOf(CuratorFramework client) {
        Queue<ConnectionState> states = new ConcurrentLinkedQueue<>();
        client.getConnectionStateListenable().addListener((from, state) -> states.add(state));
        return states;
    }
}
