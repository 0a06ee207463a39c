---@meta push
-- SPDX-License-Identifier: Apache-2.0

---Pushing to a Prometheus Pushgateway. A group is named by a job and, if need
---be, further labels; the gateway writes these on everything in the group.
---
---It fails with `nil` and one sentence that begins with method and URL ("PUT
---http://gateway:9091/metrics/job/x: 400 Bad Request: pushed metrics are
---invalid or inconsistent ..."), with the first words of what the gateway says
---and never a credential. A wrong option raises. A request waits; other tasks
---run meanwhile.
---@class push
local push = {}

---@class (exact) push.options
---@field job string not empty
---Further labels of the group: names as in the text format, not beginning with
---"__"; the values are strings or integers, also empty ones.
---@field grouping? table<string, string|integer>
---"PUT" replaces the group, "POST" the metrics of the same names in it;
---default: "PUT"
---@field method? "PUT"|"POST"
---What is pushed is in the text format 0.0.4, or delimited protobuf, which keeps
---native histograms and exemplars; default: "text"
---@field format? "text"|"protobuf"
---@field username? string basic authentication
---@field password? string
---@field timeout? number seconds; default: 30, and never beyond the deadline
---As in `http.options`; redirects are never followed.
---@field bearer? string
---@field headers? table<string, string|number>
---@field ca_file? string
---@field cert_file? string
---@field key_file? string
---@field server_name? string
---@field insecure? boolean
---@field proxy? string
---@field unix_socket? string
---@field retries? integer default: 0

---Sends a text in the format 0.0.4, or another one that `format` names. Nothing
---is sent when a metric of it has the
---label `job` or one of the group's, which the gateway would replace; that is
---looked for in the way lunex writes labels, without blanks between them. Nor is
---a gauge histogram as protobuf, which a gateway takes and cannot show.
---
---```lua
---assert(push.send("http://gateway:9091", registry:render(), { job = "x" }))
---```
---@param url string the gateway's, with a path before /metrics if it has one
---@param text string ends in a line feed, or is empty
---@param options push.options
---@return true? ok
---@return string? message
---@return http.answer? refusal the answer, if there was one
function push.send(url, text, options) end

---Deletes the group of just this job and these labels. One that is not there is
---no failure. `method` is not looked at.
---@param url string
---@param options push.options
---@return true? ok
---@return string? message
---@return http.answer? refusal
function push.delete(url, options) end

---Where a group is. A value with a slash, an empty one, "." and ".." are
---written in base64.
---
---```lua
---push.path { job = "a/b", grouping = { instance = "x" } }
----- "/metrics/job@base64/YS9i/instance/x"
---```
---@param options push.options
---@return string
function push.path(options) end

return push
