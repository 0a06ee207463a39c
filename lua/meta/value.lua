---@meta value
-- SPDX-License-Identifier: Apache-2.0

---Readers of data whose shape cannot be trusted: they never raise on it.
---A path is `"a.b.1.c"`, or a list of keys where a name contains a dot.
---@class valuelib
local value = {}

---@alias valuelib.path string|integer|(string|integer)[]

---What is at the path.
---
---    local name = value.get(reply, "device.name")
---@param data any
---@param path? valuelib.path
---@return any value nil when the path ends early or at a null
function value.get(data, path) end

---A number, also one that came as text.
---
---    local celsius = value.num(reply, "sensors.1.temperature")
---@param data any
---@param path? valuelib.path
---@return number?
function value.num(data, path) end

---Text; a number or a boolean becomes text.
---
---    local id = value.str(device, "id") or "unknown"
---@param data any
---@param path? valuelib.path
---@return string?
function value.str(data, path) end

---A boolean, also as true/false, yes/no, on/off, 1/0 in text.
---
---    local online = value.bool(device, "connected")
---@param data any
---@param path? valuelib.path
---@return boolean?
function value.bool(data, path) end

---A moment that came as an RFC 3339 timestamp.
---
---    local seen = value.time(device, "last_heard")
---@param data any
---@param path? valuelib.path
---@return number? seconds since 1970, UTC
function value.time(data, path) end

---A list to loop over: a single thing is a list of one, nothing is an empty
---list, nulls are left out.
---
---    for _, channel in ipairs(value.list(reply, "list.channel")) do
---@param data any
---@param path? valuelib.path
---@return any[]
function value.list(data, path) end

---Sets a family to a number, also one that came as text; leaves it out when it
---is none.
---
---    value.put(m.queue_jobs, item.jobs, item.printer)
---@param family metric.family
---@param number any
---@param ... string|number|boolean label values
function value.put(family, number, ...) end

---@alias valuelib.shape string|table|fun(data: any): boolean?, string?

---Compares data with the shape that it must have, such as a configuration that
---was read, and tells every difference: "missing key 'jobs.2.ip'", "unknown key
---'jobs.2.ipp'", "conf.interval: expected a number, got a string". No sentence
---has a value in it.
---
---A shape is "string", "text" (not empty, no zero byte), "number", "positive",
---"port" (also as a string) or "boolean"; a list of one shape, which all items
---have; a table of shapes by key, for an object with exactly these keys; or a
---function that answers whether it takes the data, and what it expects.
---
---    local mistakes = value.check(data, {
---      level = function(n) return n == 1 or n == 2, "1 or 2" end,
---      jobs = { { name = "text", interval = "positive", tags = { "string" } } },
---    })
---    assert(#mistakes == 0, mistakes[1])
---@param data any
---@param shape valuelib.shape
---@return string[] mistakes sorted by key; empty when it fits
function value.check(data, shape) end

---Reads a file of JSON that must have a shape. Mistakes are added to a list, each
---with the file's name, so that those of several files can be told at once.
---
---    local mistakes = {}
---    local jobs = value.read(config.jobs, { { name = "text" } }, mistakes)
---    assert(#mistakes == 0, table.concat(mistakes, "; "))
---@param path string
---@param shape valuelib.shape
---@param mistakes string[]
---@return any data nil when there is a mistake
function value.read(path, shape, mistakes) end

return value
