-- SPDX-License-Identifier: Apache-2.0
-- For wrk: looks at each answer. Counts those that are not 200, pages without
-- the exporter, and values of its counter that went back. One connection to a
-- thread, so that answers come in the order in which they were made.

local threads = {}

function setup(thread)
  thread:set("answers", 0)
  thread:set("refused", 0)
  thread:set("lacking", 0)
  thread:set("back", 0)
  threads[#threads + 1] = thread
end

local last = 0

function response(status, _, body)
  answers = answers + 1
  if status ~= 200 then
    refused = refused + 1
    return
  end
  local value = tonumber(body:match "\nwork_total (%S+)\n")
  if not value or not body:find "\nwork_up 1\n" then
    lacking = lacking + 1
  elseif value < last then
    back = back + 1
  else
    last = value
  end
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
  io.write(("answers=%d refused=%d lacking=%d back=%d errors=%d\n"):format(
    sum "answers", sum "refused", sum "lacking", sum "back",
    errors.connect + errors.read + errors.write + errors.timeout))
end
