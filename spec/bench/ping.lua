-- SPDX-License-Identifier: Apache-2.0
--
-- One echo to each address in a file, in a single operation (--by=sweep) or in a
-- task for each (--by=each).
local clock = require "clock"
local icmp = require "icmp"
local metric = require "metric"
local task = require "task"

local list = {}

-- Once: who pings every second has the list.
local function read(file)
  if not list[1] then
    local lines <close> = assert(io.open(file))
    for address in lines:read "a":gmatch "[^\n]+" do
      list[#list + 1] = address
    end
  end
end

local ask = {}

function ask.sweep()
  return (assert(icmp.sweep(list)))
end

function ask.each()
  return task.each(list, function(address)
    local reply = icmp.echo(address)
    return reply and reply.rtt or false
  end)
end

return {
  name = "bench",
  config = {
    targets = { "", required = true, help = "The file." },
    by = { "sweep", choices = { "sweep", "each" }, help = "How to ask." },
    each_rtt = { false, help = "Show the time of each." },
  },
  metrics = {
    bench_answers = metric.gauge { "Answers." },
    bench_seconds = metric.gauge { "Until the last answer." },
    bench_rtt_seconds = metric.gauge { "Of each.", labels = { "address" } },
  },
  collect = function(m, config)
    read(config.targets)
    local started = clock.monotonic()
    local rtts = ask[config.by]()
    m.bench_seconds:set(clock.monotonic() - started)
    local answers = 0
    for i, rtt in ipairs(rtts) do
      answers = answers + (rtt and 1 or 0)
      if config.each_rtt and rtt then
        m.bench_rtt_seconds:set(rtt, list[i])
      end
    end
    m.bench_answers:set(answers)
  end,
}
