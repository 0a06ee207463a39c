---@meta json
-- SPDX-License-Identifier: Apache-2.0

---JSON, by lua-cjson.
---@class jsonlib
---@field null lightuserdata what `null` is decoded to, and encodes to `null`
local json = {}

---Reads JSON, nested at most 100 deep.
---
---    local data = assert(json.decode(body))
---@param text string
---@return any value nil when `text` is not JSON
---@return string? message
function json.decode(text) end

---Writes JSON. Raises for functions, NaN, infinities and what is nested more
---than 100 deep. An empty table is `{}`; a sparse list is an object.
---
---    json.encode { status = "ok" } --> '{"status":"ok"}'
---@param value any
---@return string
function json.encode(value) end

return json
