-- SPDX-License-Identifier: Apache-2.0
std = "lua54"
max_line_length = 100
codes = true
self = false

-- What a script does not have inside lunex.
not_globals = {
  "debug.sethook",
  "io.popen",
  "os.execute",
  "os.exit",
  "os.setlocale",
}

-- Configuration files.
files["examples/demo/lunex.lua"] = { read_globals = { "env", "file" } }
files["examples/demo/world.lua"] = { read_globals = { "env", "file" } }

-- Definitions for the language server: names without a use.
files["lua/meta"] = { ignore = { "211", "212", "221", "241" } }

-- wrk calls these by name, and threads have variables of their own.
files["spec/e2e/counter.wrk.lua"] = {
  globals = { "setup", "response", "done", "answers", "refused", "lacking",
              "back", "wrong" },
}
