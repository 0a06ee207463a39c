-- SPDX-License-Identifier: Apache-2.0
--
-- An exporter that is sent to: programs report what they did by UDP, in a line
-- such as "checkout 0.25" (what, and how many seconds it took).
--   lunex examples/events.lua
--   echo "checkout 0.25" >/dev/udp/127.0.0.1/9125
local metric = require "metric"
local udp = require "udp"

return {
  name = "events",
  listen = ":9100",
  config = {
    address = { "127.0.0.1", flag = "address", help = "Address to bind." },
    port = { 9125, flag = "port", help = "UDP port to be told on." },
  },
  metrics = {
    events_duration_seconds = metric.histogram {
      "How long things took.",
      labels = { "event" },
      buckets = { 0.01, 0.1, 1, 10 },
    },
    events_malformed_total = metric.counter { "Lines that were no event." },
  },
  start = function(m, config)
    local server <close> = assert(udp.listen(config.address, config.port))
    m.events_malformed_total:inc(0)
    while true do
      local line = server:receive() or ""
      local event, seconds = line:match "^([%w_]+) ([%d.]+)%s*$"
      if tonumber(seconds) then
        m.events_duration_seconds:observe(seconds, event)
      else
        m.events_malformed_total:inc()
      end
    end
  end,
}
