"""A pytest plugin that lets kazoo's own suite run against the server under test.

kazoo starts its ensembles through `kazoo.testing.common.ManagedZooKeeper`; this puts in its place a class with the same
face. The tests themselves are untouched. The runner passes the kind, the binary and the partitions in the environment.
"""

import os
import pathlib
import tempfile

import kazoo.testing.common
import pytest
import server as under_test

# Of the key stores that kazoo makes for its TLS test.
PASSWORD = "apassword"


class ManagedServer:
    """Stands in for `kazoo.testing.common.ManagedZooKeeper`: one standalone server."""

    host = "127.0.0.1"

    def __init__(
        self,
        software_path,
        server_info,
        peers=(),
        classpath=None,
        configuration_entries=(),
        java_system_properties=(),
        jaas_config=None,
        ssl_configuration=None,
    ):
        assert not peers, "the suite runs with ZOOKEEPER_CLUSTER_SIZE=1"
        self.server_info = server_info
        self.client_port = server_info.client_port
        self.secure_client_port = server_info.secure_client_port
        self.security = pathlib.Path(tempfile.mkdtemp(prefix="kazoo-suite-"))
        self._write_security(jaas_config, ssl_configuration)
        self.server = under_test.Server(
            os.environ["CLIENTS_SERVER"],
            binary=os.environ.get("CLIENTS_BINARY"),
            partitions=int(os.environ["CLIENTS_PARTITIONS"]),
            port=self.client_port,
            config=(*configuration_entries, *self._tls_and_sasl()),
            properties=(*java_system_properties, f"-Djava.security.auth.login.config={self.security / 'jaas.conf'}"),
        )

    @property
    def address(self):
        return f"{self.host}:{self.client_port}"

    @property
    def secure_address(self):
        return f"{self.host}:{self.secure_client_port}"

    @property
    def running(self):
        return self.server.running()

    def run(self):
        self.server.start()

    def stop(self):
        self.server.stop()

    def reset(self):
        self.server.reset()

    def destroy(self):
        """Stops the server and forgets its data; the suite may run it again."""
        self.server.reset()

    def get_logs(self, num_lines=100):
        return [line + "\n" for line in self.server.log_tail(num_lines).splitlines()]

    def _write_security(self, jaas_config, ssl_configuration):
        (self.security / "jaas.conf").write_text(jaas_config or "")
        for store in ("truststore", "keystore"):
            ssl_configuration[store].save(str(self.security / f"{store}.jks"), PASSWORD)

    def _tls_and_sasl(self):
        return (
            f"secureClientPort={self.secure_client_port}",
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
            "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            f"ssl.keyStore.location={self.security / 'keystore.jks'}",
            f"ssl.keyStore.password={PASSWORD}",
            f"ssl.trustStore.location={self.security / 'truststore.jks'}",
            f"ssl.trustStore.password={PASSWORD}",
        )


kazoo.testing.common.ManagedZooKeeper = ManagedServer
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
