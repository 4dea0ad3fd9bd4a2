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


if __name__ == "__main__":
    unittest.main()
