-- SPDX-License-Identifier: Apache-2.0
-- Pushing to a Pushgateway: the page at each tick, as text or as protobuf. What
-- failed is not kept: the next tick has a newer page.

local push = require "push"
local streams = require "pusher.stream"

local M = {}

local function options_of(stream, text)
  local options = stream:transport()
  options.format = stream.options.format
  options.job = stream.options.job
  options.grouping = stream.grouping
  options.method = text and stream.options.method or nil
  options.username = stream.options.username
  options.headers = stream.headers
  return options
end

local function note(stream, good, message, answer)
  if good then
    stream:note "success"
  else
    local unsent = message:find(": not sent: ", 1, true)
    stream:note(unsent and "refused" or streams.kind(answer, message), message)
  end
end

local function send(stream)
  local page <close> = stream:page()
  if not page then
    return
  end
  local text = page:text(stream.options.format)
  note(stream, stream:measured(push.send, stream.options.url, text,
    options_of(stream, text)))
end

local function delete(stream)
  note(stream, stream:measured(push.delete, stream.options.url,
    options_of(stream)))
end

function M.run(stream)
  while not stream:wait() do
    stream:attempt(send)
  end
  if stream.options.on_shutdown == "delete" then
    stream:attempt(delete)
  elseif not stream.retired then
    stream:attempt(send)
  end
end

return M
