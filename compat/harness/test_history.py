"""Golden histories: each class of violation is found, and a clean history has none.

Run: python3 -m unittest discover -s compat -t compat
"""

import unittest

from harness.history import Checker


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

    def poll(self, value, offset, process=9, partition=0, key=None):
        rest = {"key": key or f"k{value}", "header": value, "value": value}
        return self.add("poll", "ok", process, partition=partition, offset=offset, **rest)

    def check(self):
        return Checker(self.lines)


def good():
    script = Script().send("a", 0).send("b", 1).send("c", type_="unknown")
    return script.poll("a", 0).poll("b", 1).poll("c", 2)


def kinds(violations):
    return sorted({violation.partition(":")[0] for violation in violations})


class GoldenHistories(unittest.TestCase):
    def everything(self, script):
        checker = script.check()
        found = checker.consistent(idempotent=True) + checker.nothing_lost(9)
        found += checker.all_seen([9]) + checker.polls_without_gaps()
        return kinds(found + checker.owned_once() + checker.resumed_at_commit())

    def test_clean_history_has_no_violation(self):
        self.assertEqual(self.everything(good()), [])

    def test_lost_and_unseen(self):
        self.assertEqual(self.everything(good().send("d", 3)), ["lost", "unseen"])

    def test_duplicate(self):
        self.assertEqual(self.everything(good().poll("b", 3)), ["duplicate"])

    def test_duplicate_is_allowed_without_idempotence(self):
        self.assertEqual(good().poll("b", 3).check().consistent(idempotent=False), [])

    def test_offset_with_two_values(self):
        script = Script().send("a", 0).send("b", 0).poll("a", 0)
        self.assertIn("inconsistent-offsets", self.everything(script))

    def test_value_at_another_offset_than_acknowledged_is_lost_there(self):
        script = Script().send("a", 0).poll("a", 1)
        self.assertEqual(self.everything(script), ["duplicate", "lost"])

    def test_phantom(self):
        self.assertEqual(self.everything(good().poll("z", 3)), ["phantom"])

    def test_failed_write_that_is_read(self):
        self.assertEqual(self.everything(good().send("d", type_="fail").poll("d", 3)), ["failed-read"])

    def test_damaged_key(self):
        script = Script().send("a", 0).poll("a", 0, key="kb")
        self.assertEqual(self.everything(script), ["damaged"])

    def test_sends_out_of_order(self):
        script = Script().send("b", 1).send("a", 0).poll("a", 0).poll("b", 1)
        self.assertEqual(self.everything(script), ["nonmonotonic-send"])

    def test_poll_skip(self):
        script = Script().send("a", 0).send("b", 1).send("c", 2).poll("a", 0).poll("c", 2).poll("b", 1, process=8)
        self.assertEqual(kinds(script.check().polls_without_gaps()), ["poll-skip"])

    def test_poll_backwards(self):
        self.assertEqual(kinds(good().poll("a", 0).check().polls_without_gaps()), ["nonmonotonic-poll"])

    def test_poll_may_go_back_after_an_assignment(self):
        script = good().add("assign", "ok", 9, partitions=[0]).poll("a", 0)
        self.assertEqual(script.check().polls_without_gaps(), [])

    def test_owned_twice(self):
        script = Script().add("assign", "ok", 1, partitions=[0, 1]).add("assign", "ok", 2, partitions=[1])
        self.assertEqual(kinds(script.check().owned_once()), ["owned-twice"])

    def test_owned_after_revocation_or_death(self):
        script = Script().add("assign", "ok", 1, partitions=[0]).add("revoke", "ok", 1, partitions=[0])
        script.add("assign", "ok", 2, partitions=[0]).add("assign", "ok", 3, partitions=[0])
        self.assertEqual(script.check().owned_once(killed=[2]), [])

    def test_begin_beyond_the_commit(self):
        script = Script().add("commit", "invoke", 1, offsets={"0": 1}).add("commit", "ok", 1, offsets={"0": 1})
        script.add("assign", "ok", 2, partitions=[0]).poll("c", 2, process=2)
        self.assertEqual(kinds(script.check().resumed_at_commit()), ["skipped"])

    def test_begin_at_a_commit_whose_answer_was_lost(self):
        script = Script().add("commit", "invoke", 1, offsets={"0": 2})
        script.add("assign", "ok", 2, partitions=[0]).poll("c", 2, process=2)
        self.assertEqual(script.check().resumed_at_commit(), [])


if __name__ == "__main__":
    unittest.main()
