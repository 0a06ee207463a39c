# SPDX-License-Identifier: Apache-2.0
"""Tests of times, on a machine that does other things, too."""

import functools
import sys
import threading
import time
import unittest

TICK = 0.002
LATE = 0.01
TIMES = 5


class Lateness:
    """How late a thread woke up that sleeps all the time, at most: `most`."""

    def __enter__(self):
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        last = time.monotonic()
        while not self._over.wait(TICK):
            now = time.monotonic()
            self.most = max(self.most, now - last - TICK)
            last = now


def timely(test):
    """TEST, a method of a unittest.TestCase: when it fails while the machine
    was late, that says nothing: it is told, and it has another try, which
    begins with setUp."""
    @functools.wraps(test)
    def run(self, *arguments):
        for _ in range(TIMES - 1):
            try:
                with Lateness() as lateness:
                    return test(self, *arguments)
            except unittest.SkipTest:
                raise
            except Exception as e:  # a page may lack what the test looks for
                if lateness.most < LATE:
                    raise
                print(f"{self.id()}: again, for the machine was "
                      f"{lateness.most * 1000:.0f} ms late: {e!r:.300}",
                      file=sys.stderr)
            self.tearDown()
            self.doCleanups()
            self.setUp()
        return test(self, *arguments)
    return run
