-- SPDX-License-Identifier: Apache-2.0
-- A server that wants a login first. One login serves everybody who asks at the
-- same time, and lasts until the server ends it. After one that failed there is
-- none for a minute, then two, ... up to a quarter of an hour, for servers lock
-- accounts that guess. A login counts as failed until it has succeeded: whoever
-- ran out of time before the answer must not be the next to guess.

local clock = require "clock"
local http = require "http"
local turn = require "turn"

local M = {}

local PAUSE <const>, PAUSE_MAX <const> = 60, 900
local IDLE <const> = 3600 -- an unused session is dropped after that
local SESSIONS_MAX <const> = 256 -- then the one unused for longest goes

local sessions = {} -- what it was opened with -> session

local session = {}
session.__index = session
session.__name = "session"

-- What VALUE says, as text: equal for tables of equal content.
local function text_of(value)
  if type(value) ~= "table" then
    return ("%s %q"):format(type(value), tostring(value))
  end
  local parts = {}
  for key, item in pairs(value) do
    parts[#parts + 1] = text_of(key) .. "=" .. text_of(item)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

local function key_of(options, login)
  return text_of { options, login.url, login.form, login.json }
end

local function drop(key)
  sessions[key].client:close()
  sessions[key] = nil
end

-- Probes may open sessions with as many servers as somebody can name.
local function drop_unused(now)
  local count, oldest = 0, nil
  for key, one in pairs(sessions) do
    if now - one.used > IDLE then
      drop(key)
    else
      count = count + 1
      oldest = oldest and sessions[oldest].used < one.used and oldest or key
    end
  end
  if count >= SESSIONS_MAX then
    drop(oldest)
  end
end

local function new(options, login, now)
  return setmetatable({
    client = http.client(options),
    login = login,
    logins = 0,
    waiting = {}, -- turns of tasks that wait for the login of another
    failures = 0, -- since the last login that was good for something
    rest = now,   -- no login before
  }, session)
end

-- What a login may have, and the type of it; false: any.
local LOGIN <const> = { url = "string", form = "table", json = false,
  ready = "function", pause = "number" }

-- Misspelt credentials would be a wrong password.
local function check_login(login)
  if type(login) ~= "table" or type(login.url) ~= "string" then
    error("expected what logs in, such as { url = \"/login\", form = {} }", 3)
  end
  for key, value in pairs(login) do
    local expected = LOGIN[key]
    if expected == nil then
      error(("unknown key '%s' of the login"):format(key), 3)
    elseif expected and type(value) ~= expected then
      error(("'%s' of the login: expected a %s, got %s"):format(key, expected,
        type(value)), 3)
    end
  end
end

function M.open(options, login)
  check_login(login)
  local now, key = clock.monotonic(), key_of(options, login)
  if not sessions[key] then
    drop_unused(now)
    sessions[key] = new(options, login, now)
  end
  sessions[key].used = now
  return sessions[key]
end

-- ---- logging in -------------------------------------------------------------

-- Counts a failure; answers the end of the sentence about it.
local function count_failure(self)
  local pause = (self.login.pause or PAUSE) * 2 ^ self.failures
  pause = math.min(pause, PAUSE_MAX)
  self.failures = self.failures + 1
  self.rest = clock.monotonic() + pause
  return "; no other login before " .. clock.format(clock.now() + pause)
end

-- Is there a server that would know a right password? Nothing is counted yet.
local function is_ready(self)
  if not self.login.ready then
    return true
  end
  self.problem = "the server was silent before the login"
  local ready, message = self.login.ready(self.client)
  self.problem = message
  return ready
end

local function attempt(self)
  if not is_ready(self) then
    return
  end
  local failures = self.failures
  local later = count_failure(self)
  self.problem = "the login was not answered in time" .. later
  local answer, message, refusal = self.client:post(self.login.url,
    { form = self.login.form, json = self.login.json })
  if answer then
    self.logins, self.rest = self.logins + 1, 0
  elseif refusal and refusal.status >= 500 then
    self.failures, self.rest, self.problem = failures, 0, message
  else
    self.problem = message .. later
  end
end

local function release(lock)
  local waiting = lock.session.waiting
  lock.session.busy, lock.session.waiting = false, {}
  for _, one in ipairs(waiting) do
    one:call()
  end
end

-- Until the login that another task is busy with has ended.
local function wait_for_login(self)
  repeat
    local mine = turn.new()
    table.insert(self.waiting, mine)
    mine:wait(IDLE)
  until not self.busy
end

-- Another login than the SEEN-th one: true, or nil and a sentence.
local function log_in(self, seen)
  if self.busy then
    wait_for_login(self)
  elseif self.logins == seen and clock.monotonic() >= self.rest then
    self.busy = true
    local _ <close> = setmetatable({ session = self }, { __close = release })
    attempt(self)
  end
  if self.logins == seen then
    return nil, self.problem
  end
  return true
end

-- ---- asking -----------------------------------------------------------------

local function is_unauthorized(refusal)
  return refusal and refusal.status == 401
end

-- A login after which we are as unknown as before is not repeated soon.
local function judge_login(self, answer, message, refusal)
  if answer then
    self.failures = 0
  elseif is_unauthorized(refusal) and clock.monotonic() >= self.rest then
    self.problem = message .. count_failure(self)
  end
end

local function request(self, verb, url, options)
  local client, seen = self.client, self.logins
  local answer, message, refusal
  if seen > 0 then
    answer, message, refusal = client[verb](client, url, options)
    if not is_unauthorized(refusal) then
      return answer, message, refusal
    end
  end
  local done, problem = log_in(self, seen)
  if not done then
    return nil, problem, refusal
  end
  answer, message, refusal = client[verb](client, url, options)
  judge_login(self, answer, message, refusal)
  return answer, message, refusal
end

for _, verb in ipairs { "get", "post", "put", "delete", "head", "request" } do
  session[verb] = function(self, url, options)
    if getmetatable(self) ~= session then
      error("ask with a colon: session:" .. verb .. "(url)", 2)
    end
    return request(self, verb, url, options)
  end
end

return M
