-- SPDX-License-Identifier: Apache-2.0
-- When a client may send: its rate limit and the pauses that a server asked
-- for. All tasks of a client share one gate, and go through it in the order in
-- which they came.
--
-- The limit is `requests` places. A request takes one, and gives it back `per`
-- seconds after its end. So the server, which sees a request somewhere between
-- its beginning and its end, never sees more than `requests` in any window of
-- `per` seconds, however late the network delivers them. The price is the
-- duration of a request: a place serves once in `per` seconds plus that.

local clock = require "clock"
local turn = require "turn"

local monotonic <const> = clock.monotonic

local PAUSE_MAX <const> = 3600

local Gate = {}
Gate.__index = Gate

local M = {}

function M.new(rate)
  return setmetatable({
    limit = rate and rate.requests,
    per = rate and rate.per,
    busy = 0,      -- requests that are under way
    cooling = {},  -- a ring: when the places of former ones are free
    first = 1,     -- the oldest in it
    count = 0,
    queue = {},    -- waiters; false: gave up
    head = 1,
    tail = 0,
    waiting = 0,   -- those that did not
    resumes = 0,   -- the end of the pause
    cause = nil,   -- of the pause
    closed = false,
  }, Gate)
end

function Gate:cool(now)
  local cooling, limit = self.cooling, self.limit
  while self.count > 0 and cooling[self.first] <= now do
    self.first = self.first % limit + 1
    self.count = self.count - 1
  end
end

-- The earliest time at which the waiter in that place of the queue may go.
-- Exact for those whose place is cooling; the others need the end of a request
-- that is under way.
function Gate:opens(now, place)
  if not self.limit then
    return self.resumes
  end
  self:cool(now)
  place = place - (self.limit - self.busy - self.count)
  if place <= 0 then
    return self.resumes
  end
  if place <= self.count then
    local at = self.cooling[(self.first + place - 2) % self.limit + 1]
    return math.max(self.resumes, at)
  end
  local rounds = math.ceil((place - self.count) / self.limit)
  return math.max(self.resumes, now + rounds * self.per)
end

local function text_of(seconds)
  return string.format(seconds < 100 and "%.3g s" or "%.0f s", seconds)
end

function Gate:refuse(now, at)
  if self.resumes > now and self.resumes >= at then
    return nil, string.format("the server asked for a pause of another %s (%s)",
      text_of(self.resumes - now), self.cause)
  end
  return nil, string.format("no place within %s under the limit of %d " ..
    "requests in %g s", text_of(math.max(at - now, 0)), self.limit, self.per)
end

-- Whoever is first in the queue looks again.
function Gate:call_first()
  local queue = self.queue
  while self.head <= self.tail and not queue[self.head] do
    queue[self.head] = nil
    self.head = self.head + 1
  end
  if self.head <= self.tail then
    queue[self.head].turn:call()
  end
end

function Gate:call_all()
  for i = self.head, self.tail do
    if self.queue[i] then
      self.queue[i].turn:call()
    end
  end
end

-- A waiter leaves the queue however its wait ends.
local Waiter = {
  __close = function(waiter)
    local gate = waiter.gate
    gate.queue[waiter.place] = false
    gate.waiting = gate.waiting - 1
    gate:call_first()
  end,
}

function Gate:join()
  local waiter = setmetatable({
    gate = self,
    turn = turn.new(),
    place = self.tail + 1,
  }, Waiter)
  self.tail = self.tail + 1
  self.queue[self.tail] = waiter
  self.waiting = self.waiting + 1
  return waiter
end

function Gate:wait(deadline)
  local waiter <close> = self:join()
  while not self.closed do
    local now = monotonic()
    local is_first = waiter.place == self.head
    local at = is_first and self:opens(now, 1) or self.resumes
    if is_first and at <= now then
      self.busy = self.busy + 1
      return true
    end
    if at > deadline or now >= deadline then
      return self:refuse(now, math.max(at, self:opens(now, 1)))
    end
    waiter.turn:wait((is_first and at or deadline) - now)
  end
  return nil, "the client was closed"
end

-- Waits for a place; it is the caller's until leave(). At once nil and why when
-- there cannot be one before the deadline.
function Gate:enter(deadline)
  local now = monotonic()
  local at = self:opens(now, self.waiting + 1)
  if at > deadline then
    return self:refuse(now, at)
  end
  if at > now or self.waiting > 0 then
    return self:wait(deadline)
  end
  self.busy = self.busy + 1
  return true
end

-- The request is over, whatever became of it.
function Gate:leave()
  self.busy = self.busy - 1
  if not self.limit then
    return
  end
  local now = monotonic()
  self:cool(now)
  self.cooling[(self.first + self.count - 1) % self.limit + 1] = now + self.per
  self.count = self.count + 1
  self:call_first()
end

Gate.__close = Gate.leave

-- Nobody goes for so many seconds. Who waits looks whether that is too long.
function Gate:pause(seconds, cause)
  local resumes = monotonic() + math.min(seconds, PAUSE_MAX)
  if resumes > self.resumes then
    self.resumes = resumes
    self.cause = cause
    self:call_all()
  end
end

function Gate:close()
  self.closed = true
  self:call_all()
end

return M
