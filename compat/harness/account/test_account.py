"""The comparison itself: what it has to find in an account that is wrong. Run with the other tests of compat."""

import copy
import time
import unittest

from . import cuts, damage, healthy, planted, printed, storm
from .books import Expected, differences, plain
from .journal import zigzag
from .play import ALL, NAMES
from .table import names

RIGHT = {
    "balanced": True, "stored": 50, "imbalances": [],
    "classes": {"processed": 10, "skipped": 40, "lost": 0},
    "intervals": [{"class": "skipped", "from": 10, "to": 50}],
    "tallies": {"refused": 1},
    "crash_window": {"below": 50, "at": 1},
}
ALARM = {
    "class": "skipped", "from": 10, "to": 50, "records": 40, "cause": "position 50 was committed", "at": 0,
    "member": "m-1", "client_id": "c", "address": "127.0.0.1:5000",
}
EXPECTED = Expected(
    [("skipped", 10, 50)], {"processed": 10, "skipped": 40}, by={"client_id": "c", "member": True},
    tallies={"refused": 1}, window=50,
)


def changed(what, *path, value):
    what = copy.deepcopy(what)
    place = what
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return what


class Comparison(unittest.TestCase):
    def setUp(self):
        self.alarm = ALARM | {"at": int(time.time() * 1000)}

    def test_what_is_as_expected(self):
        self.assertEqual(differences(RIGHT, [self.alarm], EXPECTED), [])

    def test_every_difference_of_an_account_is_found(self):
        for path, value in [
            (("balanced",), False), (("stored",), 51), (("classes", "skipped"), 39), (("classes", "lost"), 1),
            (("intervals", 0, "from"), 11), (("intervals", 0, "to"), 49), (("intervals", 0, "class"), "lost"),
            (("intervals",), []), (("tallies", "refused"), 0), (("crash_window", "below"), 49),
        ]:
            found = differences(changed(RIGHT, *path, value=value), [self.alarm], EXPECTED)
            self.assertNotEqual(found, [], path)
        self.assertNotEqual(differences(None, [], EXPECTED), [])

    def test_every_difference_of_an_alarm_is_found(self):
        for name, value in [
            ("from", 9), ("to", 51), ("class", "lost"), ("records", 39), ("cause", "retention"), ("client_id", "d"),
            ("member", ""), ("address", ""), ("at", 0),
        ]:
            self.assertNotEqual(differences(RIGHT, [self.alarm | {name: value}], EXPECTED), [], name)
        self.assertNotEqual(differences(RIGHT, [], EXPECTED), [])
        self.assertNotEqual(differences(RIGHT, [self.alarm, self.alarm], EXPECTED), [])

    def test_where_nothing_was_planted_nothing_may_be(self):
        well = {"balanced": True, "classes": {"processed": 3, "pending": 1, "skipped": 0}}
        self.assertEqual(plain(well, []), [])
        self.assertNotEqual(plain(changed(well, "classes", "unwitnessed", value=1), []), [])
        self.assertNotEqual(plain(well, [self.alarm]), [])


class Coverage(unittest.TestCase):
    """What the suite promises to have."""

    def test_scenarios_and_workloads_for_every_language(self):
        losses = planted.SCENARIOS + storm.PLANTED + damage.PLANTED
        workloads = healthy.WORKLOADS + storm.WORKLOADS + cuts.WORKLOADS
        self.assertGreaterEqual(len({each[0] for each in losses}), 12)
        self.assertGreaterEqual(len({each[0] for each in workloads}), 20)
        titles = [each[0] for each in losses + workloads]
        self.assertEqual(len(titles), len(set(titles)))
        for language in ALL:
            self.assertGreaterEqual(sum(language in each[2] for each in losses), 8, language)
        said = " ".join(each[1] for each in losses)
        for name in ("skipped", "expired unread", "purged", "unwitnessed", "refused", "lost"):
            self.assertIn(name, said)

    def test_languages_by_their_names(self):
        self.assertEqual(names(("confluent", "java + franz")), "Python, Java, Go")
        self.assertEqual(set(NAMES), set(ALL))


class Printed(unittest.TestCase):
    """What docs/account.md prints for planting losses, all of which the suite `account-page` runs."""

    def setUp(self):
        self.page = printed.Page(printed.PAGE.read_text())

    def test_every_scenario_of_the_page_is_run_and_has_its_row(self):
        numbers = list(range(1, len(self.page.rows) + 1))
        self.assertGreaterEqual(len(numbers), 14)
        self.assertEqual(sorted(self.page.scenarios), numbers)
        self.assertEqual(sorted(printed.PLAYS), numbers)
        for number, (expected, settings, _) in printed.PLAYS.items():
            self.assertEqual(self.page.rows[number][1], expected)
            self.assertEqual(list(printed.settings_of(self.page, settings)), list(settings))

    def test_what_is_printed_is_python(self):
        self.assertIn(printed.ADDRESS, self.page.prelude)
        compile(self.page.prelude, "prelude", "exec")
        for number, scenario in self.page.scenarios.items():
            for code in scenario.blocks + scenario.calls:
                compile(code, f"scenario {number}", "exec")
        self.assertTrue(self.page.begun.rstrip().endswith('send("orders", 40)'))


class Journal(unittest.TestCase):
    def test_signed_numbers_of_variable_length(self):
        self.assertEqual([zigzag(n).hex() for n in (0, -1, 1, 50, 64, 300)], ["00", "01", "02", "64", "8001", "d804"])


if __name__ == "__main__":
    unittest.main()
