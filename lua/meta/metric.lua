---@meta
-- SPDX-License-Identifier: Apache-2.0

-- Declarations of metrics, and what a script does with them.
--
-- A declaration goes into the `metrics` table of a script; `collect` and
-- `start` get the declared families in their first argument, by name:
--
--     metrics = {
--       app_requests_total = metric.counter {
--         "Requests served.", labels = { "method", "code" },
--       },
--     },
--     collect = function(m)
--       m.app_requests_total:set(1027, "GET", "200")
--     end,
--
-- `set` states what a source says now: it is staged and shown when the part of
-- the collection returns; what was not set again is gone. `inc` and `observe`
-- count what the script did itself: they take effect at once and persist.
local metric = {}

-- Names of metrics and labels may be any UTF-8: `["http.requests"] = ...`,
-- `labels = { "http.method" }`. Readers that do not ask for such names get them
-- with underscores instead, so legacy names (letters, digits, `_`) are better.
-- Labels whose names begin with `__` are refused.

---@class (exact) metric.options
---@field [1]? string the help text
---@field help? string the same, by name
---@field labels? string[] label names; values are given in this order
---@field unit? string
---@field keep? boolean a failed part leaves the former values
---@field ttl? number seconds that a value outlives its last set
---@field timestamps? boolean `set` may say when the value was true
---@field buckets? number[] histograms: upper bounds, rising, without +Inf; 256 at
--- most
---@field native? boolean|metric.native histogram: buckets that come as they are
--- needed; without `buckets` no others
---@field quantiles? number[] summary: 0 to 1, rising; 32 at most
---@field window? number|string summary: how long its quantiles look back, in
--- seconds or "10m", which is the default
---@field states? string[] stateset: the names of all states; 256 at most

---Native buckets: each is wider than the one before it by the same factor.
---@class (exact) metric.native
---@field factor? number at most; 1.1
---@field max_buckets? integer up to 4096; 160. Beyond that neighbours are joined
---@field zero_threshold? number what is nearer to 0 counts as 0; 2^-128

---@class metric.declaration

---A value that only rises, or starts again at a lower one.
---@param options string|metric.options
---@return metric.declaration
function metric.counter(options) end

---A value that goes up and down.
---@param options string|metric.options
---@return metric.declaration
function metric.gauge(options) end

---Observations counted in buckets; 0.005 to 10 unless `buckets` are given.
---
---    rtt = metric.histogram { "Round trips.", buckets = { 0.01, 0.1, 1 } }
---
---With `native = true` it has native buckets, which only readers of protobuf and
---OpenMetrics 2 get; others see count and sum, and the `buckets`, if they are
---given beside it.
---@param options string|metric.options
---@return metric.declaration
function metric.histogram(options) end

---A distribution that is found anew by each collection, such as the ages of what
---waits in a queue: what `observe` counts in `collect` is shown when the part
---returns, in the place of what the one before found. The buckets are as those
---of a histogram.
---@param options string|metric.options
---@return metric.declaration
function metric.gaugehistogram(options) end

---Count and sum of observations, and quantiles where they are asked for.
---
---    age = metric.summary { "Ages.", quantiles = { 0.5, 0.99 }, window = "10m" }
---
---A quantile is wrong by 0.54 % of the value at most (1.1 % when observations
---span more than 32 powers of two), and is about the last `window`, in steps of
---a fifth of it. It is NaN when nothing was observed in that time. Quantiles of
---several series cannot be put together: a histogram is often better.
---@param options string|metric.options
---@return metric.declaration
function metric.summary(options) end

---Text in labels; the value is always 1. Its name ends in _info.
---@param options string|metric.options
---@return metric.declaration
function metric.info(options) end

---One of several states: a series for each, 1 or 0.
---
---    door = metric.stateset { "The door.", states = { "open", "shut" } }
---    m.door:set("open")
---@param options metric.options
---@return metric.declaration
function metric.stateset(options) end

---A value of which one does not know what it is.
---@param options string|metric.options
---@return metric.declaration
function metric.unknown(options) end

---@class (exact) metric.registry_options
---@field namespace? string begins the names of the metrics declared here, before
--- "_"
---@field labels? table<string, string> constant labels of those metrics
---@field [string] metric.declaration|metric.family|string|table<string, string>

---A registry of the script's own, apart from the exporter's page: for what is
---pushed, or shown elsewhere. It may be made anywhere, also at the top of a
---script. What is set shows at once, also inside `collect`, and stays.
---
---```lua
---local registry = metric.registry {
---  namespace = "line", labels = { site = "a" },
---  dev_ping = metric.gauge "Ping to device (ms)",
---}
---registry.dev_ping:set(0.031)
---assert(registry:push("http://gateway:9091", { job = "Loop01" }))
---```
---
---A metric that there is already, of `m` or of another registry, may stand in it
---too, under its own name and with its own labels: it is shown as its own page
---shows it, without what a collection has not finished. One of a probe that is
---over raises.
---
---A script's registries have as many series together as `limits.series` says;
---each of their metrics counts as one more. What nobody has any more does not.
---@param options metric.registry_options
---@return metric.registry
function metric.registry(options) end

---Its fields are its metrics: `registry.dev_ping:set(1)`. An unknown one raises.
---@class metric.registry
---@field [string] metric.family
local registry = {}

---All of it in a format, and the Content-Type of that: "text" is the text format
---0.0.4, "openmetrics" and "openmetrics2" are OpenMetrics 1.0 and 2.0, "protobuf"
---is the delimited one. `escaping` says how names are written that older readers
---do not know: as they are with "allow-utf-8". Raises for other words.
---
---```lua
---local body, content_type = registry:render "openmetrics"
---```
---@param format? "text"|"openmetrics"|"openmetrics2"|"protobuf" text by default
---@param escaping? "underscores"|"dots"|"values"|"allow-utf-8" underscores by default
---@return string text
---@return string content_type
function registry:render(format, escaping) end

---Renders it and sends that to a Pushgateway: see `push.send`.
---
---```lua
---local ok, message = registry:push("http://gateway:9091", {
---  job = "Loop01", grouping = { instance = "a" },
---})
---```
---@param url string
---@param options push.options
---@return true? ok
---@return string? message
---@return http.answer? refusal
function registry:push(url, options) end

---Deletes the group: see `push.delete`.
---@param url string
---@param options push.options
---@return true? ok
---@return string? message
---@return http.answer? refusal
function registry:delete(url, options) end

---@class metric.family
local family = {}

---A histogram, gauge histogram or summary that is kept elsewhere. Counts of
---buckets are cumulative, and all declared ones are there; that of +Inf is
---`count`. Bounds and quantiles may be strings, as JSON has them.
---@class (exact) metric.distribution
---@field sum number|string
---@field count number|string
---@field buckets? table<number|string, number|string>
---@field quantiles? table<number|string, number|string>

---Seconds since the epoch; 0 is as nothing.
---@class (exact) metric.times
---@field timestamp? number when the value was true; families with `timestamps`
---@field created? number when counting began: counters, histograms, summaries

---States a value. Numbers may be strings; label values may be strings, numbers
---and booleans. For a stateset the value is the name of a state: false is
---returned, and no state shown, for one that was not declared.
---
---    m.app_requests_total:set(1027, "GET", "200")
---    m.app_seconds:set({ sum = 3.5, count = 17,
---      buckets = { [0.1] = 8, [1] = 12 } }, "GET")
---
---Behind the labels may stand a table of times:
---
---    m.app_requests_total:set(1027, "GET", "200", { created = started })
---@param value number|string|metric.distribution
---@param ... string|number|boolean|metric.times label values
function family:set(value, ...) end

---Counts. Without a number, by 1.
---
---    m.app_errors_total:inc("timeout")
---    m.app_bytes_total:inc(512, "in")
---
---Behind the labels may stand an exemplar of a counter: a table of labels, such
---as the identifier of a trace, that explain this increment. It is shown in
---OpenMetrics and protobuf, with the time, until the next one. Names and values
---have 128 characters at most together.
---
---    m.app_errors_total:inc("timeout", { trace_id = id })
---@param ... number|string|boolean|table<string, string> the number, then label
--- values, then the exemplar
function family:inc(...) end

---Adds an observation to a histogram, gauge histogram or summary. Of a histogram
---it may have an exemplar, as for `inc`, of which each bucket shows the last.
---
---    m.app_seconds:observe(0.2, "GET", { trace_id = id })
---@param value number|string
---@param ... string|number|boolean|table<string, string> label values, then the
--- exemplar
function family:observe(value, ...) end

---Takes a series away, at once and with all that was counted in it. A collection
---has no need of it for what it sets, since that goes when it is not set again.
---
---    m.app_request_seconds:remove(former_address)
---@param ... string|number|boolean label values
---@return boolean there was one
function family:remove(...) end

---A series to keep: saves the lookup in a loop. It stays usable when the series
---was removed meanwhile.
---@param ... string|number|boolean label values
---@return metric.child
function family:with(...) end

---@class metric.child
local child = {}

---@param value number|string|metric.distribution
---@param times? metric.times
function child:set(value, times) end

---@param by? number|table<string, string>
---@param exemplar? table<string, string>
function child:inc(by, exemplar) end

---@param value number|string
---@param exemplar? table<string, string>
function child:observe(value, exemplar) end

return metric
