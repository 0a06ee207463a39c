-- SPDX-License-Identifier: Apache-2.0
--
-- What one update costs from Lua: `lunex once spec/bench/set.lua` shows it in
-- nanoseconds, the loop and its reading of tables taken off.
local clock = require "clock"
local metric = require "metric"

local SERIES <const> = 1000
local PASSES <const> = 50 -- over all series, in a round
local ROUNDS <const> = 40 -- of which the best counts: few are undisturbed

local cores, sites, shuffled = {}, {}, {}
for i = 1, SERIES do
  cores[i] = ("%08x%08x%08x"):format(i * 2654435761 & 0xffffffff,
    i * 2246822519 & 0xffffffff, i * 3266489917 & 0xffffffff)
  sites[i] = "site-" .. i % 10
  shuffled[i] = i * 617 % SERIES + 1 -- visits each once, none in order
end

-- Seconds of the best of ROUNDS calls.
local function best(work)
  local least = math.huge
  for _ = 1, ROUNDS do
    local started = clock.monotonic()
    work()
    least = math.min(least, clock.monotonic() - started)
  end
  return least
end

-- The loops that the updates stand in.

local function empty()
  for _ = 1, PASSES do
    for _ = 1, SERIES do end
  end
end

local function one_read()
  for _ = 1, PASSES do
    for i = 1, SERIES do local _ = cores[i] end
  end
end

local function two_reads()
  for _ = 1, PASSES do
    for i = 1, SERIES do local _, _ = cores[i], sites[i] end
  end
end

local function three_reads()
  for _ = 1, PASSES do
    for i = 1, SERIES do
      local k = shuffled[i]
      local _, _ = cores[k], sites[k]
    end
  end
end

-- what, its loop, and the same loop with the update
local function updates(none, one, three)
  local child = three:with(cores[1], sites[1], "celsius")
  local children = {}
  for i = 1, SERIES do
    children[i] = three:with(cores[i], sites[i], "celsius")
  end
  return {
    { "set, no label", empty, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do none:set(i) end
      end
    end },
    { "set, one label", one_read, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do one:set(i, cores[i]) end
      end
    end },
    { "set, three labels", two_reads, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do three:set(i, cores[i], sites[i], "celsius") end
      end
    end },
    { "set, three labels, in no order", three_reads, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do
          local k = shuffled[i]
          three:set(i, cores[k], sites[k], "celsius")
        end
      end
    end },
    { "inc, three labels", two_reads, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do three:inc(cores[i], sites[i], "celsius") end
      end
    end },
    { "set of a kept child", empty, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do child:set(i) end
      end
    end },
    { "set of 1000 kept children", one_read, function()
      for _ = 1, PASSES do
        for i = 1, SERIES do children[i]:set(i) end
      end
    end },
    { "inc of a kept child", empty, function()
      for _ = 1, PASSES do
        for _ = 1, SERIES do child:inc() end
      end
    end },
  }
end

return {
  name    = "bench",
  timeout = 600,
  limits  = { cpu = 600 },
  metrics = {
    bench_nanoseconds = metric.gauge {
      "What one update costs.",
      labels = { "what" },
    },
    bench_none = metric.gauge "Updated without labels.",
    bench_one = metric.gauge {
      "Updated with one label.",
      labels = { "core_id" },
    },
    bench_three = metric.gauge {
      "Updated with three labels.",
      labels = { "core_id", "site", "unit" },
    },
  },
  collect = function(m)
    local list = updates(m.bench_none, m.bench_one, m.bench_three)
    for _, update in ipairs(list) do
      local what, loop, work = table.unpack(update)
      local seconds = best(work) - best(loop)
      m.bench_nanoseconds:set(seconds / (PASSES * SERIES) * 1e9, what)
    end
  end,
}
