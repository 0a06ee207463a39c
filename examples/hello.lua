-- SPDX-License-Identifier: Apache-2.0
--
-- The smallest exporter: one gauge, measured when Prometheus asks.
--   lunex examples/hello.lua        then open http://localhost:9100/metrics
local clock = require "clock"
local metric = require "metric"

local started = clock.monotonic()

return {
  name = "hello",
  listen = ":9100",
  metrics = {
    hello_running_seconds = metric.gauge { "How long this has been running." },
  },
  collect = function(m)
    m.hello_running_seconds:set(clock.monotonic() - started)
  end,
}
