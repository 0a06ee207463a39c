-- SPDX-License-Identifier: Apache-2.0
-- A client: defaults, cookies, connections, a gate, and what becomes of a call:
-- its attempts, their answers, what is said about them. The transfer itself is
-- the driver's (host/bind/l_http_client.c).

local answers = require "http.answer"
local calls = require "http.call"
local clock = require "clock"
local driver = require "http_client"
local gates = require "http.gate"
local options_of = require "http.options"
local task = require "task"
local urls = require "http.url"

local monotonic <const> = clock.monotonic
local raise <const> = options_of.raise

local CONNECTIONS <const> = 16
local BACKOFF <const> = 0.2 -- seconds before the first retry, at most
local BACKOFF_MAX <const> = 10

local NONE <const> = {}

-- ---- saying what happens ----------------------------------------------------

local function sentence(call, text)
  return string.format("%s %s: %s", call.method, driver.redact(call.url), text)
end

local function trace_request(call)
  local names = {}
  for i = 1, #call.headers, 2 do
    names[#names + 1] = call.headers[i]
  end
  driver.trace(string.format("%s %s%s%s", call.method,
    driver.redact(call.url),
    #names > 0 and ", with " or "", table.concat(names, ", ")))
end

local function trace_answer(call, answer)
  local t = answer.timings
  local parts = {}
  for _, name in ipairs { "resolve", "connect", "tls", "first_byte" } do
    if t[name] > 0 then
      parts[#parts + 1] = string.format("%s %.1f", name:gsub("_", " "),
        t[name] * 1000)
    end
  end
  driver.trace(string.format("%s %s: %s, %d bytes in %.1f ms (%s)%s",
    call.method, driver.redact(answer.url),
    answers.status_text(answer.status), #answer.body, t.total * 1000,
    table.concat(parts, ", "), t.connect == 0 and ", reused connection" or ""))
end

local function observe(client, call, status, seconds)
  if client.observe then
    client.observe(call.options.name or call.defaults.name or
      urls.path(call.path), status, seconds)
  end
end

-- ---- one attempt ------------------------------------------------------------

local function failed(message, code)
  if driver.is_traced() then
    driver.trace(message)
  end
  return nil, message, nil, code
end

local function refused(call, text)
  return failed(sentence(call, text))
end

local function note_retry_after(client, call, answer)
  local status = answer.status
  call.retry_after = (status == 429 or status == 503) and
    answers.retry_after(answer) or 0
  if call.retry_after > 0 and client.gate and
    call.defaults == client.defaults.options then
    client.gate:pause(call.retry_after, answers.status_text(status))
  end
end

-- answer | nil, message, answer
local function judge(client, call, answer)
  local status = answer.status
  if status >= 200 and status < 300 then
    return answer
  end
  note_retry_after(client, call, answer)
  return nil, string.format("%s %s: %s", call.method,
    driver.redact(answer.url), answers.status_text(status)), answer
end

-- libcurl is loaded with the first request: making a client cannot fail.
local function open(client)
  local made, message = driver.new(client.cookies, client.connections)
  client.driver = made
  return made, message
end

-- answer | nil, message [, answer [, code]]
local function attempt(client, call)
  local began = monotonic()
  local left = call.deadline - began
  if left <= 0 then
    return refused(call, "no time is left")
  elseif client.closed then
    return refused(call, "the client was closed")
  end
  if not client.driver then
    local made, why = open(client)
    if not made then
      return refused(call, why)
    end
  end
  call.retry_after = 0
  if driver.is_traced() then
    trace_request(call)
  end
  local answer, more, code = client.driver:send(call.method, call.url,
    call.headers, call.body, left, call.options, call.defaults)
  call.seconds = monotonic() - began
  observe(client, call, answer and answer.status, call.seconds)
  if not answer then
    return failed(code == "closed" and sentence(call, more) or more, code)
  end
  answers.new(answer, more, call)
  if driver.is_traced() then
    trace_answer(call, answer)
  end
  return judge(client, call, answer)
end

local function attempt_in_turn(client, call)
  local gate = client.gate
  if not gate then
    return attempt(client, call)
  end
  local entered, why = gate:enter(call.deadline)
  if not entered then
    return refused(call, why)
  end
  local _ <close> = gate
  return attempt(client, call)
end

-- ---- again ------------------------------------------------------------------

local IDEMPOTENT <const> = { GET = true, HEAD = true, PUT = true,
  DELETE = true, OPTIONS = true, TRACE = true }
local PASSING <const> = { [429] = true, [502] = true, [503] = true,
  [504] = true }

local function is_worth_it(call, try, answer, code)
  if try > call.retries or not IDEMPOTENT[call.method] then
    return false
  end
  return code == "io" or answer ~= nil and PASSING[answer.status] or false
end

-- False when the wait and a try like the last one do not fit.
local function wait_for_retry(call, try)
  local most = math.min(BACKOFF * 2 ^ (try - 1), BACKOFF_MAX)
  local wait = (call.retry_after or 0) + most * math.random()
  if monotonic() + wait + call.seconds > call.deadline then
    return false
  end
  if driver.is_traced() then
    driver.trace(sentence(call, string.format("again in %.3g s (%d of %d)",
      wait, try, call.retries)))
  end
  task.sleep(wait)
  return true
end

local function repeat_attempts(client, call)
  local try = 1
  while true do
    local answer, message, other, code = attempt_in_turn(client, call)
    if answer then
      return answer
    end
    if not is_worth_it(call, try, other, code) or
      not wait_for_retry(call, try) then
      return nil, message, other
    end
    try = try + 1
  end
end

-- ---- clients ----------------------------------------------------------------

-- Raises where Lua cannot wait, before anything is begun.
local function check_wait()
  if not coroutine.isyieldable() then
    raise("%s", select(2, pcall(driver.check)))
  end
end

-- VERB is nil for request().
local function perform(client, verb, url, options)
  options = options or NONE
  if type(client) ~= "table" then
    raise "ask with a colon: client:get(url)"
  end
  if options ~= NONE then
    options_of.check_request(options)
  end
  if verb and options.method then
    raise("option 'method' is for request(), this is %s()", verb:lower())
  end
  local method = verb or (options.method or "GET"):upper()
  check_wait()
  if client.closed then
    raise "the client is closed"
  end
  return repeat_attempts(client, calls.new(client, method, url, options))
end

local Client = {}
Client.__index = Client
Client.__name = "http.client"

function Client:request(url, options)
  return perform(self, nil, url, options)
end

local VERBS <const> = { "get", "post", "put", "delete", "head" }

for _, verb in ipairs(VERBS) do
  local method <const> = verb:upper()
  Client[verb] = function(self, url, options)
    return perform(self, method, url, options)
  end
end

function Client:clear_cookies()
  if self.driver then
    self.driver:clear_cookies()
  end
end

-- Who waits for an answer is told.
function Client:close()
  self.closed = true
  if self.gate then
    self.gate:close()
  end
  if self.driver then
    self.driver:close()
    self.driver = nil
  end
end

Client.__close = Client.close

-- Lets go of connections that nobody uses now.
function Client:release()
  if self.driver and self.driver:transfers() == 0 then
    self.driver:close()
    self.driver = nil
  end
end

function Client:__tostring()
  return string.format("http.client (%s)", self.closed and "closed" or
    self.base and driver.redact(self.base) or "any host")
end

local CLIENT_OPTIONS <const> = { "base_url", "cookies", "connections", "rate",
  "observe" }

local M = {}

function M.new(options)
  local requests = {}
  for key, value in pairs(options) do
    requests[key] = value
  end
  for _, key in ipairs(CLIENT_OPTIONS) do
    requests[key] = nil
  end
  return setmetatable({
    base = options.base_url,
    origin = options.base_url and urls.origin(options.base_url),
    cookies = options.cookies ~= false,
    connections = options.connections or CONNECTIONS,
    observe = options.observe,
    gate = gates.new(options.rate),
    defaults = calls.new_defaults(requests),
  }, Client)
end

M.VERBS = VERBS

return M
