"""What is said of programs that are too old, before the first stage."""

import unittest

from stages import STAGES, VERSIONS, go_of_module, too_old, version_in

NEW = {
    "go": "go version go1.26.8 linux/amd64",
    "java": 'openjdk version "17.0.15" 2025-04-15',
    "node": "v20.20.2",
}


def ask(**changed):
    said = NEW | changed
    return lambda command, _: said[command[0]]


class TooOld(unittest.TestCase):
    def test_what_is_new_enough_is_fine(self):
        self.assertEqual(too_old(STAGES, ask()), [])
        self.assertEqual(too_old(["clients"], ask(go="go version go2.0 linux/amd64", node="v18.0.0")), [])

    def test_an_old_go_is_named_with_what_helps(self):
        [said] = too_old(STAGES, ask(go="go version go1.19.8 linux/amd64"))
        self.assertIn("go 1.26.0 or newer is needed, and it is 1.19.8", said)
        self.assertIn("https://go.dev/dl", said)

    def test_what_says_no_version_is_no_use(self):
        refused = "go: go.mod requires go >= 1.26.0 (running go 1.22.1; GOTOOLCHAIN=local)"
        [said] = too_old(["clients"], ask(go=refused))
        self.assertIn(refused, said)
        self.assertEqual(len(too_old(["clients"], ask(java='openjdk version "11.0.2"', node="v16.1.0"))), 2)

    def test_other_stages_need_none_of_it(self):
        self.assertEqual(too_old(["lint", "tests"], ask(go="")), [])
        self.assertLessEqual(set(VERSIONS), set(STAGES))

    def test_versions_are_numbers(self):
        self.assertEqual(version_in("go version go1.9.1 x", VERSIONS["clients"][0][3]), (1, 9, 1))
        self.assertLess((1, 9, 1), go_of_module())


if __name__ == "__main__":
    unittest.main()
