-- SPDX-License-Identifier: Apache-2.0
-- Everything here stays on this machine; networks are in spec/e2e, as is what
-- does not answer at all.
local clock = require "clock"
local host = require "host"
local icmp = require "icmp"
local task = require "task"

local name_server = dofile "spec/bind/name_server.lua"
local timely = dofile "spec/bind/timely.lua"

-- Shorter than any answer takes.
local NO_TIME <const> = 1e-9

local function burn(seconds)
  local done = clock.monotonic() + seconds
  while clock.monotonic() < done do end
end

local function addresses(n)
  local list = {}
  for i = 1, n do
    list[i] = ("127.0.%d.%d"):format(i // 250, i % 250 + 1)
  end
  return list
end

local function count(rtts)
  local n = 0
  for _, rtt in ipairs(rtts) do
    n = n + (rtt and 1 or 0)
  end
  return n
end

-- What the three functions have in common.
local function fails_alike(ask)
  it("says that a name is not known", function()
    local none, message, reason = ask "meter.invalid"
    assert.is_nil(none)
    assert.matches("^ping meter%.invalid: ", message)
    assert.equal("name", reason)
  end)

  it("says that an address is of the other family", function()
    local none, message, reason = ask("::1", { family = 4 })
    assert.is_nil(none)
    assert.equal("ping ::1: not an IPv4 address", message)
    assert.equal("name", reason)
  end)

  it("refuses what cannot be a host", function()
    assert.has_error(function() ask(nil) end, "expected a name or an address")
    assert.has_error(function() ask(7) end, "expected a name or an address")
    assert.has_error(function() ask "a\0b" end, "NUL")
  end)

  it("refuses options that cannot be", function()
    local function with(options)
      return function() ask("127.0.0.1", options) end
    end
    assert.has_error(with { timout = 1 }, "did you mean 'timeout'")
    assert.has_error(with { timeout = -1 }, "not negative")
    assert.has_error(with { timeout = 0 / 0 }, "finite")
    assert.has_error(with { family = 5 }, "4 or 6")
    assert.has_error(with { size = 15 }, "16 to 65507")
    assert.has_error(with { size = 65508 }, "16 to 65507")
    assert.has_error(with { ttl = 0 }, "1 to 255")
    assert.has_error(with { ttl = 256 }, "1 to 255")
    assert.has_error(with { source = "localhost" }, "an address of this")
    assert.has_error(with { source = "::1", family = 4 }, "family 4")
  end)

  it("says that an address is not this machine's to send from", function()
    local none, message, reason = ask("127.0.0.1", { source = "192.0.2.1" })
    assert.is_nil(none)
    assert.matches("^ping 127%.0%.0%.1: ", message)
    assert.equal("not sent", reason)
  end)
end

-- A fiftieth of the time, or 0.1 s, is left for the rest, which is too little at
-- first, perhaps, where the machine is busy: what the first TRY(seconds) gives
-- that was not too late.
local function first_in_time(try)
  local first, second
  for _, seconds in ipairs { 1, 2, 5, 10 } do
    first, second = try(seconds)
    if first then
      break
    end
  end
  return assert(first, second), second
end

local function assert_within(seconds, message)
  local within = tonumber(message:match "within ([%d.]+) s$")
  assert(within and within < seconds and within > seconds / 2, message)
end

describe("icmp.echo", function()
  fails_alike(icmp.echo)

  it("tells the time, the TTL, the size and who answered", function()
    local reply = assert(icmp.echo "127.0.0.1")
    assert.is_true(reply.rtt > 0 and reply.rtt < 1)
    assert.equal(64, reply.ttl)
    assert.equal("127.0.0.1", reply.address)
    assert.equal(56, reply.size)
  end)

  it("asks over IPv6", function()
    local reply = assert(icmp.echo "::1")
    assert.equal("::1", reply.address)
    assert.equal(56, reply.size)
  end)

  it("looks names up, in the family that is wanted", function()
    local reply = assert(icmp.echo("localhost", { family = 4 }))
    assert.equal("127.0.0.1", reply.address)
  end)

  it("sends payloads from the smallest to the largest", function()
    for _, size in ipairs { 16, 17, 1500, 65507 } do
      local reply = assert(icmp.echo("127.0.0.1", { size = size }))
      assert.equal(size, reply.size)
    end
  end)

  it("sends from the address that it is told", function()
    assert.is_true((icmp.echo("127.0.0.1", { source = "127.0.0.9" })).rtt > 0)
  end)

  it("says that nobody answered in time", function()
    local none, message, reason = icmp.echo("127.0.0.1", { timeout = NO_TIME })
    assert.is_nil(none)
    assert.equal("ping 127.0.0.1: no answer within 1e-09 s", message)
    assert.equal("timeout", reason)
  end)

  it("names the address behind a name", function()
    local _, message = icmp.echo("localhost",
      { timeout = 0.5, family = 4, source = "192.0.2.1" })
    assert.matches("^ping localhost %(127%.0%.0%.1%): ", message)
  end)

  it("says so when the name server takes its whole time", function()
    name_server(function() end, function()
      local none, message, reason = icmp.echo("meter.lan", { timeout = 0.05 })
      assert.is_nil(none)
      assert.matches("^ping meter%.lan: .* within 0%.05 s$", message)
      assert.equal("name", reason)
    end)
  end)

  it("speaks before the deadline of its task does", function()
    name_server(function() end, function()
      first_in_time(function(seconds)
        local _, message, reason =
          task.timeout(seconds, icmp.echo, "meter.lan")
        if reason ~= "name" then
          return nil, message
        end
        assert.matches("^ping meter%.lan: ", message)
        assert_within(seconds, message)
        return true
      end)
    end)
  end)

  it("leaves to the echo what the name has left of the time", timely(function()
    name_server(function(question)
      if question.type == "A" then
        task.sleep(0.1)
        return { { "A", "127.0.0.7" } }
      end
      return {}
    end, function()
      local reply = assert(icmp.echo("meter.lan", { timeout = 5 }))
      assert.equal("127.0.0.7", reply.address)
      assert.is_true(reply.rtt < 0.1)
    end)
  end))

  it("measures the network, not the script", timely(function()
    for _ = 1, 3 do
      local reply
      task.all(
        function() reply = assert(icmp.echo "127.0.0.1") end,
        function() burn(0.05) end)
      assert(reply.rtt < 0.03, "rtt " .. reply.rtt)
    end
  end))

  it("takes an answer that came in time while the script was busy",
    timely(function()
      local reply
      task.all(
        function()
          reply = assert(icmp.echo("127.0.0.1", { timeout = 0.01 }))
        end,
        function() burn(0.05) end)
      assert(reply.rtt < 0.03, "rtt " .. reply.rtt)
    end))

  it("runs side by side a thousand times", function()
    local replies = task.each(addresses(1000), function(address)
      local reply = assert(icmp.echo(address))
      assert.equal(address, reply.address)
      return reply
    end)
    assert.equal(1000, #replies)
  end)

  it("is forgotten when its task is cancelled", function()
    for _, name in ipairs { "127.0.0.1", "localhost", "meter.invalid" } do
      pcall(task.all,
        function() icmp.echo(name) end,
        function() error "enough" end)
      assert(task.timeout(0, icmp.echo, name) == nil)
    end
    assert(icmp.echo "127.0.0.1")
  end)
end)

describe("icmp.series", function()
  fails_alike(function(target, options)
    options = options or {}
    options.count = 1
    local series, message, reason = icmp.series(target, options)
    if series then -- it is a loss
      return nil, series.error, series.reason
    end
    return nil, message, reason
  end)

  it("tells about all echoes", function()
    local series = assert(icmp.series("127.0.0.1",
      { count = 20, interval = 0.002 }))
    assert.equal(20, series.sent)
    assert.equal(20, series.received)
    assert.equal(0.0, series.loss)
    assert.equal(0, series.duplicates)
    assert.equal(0, series.late)
    assert.equal("127.0.0.1", series.address)
    assert.equal(64, series.ttl)
    assert.is_nil(series.error)
    assert.is_nil(series.reason)
    assert.equal(20, #series.rtts)
  end)

  it("computes what the times say", function()
    local series = assert(icmp.series("127.0.0.1",
      { count = 50, interval = 0.001 }))
    local min, max, sum, squares, steps = math.huge, 0, 0, 0, 0
    for i, rtt in ipairs(series.rtts) do
      min, max, sum = math.min(min, rtt), math.max(max, rtt), sum + rtt
      steps = steps + (i > 1 and math.abs(rtt - series.rtts[i - 1]) or 0)
    end
    for _, rtt in ipairs(series.rtts) do
      squares = squares + (rtt - sum / 50) ^ 2
    end
    assert.equal(min, series.min)
    assert.equal(max, series.max)
    assert.near(sum / 50, series.mean, 1e-12)
    assert.near((squares / 50) ^ 0.5, series.stddev, 1e-12)
    assert.near(steps / 49, series.jitter, 1e-12)
  end)

  it("has no spread with a single answer", function()
    local series = assert(icmp.series("127.0.0.1", { count = 1 }))
    assert.equal(0.0, series.stddev)
    assert.equal(0.0, series.jitter)
    assert.equal(series.min, series.max)
  end)

  it("keeps the interval", function()
    local started = clock.monotonic()
    assert(icmp.series("127.0.0.1", { count = 4, interval = 0.05 }))
    local took = clock.monotonic() - started
    assert.is_true(took >= 0.15, "took " .. took)
  end)

  it("is over with the last answer", function()
    local started = clock.monotonic()
    assert(icmp.series("127.0.0.1", { count = 1, timeout = 60, interval = 60 }))
    assert.is_true(clock.monotonic() - started < 5)
  end)

  it("takes loss for an answer, and counts what comes late", function()
    local series = assert(icmp.series("127.0.0.1",
      { count = 3, interval = 0.02, timeout = NO_TIME }))
    assert.equal(3, series.sent)
    assert.equal(0, series.received)
    assert.equal(1.0, series.loss)
    assert.is_true(series.late >= 2, "late " .. series.late)
    assert.same({ false, false, false }, series.rtts)
    assert.is_nil(series.mean)
    assert.is_nil(series.jitter)
    assert.is_nil(series.ttl)
    assert.equal("timeout", series.reason)
    assert.equal("ping 127.0.0.1: no answer within 1e-09 s", series.error)
  end)

  it("sends fewer where the deadline comes first", timely(function()
    local result = assert(host.run([[
      local icmp = require "icmp"
      local series = assert(icmp.series("127.0.0.1",
        { count = 1000, interval = 0.05 }))
      return series.sent .. " " .. series.received
    ]], { deadline = 1 }))
    local sent, received = result:match "^(%d+) (%d+)$"
    assert.equal(sent, received)
    assert.is_true(tonumber(sent) >= 10 and tonumber(sent) <= 20, result)
  end))

  it("looks a name up once", function()
    local series = assert(icmp.series("localhost",
      { count = 3, interval = 0.001, family = 4 }))
    assert.equal("127.0.0.1", series.address)
    assert.equal(3, series.received)
  end)

  it("has its ceilings", function()
    for _, number in ipairs { 0, 10001 } do
      assert.has_error(function()
        icmp.series("127.0.0.1", { count = number })
      end, "1 to 10000")
    end
    assert.has_error(function()
      icmp.series("127.0.0.1", { interval = -1 })
    end, "not negative")
  end)

  it("is forgotten when its task is cancelled", function()
    for _, name in ipairs { "127.0.0.1", "localhost", "meter.invalid" } do
      pcall(task.all,
        function() icmp.series(name, { count = 10000, interval = 0.001 }) end,
        function()
          task.sleep(0.01)
          error "enough"
        end)
    end
  end)
end)

describe("icmp.sweep", function()
  fails_alike(function(target, options)
    local rtts, failures, reason = icmp.sweep({ target or 7 }, options)
    if not rtts then
      return nil, failures, reason
    end
    assert.same({ false }, rtts)
    return nil, failures[1],
      failures[1]:find "not sent" and "not sent" or "name"
  end)

  it("asks thousands of hosts at once", function()
    local list = addresses(5000)
    local rtts, failures = assert(icmp.sweep(list))
    assert.equal(5000, #rtts)
    assert.equal(5000, count(rtts))
    assert.is_nil(next(failures))
  end)

  it("tells for each host why it has no answer", function()
    local rtts, failures = icmp.sweep({ "127.0.0.1", "meter.invalid", "::1",
      "localhost" }, { family = 4 })
    assert.is_true(rtts[1] > 0)
    assert.equal(false, rtts[2])
    assert.equal(false, rtts[3])
    assert.is_true(rtts[4] > 0)
    assert.is_nil(failures[1])
    assert.matches("^ping meter%.invalid: ", failures[2])
    assert.equal("ping ::1: not an IPv4 address", failures[3])
    assert.is_nil(failures[4])
  end)

  it("mixes families", function()
    local rtts = assert(icmp.sweep { "::1", "127.0.0.1" })
    assert.equal(2, count(rtts))
  end)

  it("looks up more names than it has questions at a time", function()
    local names = {}
    for i = 1, 600 do
      names[i] = i % 3 == 0 and "127.0.0.1" or "localhost"
    end
    assert.equal(600, count((assert(icmp.sweep(names, { family = 4 })))))
  end)

  it("does not need the list while it waits", function()
    local list = {}
    for i = 1, 100 do
      list[i] = ("host-%d.invalid"):format(i)
    end
    local _, failures = task.all(
      function() return select(2, icmp.sweep(list)) end,
      function()
        for i = 1, 100 do
          list[i] = nil
        end
        collectgarbage()
      end)
    assert.is_nil(failures)
  end)

  it("tells of those that did not answer in time", function()
    local rtts, failures = assert(icmp.sweep(addresses(300),
      { timeout = NO_TIME }))
    assert.equal(0, count(rtts))
    assert.equal(300, #failures)
    assert.equal("ping 127.0.0.2: no answer within 1e-09 s", failures[1])
  end)

  it("pauses between two", function()
    local started = clock.monotonic()
    local rtts = assert(icmp.sweep(addresses(50), { interval = 0.004 }))
    local took = clock.monotonic() - started
    assert.equal(50, count(rtts))
    assert.is_true(took >= 0.19, "took " .. took)
  end)

  it("ends before the deadline, whatever the pause", function()
    local result = first_in_time(function(seconds)
      return host.run(([[
        local icmp = require "icmp"
        local list = {}
        for i = 1, 50 do
          list[i] = "127.0.0." .. i
        end
        local rtts, failures = icmp.sweep(list, { interval = %g })
        return ("%%s %%s"):format(rtts[1] and true, failures[50])
      ]]):format(seconds / 10), { deadline = seconds })
    end)
    assert.equal("true ping 127.0.0.50: not sent before the deadline", result)
  end)

  it("does not ask for names when it is too late", function()
    local list = {}
    for i = 1, 300 do
      list[i] = ("meter-%d.lan"):format(i)
    end
    name_server(function() end, function()
      local rtts, failures = first_in_time(function(seconds)
        local rtts, failures = task.timeout(seconds, icmp.sweep, list)
        if rtts then
          assert.matches("^ping meter%-1%.lan: ", failures[1])
          assert_within(seconds, failures[1])
        end
        return rtts, failures
      end)
      assert.equal(0, count(rtts))
      assert.equal("ping meter-300.lan: not sent before the deadline",
        failures[300])
    end)
  end)

  it("answers an empty list with nothing", function()
    local rtts, failures = icmp.sweep {}
    assert.same({}, rtts)
    assert.same({}, failures)
  end)

  it("has a ceiling", function()
    local list = {}
    for i = 1, 65537 do
      list[i] = "127.0.0.1"
    end
    local rtts, message, reason = icmp.sweep(list)
    assert.is_nil(rtts)
    assert.equal("ping: 65537 hosts are too many at a time, at most 65536",
      message)
    assert.equal("not sent", reason)
  end)

  it("takes the same host twice", function()
    assert.equal(2, count((assert(icmp.sweep { "127.0.0.1", "127.0.0.1" }))))
  end)

  it("asks a name server for more names than go out at a time", function()
    local known = { A = "127.0.0.8", AAAA = "::1" }
    name_server(function(question)
      if question.name:find "^no" then
        return { rcode = 3 }
      end
      return { { question.type, known[question.type] } }
    end, function()
      local list = {}
      for i = 1, 200 do
        list[i] = (i % 10 == 0 and "no-%d.lan" or "meter-%d.lan"):format(i)
      end
      local rtts, failures = assert(icmp.sweep(list))
      assert.equal(180, count(rtts))
      assert.matches("^ping no%-10%.lan: no such name", failures[10])
      assert.is_nil(failures[11])
    end)
  end)

  it("is forgotten when its task is cancelled", function()
    local list = addresses(1000)
    for i = 1, 1000, 3 do
      list[i] = ("host-%d.invalid"):format(i)
    end
    for _ = 1, 20 do
      pcall(task.all,
        function() icmp.sweep(list, { interval = 0.0001 }) end,
        function()
          task.sleep(0.001)
          error "enough"
        end)
    end
    assert.equal(1, count((assert(icmp.sweep { "127.0.0.1" }))))
  end)

  it("says which host is none", function()
    assert.has_error(function() icmp.sweep { "127.0.0.1", 5 } end,
      "hosts[2]: expected a name or an address, got number")
  end)
end)

describe("icmp", function()
  it("is closed with its state, in the middle of everything", function()
    for _, what in ipairs { "echo('localhost')", "echo('meter.invalid')",
      "series('127.0.0.1', { count = 9999, interval = 0.001 })",
      "sweep({ '127.0.0.1', 'localhost', 'meter.invalid' }, { interval = 9 })" }
    do
      for stop = 1, 4 do
        local result, message, code = host.run(([[
          local icmp = require "icmp"
          local task = require "task"
          while true do
            icmp.%s
          end
        ]]):format(what), { stop = stop * 0.003 })
        assert.is_nil(result)
        assert.equal("closed", code, message)
      end
    end
  end)

  it("cannot wait outside of a task", function()
    assert.has_error(function()
      table.sort({ 1, 2 }, function() icmp.echo "127.0.0.1" end)
    end, "I/O is not possible here")
  end)
end)
