-- SPDX-License-Identifier: Apache-2.0
--
-- Labels, options, counters kept elsewhere, and a failure: what /proc/net/dev
-- says about each network interface. An interface that goes away is gone from
-- the next page, and a file that cannot be read is network_up 0.
--   lunex examples/network.lua --skip lo --interval 15s
local metric = require "metric"

return {
  name = "network",
  listen = ":9100",
  config = {
    file = { "/proc/net/dev", flag = "file", help = "Where to read." },
    skip = { "", flag = "skip", env = "NETWORK_SKIP",
      help = "An interface to leave out." },
  },
  metrics = {
    network_received_bytes_total = metric.counter {
      "Bytes received.", labels = { "interface" } },
    network_sent_bytes_total = metric.counter {
      "Bytes sent.", labels = { "interface" } },
  },
  collect = function(m, config)
    local file <close> = assert(io.open(config.file))
    for line in file:lines() do
      local interface, numbers = line:match "^%s*([^:%s]+):(.*)"
      if interface and interface ~= config.skip then
        local n = {}
        for number in numbers:gmatch "%d+" do
          table.insert(n, number)
        end
        m.network_received_bytes_total:set(n[1], interface)
        m.network_sent_bytes_total:set(n[9], interface)
      end
    end
  end,
}
