"""Compiles the Curator program and runs it against the server under test.

The program asks on its standard output for what only this script can do and waits for an answer: `restart` (all
nodes), `kill N`, and `start` (what is down).
"""

import pathlib
import subprocess
import sys
import tempfile
import threading

import server as under_test
import zookeeper

SOURCES = pathlib.Path(__file__).resolve().parent / "curator"
# Curator's manifest leads to ZooKeeper's, and that to what ZooKeeper needs; these are left out there.
JARS = ("curator-recipes", "netty-codec", "netty-resolver", "slf4j-nop")
RUN_SECONDS_MAX = 600


def main():
    options = under_test.arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="curator-") as classes:
        compile_to(classes)
        with under_test.of(options) as server:
            return run(classes, server, options.only)


def compile_to(classes):
    """Compiles every source with warnings as errors."""
    sources = sorted(str(source) for source in SOURCES.glob("*.java"))
    flags = ["-Xlint:all,-path,-classfile", "-Werror", "-d", classes]
    subprocess.run(["javac", "-cp", zookeeper.class_path(*JARS), *flags, *sources], check=True, timeout=120)


def run(classes, server, only):
    """Runs the program, does what it asks for, counts its verdicts and returns the exit status."""
    path = f"{classes}:{zookeeper.class_path(*JARS)}"
    reads = "stale" if server.reads_are_stale else "fresh"
    command = ["java", "-Xmx256m", "-cp", path, "Suite", server.address, reads, *([only] if only else [])]
    passed = failed = 0
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(RUN_SECONDS_MAX, program.kill)
    watchdog.start()
    try:
        for line in program.stdout:
            if do_as_asked(server, line.split()):
                program.stdin.write("done\n")
                program.stdin.flush()
                continue
            passed += line.startswith("ok ")
            failed += line.startswith("FAILED ")
            print(line, end="", flush=True)
        status = program.wait()
    finally:
        watchdog.cancel()
        program.kill()
        program.wait()
    if status != (1 if failed else 0):
        failed += 1
        print(f"FAILED curator: the program ended with status {status}")
    print(f"curator: {passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def do_as_asked(server, words):
    """Does what the program asks for, and returns whether the words are such a request."""
    match words:
        case ["restart"]:
            server.restart()
        case ["kill", number]:
            server.kill(int(number))
        case ["start"]:
            server.start()
        case _:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
