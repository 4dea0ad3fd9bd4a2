"""What the documentation says of the clients that are run: their versions are the pinned ones. Run with the other tests of compat."""

import re
import unittest

from . import brokers, clients
from .own_suite import SUITE, not_served
from .scenario import Client, scenarios

DOCS = brokers.ROOT / "docs"
# How the pages name them.
CALLED = {
    "java": "Java `kafka-clients`",
    "confluent": "confluent-kafka (Python, librdkafka)",
    "rdkafka": "rust-rdkafka (librdkafka)",
    "franz": "franz-go",
    "kafka-python": "kafka-python",
    "kafkajs": "kafkajs",
}
# Rows of suites, by how they begin.
SUITES = {
    "kafka-python's own integration tests": "kafka-python",
    "console tools of `kafka-tools`": "java",
    "single requests in every version": "java",
    "`tallymq doctor`": "java",
    "the scripts that the account's page prints": "confluent",
}


def rows(page):
    """Cells of all tables."""
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


class Versions(unittest.TestCase):
    def said(self, page, name):
        found = [row[1] for row in rows(page) if re.split(r", and (?:its|the)\b", row[0])[0] == name]
        self.assertEqual(len(found), 1, f"rows of {name} in {page}")
        return found[0]

    def test_every_client_has_its_pinned_version(self):
        self.assertEqual(set(CALLED), set(clients.ALL))
        self.assertEqual(set(clients.PINS), set(clients.ALL))
        for name, called in CALLED.items():
            for page in ("compatibility.md", "kafka.md"):
                self.assertEqual(self.said(page, called), clients.pinned(name), f"{called} in {page}")

    def test_every_older_release_is_named(self):
        called = {name: called.partition(" ")[0].lower() for name, called in CALLED.items()}
        page = {(row[1].partition(" ")[0].lower(), row[0]) for row in rows("compatibility.md") if len(row) == 4 and row[3] == "3 of 3"}
        older = {(called[name], version) for name, _, version in (each.partition("-") for each in clients.OLDER)}
        self.assertEqual(page, older)

    def test_every_suite_has_the_version_of_its_client(self):
        for begins, name in SUITES.items():
            found = [row[1] for row in rows("compatibility.md") if row[0].startswith(begins)]
            self.assertEqual(found, [clients.pinned(name)], begins)

    def test_kafka_is_the_release_of_its_client(self):
        [heading] = [row[1] for row in rows("compatibility.md") if row[0] == "request"]
        self.assertEqual(heading, f"Kafka {clients.pinned('java')}")


class Counts(unittest.TestCase):
    def test_scenarios_of_each_client(self):
        for name, called in CALLED.items():
            [row] = [row for row in rows("compatibility.md") if row[0] == called]
            protocols = ("classic", "consumer") if "consumer" in row[7] else ("classic",)
            of = len(list(scenarios(Client(name, "", [], group_protocols=protocols), False)))
            self.assertEqual(row[8], f"{of} of {of}", called)

    def test_the_whole_run_is_the_sum(self):
        page = (DOCS / "compatibility.md").read_text()
        counted = [re.search(r"(\d+) of (\d+)", " | ".join(row[2:])) for row in rows("compatibility.md")]
        self.assertIn(f"{sum(int(each.group(1)) for each in counted if each)} passed of", page)

    def test_tests_that_are_not_served(self):
        page = (DOCS / "compatibility.md").read_text()
        self.assertIn(f"{len(not_served())} tests need what is not served", page)
        self.assertIn("kafka-python", SUITE)


if __name__ == "__main__":
    unittest.main()
