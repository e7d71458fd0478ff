import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

/** Znodes: creation modes, transactions, ACLs, background calls and sessions. */
final class Nodes {
    private static final long TTL_MS = 100_000;

    private Nodes() {}

    static void declare(Map<String, Suite.Check> checks) {
        checks.put("create_modes", Nodes::createModes);
        checks.put("create_with_stat", Nodes::createWithStat);
        checks.put("create_or_set_data", Nodes::createOrSetData);
        checks.put("creating_parent_containers", Nodes::creatingParentContainers);
        checks.put("ttl_node", Nodes::ttlNode);
        checks.put("protected_sequential_create", Nodes::protectedCreate);
        checks.put("guaranteed_and_recursive_delete", Nodes::delete);
        checks.put("transaction_commits", Nodes::transactionCommits);
        checks.put("transaction_of_the_old_kind_commits", Nodes::oldTransactionCommits);
        checks.put("transaction_that_fails_does_nothing", Nodes::transactionFails);
        checks.put("acl_of_the_creator", Nodes::aclOfTheCreator);
        checks.put("background_calls_complete_in_order", Nodes::backgroundCalls);
        checks.put("compressed_data", Nodes::compressedData);
        checks.put("session_survives_a_kill_of_the_server", Nodes::sessionSurvives);
        checks.put("config_is_readable", Nodes::configIsReadable);
    }

    private static void createModes(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().forPath("/modes");
        for (CreateMode mode : List.of(CreateMode.PERSISTENT, CreateMode.EPHEMERAL, CreateMode.CONTAINER)) {
            Suite.equal(client.create().withMode(mode).forPath("/modes/" + mode), "/modes/" + mode);
        }
        Suite.equal(client.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/modes/s-"),
                "/modes/s-0000000003");
        Suite.equal(client.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/modes/es-"),
                "/modes/es-0000000004");
        Stat container = client.checkExists().forPath("/modes/CONTAINER");
        Suite.equal(container.getEphemeralOwner(), 0L);
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        Suite.equal(client.checkExists().forPath("/modes/EPHEMERAL").getEphemeralOwner(), session);
        Suite.raises(KeeperException.NodeExistsException.class, () -> client.create().forPath("/modes"));
        Suite.raises(KeeperException.NoChildrenForEphemeralsException.class,
                () -> client.create().forPath("/modes/EPHEMERAL/child"));
    }

    private static void createWithStat(World world) throws Exception {
        CuratorFramework client = world.client();
        for (CreateMode mode : List.of(CreateMode.PERSISTENT, CreateMode.EPHEMERAL, CreateMode.CONTAINER)) {
            Stat stat = new Stat();
            client.create().storingStatIn(stat).withMode(mode).forPath("/" + mode, "data".getBytes());
            Suite.equal(client.checkExists().forPath("/" + mode), stat);
        }
    }

    private static void createOrSetData(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().orSetData().forPath("/node", "1".getBytes());
        client.create().orSetData().forPath("/node", "2".getBytes());
        Stat stat = new Stat();
        Suite.equal(new String(client.getData().storingStatIn(stat).forPath("/node")), "2");
        Suite.equal(stat.getVersion(), 1);
        Suite.raises(KeeperException.BadVersionException.class,
                () -> client.setData().withVersion(0).forPath("/node", "3".getBytes()));
    }

    private static void creatingParentContainers(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().creatingParentContainersIfNeeded().forPath("/a/b/c", "leaf".getBytes());
        Suite.equal(new String(client.getData().forPath("/a/b/c")), "leaf");
        Suite.equal(client.getChildren().forPath("/a"), List.of("b"));
        client.createContainers("/x/y");
        Suite.that(client.checkExists().forPath("/x/y") != null, "the containers");
    }

    private static void ttlNode(World world) throws Exception {
        CuratorFramework client = world.client();
        Stat stat = new Stat();
        String path = client.create().withTtl(TTL_MS).storingStatIn(stat)
                .withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath("/ttl-", "data".getBytes());
        Suite.equal(path, "/ttl-0000000000");
        Suite.equal(stat.getEphemeralOwner(), 0L);
        try (PersistentTtlNode node = new PersistentTtlNode(client, "/kept", TTL_MS, "x".getBytes())) {
            node.start();
            Suite.eventually("the node and its toucher", () -> client.checkExists().forPath("/kept") != null);
        }
    }

    private static void protectedCreate(World world) throws Exception {
        CuratorFramework client = world.client();
        String path = client.create().creatingParentsIfNeeded().withProtection()
                .withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/locks/l-", "x".getBytes());
        Suite.that(path.matches("/locks/_c_[0-9a-f-]{36}-l-0000000000"), path);
    }

    private static void delete(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().creatingParentsIfNeeded().forPath("/tree/a/b/c");
        Suite.raises(KeeperException.NotEmptyException.class, () -> client.delete().forPath("/tree"));
        client.delete().guaranteed().deletingChildrenIfNeeded().forPath("/tree");
        Suite.that(client.checkExists().forPath("/tree") == null, "the tree is gone");
        client.delete().quietly().forPath("/tree");
        Suite.raises(KeeperException.NoNodeException.class, () -> client.delete().forPath("/tree"));
    }

    private static void transactionCommits(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().forPath("/old");
        List<CuratorTransactionResult> results = client.transaction().forOperations(
                client.transactionOp().check().withVersion(0).forPath("/old"),
                client.transactionOp().create().forPath("/new", "1".getBytes()),
                client.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/new/s-"),
                client.transactionOp().create().withMode(CreateMode.CONTAINER).forPath("/container"),
                client.transactionOp().create().withTtl(TTL_MS).withMode(CreateMode.PERSISTENT_WITH_TTL)
                        .forPath("/ttl"),
                client.transactionOp().setData().forPath("/new", "2".getBytes()),
                client.transactionOp().delete().forPath("/old"));
        Suite.equal(results.size(), 7);
        Suite.equal(results.get(2).getResultPath(), "/new/s-0000000000");
        Suite.equal(results.get(5).getResultStat().getVersion(), 1);
        Suite.equal(new String(client.getData().forPath("/new")), "2");
        Suite.that(client.checkExists().forPath("/old") == null, "the old node is gone");
        Suite.that(client.checkExists().forPath("/container") != null, "the container stands");
        Suite.that(client.checkExists().forPath("/ttl") != null, "the TTL node stands");
    }

    @SuppressWarnings("deprecation")
    private static void oldTransactionCommits(World world) throws Exception {
        CuratorFramework client = world.client();
        List<CuratorTransactionResult> results = List.copyOf(client.inTransaction()
                .create().forPath("/a", "1".getBytes()).and()
                .create().forPath("/a/b").and()
                .setData().withVersion(0).forPath("/a", "2".getBytes()).and()
                .commit());
        Suite.equal(results.get(1).getForPath(), "/a/b");
        Suite.equal(new String(client.getData().forPath("/a")), "2");
    }

    private static void transactionFails(World world) throws Exception {
        CuratorFramework client = world.client();
        client.create().forPath("/kept", "kept".getBytes());
        KeeperException failure = Suite.raises(KeeperException.BadVersionException.class,
                () -> client.transaction().forOperations(
                        client.transactionOp().create().forPath("/new"),
                        client.transactionOp().setData().withVersion(5).forPath("/kept", "x".getBytes()),
                        client.transactionOp().delete().forPath("/kept")));
        List<Integer> errors = failure.getResults().stream()
                .map(result -> ((org.apache.zookeeper.OpResult.ErrorResult) result).getErr()).toList();
        Suite.equal(errors, List.of(KeeperException.Code.OK.intValue(), KeeperException.Code.BADVERSION.intValue(),
                KeeperException.Code.RUNTIMEINCONSISTENCY.intValue()));
        Suite.that(client.checkExists().forPath("/new") == null, "the new node was not made");
        Suite.equal(new String(client.getData().forPath("/kept")), "kept");
    }

    private static void aclOfTheCreator(World world) throws Exception {
        CuratorFramework owner = world.client("user:secret");
        CuratorFramework stranger = world.client();
        owner.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath("/private", "x".getBytes());
        Suite.raises(KeeperException.NoAuthException.class,
                () -> world.caughtUp(stranger).getData().forPath("/private"));
        Suite.equal(owner.getACL().forPath("/private").get(0).getId().getScheme(), "digest");
        owner.setACL().withACL(ZooDefs.Ids.OPEN_ACL_UNSAFE).forPath("/private");
        Suite.equal(new String(world.caughtUp(stranger).getData().forPath("/private")), "x");
    }

    private static void backgroundCalls(World world) throws Exception {
        CuratorFramework client = world.client();
        Queue<Integer> completed = new ConcurrentLinkedQueue<>();
        client.create().forPath("/node");
        for (int i = 0; i < 300; i++) {
            client.setData().inBackground((from, event) -> completed.add(event.getStat().getVersion()))
                    .forPath("/node", new byte[] {(byte) i});
        }
        Suite.eventually("every completion", () -> completed.size() == 300);
        List<Integer> versions = List.copyOf(completed);
        for (int i = 0; i < 300; i++) {
            Suite.equal(versions.get(i), i + 1);
        }
    }

    private static void compressedData(World world) throws Exception {
        CuratorFramework client = world.client();
        byte[] data = new byte[3 << 20];
        client.create().compressed().forPath("/compressed", data);
        Suite.equal(client.getData().decompressed().forPath("/compressed").length, data.length);
    }

    private static void sessionSurvives(World world) throws Exception {
        CuratorFramework client = world.client();
        Queue<ConnectionState> states = new ConcurrentLinkedQueue<>();
        client.create().withMode(CreateMode.EPHEMERAL).forPath("/ephemeral");
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        client.getConnectionStateListenable().addListener((from, state) -> states.add(state));
        Suite.restartServer();
        Suite.eventually("the new connection", () -> states.contains(ConnectionState.RECONNECTED));
        Suite.equal(List.copyOf(states), List.of(ConnectionState.SUSPENDED, ConnectionState.RECONNECTED));
        Suite.equal(client.getZookeeperClient().getZooKeeper().getSessionId(), session);
        Suite.equal(client.checkExists().forPath("/ephemeral").getEphemeralOwner(), session);
    }

    private static void configIsReadable(World world) throws Exception {
        Suite.that(world.client().getConfig().forEnsemble() != null, "the ensemble's configuration");
    }
}
