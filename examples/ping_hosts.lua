-- SPDX-License-Identifier: Apache-2.0
--
-- Which of many hosts answer, asked all at once. That one does not is a value,
-- not a failure; the log says why, once for each change.
--   lunex examples/ping_hosts.lua --host 10.0.0.7 --host meter.lan
local icmp = require "icmp"
local log = require "log"
local metric = require "metric"

local down = {}

local function tell(host, failure)
  if failure and not down[host] then
    log.warn(failure)
  elseif down[host] and not failure then
    log.info("answers again", { host = host })
  end
  down[host] = failure
end

return {
  name = "ping_hosts",
  listen = ":9100",
  interval = 15,
  config = {
    host = { { "127.0.0.1", "::1" }, help = "Whom to ask; may be repeated." },
    wait = { 3.0, help = "Seconds to wait for an answer." },
  },
  metrics = {
    ping_hosts_answered = metric.gauge {
      "1 when the host answers.", labels = { "host" } },
    ping_hosts_rtt_seconds = metric.gauge {
      "From the echo to its answer.", labels = { "host" } },
  },
  collect = function(m, config)
    local rtts, failures = assert(icmp.sweep(config.host,
      { timeout = config.wait }))
    for i, host in ipairs(config.host) do
      m.ping_hosts_answered:set(rtts[i] and 1 or 0, host)
      if rtts[i] then
        m.ping_hosts_rtt_seconds:set(rtts[i], host)
      end
      tell(host, failures[i])
    end
  end,
}
