---@meta clock
-- SPDX-License-Identifier: Apache-2.0

---Clocks and timestamps. All times are seconds.
---@class clocklib
local clock = {}

---The time of day.
---
---    last_seen:set(clock.now())
---@return number seconds since 1970, UTC
function clock.now() end

---A clock that never jumps, for durations.
---
---    local start = clock.monotonic()
---@return number seconds since some moment
function clock.monotonic() end

---An RFC 3339 timestamp with milliseconds.
---
---    clock.format(0) --> "1970-01-01T00:00:00.000Z"
---@param seconds number since 1970, UTC
---@return string
function clock.format(seconds) end

---Reads an RFC 3339 timestamp; a space instead of the T, and an offset without
---a colon, are taken too.
---
---    local seen = clock.parse(device.last_heard)
---@param text string
---@return number? seconds since 1970, UTC
---@return string? message
function clock.parse(text) end

return clock
