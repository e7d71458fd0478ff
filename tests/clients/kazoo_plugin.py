"""A pytest plugin that lets kazoo's own suite run against the server under test.

kazoo's harness starts its ensembles through `kazoo.testing.common.ZookeeperCluster`; this puts in its place a class
with the same face. The tests themselves are untouched. The runner passes what to serve with in the environment.
"""

import os
import pathlib
import tempfile

import kazoo.testing.harness
import pytest
import server as under_test
from kazoo.testing.common import ZookeeperCluster

# Of the key stores that kazoo makes for its TLS test.
PASSWORD = "apassword"


class ManagedNode:
    """Stands in for `kazoo.testing.common.ManagedZooKeeper`: one node of the server under test."""

    def __init__(self, server, node):
        self.server = server
        self.node = node

    @property
    def address(self):
        return self.node.address

    @property
    def secure_address(self):
        return f"127.0.0.1:{self.node.ports['tls']}"

    @property
    def running(self):
        return self.node.running()

    def run(self):
        self.server.start(self.node.number)

    def stop(self):
        self.server.stop(self.node.number)

    def reset(self):
        self.server.reset(self.node.number)

    def get_logs(self, num_lines=100):
        return [line + "\n" for line in self.node.log_tail(num_lines).splitlines()]


class ManagedCluster(ZookeeperCluster):
    """Stands in for `kazoo.testing.common.ZookeeperCluster`, from which it takes the making of certificates only.

    Paths and ports that the harness offers are not used, and there are no observers.
    """

    def __init__(self, size, configuration_entries, java_system_properties, jaas_config, **_):
        self._ssl_configuration = {}
        self.perform_ssl_certs_generation()
        self.entries = tuple(configuration_entries)
        self.security = pathlib.Path(tempfile.mkdtemp(prefix="kazoo-suite-"))
        self._write_security(jaas_config)
        replicas = os.environ.get("CLIENTS_REPLICAS")
        self.server = under_test.Server(
            os.environ["CLIENTS_SERVER"],
            binary=os.environ.get("CLIENTS_BINARY"),
            partitions=int(os.environ["CLIENTS_PARTITIONS"]),
            nodes=size,
            replicas=int(replicas) if replicas else None,
            config=self._config,
            properties=(*java_system_properties, f"-Djava.security.auth.login.config={self.security / 'jaas.conf'}"),
        )
        self._servers = [ManagedNode(self.server, node) for node in self.server.nodes]

    def start(self):
        self.server.start()

    def stop(self):
        self.server.stop()

    def reset(self):
        self.server.reset()

    def terminate(self):
        """Stops the server and forgets its data; the suite may start it again."""
        self.server.reset()

    def _write_security(self, jaas_config):
        (self.security / "jaas.conf").write_text(jaas_config or "")
        for store in ("truststore", "keystore"):
            self._ssl_configuration[store].save(str(self.security / f"{store}.jks"), PASSWORD)

    def _config(self, node):
        return (
            *self.entries,
            f"secureClientPort={node.ports['tls']}",
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
            "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            f"ssl.keyStore.location={self.security / 'keystore.jks'}",
            f"ssl.keyStore.password={PASSWORD}",
            f"ssl.trustStore.location={self.security / 'truststore.jks'}",
            f"ssl.trustStore.password={PASSWORD}",
        )


kazoo.testing.harness.ZookeeperCluster = ManagedCluster
under_test.exit_on_sigterm()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """Writes one line per finished test, so that a run that is cut short still tells what it saw."""
    outcome = outcome_of(report)
    if outcome is None:
        return
    with open(os.environ["CLIENTS_OUTCOMES"], "a", encoding="utf-8") as outcomes:
        outcomes.write(f"{test_id(report.nodeid)} {outcome}\n")


def test_id(nodeid):
    """The test's id without the directory that kazoo happens to be installed in."""
    path, separator, name = nodeid.partition("::")
    return pathlib.PurePath(path).name + separator + name


def outcome_of(report):
    """`passed`, `failed` or `skipped`, or None for a phase of a test that says nothing of its own."""
    if report.when == "call" or report.failed or report.skipped:
        return report.outcome
    return None
