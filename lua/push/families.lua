-- SPDX-License-Identifier: Apache-2.0
-- What a gateway should not get, in delimited protobuf: families of
-- io.prometheus.client (https://github.com/prometheus/client_model,
-- metrics.proto), with their metrics last, as lunex writes them. What is no
-- such message is left to the gateway.

local M = {}

local NAME <const>, TYPE <const>, METRIC <const> = 1, 3, 4 -- of MetricFamily
local LABEL <const> = 1 -- of Metric
local GAUGE_HISTOGRAM <const> = 5 -- of MetricType

-- The number at AT and where it ends, or nil.
local function varint(bytes, at)
  local value, shift = 0, 0
  while shift < 64 do
    local byte = bytes:byte(at)
    if not byte then
      return nil
    end
    at = at + 1
    value = value | (byte & 127) << shift
    if byte < 128 then
      return value, at
    end
    shift = shift + 7
  end
end

-- Behind a length at AT: where that many bytes begin and what is behind them;
-- nil when they are not there before PAST.
local function span(bytes, at, past)
  local length, from = varint(bytes, at)
  if length and length >= 0 and length <= past - from then
    return from, from + length
  end
end

local FIXED <const> = { [1] = 8, [5] = 4 }

-- The field at AT of a message that ends before PAST: where the next one is,
-- its number, and its value or where its bytes begin. Nil at the end, and for
-- what is no field.
local function field(bytes, at, past)
  if at >= past then
    return nil
  end
  local tag, value = varint(bytes, at)
  local after
  if tag and tag & 7 == 0 then
    value, after = varint(bytes, value)
  elseif tag and tag & 7 == 2 then
    value, after = span(bytes, value, past)
  elseif tag and FIXED[tag & 7] then
    after = value + FIXED[tag & 7]
  end
  if after then
    return after, tag >> 3, value
  end
end

-- Iterates: for after, number, value in fields(...)
local function fields(bytes, at, past)
  return function(_, from)
    return field(bytes, from, past)
  end, nil, at
end

-- FN(name, type, metrics, past) of each family; the metrics begin at `metrics`.
-- What it returns first ends it, and is the result.
local function each(bytes, fn)
  local at, past = span(bytes, 1, #bytes + 1)
  while at do
    local name, kind, begin, metrics = "", 0, at, nil
    for after, number, value in fields(bytes, at, past) do
      if number == METRIC then
        metrics = begin
        break
      elseif number == NAME then
        name = bytes:sub(value, after - 1)
      elseif number == TYPE then
        kind = value
      end
      begin = after
    end
    local found, more = fn(name, kind, metrics or past, past)
    if found then
      return found, more
    end
    at, past = span(bytes, past, #bytes + 1)
  end
end

-- The first of NAMES that is a label of the metric from AT to PAST, or nil.
local function label_of(bytes, at, past, names)
  for after, number, from in fields(bytes, at, past) do
    local behind, first, value = nil, nil, nil
    if number == LABEL then
      behind, first, value = field(bytes, from, after)
    end
    local name = first == 1 and bytes:sub(value, behind - 1)
    if names[name] then
      return name
    end
  end
end

-- A metric and the label that it shares with the group, or nil. Mostly a search
-- tells that there is none.
function M.clash(bytes, grouping)
  local names = { job = bytes:find("job", 1, true) }
  for name in pairs(grouping or {}) do
    names[name] = bytes:find(name, 1, true)
  end
  if not next(names) then
    return nil
  end
  return each(bytes, function(family, _, metrics, past)
    for after, number, from in fields(bytes, metrics, past) do
      local label = number == METRIC and label_of(bytes, from, after, names)
      if label then
        return family, label
      end
    end
  end)
end

-- The name of a gauge histogram, or nil.
function M.gauge_histogram(bytes)
  return each(bytes, function(family, kind)
    return kind == GAUGE_HISTOGRAM and family or nil
  end)
end

return M
