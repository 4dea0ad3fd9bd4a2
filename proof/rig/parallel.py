"""Plays independent cases on two processes, in order, until enough of them counted."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

WORKERS = 2


def play(function, cases, counted_max):
    """Yields `function(case)` for cases until `counted_max` answers have "reached" set; cases may be any iterable."""
    cases, counted, running = iter(cases), 0, []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        while True:
            while len(running) < WORKERS and counted + len(running) < counted_max:
                case = next(cases, None)
                if case is None:
                    break
                running.append(pool.submit(function, case))
            if not running:
                return
            answer = running.pop(0).result()
            counted += bool(answer["reached"])
            yield answer
