import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.ZooKeeper;

/** One check's clients, in a namespace of the check's own; they are closed when the check ends. */
final class World implements AutoCloseable {
    private static final int SESSION_MS = 15_000;
    private static final int CONNECT_MS = 10_000;
    private static final int MOMENTS_MS = 500;
    private static final String ABSENT = "/absent/znode";
    private final List<String> nodes;
    private final boolean stale;
    private final String namespace = "check-" + UUID.randomUUID();
    private final List<CuratorFramework> clients = new ArrayList<>();

    World(List<String> nodes, boolean stale) {
        this.nodes = nodes;
        this.stale = stale;
    }

    /** A connected client; it connects to another node than the last one. */
    CuratorFramework client() throws InterruptedException {
        return start(builder(nodes));
    }

    /** A connected client behind a relay. */
    CuratorFramework client(Relay relay) throws InterruptedException {
        return start(builder(List.of(relay.address())));
    }

    /** A way to the first node that can be cut. */
    Relay relay() throws IOException {
        return new Relay(nodes.get(0));
    }

    /** A connected client with an identity of the digest scheme. */
    CuratorFramework client(String identity) throws InterruptedException {
        return start(builder(nodes).authorization("digest", identity.getBytes()));
    }

    /**
     * The client, whose next reads show whatever another client was told is done.
     *
     * Where reads are stale a write goes before them: it fails, but not before its place in the order has come. A sync
     * is not enough: at ZooKeeper's leader it does not wait for what the leader has yet to apply.
     */
    CuratorFramework caughtUp(CuratorFramework client) throws Exception {
        if (stale) {
            client.getZookeeperClient().getZooKeeper().delete(ABSENT, -1, (code, path, context) -> { }, null);
        }
        return client;
    }

    /**
     * Makes what has happened so far nothing of the last moments for the client.
     *
     * After a reconnection a change of the last moments may be told again, one from before them may not.
     */
    void leaveMomentsBehind(CuratorFramework client) throws Exception {
        Thread.sleep(MOMENTS_MS);
        client.checkExists().forPath("/");
    }

    private CuratorFrameworkFactory.Builder builder(List<String> addresses) {
        List<InetSocketAddress> hosts = addresses.stream().map(World::host).collect(Collectors.toList());
        int first = clients.size() % hosts.size();
        return CuratorFrameworkFactory.builder()
                .connectString(String.join(",", addresses))
                .zookeeperFactory((connect, timeout, watcher, readOnly) ->
                        new ZooKeeper(connect, timeout, watcher, readOnly, new Rotation(hosts, first)))
                .namespace(namespace)
                .sessionTimeoutMs(SESSION_MS)
                .connectionTimeoutMs(CONNECT_MS)
                .retryPolicy(new RetryNTimes(100, 200));
    }

    private static InetSocketAddress host(String address) {
        int colon = address.lastIndexOf(':');
        return new InetSocketAddress(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
    }

    private CuratorFramework start(CuratorFrameworkFactory.Builder builder) throws InterruptedException {
        CuratorFramework client = builder.build();
        clients.add(client);
        client.start();
        Suite.that(client.blockUntilConnected(20, TimeUnit.SECONDS), "the client connects");
        return client;
    }

    @Override
    public void close() {
        clients.forEach(CuratorFramework::close);
    }
}
