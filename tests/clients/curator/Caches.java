import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;

/** Caches and watches: what they show, and that they go on after the server was killed. */
@SuppressWarnings("deprecation")
final class Caches {
    private Caches() {}

    static void declare(Map<String, Suite.Check> checks) {
        checks.put("curator_cache", Caches::curatorCache);
        checks.put("curator_cache_after_a_kill_of_the_server", Caches::curatorCacheAfterKill);
        checks.put("path_children_cache", Caches::pathChildrenCache);
        checks.put("node_cache", Caches::nodeCache);
        checks.put("tree_cache", Caches::treeCache);
        checks.put("persistent_node_comes_back", Caches::persistentNode);
        checks.put("one_shot_watch_is_set_again_after_a_kill_of_the_server", Caches::oneShotAfterKill);
        checks.put("missed_change_fires_on_reconnection", Caches::missedChange);
        checks.put("persistent_watch", Caches::persistentWatch);
        checks.put("persistent_recursive_watch_after_a_kill_of_the_server", Caches::recursiveAfterKill);
        checks.put("watch_is_removed", Caches::watchIsRemoved);
    }

    private static String data(CuratorCache cache, String path) {
        return cache.get(path).map(ChildData::getData).map(String::new).orElse("");
    }

    private static void curatorCache(World world) throws Exception {
        CuratorFramework writer = world.client();
        Queue<String> seen = new ConcurrentLinkedQueue<>();
        writer.create().creatingParentsIfNeeded().forPath("/tree/old", "old".getBytes());
        try (CuratorCache cache = CuratorCache.build(world.client(), "/tree")) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forCreates(node -> seen.add("created " + node.getPath()))
                    .forChanges((before, after) -> seen.add("changed " + after.getPath()))
                    .forDeletes(node -> seen.add("deleted " + node.getPath()))
                    .build());
            cache.start();
            Suite.eventually("the old node", () -> data(cache, "/tree/old").equals("old"));
            writer.create().creatingParentsIfNeeded().forPath("/tree/a/b", "deep".getBytes());
            writer.setData().forPath("/tree/old", "new".getBytes());
            Suite.eventually("the deep node", () -> data(cache, "/tree/a/b").equals("deep"));
            Suite.eventually("the change", () -> data(cache, "/tree/old").equals("new"));
            writer.delete().deletingChildrenIfNeeded().forPath("/tree/a");
            Suite.eventually("the end", () -> seen.contains("deleted /tree/a") && seen.contains("deleted /tree/a/b"));
            Suite.that(seen.contains("created /tree/a/b") && seen.contains("changed /tree/old"), seen.toString());
        }
    }

    private static void curatorCacheAfterKill(World world) throws Exception {
        CuratorFramework writer = world.client();
        writer.create().creatingParentsIfNeeded().forPath("/tree/a", "0".getBytes());
        try (CuratorCache cache = CuratorCache.build(world.client(), "/tree")) {
            cache.start();
            Suite.eventually("the node", () -> data(cache, "/tree/a").equals("0"));
            Suite.restartServer();
            writer.setData().forPath("/tree/a", "1".getBytes());
            writer.create().forPath("/tree/b", "2".getBytes());
            Suite.eventually("the change", () -> data(cache, "/tree/a").equals("1"));
            Suite.eventually("the new node", () -> data(cache, "/tree/b").equals("2"));
        }
    }

    private static void pathChildrenCache(World world) throws Exception {
        CuratorFramework writer = world.client();
        AtomicInteger removed = new AtomicInteger();
        writer.create().creatingParentsIfNeeded().forPath("/parent/a", "1".getBytes());
        try (PathChildrenCache cache = new PathChildrenCache(world.client(), "/parent", true)) {
            cache.getListenable().addListener((client, event) -> {
                if (event.getType().name().equals("CHILD_REMOVED")) {
                    removed.incrementAndGet();
                }
            });
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Suite.equal(cache.getCurrentData().size(), 1);
            writer.create().forPath("/parent/b", "2".getBytes());
            writer.setData().forPath("/parent/a", "3".getBytes());
            Suite.eventually("the new child", () -> cache.getCurrentData("/parent/b") != null);
            Suite.eventually("the change", () -> new String(cache.getCurrentData("/parent/a").getData()).equals("3"));
            writer.delete().forPath("/parent/a");
            Suite.eventually("the removal", () -> removed.get() == 1 && cache.getCurrentData().size() == 1);
        }
    }

    private static void nodeCache(World world) throws Exception {
        CuratorFramework writer = world.client();
        try (NodeCache cache = new NodeCache(world.client(), "/node")) {
            cache.start(true);
            Suite.that(cache.getCurrentData() == null, "the node is absent");
            writer.create().forPath("/node", "1".getBytes());
            Suite.eventually("the node", () -> cache.getCurrentData() != null);
            writer.setData().forPath("/node", "2".getBytes());
            Suite.eventually("the change", () -> new String(cache.getCurrentData().getData()).equals("2"));
            writer.delete().forPath("/node");
            Suite.eventually("the end", () -> cache.getCurrentData() == null);
        }
    }

    private static void treeCache(World world) throws Exception {
        CuratorFramework writer = world.client();
        writer.create().creatingParentsIfNeeded().forPath("/tree/a/b", "1".getBytes());
        try (TreeCache cache = new TreeCache(world.client(), "/tree")) {
            cache.start();
            Suite.eventually("the leaf", () -> cache.getCurrentData("/tree/a/b") != null);
            writer.create().forPath("/tree/a/b/c", "2".getBytes());
            Suite.eventually("the new leaf", () -> cache.getCurrentData("/tree/a/b/c") != null);
            writer.delete().deletingChildrenIfNeeded().forPath("/tree/a");
            Suite.eventually("the end", () -> cache.getCurrentData("/tree/a") == null);
        }
    }

    private static void persistentNode(World world) throws Exception {
        CuratorFramework owner = world.client();
        CuratorFramework other = world.client();
        try (PersistentNode node = new PersistentNode(owner, CreateMode.EPHEMERAL, false, "/node", "1".getBytes())) {
            node.start();
            Suite.eventually("the node", () -> other.checkExists().forPath("/node") != null);
            other.delete().forPath("/node");
            Suite.eventually("the node is back", () -> other.checkExists().forPath("/node") != null);
            node.setData("2".getBytes());
            Suite.eventually("its data", () -> new String(other.getData().forPath("/node")).equals("2"));
        }
        Suite.that(world.caughtUp(other).checkExists().forPath("/node") == null, "the node ends with its owner");
    }

    private static void oneShotAfterKill(World world) throws Exception {
        CuratorFramework reader = world.client();
        CuratorFramework writer = world.client();
        Queue<EventType> data = new ConcurrentLinkedQueue<>();
        Queue<EventType> absent = new ConcurrentLinkedQueue<>();
        Queue<EventType> children = new ConcurrentLinkedQueue<>();
        reader.create().forPath("/node", "0".getBytes());
        reader.getData().usingWatcher(nodeEvents(data)).forPath("/node");
        reader.checkExists().usingWatcher(nodeEvents(absent)).forPath("/absent");
        reader.getChildren().usingWatcher(nodeEvents(children)).forPath("/node");
        world.leaveMomentsBehind(reader);
        Suite.restartServer();
        Suite.that(reader.checkExists().forPath("/node") != null, "the reader is connected again");
        Suite.that(data.isEmpty() && absent.isEmpty() && children.isEmpty(), "nothing has changed yet");
        writer.setData().forPath("/node", "1".getBytes());
        writer.create().forPath("/absent");
        writer.create().forPath("/node/child");
        Suite.eventually("three events", () -> data.size() + absent.size() + children.size() == 3);
        Suite.equal(List.of(data.peek(), absent.peek(), children.peek()),
                List.of(EventType.NodeDataChanged, EventType.NodeCreated, EventType.NodeChildrenChanged));
    }

    /** What changes while the reader is cut off must fire as soon as it has set its watches again. */
    private static void missedChange(World world) throws Exception {
        try (Relay relay = world.relay()) {
            CuratorFramework reader = world.client(relay);
            CuratorFramework writer = world.client();
            Queue<EventType> events = new ConcurrentLinkedQueue<>();
            for (String path : List.of("/changed", "/doomed", "/parent", "/untouched")) {
                reader.create().forPath(path);
                reader.getData().usingWatcher(nodeEvents(events)).forPath(path);
            }
            reader.checkExists().usingWatcher(nodeEvents(events)).forPath("/absent");
            reader.getChildren().usingWatcher(nodeEvents(events)).forPath("/parent");
            relay.cut();
            writer.setData().forPath("/changed", "1".getBytes());
            writer.delete().forPath("/doomed");
            writer.create().forPath("/absent");
            writer.create().forPath("/parent/child");
            Suite.that(events.isEmpty(), "the reader is cut off");
            relay.mend();
            Suite.eventually("every event", () -> events.size() >= 4);
            Suite.that(reader.checkExists().forPath("/untouched") != null, "the reader is connected again");
            Suite.equal(new TreeSet<>(events), new TreeSet<>(List.of(EventType.NodeDataChanged, EventType.NodeDeleted,
                    EventType.NodeCreated, EventType.NodeChildrenChanged)));
            writer.setData().forPath("/untouched", "1".getBytes());
            Suite.eventually("the watch that was set again", () -> events.size() >= 5);
        }
    }

    /** A watcher of nodes that does not mind what happens to the connection. */
    static CuratorWatcher nodeEvents(Queue<EventType> events) {
        return event -> {
            if (event.getType() != EventType.None) {
                events.add(event.getType());
            }
        };
    }

    private static void persistentWatch(World world) throws Exception {
        CuratorFramework reader = world.client();
        CuratorFramework writer = world.client();
        Queue<EventType> events = new ConcurrentLinkedQueue<>();
        writer.create().forPath("/node");
        reader.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(nodeEvents(events)).forPath("/node");
        writer.setData().forPath("/node", "1".getBytes());
        writer.setData().forPath("/node", "2".getBytes());
        writer.create().forPath("/node/child");
        writer.delete().forPath("/node/child");
        writer.delete().forPath("/node");
        Suite.eventually("every event", () -> events.size() == 5);
        Suite.equal(List.copyOf(events), List.of(EventType.NodeDataChanged, EventType.NodeDataChanged,
                EventType.NodeChildrenChanged, EventType.NodeChildrenChanged, EventType.NodeDeleted));
    }

    private static void recursiveAfterKill(World world) throws Exception {
        CuratorFramework reader = world.client();
        CuratorFramework writer = world.client();
        Queue<WatchedEvent> events = new ConcurrentLinkedQueue<>();
        writer.create().forPath("/root");
        try (PersistentWatcher watcher = new PersistentWatcher(reader, "/root", true)) {
            watcher.getListenable().addListener(event -> {
                if (event.getType() != EventType.None) {
                    events.add(event);
                }
            });
            watcher.start();
            Suite.eventually("the watch is set", () -> {
                writer.setData().forPath("/root", "1".getBytes());
                return !events.isEmpty();
            });
            Suite.restartServer();
            Suite.that(reader.checkExists().forPath("/root") != null, "the reader is connected again");
            writer.create().creatingParentsIfNeeded().forPath("/root/a/b");
            Suite.eventually("the deep creation", () -> events.stream().anyMatch(event ->
                    event.getType() == EventType.NodeCreated && event.getPath().endsWith("/root/a/b")));
            Suite.that(events.stream().noneMatch(event -> event.getType() == EventType.NodeChildrenChanged),
                    "recursive watches have no events of children");
        }
    }

    private static void watchIsRemoved(World world) throws Exception {
        CuratorFramework reader = world.client();
        Queue<EventType> events = new ConcurrentLinkedQueue<>();
        CuratorWatcher watcher = nodeEvents(events);
        reader.create().forPath("/node");
        reader.getData().usingWatcher(watcher).forPath("/node");
        reader.watches().remove(watcher).forPath("/node");
        Suite.eventually("the watch is gone", () -> events.contains(EventType.DataWatchRemoved));
        reader.setData().forPath("/node", "1".getBytes());
        reader.sync().forPath("/node");
        Suite.equal(List.copyOf(events), List.of(EventType.DataWatchRemoved));
    }
}
