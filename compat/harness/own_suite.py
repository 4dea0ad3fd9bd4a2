"""kafka-python's own integration suite against an external broker.

Each test that `not-served.txt` does not list must run and pass; a skip is a failure. A listed
test that passes is a failure too, because the list only shrinks; against the reference broker,
which serves more, the listed ones are left out. The time that tests allow for an answer is widened in the copy that is run
(`more-time.txt`).
"""

import os
import shutil
import time
import xml.etree.ElementTree as xml

from . import clients, install, processes

SUITE = "kafka-python's own suite"
KAFKA_VERSION = "4.3.0"  # what the suite takes the broker for
TEST_S = 600  # a test that takes longer hangs; the wider limits have room in it
STILL_NOT_SERVED_S = 20


def listed_in(name):
    """Test id -> reason."""
    listed = {}
    for line in (install.CLIENTS / "kafka-python" / name).read_text().splitlines():
        if line and not line.startswith("#"):
            test, _, reason = line.partition("\t")
            if not reason:
                raise RuntimeError(f"{name}: no reason for {test}")
            listed[test] = reason
    return listed


def not_served():
    return listed_in("not-served.txt")


def may_be_run_again():
    """Tests by their functions: whatever their parameters are."""
    return listed_in("second-try.txt")


def widened(text, path, changes):
    """The text of a file of the suite with its limits replaced; fails if it does not have them. Each of `changes`: the file,
    what it has, how often, what it gets instead."""
    for _, has, times, gets in (each for each in changes if each[0] == path):
        if text.count(has) != times:
            raise RuntimeError(f"more-time.txt: {path} has {has!r} {text.count(has)} times, not {times}")
        text = text.replace(has, gets)
    return text


def more_time():
    """Rows of more-time.txt without their reasons."""
    rows = []
    for line in (install.CLIENTS / "kafka-python" / "more-time.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, has, times, gets, reason = line.split("\t")
            if not reason:
                raise RuntimeError(f"more-time.txt: no reason for {has}")
            rows.append((path, has, int(times), gets))
    return rows


def _copy_of_suite(version, directory):
    pins = [install.CLIENTS / "kafka-python" / "requirements.txt"]
    source = install.source_distribution("kafka-python", version, pins)
    suite = directory / "suite"
    suite.mkdir(parents=True)
    # Only the tests: the package itself is the one that is installed.
    shutil.copytree(source / "test", suite / "test")
    shutil.copy(install.CLIENTS / "kafka-python" / "service.py", suite / "test" / "service.py")
    (suite / "test" / "__init__.py").touch()
    changes = more_time()
    for path in sorted({each[0] for each in changes}):
        file = suite / "test" / "integration" / path
        file.write_text(widened(file.read_text(), path, changes))
    return suite


def _pytest(python, suite, broker, selection, timeout_s):
    """Runs pytest; returns [(test id, outcome, message, seconds)]."""
    report = suite / "report.xml"
    report.unlink(missing_ok=True)
    env = install.environment(
        KAFKA_VERSION=KAFKA_VERSION,
        KAFKA_URI=f"kafka://127.0.0.1:{broker.port}",
        KAFKA_ROOT=suite,
        PYTHONPATH=suite,
        PYTHONDONTWRITEBYTECODE="1",
    )
    argv = [python, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q"]
    argv += [f"--timeout={timeout_s}", "--timeout-method=signal", f"--junitxml={report}"]
    argv += ["-o", "junit_logging=no", *selection]
    code, output = processes.run(argv, suite / "pytest.log", timeout_s=3600, cwd=suite, env=env)
    if not report.exists():
        raise RuntimeError(f"pytest left no report (exit {code}):\n{output[-2000:]}")
    return [_outcome(case) for case in xml.parse(report).getroot().iter("testcase")]


def _outcome(case):
    module, _, klass = case.get("classname").removeprefix("test.integration.").partition(".")
    test = f"{module}.py::{klass + '::' if klass else ''}{case.get('name')}"
    for outcome in ("failure", "error", "skipped"):
        found = case.find(outcome)
        if found is not None:
            message = " ".join((found.get("message") or "").split())[:300]
            return test, outcome, message, float(case.get("time"))
    return test, "passed", "", float(case.get("time"))


def play(broker, directory, quick):
    """Yields (client, version, test, problem or None, seconds), one row for each test."""
    del quick  # the suite has one size
    client = clients.kafka_python()
    suite = _copy_of_suite(client.version, directory)
    listed = not_served()
    everything = ["test/integration"]
    known = {f"test/integration/{test}" for test in listed}
    served = everything + [f"--deselect={test}" for test in sorted(known)]
    outcomes = _pytest(client.argv[0], suite, broker, served, TEST_S)
    rows, again = judged(outcomes, may_be_run_again())
    for row in rows:
        yield SUITE, client.version, *row
    yield from _once_more(client, suite, broker, again)
    if broker.name == "tallymq":
        yield from _still_not_served(client, suite, broker, listed, known)


def judged(outcomes, racy):
    """Rows (test, problem or None, seconds), and the tests that are run once more: those of `racy` that failed, and no others."""
    rows, again = [], []
    for test, outcome, message, seconds in outcomes:
        if outcome == "failure" and test.partition("[")[0] in racy:
            again.append(test)
        else:
            rows.append((test, None if outcome == "passed" else f"{outcome}: {message}", seconds))
    gone = sorted(set(racy) - {test.partition("[")[0] for test, *_ in outcomes})
    if gone:
        rows.append(("second-try.txt", f"the suite does not have {gone}", 0))
    return rows, again


def _once_more(client, suite, broker, again):
    """They have to pass alone, and their row says so."""
    for test in again:
        [(_, outcome, message, seconds)] = _pytest(client.argv[0], suite, broker, [f"test/integration/{test}"], TEST_S)
        problem = None if outcome == "passed" else f"{outcome}, twice: {message}"
        yield SUITE, client.version, f"{test} (second try)", problem, seconds


def _still_not_served(client, suite, broker, listed, known):
    begin = time.monotonic()
    outcomes = _pytest(client.argv[0], suite, broker, sorted(known), STILL_NOT_SERVED_S)
    passed = [test for test, outcome, _, _ in outcomes if outcome == "passed"]
    unknown = sorted(set(listed) - {test for test, *_ in outcomes})
    problem = None
    if passed:
        problem = f"pass now, take them off not-served.txt: {passed}"
    elif unknown:
        problem = f"not-served.txt lists tests that the suite does not have: {unknown}"
    name = f"{len(listed)} listed tests still need what is not served"
    yield SUITE, client.version, name, problem, time.monotonic() - begin
