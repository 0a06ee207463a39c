-- SPDX-License-Identifier: Apache-2.0
-- For wrk: looks at each answer. Counts those that are not 200, pages without
-- the exporter, counters that went back, and pages of a version that is broken
-- or older than one before it. One connection to a thread, so that answers come
-- in the order in which they were made.

local threads = {}

local WHAT = { "answers", "refused", "lacking", "back", "wrong" }

-- What never falls, without and with labels.
local COUNTERS = {
  "\nwork_total (%S+)\n", "\nwork_seconds_count (%S+)\n",
  "\nwork_seconds_sum (%S+)\n", '\nwork_seconds_bucket{le="1"} (%S+)\n',
  '\nlunex_exporter_collections_total{exporter="work",result="success"} (%S+)\n',
  '\nlunex_exporter_reloads_total{exporter="work",result="success"} (%S+)\n',
  '\nlunex_exporter_reloads_total{exporter="work",result="failure"} (%S+)\n',
}

function setup(thread)
  for _, what in ipairs(WHAT) do
    thread:set(what, 0)
  end
  threads[#threads + 1] = thread
end

local last, version = {}, 0

local function rises(body, counter)
  local value, before = tonumber(body:match(counter)), last[counter] or 0
  last[counter] = value
  return value and value >= before
end

function response(status, _, body)
  answers = answers + 1
  if status ~= 200 then
    refused = refused + 1
    return
  end
  local shown = tonumber(body:match "\nwork_version (%S+)\n")
  if not shown or not body:find "\nwork_up 1\n" then
    lacking = lacking + 1
    return
  end
  for _, counter in ipairs(COUNTERS) do
    if not rises(body, counter) then
      back = back + 1
    end
  end
  if shown < version or shown > 0 and shown % 5 == 0 then
    wrong = wrong + 1
  end
  version = shown
end

local function sum(name)
  local n = 0
  for _, thread in ipairs(threads) do
    n = n + thread:get(name)
  end
  return n
end

function done(summary)
  local errors = summary.errors
  for _, what in ipairs(WHAT) do
    io.write(what, "=", sum(what), " ")
  end
  io.write("errors=", errors.connect + errors.read + errors.write +
    errors.timeout, "\n")
end
