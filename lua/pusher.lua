-- SPDX-License-Identifier: Apache-2.0
--[[
  What the push thread runs (host/run/pusher.c): run(i) is the task of stream I,
  which ends after stop() or retire(i) was called. A stream is kept when its
  task fails and is begun again, until forget(i): with it the queue, the time of
  the last sample and what was said about the target. Numbers are not used
  again.
]]

local gateway = require "pusher.gateway"
local pages = require "pages"
local streams = require "pusher.stream"

local M = {}

local all <const> = {}
local stopping = false

-- Loaded by those who have such a target.
local function kind_of(stream)
  return stream.options.type == "remote_write" and require "pusher.remote"
    or gateway
end

function M.run(i)
  local stream <const> = all[i] or streams.new(i, pages.stream(i))
  all[i] = stream
  stream.stopping = stream.stopping or stopping
  kind_of(stream).run(stream)
end

-- Another version of the exporter may have another interval.
function M.renew(i)
  if all[i] then
    all[i]:set_interval(pages.stream(i).interval)
  end
end

-- It alone ends, because it is not wanted any more.
function M.retire(i)
  if all[i] then
    all[i]:retire()
  end
end

function M.forget(i)
  local stream = all[i]
  all[i] = nil
  if stream then
    stream:close()
  end
end

-- The process ends.
function M.stop()
  stopping = true
  for _, stream in pairs(all) do
    stream:stop()
  end
end

return M
