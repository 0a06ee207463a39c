-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"
local resolve = require "resolve"
local task = require "task"

local name_server = dofile "spec/bind/name_server.lua"
local timely = dofile "spec/bind/timely.lua"

-- A handler for names with these addresses.
local function zone(names)
  return function(question)
    local records = names[question.name]
    if not records then
      return { rcode = 3 }
    end
    local answer = {}
    for _, record in ipairs(records) do
      if record[1] == question.type or record[1] == "CNAME" then
        answer[#answer + 1] = record
      end
    end
    return answer
  end
end

local function lookup(name, options)
  local addresses, detail = resolve.lookup(name, options)
  return addresses and table.concat(addresses, " "), detail
end

local function asked(server, kind)
  local n = 0
  for _, question in ipairs(server.questions) do
    n = n + (question.type == kind and 1 or 0)
  end
  return n
end

-- Waits until CONDITION() is true, which the peer of a spec makes so.
local function wait_for(condition)
  local last = clock.monotonic() + 10
  while not condition() do
    assert(clock.monotonic() < last, "it never came")
    task.sleep(0.001)
  end
end

describe("resolve.lookup without a server", function()
  it("answers numbers", function()
    assert.equal("127.0.0.1", (lookup "127.0.0.1"))
    assert.equal("::1", (lookup("::1", { family = 6 })))
    assert.equal("fe80::1%lo", (lookup "fe80::1%lo"))
  end)

  it("says that a number is not of the family", function()
    local _, message = lookup("127.0.0.1", { family = 6 })
    assert.equal("127.0.0.1: is not an IPv6 address", message)
    _, message = lookup("::1", { family = 4 })
    assert.equal("::1: is not an IPv4 address", message)
  end)

  it("says that an interface is not there", function()
    local _, message = lookup "fe80::1%nowhere0"
    assert.equal("fe80::1%nowhere0: there is no such interface", message)
  end)

  it("knows localhost", function()
    assert.equal("127.0.0.1 ::1", (lookup "localhost"))
    assert.equal("127.0.0.1", (lookup("LocalHost.", { family = 4 })))
    assert.equal("::1", (lookup("a.localhost", { family = 6 })))
  end)

  it("does not ask for what cannot be a name", function()
    for _, name in ipairs { "a b", "http://a", "a:80", "10.0.0.256", "1", "0x7f",
      "1.2.3", "a\\b", "fe80::g", "[::1]", 'a"', "a..b", ".", ".a",
      ("x"):rep(64) .. ".de" } do
      local addresses, message = lookup(name)
      assert.is_nil(addresses)
      assert.matches("name of a host", message)
    end
    local _, message = lookup(("a."):rep(127))
    assert.equal("no such name", message:match ": (.*)$" or message)
    _, message = lookup(("a."):rep(127) .. "b")
    assert.matches("longer than the 253 bytes", message)
    _, message = lookup "a\nb"
    assert.equal("a...: not the name of a host", message)
    _, message = lookup ""
    assert.equal("'': not the name of a host", message)
  end)

  it("refuses what is no name or no option", function()
    assert.has_error(function() resolve.lookup "a\0b" end, "NUL")
    assert.has_error(function() resolve.lookup(5) end, "string expected")
    assert.has_error(function() resolve.lookup("a", { famly = 4 }) end,
      "family")
    assert.has_error(function() resolve.lookup("a", { family = 5 }) end,
      "4 or 6")
    assert.has_error(function() resolve.lookup("a", { timeout = "x" }) end,
      "seconds")
  end)
end)

describe("resolve.lookup with a server", function()
  it("finds addresses of both families", function()
    name_server(zone { ["meter.lan"] = {
      { "A", "127.0.0.7" }, { "AAAA", "2001:db8::7" } } }, function()
      local addresses, seconds = resolve.lookup "meter.lan"
      table.sort(addresses)
      assert.same({ "127.0.0.7", "2001:db8::7" }, addresses)
      assert.near(60, seconds, 0.5)
    end)
  end)

  it("prefers what it has a way to", function()
    name_server(zone { ["meter.lan"] = {
      { "AAAA", "2001:db8::7" }, { "A", "127.0.0.7" } } }, function()
      assert.equal("127.0.0.7", resolve.lookup "meter.lan"[1])
    end)
  end)

  it("finds addresses of one family alone", function()
    name_server(zone { ["meter.lan"] = {
      { "A", "127.0.0.7" }, { "AAAA", "2001:db8::7" } } }, function(server)
      assert.equal("2001:db8::7", (lookup("meter.lan", { family = 6 })))
      assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
      assert.equal(1, asked(server, "A"))
    end)
  end)

  it("says that a name has no address of the family", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } },
      ["empty.lan"] = {} }, function()
      local _, message = lookup("meter.lan", { family = 6 })
      assert.equal("meter.lan: has no IPv6 address", message)
      _, message = lookup "empty.lan"
      assert.equal("empty.lan: has no address", message)
    end)
  end)

  it("says that there is no such name, and does not keep that", function()
    local names = {}
    name_server(zone(names), function()
      local _, message = lookup "meter.lan"
      assert.equal("meter.lan: no such name", message)
      names["meter.lan"] = { { "A", "127.0.0.7" } }
      assert.equal("127.0.0.7", (lookup "meter.lan"))
    end)
  end)

  it("names the server that fails, refuses or is silent", function()
    local rcode
    name_server(function() return rcode and { rcode = rcode } end,
      function(server)
        local who = "meter.lan: the name server 127.0.0.1:" .. server.port
        local _, message
        -- c-ares does not tell these from one that is not there.
        rcode = 2
        _, message = lookup "meter.lan"
        assert.equal(who .. " fails or cannot be reached", message)
        rcode = 5
        _, message = lookup "meter.lan"
        assert.equal(who .. " fails or cannot be reached", message)
        rcode = nil
        _, message = lookup("meter.lan", { timeout = 0.05 })
        assert.equal(who .. " did not answer within 0.05 s", message)
      end)
  end)

  it("asks a silent server again, and gives up", function()
    name_server(function() return nil end, function(server)
      local _, message = lookup("meter.lan", { family = 4 })
      assert.equal("meter.lan: the name server 127.0.0.1:" .. server.port ..
        " does not answer", message)
      assert.equal(4, #server.questions)
    end, { patience = 0.02 })
  end)

  it("says that a server cannot be reached", function()
    name_server(function() return nil end, function(server)
      local _, message = lookup("meter.lan", { family = 4 })
      assert.equal("meter.lan: the name servers 127.0.0.2:" .. server.port ..
        " and 127.0.0.3:" .. server.port .. " fail or cannot be reached",
        message)
    end, { resolv_conf = "nameserver 127.0.0.2\nnameserver 127.0.0.3\n" })
  end)

  it("asks the second server when the first is not there", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } }, function()
      assert.equal("127.0.0.7", (lookup "meter.lan"))
    end, { resolv_conf = "nameserver 127.0.0.2\nnameserver 127.0.0.1\n",
      patience = 0.05 })
  end)

  it("follows the chain of a name, and its shortest time", function()
    name_server(zone { ["meter.lan"] = {
      { "CNAME", "a.lan", ttl = 50 },
      { "CNAME", "b.lan", name = "a.lan", ttl = 20 },
      { "A", "127.0.0.7", name = "b.lan", ttl = 40 } } }, function()
      local addresses, seconds = lookup("meter.lan", { family = 4 })
      assert.equal("127.0.0.7", addresses)
      assert.near(20, seconds, 0.5)
    end)
  end)

  it("says that a chain ends without an address", function()
    name_server(zone { ["meter.lan"] = { { "CNAME", "a.lan" } } }, function()
      local _, message = lookup "meter.lan"
      assert.equal("meter.lan: has no address", message)
    end)
  end)

  it("asks by TCP for what a datagram cannot hold", function()
    name_server(function(question)
      if question.via == "udp" then
        return { truncated = true }
      end
      local answer = {}
      for i = 1, 100 do
        answer[i] = { "A", "127.0.1." .. i }
      end
      return answer
    end, function(server)
      local addresses = resolve.lookup("many.lan", { family = 4 })
      assert.equal(32, #addresses)
      assert.equal("tcp", server.questions[2].via)
    end)
  end)

  it("takes one family when the server is silent about the other", function()
    local silent
    name_server(function(question)
      local data = question.type == "A" and "127.0.0.7" or "2001:db8::7"
      return question.type ~= silent and { { question.type, data } } or nil
    end, function()
      silent = "AAAA"
      assert.equal("127.0.0.7", (lookup("four.lan", { timeout = 1 })))
      silent = "A"
      assert.equal("2001:db8::7", (lookup("six.lan", { timeout = 1 })))
    end, { patience = 0.2 }) -- all tries take 3 s
  end)

  it("leaves out what is there twice", function()
    name_server(zone { ["meter.lan"] = {
      { "A", "127.0.0.7" }, { "A", "127.0.0.7" } } }, function()
      assert.equal("127.0.0.7", (lookup "meter.lan"))
    end)
  end)

  it("looks in the search domains", function()
    name_server(zone { ["meter.site.lan"] = { { "A", "127.0.0.7" } } },
      function()
        assert.equal("127.0.0.7", (lookup "meter"))
        local _, message = lookup "meter."
        assert.equal("meter.: no such name", message)
      end,
      { resolv_conf = "nameserver 127.0.0.1\nsearch office.lan site.lan\n" })
  end)

  it("ignores letter case and who else asks", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        local found = task.each({ "meter.lan", "Meter.LAN", "meter.lan" },
          function(name) return (lookup(name, { family = 4 })) end)
        assert.same({ "127.0.0.7", "127.0.0.7", "127.0.0.7" }, found)
        assert.equal(1, #server.questions)
      end)
  end)

  it("asks for hundreds of names at once", function()
    name_server(function(question)
      return { { "A", "127.0." .. question.name:match "^n(%d+%.%d+)" } }
    end, function()
      local names = {}
      for i = 1, 600 do
        names[i] = string.format("n%d.%d.lan", i // 250, i % 250)
      end
      local found = task.each(names, function(name)
        return (assert(lookup(name, { family = 4, timeout = 20 })))
      end)
      for i = 1, 600 do
        assert.equal(string.format("127.0.%d.%d", i // 250, i % 250), found[i])
      end
    end)
  end)
end)

describe("a kept answer", function()
  it("is good for the time of the zone, within bounds", function()
    name_server(function(question)
      return { { "A", "127.0.0.7",
        ttl = math.tointeger(question.name:match "%d+") } }
    end, function()
      for name, expected in pairs { ["t0.lan"] = 1, ["t7.lan"] = 7,
        ["t9999.lan"] = 300, ["t4294967295.lan"] = 1 } do
        local _, seconds = resolve.lookup(name, { family = 4 })
        assert.near(expected, seconds, 0.01)
        local _, left = resolve.lookup(name, { family = 4 })
        assert.is_true(left <= seconds)
      end
    end)
  end)

  it("is not asked for again, until it is too old for who asks", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        for _ = 1, 3 do
          lookup("meter.lan", { family = 4, max_age = 60 })
        end
        assert.equal(1, #server.questions)
        lookup("meter.lan", { family = 4, max_age = 0 })
        assert.equal(2, #server.questions)
      end)
  end)

  it("follows a name that moves, when its time is over", timely(function()
    local names = { ["meter.lan"] = { { "A", "127.0.0.7", ttl = 1 } } }
    name_server(zone(names), function()
      assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
      names["meter.lan"] = { { "A", "127.0.0.8", ttl = 1 } }
      local moved = clock.monotonic()
      assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
      wait_for(function()
        return lookup("meter.lan", { family = 4 }) == "127.0.0.8"
      end)
      assert.near(1, clock.monotonic() - moved, 0.3)
    end)
  end))

  it("serves while the server is gone, and no longer", function()
    local there = true
    name_server(function()
      return there and { { "A", "127.0.0.7", ttl = 1 } } or { rcode = 2 }
    end, function()
      assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
      there = false
      assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
      wait_for(function()
        local _, message = lookup("meter.lan", { family = 4 })
        return tostring(message):find "fails or"
      end)
    end)
  end)
end)

describe("a question", function()
  it("ends with its timeout, and its late answer serves others",
    timely(function()
      name_server(function() return nil end, function(server)
        local addresses, message = lookup("meter.lan",
          { family = 4, timeout = 0.02 })
        assert.is_nil(addresses)
        assert.matches("within 0.02 s", message)
        server.answer(server.questions[1], { { "A", "127.0.0.7" } })
        assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
        assert.equal(1, #server.questions)
      end)
    end))

  it("ends with its task", timely(function()
    name_server(function() return nil end, function(server)
      local result, message = task.timeout(2, function()
        return resolve.lookup("meter.lan", { family = 4 })
      end)
      assert.is_nil(result)
      assert.matches("127.0.0.1:" .. server.port .. " did not answer", message)
      local function cancelled()
        task.all(
          function() resolve.lookup("other.lan", { family = 4 }) end,
          function()
            wait_for(function() return #server.questions == 2 end)
            error "enough"
          end)
      end
      assert.has_error(cancelled, "enough")
      server.answer(server.questions[2], { { "A", "127.0.0.8" } })
      assert.equal("127.0.0.8", (lookup("other.lan", { family = 4 })))
    end)
  end))

  it("takes an answer that came while the script computed", timely(function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        local found
        task.all(
          function()
            found = lookup("meter.lan", { family = 4, timeout = 0.05 })
          end,
          function()
            wait_for(function() return #server.questions == 1 end)
            local last = clock.monotonic() + 0.1
            while clock.monotonic() < last do
              math.random()
            end
          end)
        assert.equal("127.0.0.7", found)
      end)
  end))

  it("does not wait for a dead zone", timely(function()
    name_server(function(question)
      return question.name == "there.lan" and { { "A", "127.0.0.7" } } or nil
    end, function()
      local names = {}
      for i = 1, 200 do
        names[i] = "n" .. i .. ".dead.lan"
      end
      names[201] = "there.lan"
      local found = task.each(names, function(name)
        local timeout = name == "there.lan" and 2.5 or 5
        return lookup(name, { family = 4, timeout = timeout }) or false
      end)
      assert.is_false(found[1])
      assert.equal("127.0.0.7", found[201])
    end, { patience = 0.2 }) -- all tries take 3 s
  end))

  it("leaves its place when nobody waits for it", function()
    name_server(function(question)
      return question.name == "there.lan" and { { "A", "127.0.0.7" } } or nil
    end, function()
      for round = 1, 10 do
        local names = {}
        for i = 1, 100 do
          names[i] = string.format("r%d-%d.lan", round, i)
        end
        task.each(names, function(name)
          assert.is_nil((lookup(name, { family = 4, timeout = 0.01 })))
        end)
      end
      assert.equal("127.0.0.7", (lookup("there.lan", { family = 4 })))
    end)
  end)
end)

describe("a hostile answer", function()
  -- Asks once, with ANSWER(question) for the answer; it fails or is ignored.
  local function hostile(answer)
    name_server(answer, function()
      local addresses, message = lookup("meter.lan", { timeout = 0.2 })
      assert.is_nil(addresses)
      assert.matches("^meter.lan: the name server 127.0.0.1:%d+ ", message)
    end, { patience = 0.02 })
  end

  local function header(question, answers)
    return string.pack(">I2I2I2I2I2I2", question.id, 0x8180, 1, answers, 0, 0)
      .. question.bytes
  end

  it("is not believed when it is to another question", function()
    hostile(function(question)
      return { id = question.id ~ 1, { "A", "127.0.0.7" } }
    end)
    hostile(function(question)
      question.bytes = question.bytes:gsub("meter", "motor")
      return { { "A", "127.0.0.7" } }
    end)
  end)

  it("is refused with a loop in its names", function()
    hostile(function(question)
      local at = 0xc000 + #header(question, 1)
      return header(question, 1) .. string.pack(">I2I2I2I4s2", at, 1, 1, 60,
        "\127\0\0\7")
    end)
    hostile(function(question)
      return header(question, 1) .. string.pack(">I2I2I2I4s2", 0xffff, 1, 1, 60,
        "\127\0\0\7")
    end)
  end)

  it("is refused when it is cut off or random", function()
    local good
    hostile(function(question)
      good = header(question, 2) .. ("\xc0\x0c\0\1\0\1\0\0\0\60\0\4\127\0\0\7"):rep(2)
      return good:sub(1, -2)
    end)
    for seed = 1, 30 do
      hostile(function(question)
        math.randomseed(seed)
        local bytes = {}
        for i = 1, 1 + seed * 17 % 400 do
          bytes[i] = string.char(math.random(0, 255))
        end
        return header(question, math.random(0, 65535)) .. table.concat(bytes)
      end)
    end
  end)

  it("is refused when it is empty", function()
    hostile(function() return "" end)
  end)
end)

describe("the configuration", function()
  local function write(path, text)
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end

  it("is followed when it changes", function()
    name_server(zone { ["meter.b.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        assert.is_nil((lookup "meter"))
        write(server.resolv_conf, "nameserver 127.0.0.1\nsearch b.lan\n")
        wait_for(function() return lookup "meter" == "127.0.0.7" end)
      end, { resolv_conf = "nameserver 127.0.0.1\nsearch a.lan\n" })
  end)

  it("has its answers forgotten when it changes", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7", ttl = 300 } } },
      function(server)
        lookup("meter.lan", { family = 4 })
        write(server.resolv_conf, "nameserver 127.0.0.1\n# another\n")
        wait_for(function()
          assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
          return #server.questions == 2
        end)
      end)
  end)

  it("is followed by questions that are open", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        local found
        task.all(
          function() found = lookup("meter.lan", { timeout = 10 }) end,
          function()
            write(server.resolv_conf, "nameserver 127.0.0.1\n")
            wait_for(function()
              lookup("other.lan", { timeout = 0.01 })
              return found
            end)
          end)
        assert.equal("127.0.0.7", found)
      end, { resolv_conf = "nameserver 192.0.2.1\n" })
  end)

  it("can leave out name servers", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        local _, message = lookup "meter.lan"
        assert.equal("meter.lan: no such name", message)
        assert.equal(0, #server.questions)
      end, { nsswitch = "# nothing\nhosts:\tfiles # dns\n" })
  end)

  it("can name other sources, which are asked last", function()
    name_server(zone { ["meter.lan"] = { { "A", "127.0.0.7" } } },
      function(server)
        assert.equal("127.0.0.7", (lookup("meter.lan", { family = 4 })))
        -- getaddrinfo() reads the real files, in which this is no name.
        local _, message = lookup("meter.invalid", { timeout = 0.5 })
        assert.matches("^meter.invalid: ", message)
        local n = #server.questions
        lookup("meter.local", { timeout = 0.5 })
        assert.equal(n, #server.questions)
      end, { nsswitch = "hosts: files mdns4 [NOTFOUND=return dns] dns\n" })
  end)
end)
