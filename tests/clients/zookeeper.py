"""A real ZooKeeper as the server under test: its configuration and its command line."""

import os
import pathlib

JARS = pathlib.Path("/usr/share/java")
# Debian's zookeeper.jar names most of what it needs in its manifest; these it forgets.
ZOOKEEPER_JARS = ("zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "slf4j-simple")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
# super:test
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
SYSTEM = (
    "-Xmx512m",
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
    "-Dreadonlymode.enabled=true",
    f"-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}",
)
CONFIG = (
    "tickTime=2000",
    "initLimit=10",
    "syncLimit=5",
    "maxClientCnxns=0",
    "admin.enableServer=false",
    "4lw.commands.whitelist=*",
    "extendedTypesEnabled=true",
    "reconfigEnabled=true",
)


def class_path(*names):
    """Debian's jars of these names, as a Java class path."""
    return os.pathsep.join(str(JARS / f"{name}.jar") for name in names)


def command(node, nodes, config, properties):
    """The command line of one node of `nodes`, whose configuration is written on its first start.

    Not on later ones: an ensemble that is reconfigured rewrites its configuration itself.
    """
    path = node.data / "zoo.cfg"
    if not path.exists():
        (node.data / "myid").write_text(f"{node.number}\n")
        place = (f"dataDir={node.data}", f"clientPort={node.port}", "clientPortAddress=127.0.0.1")
        path.write_text("\n".join((*place, *CONFIG, *ensemble(nodes), *config)) + "\n")
    return ["java", "-cp", class_path(*ZOOKEEPER_JARS), *SYSTEM, *properties, MAIN, str(path)]


def ensemble(nodes):
    """The lines that make an ensemble, on the loopback interface only; none for a standalone server."""
    if len(nodes) == 1:
        return ()
    members = [f"server.{node.number}=127.0.0.1:{node.ports['peer']}:{node.ports['election']}" for node in nodes]
    return ("quorumListenOnAllIPs=false", *members)
