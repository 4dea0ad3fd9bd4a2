"""What a stage reports: checks that passed or failed, the numbers worth printing, and what reproduces a failure."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """`passed` and `failed` count cases; `failures` says for each failed one what happened and where its files are."""

    passed: int = 0
    failed: int = 0
    failures: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)

    def ok(self):
        self.passed += 1

    def fail(self, text):
        self.failed += 1
        self.failures.append(text)

    def check(self, holds, text):
        """Counts one case; returns whether it holds."""
        if holds:
            self.ok()
        else:
            self.fail(text)
        return holds


@dataclass
class Options:
    """What every stage is given. `directory` is its own scratch space, removed when everything passed."""

    binary: str
    rounds: int
    seed: int
    directory: object
    short: bool = False  # the counts of every CI run
    orders: int = 0  # of a round of sdk-orders; 0: its own count
