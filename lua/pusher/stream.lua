-- SPDX-License-Identifier: Apache-2.0
--[[
  A stream: one target of one exporter. When its ticks are, and what is said
  about them: each push is counted, and a line is logged when the kind of its
  result is another one than before.
]]

local clock = require "clock"
local log = require "log"
local pages = require "pages"
local turn = require "turn"

local monotonic <const> = clock.monotonic

local INTERVAL <const> = 15 -- seconds, of what has none of its own
local TIMEOUT <const> = 30
local ASK <const>, ASK_LAST <const> = 120, 3
local TEXT_MAX <const> = 500 -- of what is said about a push

local SAID <const> = {
  busy = "the target cannot take what is pushed now",
  down = "the target does not answer",
  failed = "a push failed",
  refused = "the target refuses what is pushed",
  slow = "the target does not answer in time",
}

-- As the options of http have them, too.
local TRANSPORT <const> = { "password", "bearer", "ca_file", "cert_file",
  "key_file", "server_name", "insecure", "proxy" }

local Stream = {}
Stream.__index = Stream

-- 0 to 1, by name: streams of one interval are spread over it.
local function phase_of(text)
  local hash = 2166136261
  for i = 1, #text do
    hash = (hash ~ text:byte(i)) * 16777619 & 0xffffffff
  end
  hash = (hash ~ hash >> 15) * 2246822519 & 0xffffffff
  return (hash ~ hash >> 13) / 0x100000000
end

-- Lists of names and values, as host/run/config.h carries them.
local function pairs_of(list)
  local result = {}
  for i = 1, #(list or {}), 2 do
    result[list[i]] = list[i + 1]
  end
  return result
end

-- ---- ticks ----

-- OWN is that of its exporter, 0 when that has none.
function Stream:set_interval(own)
  local interval = self.options.interval or own > 0 and own or INTERVAL
  if interval ~= self.interval then
    self.interval = interval
    self.next = monotonic() + interval * self.phase
    self.alarm:call()
  end
end

-- Until the next tick; true when it is the end instead. A tick that is late is
-- not made up for.
function Stream:wait()
  local now = monotonic()
  if self.next <= now then
    self.next = self.next
      + self.interval * ((now - self.next) // self.interval + 1)
  end
  while not self.stopping and now < self.next do
    self.alarm:wait(self.next - now)
    now = monotonic()
  end
  return self.stopping
end

-- The exporter's page, brought up to date; nil, counted and said once, when
-- there is none to show.
function Stream:page()
  local page, message =
    pages.ask(self.index, self.stopping and ASK_LAST or ASK)
  local fields = { exporter = self.exporter, target = self.target }
  if self.retired then
    return page -- the wait was cut short
  elseif not page then
    fields.error = message
    self:count("es_total", 1, "silent")
    pages.tell(self.index, message)
  end
  if not page and not self.silent then
    log.warn("nothing to push", fields)
  elseif page and self.silent then
    log.info("there is something to push again", fields)
  end
  self.silent = not page
  return page
end

-- FN(...), whose error, such as that of a page too large for the memory of this
-- state, is the result of this push alone.
function Stream:attempt(fn, ...)
  local good, message = pcall(fn, self, ...)
  if not good then
    self:note("failed", tostring(message))
  end
end

function Stream:hurry(seconds)
  self.stopping = true
  pages.hurry(self.index, seconds)
  self.alarm:call()
  self.work:call()
  self.pause:call()
end

-- A collection that is under way is waited for, but not for longer than one
-- that begins now: what the end is for still has to be done.
function Stream:stop()
  self:hurry(ASK_LAST)
end

-- It is not wanted any more: says farewell, with what there is.
function Stream:retire()
  self.retired = true
  self:hurry(0)
end

function Stream:close()
  if self.spool then
    self.spool:close()
  end
end

-- How to get to the target: a fresh table of options.
function Stream:transport()
  local options = { timeout = self.timeout }
  for _, key in ipairs(TRANSPORT) do
    options[key] = self.options[key]
  end
  return options
end

-- ---- saying what happened ----

function Stream:count(family, by, extra)
  pages.count(self.index, "lunex_push" .. family, by, extra)
end

function Stream:state(family, value, extra)
  pages.state(self.index, "lunex_push" .. family, value, extra)
end

-- RESULT is "success", or a key of SAID and then with a MESSAGE.
function Stream:note(result, message)
  local fields = { exporter = self.exporter, target = self.target }
  self:count("es_total", 1, result)
  if result == "success" then
    self:state("_last_success_timestamp_seconds", clock.now())
    pages.tell(self.index, "")
  else
    fields.error = message:sub(1, TEXT_MAX)
    pages.tell(self.index, fields.error)
  end
  if result == self.result then
    return
  elseif result ~= "success" then
    log.warn(SAID[result], fields)
  elseif self.result then
    log.info("pushing again", fields)
  end
  self.result = result
end

-- FN(...), and how long it took.
function Stream:measured(fn, ...)
  local began = monotonic()
  local result = table.pack(fn(...))
  self:state("_duration_seconds", monotonic() - began)
  return table.unpack(result, 1, result.n)
end

-- ---- making ----

local M = {}

-- The kind of a failure, from what http said about it.
function M.kind(answer, message)
  return answer and "refused"
    or message:find("timed out", 1, true) and "slow" or "down"
end

function M.new(index, made)
  local options = made.options
  local stream = setmetatable({
    index = index,
    exporter = made.exporter,
    target = made.target,
    options = options,
    grouping = pairs_of(options.grouping),
    labels = pairs_of(options.labels),
    headers = pairs_of(options.headers),
    timeout = options.timeout or TIMEOUT,
    phase = phase_of(made.exporter .. "\0" .. made.target),
    alarm = turn.new(), -- ends the wait for a tick
    work = turn.new(),  -- there is something to send
    pause = turn.new(), -- ends the wait after a failure
    stopping = false,
    retired = false,    -- it alone stops
    silent = false,
    result = nil,       -- of the latest push
  }, Stream)
  stream:set_interval(made.interval)
  return stream
end

return M
