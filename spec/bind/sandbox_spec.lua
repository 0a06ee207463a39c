-- SPDX-License-Identifier: Apache-2.0
-- What a script that is not trusted finds, and the ways out that it may try.

local host = require "host"

local serve = dofile "spec/bind/stand_in.lua"

local MIB <const> = 1 << 20

-- Runs SOURCE in a sandbox from which it may go to `allow`.
local function run(source, allow, options)
  options = options or {}
  options.sandbox, options.allow = true, allow
  return host.run(source, options)
end

-- What SOURCE fails with.
local function refusal(source, allow)
  local result, message = run(source, allow)
  assert.is_nil(result)
  return message
end

local function says(expected, source, allow)
  assert.equal(expected, run(source, allow))
end

local NOT_ALLOWED <const> = "not allowed in the sandbox (allow = {...})"

describe("a sandbox", function()
  it("says of globals that they are not there", function()
    for _, name in ipairs { "io", "dofile", "loadfile" } do
      assert.equal("script:1: " .. name .. " is not available in a sandbox",
        refusal("return " .. name))
      says("nil", ("return tostring(rawget(_G, %q))"):format(name))
    end
  end)

  it("says of functions that they are not there", function()
    local absent = {
      os = { "execute", "exit", "getenv", "remove", "rename", "setlocale",
        "tmpname" },
      debug = { "debug", "gethook", "getlocal", "getmetatable", "getregistry",
        "getupvalue", "getuservalue", "sethook", "setlocal", "setmetatable",
        "setupvalue", "setuservalue", "upvalueid", "upvaluejoin",
        "setcstacklimit" },
      package = { "config", "cpath", "loadlib", "path", "searchers",
        "searchpath" },
    }
    for library, names in pairs(absent) do
      for _, name in ipairs(names) do
        local full = library .. "." .. name
        assert.equal("script:1: " .. full .. " is not available in a sandbox",
          refusal("return " .. full))
      end
    end
    says("nil", "return type(string.dump)")
  end)

  it("has exactly these globals and functions of libraries", function()
    local names = [[
      local list = {}
      for name in pairs(%s) do list[#list + 1] = name end
      table.sort(list)
      return table.concat(list, " ")
    ]]
    says("_G _VERSION assert collectgarbage coroutine debug error "
      .. "getmetatable ipairs load math next os package pairs pcall print "
      .. "rawequal rawget rawlen rawset require select setmetatable string "
      .. "table tonumber tostring type utf8 warn xpcall", names:format "_G")
    says("clock date difftime time", names:format "os")
    says("getinfo traceback", names:format "debug")
    says("loaded preload", names:format "package")
    says("_G coroutine debug json math os package string table utf8",
      names:format "package.loaded")
    says("clock http http.answer http.call http.client http.common http.gate "
      .. "http.options http.url http_client icmp json log metric protobuf "
      .. "push push.families push.labels push.options push.path resolve "
      .. "session task turn udp value xml", names:format "package.preload")
  end)

  it("has the modules that touch nothing outside", function()
    for _, name in ipairs { "clock", "http", "icmp", "json", "log", "metric",
      "protobuf", "push", "resolve", "session", "task", "udp", "value", "xml",
    } do
      says("table", ("return type(require %q)"):format(name))
    end
    says('{"a":[1,2]}', 'return require "json".encode { a = { 1, 2 } }')
    says("b", 'return require "xml".parse "<a>b</a>":text()')
  end)

  it("has no other modules, no files and no C modules", function()
    for _, name in ipairs { "files", "process", "io", "cjson", "cjson.safe",
      "argparse", "cli", "cli.script", "pusher", "test", "host", "exporter",
      "remote_write", "names", "tcp", "socket", "lfs", "spec.bind.stand_in",
      "../spec/bind/stand_in", "/etc/passwd", "", "a\0b",
    } do
      assert.matches("is not available in a sandbox, nor are files and C "
        .. "modules$", refusal(("return require(%q)"):format(name)))
    end
    assert.matches("^script:2: module 'files'",
      refusal "\nreturn require 'files'")
  end)

  it("does not look at paths", function()
    local folder = assert(os.getenv "PWD")
    local message = select(2, host.run("return require 'stand_in'", {
      sandbox = true, path = folder .. "/spec/bind/?.lua" }))
    assert.matches("^script:1: module 'stand_in' is not available", message)
  end)

  it("refuses a list that it does not understand", function()
    assert.equal("'http://a': expected a port, 1 to 65535, behind the last "
      .. "colon", refusal("return 1", { "http://a" }))
  end)
end)

describe("a way out of a sandbox", function()
  it("is not code that was compiled before", function()
    says("nil attempt to load a binary chunk (mode is 't')", [[
      local good, message = load("\27Lua", "x", "b")
      return tostring(good) .. " " .. message
    ]])
    says("nil", [[return tostring(load(function() return nil end, "=x", "b")
      and nil)]])
  end)

  it("is not another environment, or another name of a chunk", function()
    says("nil nil", [[
      local inside = load("return io", "@/usr/share/lua/5.4/x.lua")
      local apart = load("return io", "=x", "t", {})
      return tostring(select(2, pcall(inside)) and nil) .. " "
        .. tostring(apart())
    ]])
  end)

  it("is not what require works with", function()
    assert.matches("^script:%d+: module 'files' is not available", refusal [[
      package.searchers = { function() return function() return "x" end end }
      package.path, package.cpath = "/?.lua", "/?.so"
      package.loaded.package.path = "/?.lua"
      return require "files"
    ]])
    assert.matches("^script:%d+: module 'cjson' is not available", refusal [[
      package.preload.cjson = nil
      package.loaded.cjson = nil
      return require "cjson"
    ]])
    assert.matches("is not available", refusal [[
      package.loaded.json, package.preload.json = nil, nil
      return require "json"
    ]])
  end)

  it("is not a metatable", function()
    says("false false false false false", [[
      local udp = getmetatable(require "metric".gauge { "x" })
      return table.concat({ tostring(getmetatable(_G)),
        tostring(getmetatable(os)), tostring(getmetatable(package)),
        tostring(getmetatable(debug)),
        tostring(type(udp) == "table" and udp.__gc or false) }, " ")
    ]])
    assert.matches("protected metatable", refusal "setmetatable(_G, {})")
    assert.matches("protected metatable", refusal "setmetatable(os, nil)")
  end)

  it("is not a function of the host on the stack", function()
    for _, fields in ipairs { "f", "Slf", "L", ">f", ">S" } do
      assert.matches("in a sandbox", refusal(
        ("return debug.getinfo(1, %q).func"):format(fields)))
    end
    says("nil", "return tostring(debug.getinfo(1).func)")
    says("nil", "return tostring(debug.getinfo(math.maxinteger))")
    says("1 3", "local function line() return debug.getinfo(2, 'l') end\n"
      .. "local here = debug.getinfo(coroutine.running(), 1, 'l')\n"
      .. "return (here.currentline - 1) .. ' ' .. line().currentline")
  end)

  it("is not a coroutine, a finalizer, a closed variable or a handler",
    function()
      says("io io io io", [[
        local seen = {}
        local function try()
          local _, message = pcall(function() return io end)
          seen[#seen + 1] = message:match "(%w+) is not available"
        end
        coroutine.wrap(try)()
        setmetatable({}, { __gc = try })
        collectgarbage()
        do local _ <close> = setmetatable({}, { __close = try }) end
        xpcall(error, try)
        return table.concat(seen, " ")
      ]])
    end)

  it("is not the memory or the time of the host", function()
    local _, message, code = run('return ("x"):rep(1 << 30)')
    assert.equal("limit", code, message)
    _, message, code = run("while true do pcall(function() end) end", nil,
      { slice = 0.05 })
    assert.equal("limit", code, message)
    _, message = run([[
      local t = {}
      while true do t = { t, ("x"):rep(1000) .. #t } end
    ]], nil, { memory = 2 * MIB })
    assert.matches("memory limit of 2 MiB exceeded", message, 1, true)
    assert.matches("cannot be stopped", refusal "collectgarbage 'stop'")
  end)

  it("is not all the files that the process may have open", function()
    local source = [[
      local task, udp = require "task", require "udp"
      local driver = require "http_client"
      local kept, message = {}
      while true do
        local made, why = %s
        if not made then message = why break end
        kept[#kept + 1] = made
        if #kept % 100 == 0 then task.sleep(0) end
      end
      return message
    ]]
    assert.matches("^http: no client: more than half of the open files",
      run((source:gsub("%%s", "driver.new(false, 1)"))))
    assert.matches("^udp more than half of the open files",
      run((source:gsub("%%s", "udp.connect('127.0.0.1', 9)")),
        { "127.0.0.1" }))
  end)

  it("is not an entity of XML, nor its document()", function()
    local source = [[
      local xml = require "xml"
      local text = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' ..
        '<a>&e;</a>'
      local tree, message = xml.parse(text)
      return tree and tree:text() or message
    ]]
    assert.is_nil(run(source):find("root:", 1, true))
  end)

  it("is not a schema that imports", function()
    assert.matches("files are not available in a sandbox",
      refusal 'return require "protobuf".load "spec/x.proto"')
    assert.matches("files are not available in a sandbox", run [[
      local _, message = require "protobuf".load(
        'syntax = "proto3"; import "passwd";', { paths = "/etc" })
      return message
    ]])
  end)

  -- A script can require what http is made of, and give it anything.
  it("is not an argument that http's own parts do not expect", function()
    says("table expected, got string|table expected, got number", [[
      local driver = require "http_client"
      local client, said = driver.new(false, 1), {}
      for i, headers in ipairs { ("A"):rep(64), 5 } do
        said[i] = select(2, pcall(client.send, client, "GET",
          "http://127.0.0.1:1/", headers, nil, 1, {}, {})):match "table ex[^)]*"
      end
      return table.concat(said, "|")
    ]])
    says("table expected, got string", [[
      return (select(2, pcall(require "http_client".nearest, "a", "abcdef"))
        :match "table ex[^)]*")
    ]])
    assert.matches("table expected, got string", refusal [[
      return require "http_client".new(false, 1):send("GET", "http://a/", {},
        nil, 1, "options", {})
    ]])
  end)

  it("is not an option that nothing keeps alive", function()
    says("0", [[
      local asked = 0
      local options = setmetatable({}, { __index = function(_, key)
        asked = asked + 1
        collectgarbage()
        return key == "user" and ("u"):rep(1000) .. asked or nil
      end })
      require "http_client".new(false, 1):send("GET", "http://127.0.0.1:1/", {},
        nil, 1, options, options)
      return tostring(asked)
    ]])
  end)

  it("is not a turn that two tasks wait for", function()
    assert.matches("another task waits for this turn", refusal [[
      local turn, task = require "turn".new(), require "task"
      task.all(function() turn:wait(1) end, function() turn:wait(1) end)
    ]])
    says("twice", [[
      local turn, task = require "turn".new(), require "task"
      task.timeout(0.01, function() turn:wait(10) end)
      turn:wait(0.01)
      task.all(function() turn:wait(10) end, function() turn:call() end)
      return "twice"
    ]])
  end)

  it("is not value.read", function()
    assert.matches("module 'files' is not available in a sandbox", refusal [[
      return require "value".read("/etc/passwd", {}, {})
    ]])
  end)
end)

describe("the network of a sandbox", function()
  -- GETs of URLS from a sandbox: what each says.
  local function get(allow, ...)
    local calls = {}
    for i, url in ipairs { ... } do
      calls[i] = ("say(%q)"):format(url)
    end
    return run([[
      local http = require "http"
      local said = {}
      local function say(url)
        local answer, message = http.get(url)
        said[#said + 1] = answer and answer.body
          or message:gsub("^GET %S+ ", "")
      end
    ]] .. table.concat(calls, "\n") .. '\nreturn table.concat(said, "|")',
      allow)
  end

  local function answering(body)
    serve(function(request)
      local to = request.path:match "^/to/(.*)$"
      if to then
        return { status = 302, headers = { Location = to } }
      end
      return { body = "here" }
    end, body)
  end

  it("is nowhere without a list", function()
    answering(function(stand)
      assert.equal(("127.0.0.1:%d: " .. NOT_ALLOWED):format(stand.port),
        get(nil, stand.url .. "/"))
      assert.equal(0, stand.connections)
    end)
  end)

  it("is where the list says, by number and by name", function()
    answering(function(stand)
      local port = stand.port
      assert.equal("here|here", get({ "127.0.0.1", "localhost:" .. port },
        stand.url .. "/", ("http://localhost:%d/"):format(port)))
      assert.equal(("localhost:%d: " .. NOT_ALLOWED):format(port),
        get({ "127.0.0.1", "localhost:1" },
          ("http://localhost:%d/"):format(port)))
      assert.equal("here", get({ "127.0.0.0/8:" .. port },
        ("http://user@127.0.0.1:%d/"):format(port)))
    end)
  end)

  it("knows every spelling of an address", function()
    answering(function(stand)
      for _, spelling in ipairs { "127.1", "0x7f.1", "0177.0.0.1",
        "2130706433", "0", "0.0.0.0", "127.0.0.2", "[::ffff:127.0.0.1]",
        "[::]", "[::1]", "LOCALHOST", "localhost.", "a.localhost",
        "10.0.0.1@127.0.0.1", "%31%32%37.0.0.1", "127.0.0.1.",
        "１２７.0.0.1", "①②⑦.0.0.1",
      } do
        get({ "10.0.0.1", "good.example.com" },
          ("http://%s:%d/"):format(spelling, stand.port))
      end
      assert.equal(0, stand.connections)
    end)
  end)

  it("does not bring more at a time than the memory of the script",
    function()
      local large = ("x"):rep(MIB)
      serve(function() return { body = large } end, function(stand)
        local source = ([[
          local http, task = require "http", require "task"
          local client = http.client { connections = 100 }
          local MANY = {}
          for i = 1, 40 do MANY[i] = i end
          local LARGE <const> = ("x"):rep(1 << 20)
          local good, said = 0, "nothing"
          local function count()
            task.each(MANY, function()
              local answer, message = client:%%s
              good = good + (answer and 1 or 0)
              said = message or said
              return answer and true
            end)
          end
          count()
          local last = client:get(%q)
          return (said:match "more than %%%%d+ bytes of bodies" or said) .. " "
            .. tostring(last and #last.body)
        ]]):format(stand.url)
        local options = { memory = 6 * MIB }
        assert.equal("more than 6291456 bytes of bodies 1048576",
          run(source:format(("post(%q, { body = LARGE })"):format(stand.url)),
            { "127.0.0.1" }, options))
      end)
    end)

  it("sees where redirects lead", function()
    answering(function(stand)
      local port = stand.port
      local other = ("http://localhost:%d/"):format(port)
      assert.equal("here", get({ "127.0.0.1", "localhost" },
        stand.url .. "/to/" .. other))
      local before = stand.connections
      assert.matches("^localhost:%d+: not allowed in the sandbox "
        .. "%(allow = {...}%) %(after a redirect to",
        get({ "127.0.0.1" }, stand.url .. "/to/" .. other))
      assert.equal(before + 1, stand.connections)
      assert.matches("^127.0.0.2:%d+: not allowed", get({ "127.0.0.1" },
        stand.url .. ("/to/http://127.0.0.2:%d/"):format(port)))
      assert.matches("something else than http", get({ "127.0.0.1" },
        stand.url .. "/to/file:///etc/passwd"))
    end)
  end)

  it("does not let a name lead to this machine", function()
    answering(function(stand)
      local port = stand.port
      assert.matches("^evil.localhost:%d+: [%d.:]+, where it leads, is not "
        .. "allowed", get({ "evil.localhost" },
        ("http://evil.localhost:%d/"):format(port)))
      assert.equal(0, stand.connections)
      assert.equal("here", get({ "evil.localhost", "127.0.0.1" },
        ("http://evil.localhost:%d/"):format(port)))
    end)
  end)

  it("has no files, proxies and unix sockets, however they are said",
    function()
      for _, name in ipairs { "ca_file", "cert_file", "key_file", "proxy",
        "unix_socket" } do
        local expected = "option '" .. name .. "' is not available in a sandbox"
        for _, call in ipairs {
          "http.get('https://a/', { %s = '/etc/passwd' })",
          "http.client { %s = '/etc/passwd' }",
          "require 'push'.send('http://a', '', { job = 'x', "
            .. "%s = '/etc/passwd' })",
        } do
          assert.equal("script:2: " .. expected, refusal(
            "local http = require 'http'\nlocal _ = " .. call:format(name)))
        end
      end
    end)

  it("does not rely on Lua for that", function()
    answering(function(stand)
      local message = run(([[
        local driver = require "http_client"
        driver.in_sandbox = function() return false end
        local http, said = require "http", {}
        for _, name in ipairs { "ca_file", "cert_file", "key_file", "proxy",
          "unix_socket" } do
          local _, message = http.get(%q, { [name] = "/etc/passwd" })
          said[#said + 1] = message:match "the option '([%%w_]+)' is not "
        end
        local client = driver.new(false, 1)
        said[#said + 1] = select(2, client:send("GET", "http://127.0.0.9/", nil,
          nil, 5, {}, {}))
        return table.concat(said, " ")
      ]]):format(stand.url), { "127.0.0.1" })
      assert.equal("ca_file cert_file key_file proxy unix_socket "
        .. "GET http://127.0.0.9/: 127.0.0.9:80: " .. NOT_ALLOWED, message)
      assert.equal(0, stand.connections)
    end)
  end)

  it("goes where the connection goes, not where TLS looks", function()
    answering(function(stand)
      local message = run(([[
        local _, message = require "http".get("https://127.0.0.1:%d/",
          { server_name = "good.example.com", insecure = true })
        return message
      ]]):format(stand.port), { "good.example.com" })
      assert.matches("127.0.0.1:%d+: not allowed", message)
      assert.equal(0, stand.connections)
    end)
  end)

  it("asks only for names of the list", function()
    says("secret.evil.example: " .. NOT_ALLOWED, [[
      return (select(2, require "resolve".lookup "secret.evil.example"))
    ]], { "*.good.example", "10.0.0.0/8" })
    says("192.0.2.1", [[
      return require "resolve".lookup "192.0.2.1"[1]
    ]])
    says("127.0.0.1", [[
      return require "resolve".lookup("localhost", { family = 4 })[1]
    ]], { "localhost:80" })
  end)

  it("is the same for UDP", function()
    local udp = require "udp"
    local server <close> = assert(udp.listen("127.0.0.1", 0))
    local source = ([[
      local udp = require "udp"
      local socket, message = udp.connect(%%q, %d)
      return socket and tostring(socket:send "x") or message
    ]]):format(server:port())
    local number = source:format "127.0.0.1"
    local name = source:format "localhost"
    says(("udp 127.0.0.1:%d: " .. NOT_ALLOWED):format(server:port()), number)
    says("true", number, { "127.0.0.1:" .. server:port() })
    says("localhost: " .. NOT_ALLOWED, name, { "127.0.0.1" })
    says(("udp localhost:%d: " .. NOT_ALLOWED):format(server:port()), name,
      { "localhost:1" })
    says("true", name, { "localhost" })
    local evil = source:format "evil.localhost"
    assert.matches("^udp evil.localhost:%d+: [%d.:]+, where it leads, is not ",
      run(evil, { "evil.localhost" }))
    assert.equal(2, server:drain())
  end)

  it("has a UDP server only where the list says so", function()
    local source = [[
      local udp = require "udp"
      local server, message = udp.listen("127.0.0.1", %d)
      if not server then return message end
      local sent, why = server:send("x", "127.0.0.1:9")
      return sent and "sent" or why
    ]]
    says("udp listen:15000: " .. NOT_ALLOWED, source:format(15000),
      { "127.0.0.1" })
    says("udp listen:0: " .. NOT_ALLOWED, source:format(0), { "listen:15000" })
    says("udp 127.0.0.1:9: " .. NOT_ALLOWED, source:format(15000),
      { "listen:15000", "127.0.0.1:10" })
    says("sent", source:format(15000), { "listen:15000", "127.0.0.1" })
  end)

  it("is the same for echoes, which have no ports", function()
    local source = [[
      local icmp = require "icmp"
      local reply, message, reason = icmp.echo(%q, { family = 4 })
      return reply and reply.address or message .. " (" .. reason .. ")"
    ]]
    says("ping 127.0.0.1: " .. NOT_ALLOWED .. " (denied)",
      source:format "127.0.0.1", { "127.0.0.1:80" })
    says("127.0.0.1", source:format "127.0.0.1", { "127.0.0.1" })
    says("127.0.0.1", source:format "localhost", { "localhost" })
    says("ping localhost: " .. NOT_ALLOWED .. " (name)",
      source:format "localhost", { "127.0.0.1" })
    says("127.0.0.1: " .. NOT_ALLOWED .. "; 127.0.0.2 answers", [[
      local icmp = require "icmp"
      local rtts, failures = icmp.sweep { "127.0.0.1", "127.0.0.2" }
      return failures[1]:gsub("^ping ", "") .. "; "
        .. (rtts[2] and "127.0.0.2 answers" or "nobody answers")
    ]], { "127.0.0.2" })
    says("ping 127.0.0.1: " .. NOT_ALLOWED, [[
      local icmp = require "icmp"
      return (select(2, icmp.series("127.0.0.1", { count = 1 })))
    ]])
  end)
end)
