"""Compiles the Curator program and runs it against the server under test.

The program asks on its standard output for what only this script can do (`restart`) and waits for an answer.
"""

import pathlib
import subprocess
import sys
import tempfile
import threading

import server as under_test

SOURCES = pathlib.Path(__file__).resolve().parent / "curator"
# Curator's manifest leads to ZooKeeper's, and that to what ZooKeeper needs; these are left out there.
JARS = ("curator-recipes", "netty-codec", "netty-resolver", "slf4j-nop")
RUN_SECONDS_MAX = 600


def main():
    options = under_test.arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="curator-") as classes:
        compile_to(classes)
        with under_test.Server(options.server, options.binary, options.partitions) as server:
            return run(classes, server, options.only)


def compile_to(classes):
    """Compiles every source with warnings as errors."""
    sources = sorted(str(source) for source in SOURCES.glob("*.java"))
    flags = ["-Xlint:all,-path,-classfile", "-Werror", "-d", classes]
    subprocess.run(["javac", "-cp", under_test.class_path(*JARS), *flags, *sources], check=True, timeout=120)


def run(classes, server, only):
    """Runs the program, does what it asks for, counts its verdicts and returns the exit status."""
    path = f"{classes}:{under_test.class_path(*JARS)}"
    command = ["java", "-Xmx256m", "-cp", path, "Suite", server.address, *([only] if only else [])]
    passed = failed = 0
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(RUN_SECONDS_MAX, program.kill)
    watchdog.start()
    try:
        for line in program.stdout:
            if line == "restart\n":
                server.restart()
                program.stdin.write("up\n")
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


if __name__ == "__main__":
    sys.exit(main())
