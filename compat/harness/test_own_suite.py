"""What counts as passed of a client's own suite. Run with the other tests of compat."""

import unittest

from . import own_suite

RACY = {"a.py::test_racy": "a reason"}


def outcome(test, result="passed"):
    return test, result, "why", 1.0


class Judged(unittest.TestCase):
    def test_only_a_named_test_gets_a_second_try(self):
        outcomes = [outcome("a.py::test_racy[gzip]", "failure"), outcome("a.py::test_racy_too", "failure"),
                    outcome("b.py::test_fine")]
        rows, again = own_suite.judged(outcomes, RACY)
        self.assertEqual(again, ["a.py::test_racy[gzip]"])
        problems = [("a.py::test_racy_too", "failure: why", 1.0), ("b.py::test_fine", None, 1.0)]
        self.assertEqual(rows, problems)

    def test_a_named_test_that_is_skipped_or_cannot_begin_fails(self):
        for result in ("skipped", "error"):
            rows, again = own_suite.judged([outcome("a.py::test_racy", result)], RACY)
            self.assertEqual((rows[0][1], again), (f"{result}: why", []))

    def test_a_named_test_that_the_suite_does_not_have_fails(self):
        rows, _ = own_suite.judged([outcome("b.py::test_fine")], RACY)
        self.assertIn("a.py::test_racy", rows[-1][1])

    def test_each_named_test_has_a_reason_and_is_served(self):
        named = own_suite.may_be_run_again()
        self.assertTrue(all(named.values()))
        self.assertEqual(set(named) & set(own_suite.not_served()), set())


class MoreTime(unittest.TestCase):
    def test_a_limit_is_replaced_in_its_file_and_in_no_other(self):
        changes = [("a.py", "get(1)", 2, "get(9)")]
        self.assertEqual(own_suite.widened("get(1), get(1)", "a.py", changes), "get(9), get(9)")
        self.assertEqual(own_suite.widened("get(1)", "b.py", changes), "get(1)")

    def test_a_limit_that_is_not_there_so_often_fails(self):
        for text in ("get(2)", "get(1)"):
            with self.assertRaises(RuntimeError):
                own_suite.widened(text, "a.py", [("a.py", "get(1)", 2, "get(9)")])

    def test_each_has_a_reason(self):
        self.assertTrue(own_suite.more_time())


if __name__ == "__main__":
    unittest.main()
