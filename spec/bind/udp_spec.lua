-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"
local host = require "host"
local task = require "task"
local udp = require "udp"
local timely = dofile "spec/bind/timely.lua"

-- A server that answers "<text>" with "<text> <text>", until it is closed.
local function echo(server)
  while true do
    local data, peer = server:receive()
    if not data then
      return
    end
    server:send(data .. " " .. data, peer)
  end
end

-- Runs FN(socket, server) with an echo server behind the socket.
local function with_echo(fn)
  local server <close> = assert(udp.listen("127.0.0.1", 0))
  task.all(
    function() echo(server) end,
    function()
      local socket <close> = assert(udp.connect("127.0.0.1", server:port()))
      fn(socket, server)
      server:close()
    end)
end

-- A socket whose peer does not answer, and the peer.
local function pair()
  local server = assert(udp.listen("127.0.0.1", 0))
  return assert(udp.connect("127.0.0.1", server:port())), server
end

describe("udp.connect", function()
  it("sends and receives", function()
    with_echo(function(socket)
      assert.is_true(socket:send("a"))
      assert.equal("a a", socket:receive(5))
    end)
  end)

  it("knows the addresses of both ends", function()
    local socket <close>, server = pair()
    local _ <close> = server
    assert.equal(server:address(), socket:peer())
    assert.equal("127.0.0.1:" .. server:port(), socket:peer())
    socket:send("x")
    local data, peer = server:receive(5)
    assert.equal("x", data)
    assert.equal(socket:address(), peer)
    assert.equal("udp.socket (" .. socket:peer() .. ")", tostring(socket))
  end)

  it("takes the port as a numeric string", function()
    local server <close> = assert(udp.listen("127.0.0.1", 0))
    local socket <close> =
      assert(udp.connect("127.0.0.1", tostring(server:port())))
    assert.equal(server:address(), socket:peer())
  end)

  it("resolves names", function()
    local server <close> = assert(udp.listen("", 0))
    local socket <close> = assert(udp.connect("localhost", server:port()))
    socket:send("x")
    assert.equal("x", (server:receive(5)))
  end)

  it("says that a name is not known", function()
    local socket, message = udp.connect("meter.invalid", 5000)
    assert.is_nil(socket)
    assert.matches("^meter%.invalid: ", message)
  end)

  it("refuses what cannot be an address", function()
    assert.has_error(function() udp.connect("h", 0) end, "port")
    assert.has_error(function() udp.connect("h", 65536) end, "port")
    assert.has_error(function() udp.connect(nil, 5) end, "string expected")
    local socket, message = udp.connect("", 5)
    assert.is_nil(socket)
    assert.matches("host", message)
  end)
end)

describe("socket:receive", function()
  it("takes an empty datagram for data", function()
    local socket <close>, server = pair()
    local _ <close> = server
    socket:send("")
    local data, peer = server:receive(5)
    assert.equal("", data)
    assert.is_true(server:send("", peer))
    assert.equal("", socket:receive(5))
  end)

  it("carries every byte", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local data = table.concat(bytes):rep(100)
    socket:send(data)
    assert.equal(data, (server:receive(5)))
  end)

  it("times out and says who did not answer", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local data, message, why = socket:receive(0.02)
    assert.is_nil(data)
    assert.equal("udp " .. server:address() .. ": no answer within 0.02 s",
      message)
    assert.equal("timeout", why)
  end)

  it("looks once when the timeout is 0", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local data, message, why = server:receive(0)
    assert.is_nil(data)
    assert.matches("no datagram within 0 s$", message)
    assert.equal("timeout", why)
    socket:send("there")
    assert.equal("there", (server:receive(0)))
  end)

  it("finds an answer that came while the script was busy", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local address = socket:address()
    server:send("in time", address)
    local done = clock.monotonic() + 0.05
    while clock.monotonic() < done do end
    assert.equal("in time", socket:receive(0.001))
  end)

  it("speaks before the deadline of its task does", timely(function()
    local result = assert(host.run([[
      local udp = require "udp"
      local server <close> = assert(udp.listen("127.0.0.1", 0))
      local socket <close> = assert(udp.connect("127.0.0.1", server:port()))
      local _, message, why = socket:receive(60)
      return why .. ": " .. message
    ]], { deadline = 2 })) -- so long that being first is not a matter of luck
    assert.matches("^timeout: udp 127%.0%.0%.1:%d+: no answer within 1%.9",
      result)
  end))

  it("reports a refusal, with nothing about a timeout", function()
    local server = assert(udp.listen("127.0.0.1", 0))
    local port = server:port()
    server:close()
    local socket <close> = assert(udp.connect("127.0.0.1", port))
    assert.is_true(socket:send("x"))
    local data, message, why = socket:receive(5)
    assert.is_nil(data)
    assert.equal("udp 127.0.0.1:" .. port .. ": connection refused", message)
    assert.is_nil(why)
  end)

  it("is ended when the socket is closed by another task", function()
    local socket, server <close> = pair()
    local results = {}
    task.all(
      function()
        results = table.pack(socket:receive())
      end,
      function()
        task.sleep(0.01)
        socket:close()
      end)
    assert.is_nil(results[1])
    assert.equal("udp " .. server:address() .. ": closed", results[2])
  end)

  it("has one waiting task at a time", function()
    local socket <close>, server = pair()
    local _ <close> = server
    task.all(
      function()
        assert.equal("x", socket:receive(5))
      end,
      function()
        assert.has_error(function() socket:receive() end,
          "another task waits for this socket")
        server:send("x", socket:address())
      end)
  end)

  it("may be cancelled and used again", function()
    local socket <close>, server = pair()
    local _ <close> = server
    assert.is_nil((task.timeout(0.02, function()
      return socket:receive()
    end)))
    server:send("after", socket:address())
    assert.equal("after", socket:receive(5))
  end)

  it("refuses a timeout that is none", function()
    local socket <close>, server = pair()
    local _ <close> = server
    assert.has_error(function() socket:receive(-1) end, "negative")
    assert.has_error(function() server:receive("soon") end, "number expected")
  end)
end)

describe("socket:request", function()
  it("returns the answer and the round trip", function()
    with_echo(function(socket)
      for i = 1, 20 do
        local data, seconds = socket:request("n" .. i, 5)
        assert.equal("n" .. i .. " n" .. i, data)
        assert.is_true(seconds > 0 and seconds < 5)
      end
    end)
  end)

  it("does not take a late answer for its own", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local data, message = socket:request("one", 0.02)
    assert.is_nil(data)
    assert.matches("no answer within", message)
    local request, peer = server:receive(5)
    assert.equal("one", request)
    server:send("late", peer)
    server:send("later", peer)
    task.all(
      function()
        assert.equal("two!", (socket:request("two", 5)))
      end,
      function()
        assert.equal("two", (server:receive(5)))
        server:send("two!", peer)
      end)
  end)

  it("is refused anew each time", function()
    local socket <close>, server = pair()
    server:close()
    for _ = 1, 3 do
      local data, message = socket:request("x", 5)
      assert.is_nil(data)
      assert.matches("connection refused", message)
    end
  end)

  it("fails at once when the datagram is too long", function()
    local socket <close>, server = pair()
    local _ <close> = server
    local data, message = socket:request(("x"):rep(70000), 5)
    assert.is_nil(data)
    assert.matches("too long", message)
    socket:send("y")
    assert.equal("y", (server:receive(5)))
  end)
end)

describe("socket:drain", function()
  it("drops what has come and counts it", function()
    local socket <close>, server = pair()
    local _ <close> = server
    for i = 1, 5 do
      socket:send("n" .. i)
    end
    assert.equal("n1", (server:receive(5)))
    assert.equal(4, server:drain())
    assert.equal(0, server:drain())
    assert.equal(0, server:dropped())
  end)
end)

describe("udp.listen", function()
  it("answers several peers, each its own", function()
    local server <close> = assert(udp.listen("", 0))
    local port = server:port()
    local function ask(text)
      return function()
        local socket <close> = assert(udp.connect("127.0.0.1", port))
        assert.equal(text .. " " .. text, (socket:request(text, 5)))
      end
    end
    task.all(
      function() echo(server) end,
      function()
        task.all(ask "a", ask "b", ask "c")
        server:close()
      end)
  end)

  it("names a port in use", function()
    local server <close> = assert(udp.listen("127.0.0.1", 0))
    local second, message = udp.listen("127.0.0.1", server:port())
    assert.is_nil(second)
    assert.equal("udp listen " .. server:address() ..
      ": address already in use", message)
  end)

  it("wants an address and a peer that is one", function()
    local server <close> = assert(udp.listen("127.0.0.1", 0))
    local second, message = udp.listen("meter.lan", 5)
    assert.is_nil(second)
    assert.matches("not an IP address", message)
    assert.has_error(function() server:send("x", "meter.lan:5") end,
      "expected a peer")
    assert.has_error(function() udp.listen("", -1) end, "expected a port")
  end)
end)

describe("a closed socket", function()
  it("may be closed again and does nothing else", function()
    local socket, server = pair()
    socket:close()
    socket:close()
    server:close()
    assert.equal("udp.socket (closed)", tostring(socket))
    assert.has_error(function() socket:send("x") end, "socket is closed")
    assert.has_error(function() socket:receive() end, "socket is closed")
    assert.has_error(function() server:port() end, "socket is closed")
  end)

  it("is what an unreachable one becomes", function()
    pair():close() -- the resolver of the state stays
    collectgarbage()
    local before = host.handles()
    local function forget()
      assert.is_true(pair():send("x"))
      assert.is_true(host.handles() > before)
    end
    forget()
    collectgarbage()
    collectgarbage()
    assert.is_true(host.handles() <= before)
  end)
end)
