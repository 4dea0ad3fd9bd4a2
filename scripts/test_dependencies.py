"""The judgement on dependencies, on packages that are made up: every rule has one that breaks it."""

import os
import unittest

from dependencies import ROOT, broken_rules, is_allowed

RULES = {
    "licenses": {"allow": ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]},
    "bans": {"deny": [{"crate": "openssl", "reason": "one is enough"}]},
    "sources": {"allow-registry": ["https://registry.example/index"]},
}


def package(**changed):
    return {
        "name": "some",
        "version": "1.0.0",
        "license": "MIT",
        "source": "registry+https://registry.example/index",
        "manifest_path": "/elsewhere/Cargo.toml",
        **changed,
    }


class Expressions(unittest.TestCase):
    def test_what_can_be_met_is_allowed(self):
        for good in (
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "MIT AND Apache-2.0",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "GPL-3.0 AND BSD-2-Clause OR MIT",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ):
            self.assertTrue(is_allowed(good, set(RULES["licenses"]["allow"])), good)

    def test_what_cannot_be_met_or_read_is_not(self):
        for bad in (
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "GPL-3.0 AND MIT",
            "(MIT AND GPL-3.0) OR BSD-2-Clause",
            "MIT WITH LLVM-exception",
            "mit",
            "",
            "(MIT",
            "MIT)",
            "MIT OR",
            "OR MIT",
            "MIT Apache-2.0",
        ):
            self.assertFalse(is_allowed(bad, set(RULES["licenses"]["allow"])), bad)


class Rules(unittest.TestCase):
    def test_a_package_that_keeps_them_breaks_none(self):
        own = package(source=None, manifest_path=os.path.join(ROOT, "crates", "some", "Cargo.toml"))
        self.assertEqual(broken_rules([package(), own], RULES), [])

    def test_each_rule_has_its_line(self):
        for changed, said in (
            ({"license": None}, "does not say its licence"),
            ({"license": "AGPL-3.0"}, "has the licence AGPL-3.0"),
            ({"name": "openssl"}, "must not come in: one is enough"),
            ({"source": "git+https://example.org/some"}, "comes from git+https://example.org/some"),
            ({"source": "registry+https://other.example/index"}, "comes from registry+https://other.example/index"),
            ({"source": None}, "lies outside of the repository"),
            ({"source": None, "manifest_path": ROOT + "-beside/Cargo.toml"}, "lies outside of the repository"),
        ):
            lines = broken_rules([package(**changed)], RULES)
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(said, lines[0])


if __name__ == "__main__":
    unittest.main()
