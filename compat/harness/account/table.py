"""The table of docs/account.md: what is planted or healthy, in which languages, and whether the account says what it should.

It is made here from the scenarios and their results. `COMPAT_WRITE_TABLE=1` writes it there; otherwise a table that says
something else than this run fails the run.
"""

import os
import time

from .. import brokers
from . import cuts, damage, healthy, planted, storm
from .play import NAMES

PAGE = brokers.ROOT / "docs" / "account.md"
BEGIN, END = "<!-- written by compat/run.py --only account -->\n", "<!-- end of what is written -->\n"
WRITE = "COMPAT_WRITE_TABLE"


def names(languages):
    return ", ".join(NAMES[each] for language in languages for each in language.split(" + "))


def result(title, languages, results):
    """In words: passed, or what did not."""
    got = results.get(title, {})
    failed = [each for each in languages if each not in got or got[each][0]]
    return f"not in {names(failed)}" if failed else "passes"


def text(results):
    lines = ["| planted | expected | with | result |", "|---|---|---|---|"]
    for title, expected, languages, _ in planted.SCENARIOS + storm.PLANTED + damage.PLANTED:
        lines.append(f"| {title} | {expected} | {names(languages)} | {result(title, languages, results)} |")
    lines += ["", "| healthy | with | result |", "|---|---|---|"]
    for title, languages, _ in healthy.WORKLOADS + storm.WORKLOADS + cuts.WORKLOADS:
        lines.append(f"| {title} | {names(languages)} | {result(title, languages, results)} |")
    return "\n".join(lines) + "\n"


def checked(results):
    """A row of the run: the page says what this run says."""
    begin, new = time.monotonic(), text(results)
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    old, _, tail = rest.partition(END)
    if os.environ.get(WRITE):
        PAGE.write_text(head + BEGIN + new + END + tail)
        old = new
    problem = None if old == new else f"it says something else; {WRITE}=1 compat/run.py --only account writes it"
    return "account", "", "the table in docs/account.md", problem, time.monotonic() - begin
