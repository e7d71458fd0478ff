import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs named checks one after the other; each prints one line, and a failure does not stop the next. */
final class Suite {
    private static final int CHECK_SECONDS_MAX = 90;
    private static final int WAIT_SECONDS_MAX = 30;
    private static final BufferedReader ANSWERS =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    /** A check's body. */
    interface Check {
        void run(World world) throws Exception;
    }

    /** A condition that is waited for. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** A call that is expected to fail. */
    interface Action {
        void run() throws Exception;
    }

    private Suite() {}

    /**
     * Arguments: the nodes' addresses, comma-separated; whether reads through them are `fresh` or `stale`; and
     * optionally a part of the names of the checks to run.
     */
    public static void main(String[] arguments) throws IOException {
        List<String> nodes = List.of(arguments[0].split(","));
        boolean stale = arguments[1].equals("stale");
        String only = arguments.length > 2 ? arguments[2] : "";
        Map<String, Check> checks = new LinkedHashMap<>();
        Recipes.declare(checks);
        Caches.declare(checks);
        Nodes.declare(checks);
        if (nodes.size() > 1) {
            Cluster.declare(checks);
        }
        int failed = 0;
        ExecutorService runner = Executors.newCachedThreadPool();
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            if (check.getKey().contains(only)) {
                ask("start");
                World world = new World(nodes, stale);
                failed += verdict(runner, check.getKey(), check.getValue(), world) ? 0 : 1;
            }
        }
        System.out.flush();
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    private static boolean verdict(ExecutorService runner, String name, Check check, World world) {
        Future<?> result = runner.submit((Callable<Void>) () -> {
            try (world) {
                check.run(world);
            }
            return null;
        });
        try {
            result.get(CHECK_SECONDS_MAX, TimeUnit.SECONDS);
            System.out.println("ok " + name);
            return true;
        } catch (TimeoutException late) {
            System.out.println("FAILED " + name + ": still running after " + CHECK_SECONDS_MAX + " s");
        } catch (Exception failure) {
            System.out.println("FAILED " + name + ": " + explain(failure.getCause()));
        }
        result.cancel(true);
        return false;
    }

    private static String explain(Throwable failure) {
        for (StackTraceElement frame : failure.getStackTrace()) {
            if (frame.getClassName().matches("(Recipes|Caches|Nodes|Cluster|World)\\b.*")) {
                return failure + " (" + frame.getFileName() + ":" + frame.getLineNumber() + ")";
            }
        }
        return failure.toString();
    }

    /** Has the server, all nodes of it, killed and started again on its data. */
    static void restartServer() throws IOException {
        ask("restart");
    }

    /** Has one node killed, until the check ends; nodes count from 1. */
    static void killNode(int number) throws IOException {
        ask("kill " + number);
    }

    private static synchronized void ask(String request) throws IOException {
        System.out.println(request);
        System.out.flush();
        that("done".equals(ANSWERS.readLine()), request);
    }

    static void that(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError("not so: " + what);
        }
    }

    static void equal(Object actual, Object expected) {
        if (!expected.equals(actual)) {
            throw new AssertionError(actual + " is not " + expected);
        }
    }

    static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS_MAX);
        while (!condition.holds()) {
            that(System.nanoTime() < deadline, what + " within " + WAIT_SECONDS_MAX + " s");
            Thread.sleep(20);
        }
    }

    static <T extends Exception> T raises(Class<T> kind, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception failure) {
            if (kind.isInstance(failure)) {
                return kind.cast(failure);
            }
            throw failure;
        }
        throw new AssertionError(kind.getSimpleName() + " was not thrown");
    }

    /** Runs the bodies at the same time and returns when all are done. */
    static void together(List<Callable<Void>> bodies) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(bodies.size());
        try {
            List<Future<Void>> results = new ArrayList<>();
            for (Callable<Void> body : bodies) {
                results.add(threads.submit(body));
            }
            for (Future<Void> result : results) {
                result.get(CHECK_SECONDS_MAX, TimeUnit.SECONDS);
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
