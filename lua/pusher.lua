-- SPDX-License-Identifier: Apache-2.0
--[[
  What the push thread runs (host/run/pusher.c): run(i) is the task of stream I,
  which ends after stop() was called. A stream is kept when its task fails and
  is begun again: with it the queue, the time of the last sample and what was
  said about the target.
]]

local gateway = require "pusher.gateway"
local pages = require "pages"
local streams = require "pusher.stream"

local M = {}

local all <const> = {}
for i, made in ipairs(pages.streams()) do
  all[i] = streams.new(i, made)
end

-- Loaded by those who have such a target.
local function kind_of(stream)
  return stream.options.type == "remote_write" and require "pusher.remote"
    or gateway
end

function M.run(i)
  local stream <const> = all[i]
  kind_of(stream).run(stream)
end

function M.stop()
  for _, stream in ipairs(all) do
    stream:stop()
  end
end

return M
