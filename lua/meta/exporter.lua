---@meta exporter
-- SPDX-License-Identifier: Apache-2.0

---Runs a script inside a spec as the program does, in a thread of its own, but
---collecting only when asked. There in `lunex test` alone.
---@class exporterlib
local exporter = {}

---@class exporter.options
---@field interval? number seconds; 0 or none: only when asked
---@field timeout? number seconds; instead of the script's
---@field profiles? table<string, table<string, any>> for probes, by name
---@field serve? boolean open a web server on a free port of 127.0.0.1, with the
--- pages of the program and the script's routes

---Starts the script. `start` runs from then on; the first collection waits
---until it is asked for.
---
---    local e <close> = assert(exporter.load("queue.lua", { host = "::1" }))
---@param script string its path, or its text (which has more than one line)
---@param config? table<string, any> instead of the defaults
---@param options? exporter.options
---@return exporter|nil
---@return string? message why it cannot run
function exporter.load(script, config, options) end

---@class exporter
local running = {}

---One collection.
---
---    local ok, message = e:collect()
---@param seconds? number its deadline; 60
---@return boolean ok false when a part failed
---@return string? message of the part that failed first
function running:collect(seconds) end

---What /metrics would show of this exporter now.
---
---    assert.matches("queue_up 1\n", e:page())
---
---Exemplars, native buckets and the like are in other formats than text: see
---`registry:render` of the module metric.
---@param format? "text"|"openmetrics"|"openmetrics2"|"protobuf"
---@param escaping? "underscores"|"dots"|"values"|"allow-utf-8"
---@return string
function running:page(format, escaping) end

---Where it is served, without a slash at the end; with `serve = true`.
---
---    local e <close> = assert(exporter.load("stand.lua", {}, { serve = true }))
---    local answer = assert(http.get(e:url() .. "/v1/devices"))
---@return string "http://127.0.0.1:PORT"
function running:url() end

---Stops it; so does the end of a `<close>` variable.
function running:close() end

return exporter
