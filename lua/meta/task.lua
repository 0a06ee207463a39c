---@meta task
-- SPDX-License-Identifier: Apache-2.0

---Waiting and structured concurrency. A function that waits (here, and in every
---module that does I/O) suspends its task and nothing else; it also works
---inside a script's own coroutines. It is an error where Lua cannot suspend:
---inside table.sort, a string.gsub callback, __tostring, a finalizer, a reader
---of load, and at the top level of a module.
---
---Children never outlive the call that made them. When one raises, the others
---are cancelled (their `<close>` variables run) and the call raises the same
---error.
---@class tasklib
local task = {}

---Calls `fn(item, index)` for each item, side by side.
---
---    local pings = task.each(hosts, function(host)
---      return (ping(host))
---    end, { limit = 50 })
---@generic T, R
---@param list T[]
---@param fn fun(item: T, index: integer): R
---@param limit? integer|{ limit: integer } how many at a time; default: all
---@return R[] results the first result of each call, in the order of the list
function task.each(list, fn, limit) end

---Calls the functions side by side.
---
---    local channels, events = task.all(get_channels, get_events)
---@param ... fun(): any
---@return any ... each function's first result
function task.all(...) end

---Waits. With 0 it lets the other ready tasks go first.
---
---    task.sleep(0.5)
---@param seconds number
function task.sleep(seconds) end

---Calls `fn(...)` and cancels it when it takes longer than that.
---
---    local body, message = task.timeout(2, fetch, url)
---@param seconds number
---@param fn fun(...: any): ...
---@param ... any
---@return any ... the results of `fn`, or nil
---@return string? message "timed out after 2 s"
function task.timeout(seconds, fn, ...) end

---How long the running task still has.
---
---    local left = task.deadline() or 60
---@return number? seconds nil without a deadline
function task.deadline() end

return task
