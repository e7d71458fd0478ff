"""Named checks: each prints one line and a failure does not stop the next."""

import os
import sys
import threading
import time
import traceback

CHECK_SECONDS_MAX = 90
# Characters of an error's text that are printed.
EXPLANATION_MAX = 800


class Checks:
    """A list of checks in the order in which they were declared.

    A check that outlives `CHECK_SECONDS_MAX` counts as failed and is left behind on its daemon thread.
    """

    def __init__(self, suite):
        self.suite = suite
        self.checks = []
        self.of_several = set()
        self.passed = 0
        self.failed = 0

    def check(self, function):
        """Decorator: declares a check named after the function."""
        self.checks.append(function)
        return function

    def check_of_several(self, function):
        """Decorator: declares a check that needs several nodes."""
        self.of_several.add(function)
        return self.check(function)

    def run(self, options, world):
        """Runs what `options` asks for, each check in a `with world() as argument` of its own.

        Those are the checks whose names contain `only` (all for None), without those that need more `nodes` than one
        if there is but one. Returns the process's exit status.
        """
        for function in self.checks:
            wanted = options.only is None or options.only in function.__name__
            if wanted and (options.nodes > 1 or function not in self.of_several):
                self._run_one(function, world)
        return self.close()

    def close(self):
        """Prints the closing line and returns the process's exit status."""
        print(f"{self.suite}: {self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.passed and not self.failed else 1

    def report(self, name, failure):
        """Prints and counts one outcome; `failure` is None or says why."""
        if failure is None:
            self.passed += 1
            print(f"ok {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {name}: {failure}", flush=True)

    def _run_one(self, function, world):
        outcome = [f"still running after {CHECK_SECONDS_MAX} s"]

        def body():
            try:
                with world() as argument:
                    function(argument)
                outcome[0] = None
            except Exception as error:
                outcome[0] = explain(error)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(CHECK_SECONDS_MAX)
        self.report(function.__name__, outcome[0])


def explain(error):
    """One line that says what failed and on which line of the script."""
    last = traceback.extract_tb(error.__traceback__)
    script = [frame for frame in last if "/tests/clients/" in frame.filename and frame.filename != __file__] or last
    place = f"line {script[-1].lineno}: {script[-1].line}" if script else ""
    text = " ".join(str(error).split())[:EXPLANATION_MAX] or "no message"
    return f"{type(error).__name__}: {text} ({place})"


def wait_until(condition, seconds=20, what="the condition"):
    """Waits for `condition()` to be true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds} s"
        time.sleep(0.02)


def equal(actual, expected):
    """Asserts equality, showing both sides."""
    assert actual == expected, f"{actual!r} is not {expected!r}"


def contains(text, *parts):
    """Asserts that every part occurs in the text."""
    for part in parts:
        assert part in text, f"{part!r} is not in {text[-600:]!r}"


def raises(kind, function, *arguments, **named):
    """Asserts that the call raises `kind`, a class or a tuple of classes, and returns the exception."""
    try:
        value = function(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind} was not raised, the call returned {value!r}")


def exit_with(status):
    """Leaves at once: a check that hangs must not hold the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
