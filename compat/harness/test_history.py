"""Golden histories: each class of violation is found, and a clean history has none.

Run: python3 -m unittest discover -s compat -t compat (after cargo build --release -p tallymq-sim)
"""

import tempfile
import unittest

from harness.history import Checker, judged

READER = 9


class Script:
    """Builds a history line by line; time is the line's number."""

    def __init__(self):
        self.lines = []

    def add(self, op, type_, process=1, **rest):
        line = {"process": process, "time_ns": len(self.lines), "op": op, "type": type_, "topic": "t"}
        self.lines.append(line | rest)
        return self

    def send(self, value, offset=None, partition=0, type_="ok"):
        self.add("send", "invoke", partition=partition, value=value)
        rest = {"offset": offset} if offset is not None else {}
        return self.add("send", type_, partition=partition, value=value, **rest)

    def poll(self, value, offset, process=READER, partition=0, key=None):
        rest = {"key": key or f"k{value}", "header": value, "value": value}
        return self.add("poll", "ok", process, partition=partition, offset=offset, **rest)

    def commit(self, offset, process=1, type_="ok"):
        self.add("commit", "invoke", process, offsets={"0": offset})
        return self if type_ == "invoke" else self.add("commit", type_, process, offsets={"0": offset})

    def assign(self, *partitions, process=1):
        return self.add("assign", "ok", process, partitions=list(partitions))

    def revoke(self, *partitions, process=1):
        return self.add("revoke", "ok", process, partitions=list(partitions))

    def check(self):
        return Checker(self.lines)


def good():
    script = Script().send("a", 0).send("b", 1).send("c", type_="unknown")
    return script.poll("a", 0).poll("b", 1).poll("c", 2)


def kinds(violations):
    return sorted({violation.partition(":")[0] for violation in violations})


class GoldenHistories(unittest.TestCase):
    """What is judged here, and what the checker says of what it is handed."""

    def judged(self, script, final_reader=READER):
        with tempfile.TemporaryDirectory() as directory:
            return kinds(judged(script.lines, directory, final_reader))

    def test_clean_history_has_no_violation(self):
        checker = good().check()
        own = checker.undamaged() + checker.all_seen([READER]) + checker.owned_once()
        self.assertEqual((own, self.judged(good())), ([], []))

    def test_lost_inside_and_at_the_end(self):
        script = Script().send("a", 0).send("b", 1).send("c", 2).send("d", 3).poll("a", 0).poll("c", 2)
        self.assertEqual(self.judged(script), ["lost-write", "poll-skip", "unseen"])

    def test_read_by_a_member_and_gone_in_the_end(self):
        script = Script().send("a", 0).send("b", 1).poll("a", 0, process=2).poll("b", 1, process=2).poll("b", 1)
        self.assertEqual(self.judged(script), ["lost-write"])

    def test_duplicate_of_an_idempotent_producer(self):
        self.assertEqual(self.judged(good().poll("b", 3)), ["inconsistent-offsets"])

    def test_offset_with_two_values(self):
        script = Script().send("a", 0).send("b", 0).poll("a", 0)
        self.assertIn("inconsistent-offsets", self.judged(script))

    def test_phantom(self):
        self.assertEqual(self.judged(good().poll("z", 3)), ["unwritten-read"])

    def test_sends_out_of_order(self):
        script = Script().send("b", 1).send("a", 0).poll("a", 0).poll("b", 1)
        self.assertEqual(self.judged(script), ["nonmonotonic-send"])

    def test_poll_backwards(self):
        self.assertEqual(self.judged(good().poll("a", 0)), ["nonmonotonic-poll"])

    def test_poll_may_go_back_after_an_assignment(self):
        self.assertEqual(self.judged(good().assign(0, process=READER).poll("a", 0)), [])

    def test_a_member_that_begins_beyond_the_commit(self):
        script = good().assign(0, process=2).poll("a", 0, process=2).commit(1, process=2)
        script.assign(0, process=3).poll("c", 2, process=3).commit(3, process=3)
        self.assertEqual(self.judged(script, None), ["commit-skip"])

    def test_a_member_that_begins_below_the_commit(self):
        script = good().assign(0, process=2).poll("a", 0, process=2).poll("b", 1, process=2).commit(2, process=2)
        self.assertEqual(self.judged(script.assign(0, process=3).poll("b", 1, process=3), None), ["commit-lost"])

    def test_a_commit_without_an_answer_may_count_or_not(self):
        for start, value in ((0, "a"), (2, "c")):
            script = good().assign(0, process=2).poll("a", 0, process=2).poll("b", 1, process=2)
            script.commit(2, process=2, type_="invoke").assign(0, process=3).poll(value, start, process=3)
            self.assertEqual(self.judged(script, None), [])

    def test_unseen_by_the_group(self):
        self.assertEqual(kinds(good().send("d", 3).check().all_seen([READER])), ["unseen"])

    def test_damaged_key(self):
        script = Script().send("a", 0).poll("a", 0, key="kb")
        self.assertEqual(kinds(script.check().undamaged()), ["damaged"])

    def test_owned_twice(self):
        script = Script().assign(0, 1).assign(1, process=2)
        self.assertEqual(kinds(script.check().owned_once()), ["owned-twice"])

    def test_owned_after_revocation_or_death(self):
        script = Script().assign(0).revoke(0).assign(0, process=2).assign(0, process=3)
        self.assertEqual(script.check().owned_once(killed=[2]), [])


if __name__ == "__main__":
    unittest.main()
