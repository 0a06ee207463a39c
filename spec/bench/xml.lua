-- SPDX-License-Identifier: Apache-2.0
--
-- What Mirth's statistics of many channels cost: `lunex once spec/bench/xml.lua
-- --file FILE` shows milliseconds of processor time, best of several rounds.
local metric = require "metric"
local xml = require "xml"

local ROUNDS <const> = 15

local function best(work)
  local least = math.huge
  for _ = 1, ROUNDS do
    collectgarbage()
    local started = os.clock()
    work()
    least = math.min(least, os.clock() - started)
  end
  return least * 1e3
end

-- All fields, as an exporter reads them.
local function read(list)
  local sum = 0
  for c in list:each "channelStatistics" do
    sum = sum + #c.serverId + #c.channelId + c.received + c.sent + c.error +
      c.filtered + c.queued
  end
  return sum
end

local function read_tables(list)
  local sum = 0
  for _, c in ipairs(list.channelStatistics) do
    sum = sum + #c.serverId + #c.channelId + c.received + c.sent + c.error +
      c.filtered + c.queued
  end
  return sum
end

local function sum_by_xpath(list)
  return list:find "sum(channelStatistics/received)"
end

return {
  name    = "bench",
  timeout = 600,
  limits  = { cpu = 600, memory = 512 << 20 },
  config  = { file = { "channels.xml", help = "The document." } },
  metrics = {
    bench_milliseconds = metric.gauge {
      "Processor time.",
      labels = { "what" },
    },
  },
  collect = function(m, config)
    local file <close> = assert(io.open(config.file, "rb"))
    local text = file:read "a"
    local works = {
      ["lunex, parse"] = function() assert(xml.parse(text)) end,
      ["lunex, parse and read all fields"] = function()
        read(assert(xml.parse(text)))
      end,
      ["lunex, parse, table() and read all"] = function()
        read_tables(assert(xml.parse(text)):table())
      end,
      ["lunex, parse and find(sum)"] = function()
        sum_by_xpath(assert(xml.parse(text)))
      end,
    }
    for what, work in pairs(works) do
      m.bench_milliseconds:set(best(work), what)
    end
  end,
}
