-- SPDX-License-Identifier: Apache-2.0
--
-- One echo to each of many addresses of this machine, in a single operation
-- (--by=sweep) or a task for each (--by=each).
local clock = require "clock"
local icmp = require "icmp"
local metric = require "metric"
local task = require "task"

local function addresses(n)
  local list = {}
  for i = 0, n - 1 do
    list[i + 1] = ("127.%d.%d.%d"):format(1 + i // 62500, i // 250 % 250,
      i % 250 + 1)
  end
  return list
end

local ask = {}

function ask.sweep(list)
  return (assert(icmp.sweep(list)))
end

function ask.each(list)
  return task.each(list, function(address)
    local reply = icmp.echo(address)
    return reply and reply.rtt or false
  end)
end

return {
  name = "bench",
  config = {
    targets = { 10000, help = "How many." },
    by = { "sweep", choices = { "sweep", "each" }, help = "How to ask." },
    each_rtt = { false, help = "Show the time of each." },
  },
  metrics = {
    bench_answers = metric.gauge { "Answers." },
    bench_seconds = metric.gauge { "Until the last answer." },
    bench_rtt_seconds = metric.gauge { "Of each.", labels = { "address" } },
  },
  collect = function(m, config)
    local list = addresses(config.targets)
    local started = clock.monotonic()
    local rtts = ask[config.by](list)
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
