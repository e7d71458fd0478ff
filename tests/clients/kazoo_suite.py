"""Runs kazoo's own test suite against the server under test and compares it with what a real ZooKeeper gives.

`kazoo_suite.expected` holds a standalone ZooKeeper's outcome of every test, `kazoo_suite.expected_of_several` those
outcomes of an ensemble that are others. `kazoo_suite.differences` holds the tests in which we may differ, each with its
reason. Any other difference fails the run.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import server

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "kazoo_suite.expected"
EXPECTED_OF_SEVERAL = HERE / "kazoo_suite.expected_of_several"
DIFFERENCES = HERE / "kazoo_suite.differences"
DIFFERENCES_MAX = 10
TEST_SECONDS_MAX = 120
SUITE_SECONDS_MAX = 1800
ENDING_SECONDS_MAX = 60
# The version whose behaviour kazoo is to expect.
ZOOKEEPER_VERSION = "3.8.0"


def main():
    parser = server.arguments(__doc__)
    parser.add_argument("--work", help="directory for the log and the outcomes (default: a new one, kept on failure)")
    parser.add_argument("--write-expected", action="store_true", help="record this run as the expected outcomes")
    options = parser.parse_args()
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="kazoo-suite-")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    outcomes = run_suite(options, work)
    if options.write_expected:
        write_expected(outcomes, options.nodes)
    wrong = judge(outcomes, read_expected(options.nodes), options.only)
    counts = [list(outcomes.values()).count(outcome) for outcome in ("passed", "failed", "skipped")]
    if wrong or options.work:
        print(f"log: {work / 'suite.log'}")
    else:
        shutil.rmtree(work)
    print("kazoo suite: {} differences that are not allowed".format(wrong))
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if wrong else 0


def run_suite(options, work):
    """Runs the suite and returns each test's outcome by id."""
    record = work / "outcomes"
    record.unlink(missing_ok=True)
    record.touch()
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "--pyargs", "kazoo.tests"]
    command += ["-p", "kazoo_plugin", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS_MAX}"]
    command += [f"--rootdir={work}", "-q", "--tb=short", "-o", "log_level=INFO"]
    command += ["-k", options.only] if options.only else []
    with open(work / "suite.log", "wb") as log:
        values = environment(options, record, scratch)
        suite = subprocess.Popen(command, cwd=work, env=values, stdout=log, stderr=log)
        try:
            suite.wait(SUITE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            suite.terminate()
            suite.wait(ENDING_SECONDS_MAX)
            print(f"the suite was ended after {SUITE_SECONDS_MAX} s")
    shutil.rmtree(scratch)
    return read_outcomes(record)


def environment(options, record, scratch):
    """What kazoo's harness and the plugin read."""
    values = dict(os.environ)
    values.pop("CI", None)
    values.update(
        PYTHONPATH=os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        PYTHONDONTWRITEBYTECODE="1",
        TMPDIR=str(scratch),
        ZOOKEEPER_VERSION=ZOOKEEPER_VERSION,
        ZOOKEEPER_CLUSTER_SIZE=str(options.nodes),
        CLIENTS_SERVER=options.server,
        CLIENTS_PARTITIONS=str(options.partitions),
        CLIENTS_OUTCOMES=str(record),
    )
    if options.replicas:
        values["CLIENTS_REPLICAS"] = str(options.replicas)
    if options.binary:
        values["CLIENTS_BINARY"] = str(pathlib.Path(options.binary).resolve())
    return values


def judge(outcomes, expected, only):
    """Prints every difference from the expected outcomes and returns how many are not allowed."""
    allowed = read_differences()
    wrong = 0
    if only is None:
        wrong += missing(expected, outcomes)
    for test, outcome in outcomes.items():
        if outcome == expected.get(test):
            continue
        verdict = f"allowed, {allowed[test]}" if test in allowed else "NOT ALLOWED"
        wrong += test not in allowed
        print(f"{test}: {outcome}, expected {expected.get(test, 'nothing')}: {verdict}")
    return wrong


def missing(expected, outcomes):
    """Tests that the real server ran and this run did not."""
    absent = [test for test in expected if test not in outcomes]
    for test in absent:
        print(f"{test}: did not run, expected {expected[test]}: NOT ALLOWED")
    return len(absent)


def read_outcomes(path):
    """Lines `id outcome`; a test that failed in any phase has failed."""
    outcomes = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        test, outcome = line.rsplit(" ", 1)
        if outcomes.get(test) != "failed":
            outcomes[test] = outcome
    return outcomes


def read_differences():
    """Lines `id reason`; `#` opens a comment."""
    lines = [line for line in DIFFERENCES.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert len(lines) <= DIFFERENCES_MAX, f"{DIFFERENCES.name} allows more than {DIFFERENCES_MAX} differences"
    assert all(" " in line for line in lines), f"{DIFFERENCES.name}: every line needs a reason"
    return dict(line.split(" ", 1) for line in lines)


def read_expected(nodes):
    """What a ZooKeeper of so many nodes gives."""
    expected = read_outcomes(EXPECTED)
    if nodes > 1:
        expected.update(read_outcomes(EXPECTED_OF_SEVERAL))
    return expected


def write_expected(outcomes, nodes):
    """Records a run; one of several nodes as what differs from that of one."""
    path = EXPECTED
    if nodes > 1:
        path, alone = EXPECTED_OF_SEVERAL, read_outcomes(EXPECTED)
        outcomes = {test: outcome for test, outcome in outcomes.items() if outcome != alone.get(test)}
    path.write_text("".join(f"{test} {outcome}\n" for test, outcome in sorted(outcomes.items())), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
