---@meta process
-- SPDX-License-Identifier: Apache-2.0

---Commands: programs of this machine, run to their end.
---
---The task waits, nothing else does. No shell is involved, so that nothing in an
---argument is special. A command without a slash is looked for in the folders of
---PATH (of the environment that it gets; relative ones are left out).
---
---A command is in a session of its own. At its timeout, when it writes too much,
---and when its task is cancelled (the collection's deadline, a reload, the end of
---lunex) it is killed with SIGKILL, together with all that it has started. What
---it leaves behind when it ends by itself is killed, too, and its output is
---waited for 0.1 s longer at most. Only what moves to another session escapes.
---@class process
local process = {}

---@alias process.reason
---| "not found" # there is no such command
---| "denied" # it may not be executed
---| "timeout" # it was still running, or had no place yet, and was killed
---| "output" # it wrote more than `max` bytes, and was killed
---| "failed" # it could not be started; the message says why

---The command and its arguments are its list, or `cmd` and `args`. Arguments are
---strings or integers.
---@class (exact) process.command
---@field [1]? string the command; its arguments are [2], [3] and so on
---@field [integer] string|integer
---@field cmd? string the command, in place of [1]
---@field args? (string|integer)[] its arguments, with `cmd`
---@field timeout? number seconds; default 10; never beyond the deadline
---@field stdin? string what it can read, 16 MiB at most; default: nothing
---@field env? table<string, string|number|false> variables added or replaced; false leaves one out
---@field inherit? boolean it gets lunex's environment, too, secrets in it included; default true
---@field dir? string the folder that it runs in; default: lunex's
---@field max? integer bytes of stdout, and of stderr, up to 16 MiB; default 1 MiB

---@class (exact) process.result
---@field status? integer the exit status; absent when a signal ended it
---@field signal? string the name of that signal, such as "SIGSEGV"
---@field stdout string
---@field stderr string
---@field seconds number from its start to its end

---Runs a command and waits for its end. A status other than 0 is no failure but
---data.
---
---```lua
---local disk, message = process.run { "smartctl", "--json", "-a", "/dev/sda",
---  timeout = 5, env = { LC_ALL = "C" } }
---local failing = disk and disk.status & 8 ~= 0
---```
---
---The message names the command, never its arguments, environment or input:
---"smartctl: no such file or directory", "smartctl: still running after 5 s,
---killed". An exporter runs 16 at a time; more wait, within their timeouts.
---@param command process.command
---@return process.result? result
---@return string? message
---@return process.reason? reason
function process.run(command) end

return process
