import java.net.InetSocketAddress;
import java.util.Collection;
import java.util.List;
import org.apache.zookeeper.client.HostProvider;

/**
 * The servers in a fixed order from a chosen one on, where ZooKeeper's own provider shuffles them.
 *
 * A server list that the ensemble publishes is not taken: the client keeps to the addresses that it was given.
 */
final class Rotation implements HostProvider {
    private final List<InetSocketAddress> hosts;
    private int next;
    private int triedInVain;

    Rotation(List<InetSocketAddress> hosts, int first) {
        this.hosts = hosts;
        next = first;
    }

    @Override
    public synchronized int size() {
        return hosts.size();
    }

    /** The next server, and a pause when all were tried since the last connection. */
    @Override
    public synchronized InetSocketAddress next(long spinDelayMs) {
        if (triedInVain++ >= hosts.size()) {
            triedInVain = 1;
            pause(spinDelayMs);
        }
        InetSocketAddress host = hosts.get(next);
        next = (next + 1) % hosts.size();
        return host;
    }

    @Override
    public synchronized void onConnected() {
        triedInVain = 0;
    }

    @Override
    public synchronized boolean updateServerList(Collection<InetSocketAddress> published, InetSocketAddress current) {
        return false;
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }
}
