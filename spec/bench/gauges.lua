-- SPDX-License-Identifier: Apache-2.0
--
-- The gauges of the benchmark: three labels each, a hundred in a family. Each
-- collection sets all of them to other values, or one in a hundred.
local metric = require "metric"

local PER_FAMILY <const> = 100

local function device(i)
  local core = ("%08x%08x%08x"):format(i * 2654435761 & 0xffffffff,
    i * 2246822519 & 0xffffffff, i * 3266489917 & 0xffffffff)
  return core, "site-" .. i % 10, "celsius"
end

-- The labels that all families share: three lists, so that no scrape has to
-- make them again.
local cores, sites = {}, {}
for i = 0, PER_FAMILY - 1 do
  cores[i], sites[i] = device(i)
end

local round = 0

-- Calls set(family, value, k, i) for series I, the K-th of its family. Values:
-- an integer, then one with four decimals, in turn; others in each round.
local function for_each(m, config, set)
  local n = round * 104729
  for first = 0, config.series - 1, PER_FAMILY do
    local family = m["device_metric_" .. first // PER_FAMILY]
    for k = 0, PER_FAMILY - 1, 2 do
      set(family, n % 100000, k, first + k)
      set(family, (n + 7919) % 10000000 / 10000, k + 1, first + k + 1)
      n = n + 2 * 7919
    end
  end
end

local setters = {}

-- Each series by its labels, as most exporters do it.
function setters.labels(m, config)
  local n = round * 104729
  for first = 0, config.series - 1, PER_FAMILY do
    local family = m["device_metric_" .. first // PER_FAMILY]
    for k = 0, PER_FAMILY - 1, 2 do
      family:set(n % 100000, cores[k], sites[k], "celsius")
      family:set((n + 7919) % 10000000 / 10000, cores[k + 1], sites[k + 1],
        "celsius")
      n = n + 2 * 7919
    end
  end
end

-- Each series by a child that was kept.
local children

function setters.children(m, config)
  if not children then
    children = {}
    for_each(m, config, function(family, _, k, i)
      children[i] = family:with(cores[k], sites[k], "celsius")
    end)
  end
  local n = round * 104729
  for i = 0, config.series - 1, 2 do
    children[i]:set(n % 100000)
    children[i + 1]:set((n + 7919) % 10000000 / 10000)
    n = n + 2 * 7919
  end
end

-- Every series has labels of its own.
function setters.unique(m, config)
  for_each(m, config, function(family, value, _, i)
    family:set(value, device(i))
  end)
end

-- One in a hundred gets another value, and the rest stays as it is: what is
-- counted by `inc` is kept. Amounts are sixteenths, which add up exactly and
-- have four decimals at most, as the values of the others do.
local SHARE <const> = 100

-- All children, in the order in which the page shows their families.
local function counted(m, config)
  local names, list = {}, {}
  for first = 0, config.series - 1, PER_FAMILY do
    names[#names + 1] = "device_metric_" .. first // PER_FAMILY
  end
  table.sort(names)
  for f, name in ipairs(names) do
    for k = 0, PER_FAMILY - 1 do
      local child = m[name]:with(cores[k], sites[k], "celsius")
      child:inc(k % 2 == 0 and f * 79 % 100000 or (f * 997 + k) / 16)
      list[#list + 1] = child
    end
  end
  return list
end

-- Those of a few families, which lie side by side on the page.
function setters.together(m, config)
  children = children or counted(m, config)
  for i = 1, config.series // SHARE do
    children[i]:inc(round % 2 == 0 and 0.0625 or 1)
  end
end

-- Any, others each time.
function setters.scattered(m, config)
  children = children or counted(m, config)
  if round == 1 then
    math.randomseed(1)
  end
  for _ = 1, config.series // SHARE do
    children[math.random(#children)]:inc(0.0625)
  end
end

return {
  name    = "gauges",
  listen  = "127.0.0.1:9100",
  limits  = { memory = 1 << 30, cpu = 120, series = 2000000 },
  config  = {
    series = { 1000, flag = "series", help = "How many, in hundreds." },
    by     = {
      "labels", flag = "by",
      help = "labels, children, unique, together or scattered.",
    },
  },
  metrics = function(config)
    local families = {}
    for f = 0, (config.series - 1) // PER_FAMILY do
      families["device_metric_" .. f] = metric.gauge {
        "A metric of a device.",
        labels = { "core_id", "site", "unit" },
      }
    end
    return families
  end,
  collect = function(m, config)
    round = round + 1
    setters[config.by](m, config)
  end,
}
