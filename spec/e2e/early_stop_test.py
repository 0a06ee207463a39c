# SPDX-License-Identifier: Apache-2.0
"""A signal that comes while lunex starts stops it as one that comes later: with
status 0, and nothing was listened to. Only before main(), while the libraries
are linked, is that out of its hands."""

import os
import signal
import time

from spec.e2e.lunex import Case, Lunex, eventually

SCRIPT = """
local metric = require "metric"
%s
return {
  name = "early",
  metrics = { early_value = metric.gauge "A value." },
  collect = function(m) m.early_value:set(1) end,
}
"""

# It is loaded twice: to know its flags, and to run. Each time it waits at the
# first of two gates that is left.
WAITS = """
for _, gate in ipairs { "%s", "%s" } do
  local file = io.open(gate)
  if file then
    file:read "a"
    file:close()
    os.remove(gate)
    break
  end
end
"""


def is_ready(lunex):
    """Does it block SIGTERM, or handle it?"""
    with open(f"/proc/{lunex.process.pid}/status", encoding="ascii") as file:
        masks = [int(line.split()[1], 16) for line in file
                 if line.startswith(("SigBlk:", "SigCgt:"))]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


class EarlyStop(Case):
    def start(self, *arguments, **options):
        process = Lunex(*arguments, **options)
        self.addCleanup(process.kill)
        return process

    def waiting(self, *before, **options):
        """One whose script stands at the first gate; and the gates."""
        gates = [str(self.folder / name) for name in ("first", "second")]
        for gate in gates:
            os.mkfifo(gate)
        script = self.script(SCRIPT % (WAITS % tuple(gates)))
        return self.start(*before, script, **options), gates

    def enter(self, gate):
        """Waits for the script to stand there; closing opens the gate."""
        return os.fdopen(os.open(gate, os.O_WRONLY), "w")

    def never_listened(self, process):
        self.assertNotIn("listening", process.log)

    def check_looked_at(self, number):
        process, gates = self.waiting()
        with self.enter(gates[0]):
            self.assertEqual(0, process.stop(number), process.log)
        self.never_listened(process)

    def test_while_a_script_is_looked_at(self):
        self.check_looked_at(signal.SIGTERM)

    def test_by_the_keyboard(self):
        self.check_looked_at(signal.SIGINT)

    def test_while_it_is_loaded_to_run(self):
        process, gates = self.waiting()
        self.enter(gates[0]).close()
        with self.enter(gates[1]):
            process.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(), process.log)
        self.assertIn("msg=stopping signal=SIGTERM", process.log)
        self.never_listened(process)

    def fails(self, *command):
        process, gates = self.waiting(*command, listen=None)
        with self.enter(gates[0]):
            self.assertEqual(-signal.SIGTERM, process.stop())

    def test_once_fails(self):
        self.fails("once")

    def test_a_check_that_was_ended_does_not_pass(self):
        self.fails("check")

    def test_at_any_moment(self):
        script = self.script(SCRIPT % "")
        for half in range(40):
            process = self.start(script)
            time.sleep(half / 2000)  # the moment is what is tried
            ends = (0,) if is_ready(process) else (0, -signal.SIGTERM)
            self.assertIn(process.stop(), ends,
                          f"after {half / 2} ms: {process.log}")

    def test_as_soon_as_it_can(self):
        script = self.script(SCRIPT % "")
        for _ in range(20):
            process = self.start(script)
            eventually(lambda p=process: is_ready(p), "main() has begun")
            self.assertEqual(0, process.stop(), process.log)
