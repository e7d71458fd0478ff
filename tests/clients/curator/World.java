import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;

/** One check's clients, in a namespace of the check's own; they are closed when the check ends. */
final class World implements AutoCloseable {
    private static final int SESSION_MS = 15_000;
    private static final int CONNECT_MS = 10_000;
    private final String address;
    private final String namespace = "check-" + UUID.randomUUID();
    private final List<CuratorFramework> clients = new ArrayList<>();

    World(String address) {
        this.address = address;
    }

    /** A connected client. */
    CuratorFramework client() throws InterruptedException {
        return start(builder(address));
    }

    /** A connected client behind a relay. */
    CuratorFramework client(Relay relay) throws InterruptedException {
        return start(builder(relay.address()));
    }

    /** A way to the server that can be cut. */
    Relay relay() throws IOException {
        return new Relay(address);
    }

    /** A connected client with an identity of the digest scheme. */
    CuratorFramework client(String identity) throws InterruptedException {
        return start(builder(address).authorization("digest", identity.getBytes()));
    }

    private CuratorFrameworkFactory.Builder builder(String connect) {
        return CuratorFrameworkFactory.builder()
                .connectString(connect)
                .namespace(namespace)
                .sessionTimeoutMs(SESSION_MS)
                .connectionTimeoutMs(CONNECT_MS)
                .retryPolicy(new RetryNTimes(100, 200));
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
