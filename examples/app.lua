-- SPDX-License-Identifier: Apache-2.0
--
-- An application that tells its state as JSON, polled every five seconds, as in
-- the tutorials that build this exporter in Python. What it says now is shown:
-- while it is down, or says something else, app_up is 0, its other metrics are
-- gone and the log says why, once.
--   APP_PORT=8000 lunex examples/app.lua
-- The application answers GET http://localhost:8000/status with
--   { "current_requests": 10, "pending_requests": 2, "total_uptime": 25.9,
--     "health": "healthy" }
local http = require "http"
local metric = require "metric"

return {
  name = "app",
  listen = ":" .. (os.getenv "EXPORTER_PORT" or "9877"),
  interval = (os.getenv "POLLING_INTERVAL_SECONDS" or "5") .. "s",
  config = {
    port = { 80, type = "port", env = "APP_PORT",
      help = "Port of the application." },
  },
  metrics = {
    app_requests_current = metric.gauge "Requests being served.",
    app_requests_pending = metric.gauge "Requests that wait.",
    app_uptime = metric.gauge "Seconds since the application began.",
    app_health = metric.stateset { "What it thinks of itself.",
      states = { "healthy", "unhealthy" } },
  },
  collect = function(m, config)
    -- Who is unhealthy may say so with 503; what counts is the JSON.
    local answer, message, refusal = http.get(
      ("http://localhost:%d/status"):format(config.port))
    local status = assert(assert(answer or refusal, message):json())
    m.app_requests_current:set(status.current_requests)
    m.app_requests_pending:set(status.pending_requests)
    m.app_uptime:set(status.total_uptime)
    assert(m.app_health:set(status.health), "no such health")
  end,
}
