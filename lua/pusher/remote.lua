-- SPDX-License-Identifier: Apache-2.0
--[[
  Remote write: at each tick the page becomes requests in a queue, and another
  task sends them in order. One that the receiver cannot take now is tried
  again, after longer and longer waits; one that it refuses is dropped. When an
  exporter has no page to show, its series end, as they would in a scrape.

  Native histograms and exemplars have requests of their own: a receiver that
  refuses them takes the samples, and what is said about these is another story.
]]

local answers = require "http.answer"
local clients = require "http.client"
local clock = require "clock"
local log = require "log"
local pages = require "pages"
local remote = require "remote_write"
local streams = require "pusher.stream"
local task = require "task"
local times = require "pusher.time"

local M = {}

local BACKOFF <const>, BACKOFF_MAX <const> = 0.1, 30 -- seconds
local PAUSE_MAX <const> = 3600 -- that a receiver can ask for
local WORDS_MAX <const> = 200 -- of a refusal
local IDLE <const> = 3600

local HEADERS <const> = {
  ["Content-Encoding"] = "snappy",
  ["Content-Type"] = "application/x-protobuf",
  ["X-Prometheus-Remote-Write-Version"] = "0.1.0",
}

-- A place for each of them: a receiver that is slow is so for all, but one that
-- waits for its turn would be told to be slow itself.
local client <const> = clients.new { cookies = false, connections = 1000 }
client.gate = nil -- a pause that a receiver asks for is that of its stream

local function request_of(stream)
  local request, headers = stream:transport(), {}
  for name, value in pairs(stream.headers) do
    headers[name] = value
  end
  for name, value in pairs(HEADERS) do
    headers[name] = value
  end
  request.headers, request.redirects = headers, 0
  request.user = stream.options.username
  return request
end

-- ---- the queue ----

local function show_queue(stream)
  local counts = stream.spool:counts()
  stream:state("_queue_samples", counts.samples)
  stream:state("_queue_bytes", counts.bytes)
  stream:state("_samples_dropped_total", counts.dropped_samples, "full")
  if counts.dropped_samples > stream.dropped and not stream.told_full then
    stream.told_full = true
    log.warn("the queue is full: the oldest samples are dropped",
      { exporter = stream.exporter, target = stream.target })
  elseif counts.records == 0 then
    stream.told_full = false
  end
  stream.dropped = counts.dropped_samples
end

-- Without its folder the queue is in memory, which is better than none.
local function open_queue(stream)
  local options = stream.options
  local bytes = options.queue_bytes
  local spool, message
  if options.queue then
    spool, message = remote.spool { folder = options.queue, bytes = bytes }
  end
  if message then
    log.error("the queue is in memory", { exporter = stream.exporter,
      target = stream.target, error = message })
  end
  return spool or assert(remote.spool { bytes = bytes })
end

local function open(stream)
  local labels = stream.labels
  labels.instance = labels.instance or pages.host_name()
  stream.request = request_of(stream)
  stream.writer = assert(remote.writer(labels, {
    exemplars = stream.options.send_exemplars,
    native_histograms = stream.options.send_native_histograms,
  }))
  stream.told = {} -- what of "native histograms", "exemplars" is refused
  stream.spool = open_queue(stream)
  stream.dropped, stream.time = 0, 0
  local damaged = stream.spool:counts().damaged
  if damaged > 0 then
    log.warn("records of the queue cannot be read", { exporter = stream.exporter,
      target = stream.target, records = damaged })
  end
end

-- ---- from pages to requests ----

-- Milliseconds since the epoch: of all samples of a tick, as a scrape has one
-- time, at its beginning.
local function next_time(stream)
  local set_back
  stream.time, set_back =
    times.after(stream.time, math.floor(clock.now() * 1000))
  if set_back then
    log.warn("the clock was set back: samples are older than those before",
      { exporter = stream.exporter, target = stream.target })
  end
  return stream.time
end

-- Of what happens before anything is sent the receiver knows nothing: a line of
-- its own, when it is another one than before. SENTENCE is nil when all is well.
local function say_queue(stream, sentence, message)
  local fields = { exporter = stream.exporter, target = stream.target,
    error = message }
  if sentence == stream.said then
    return
  elseif sentence then
    log.warn(sentence, fields)
    pages.tell(stream.index, message)
  else
    log.info("samples go into the queue again", fields)
  end
  stream.said = sentence
end

local function write(stream, page, time)
  local written, message = stream.writer:write(page, time, stream.spool)
  local trouble = stream.spool:trouble()
  if not written then
    say_queue(stream, "samples do not go into the queue", message)
  else
    say_queue(stream, trouble and "samples wait in memory: the queue's folder "
      .. "does not take them", trouble)
  end
  show_queue(stream)
  stream.work:call()
end

local function add_page(stream)
  local time = next_time(stream)
  local page <close> = stream:page()
  if page or not stream.stopping then
    write(stream, page, time)
  end
end

local function add_pages(stream)
  while not stream:wait() do
    stream:attempt(add_page)
  end
  if not stream.retired then
    stream:attempt(add_page)
  end
  if stream.options.on_shutdown == "delete" then
    stream:attempt(write, nil, next_time(stream))
  end
  stream.complete = true
  stream.work:call()
end

-- ---- from requests to the receiver ----

-- A Prometheus without the feature says 500, up to 3.5 at least, which would be
-- sent again for ever: https://github.com/prometheus/prometheus/issues/17181
local function is_disabled(answer)
  return answer.status == 500
    and answer.body:find("native histograms are disabled", 1, true)
end

-- The kind of a failure, a sentence, and seconds that the receiver asks for.
local function judge(answer, message, content)
  if not answer then
    return streams.kind(nil, message), message
  end
  local status = answer.status
  local lasting = status >= 400 and status < 500 and status ~= 429
    or content == "native histograms" and is_disabled(answer)
  local words = answers.words(answer, WORDS_MAX, "")
  return lasting and "refused" or "busy",
    words and message .. ": " .. words or message,
    math.min(answers.retry_after(answer) or 0, PAUSE_MAX)
end

local function take(stream, family, samples, extra)
  stream.spool:take()
  stream.failures = 0
  stream:count(family, samples, extra)
  show_queue(stream)
end

-- Between a half and all of what has doubled with each failure.
local function back_off(stream, asked)
  local most =
    math.min(BACKOFF * 2 ^ math.min(stream.failures, 20), BACKOFF_MAX)
  stream.failures = stream.failures + 1
  stream.pause:wait(math.max(most * (1 + math.random()) / 2, asked or 0))
end

-- What is not taken by every receiver; for each of them one line when that is
-- another than before. SENTENCE is nil when CONTENT was taken.
local function note_extra(stream, content, sentence)
  local fields = { exporter = stream.exporter, target = stream.target,
    error = sentence }
  stream:count("es_total", 1, sentence and "refused" or "success")
  if sentence and not stream.told[content] then
    log.warn("the target refuses " .. content, fields)
  elseif stream.told[content] and not sentence then
    log.info("the target takes " .. content .. " now", fields)
  end
  stream.told[content] = sentence
end

local function note(stream, content, kind, sentence)
  local extra = content == "native histograms" or content == "exemplars"
  local refused = extra and stream.told[content]
  if extra and (kind == "refused" or refused and kind == "success") then
    note_extra(stream, content, sentence)
  else
    stream:note(kind, sentence)
  end
end

-- One attempt to send the oldest request; false when the end must not wait for
-- another.
local function send(stream, body, samples, content)
  stream.request.body = body
  local answer, message, refusal = stream:measured(client.post, client,
    stream.options.url, stream.request)
  if answer then
    note(stream, content, "success")
    take(stream, "_samples_total", samples)
    return true
  end
  local kind, sentence, asked = judge(refusal, message, content)
  note(stream, content, kind, sentence)
  if kind == "refused" then
    take(stream, "_samples_dropped_total", samples, "refused")
  elseif stream.stopping then
    return false
  else
    back_off(stream, asked)
  end
  return true
end

-- Whatever it is that ends the task.
local function say_lost(end_of)
  local stream = end_of.stream
  local samples = stream.spool:counts().in_memory
  if stream.stopping and samples > 0 then
    log.warn("samples are lost: the queue was in memory", { samples = samples,
      exporter = stream.exporter, target = stream.target })
  end
end

local function send_all(stream)
  while true do
    local body, samples, content = stream.spool:peek()
    if body then
      if not send(stream, body, samples, content) then
        return
      end
    elseif stream.complete then
      return
    else
      stream.work:wait(IDLE)
    end
  end
end

function M.run(stream)
  if not stream.spool then
    open(stream)
  end
  stream.failures = 0
  local _ <close> = setmetatable({ stream = stream }, { __close = say_lost })
  task.all(function()
    add_pages(stream)
  end, function()
    send_all(stream)
  end)
end

return M
