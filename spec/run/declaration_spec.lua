-- SPDX-License-Identifier: Apache-2.0
-- The table that a script returns: what is refused, and how it is told.

local exporter = require "exporter"

local function refused(text, message)
  local e, err = exporter.load(text)
  assert.is_nil(e)
  assert.matches(message, err)
end

local function with(line)
  return string.format([[
local metric = require "metric"
return {
  name = "spec",
  metrics = { x_a = metric.gauge "A." },
  %s,
  collect = function(m) m.x_a:set(1) end,
}
]], line)
end

describe("a script", function()
  it("that cannot be read is named", function()
    refused("/nowhere/x.lua",
      "^cannot read /nowhere/x%.lua: No such file or directory$")
  end)

  it("with a syntax error is told with its line", function()
    refused("return {\n  name = \n}\n", ":3: unexpected symbol near '}'")
  end)

  it("that raises while it loads is told with its line", function()
    refused("local x = nil\nreturn x.y\n", ":2: attempt to index a nil value")
  end)

  it("that requires what is not there is told in one line", function()
    refused("require 'nonesuch'\n", ":1: module 'nonesuch' not found$")
  end)

  it("must return a table", function()
    refused("local x = 1\nreturn x\n",
      ": a script returns a table, its declaration; this one returns number$")
    refused("local x\n", "this one returns nothing$")
  end)

  it("cannot wait while it loads", function()
    refused([[
require "task".sleep(1)
return { collect = function() end }
]], "I/O is not possible here")
  end)

  it("cannot loop for ever while it loads", function()
    refused("local x = 0\nwhile true do x = x + 1 end\nreturn {}\n",
      "ran for more than 1 s without")
  end)

  it("that never ends is given up", function()
    refused("/dev/zero", "^cannot read /dev/zero: it is larger than %d+ bytes$")
  end)

  it("cannot hide behind a metatable", function()
    refused([[
return setmetatable({
  name = "spec",
  collect = function() end,
}, { __index = { metrics = 5 } })
]], ": the declaration cannot have a metatable$")
  end)

  it("needs something to do", function()
    refused("return { name = 'spec',\n}\n",
      ": none of 'collect', 'start', 'probe' and 'routes' is there$")
  end)
end)

describe("the text of a script", function()
  local rest = [[
local metric = require "metric"
return {
  name = "spec",
  metrics = { x_a = metric.gauge "A." },
  collect = function(m) m.x_a:set(1) end,
}
]]

  it("may begin with a byte order mark and a line for the kernel", function()
    for _, first in ipairs { "\u{FEFF}", "#!/usr/bin/env lunex\n",
      "\u{FEFF}#!/usr/bin/env lunex\n" } do
      local e <close> = assert(exporter.load(first .. rest))
      assert.is_true(e:collect())
    end
    refused("#!/usr/bin/env lunex\nreturn 5 +\n", ":3: unexpected symbol")
  end)

  it("may require a module beside it", function()
    local folder = os.tmpname()
    os.remove(folder)
    local script, neighbour = folder .. ".lua", folder .. "_b.lua"
    local function write(path, text)
      local file <close> = assert(io.open(path, "w"))
      file:write(text)
    end
    write(neighbour, "return { answer = 42 }\n")
    write(script, ("local b = require %q\n"):format(
      neighbour:match "([^/]+)%.lua$") .. rest:gsub("set%(1%)",
      "set(b.answer)"))
    local e <close> = assert(exporter.load(script))
    assert.is_true(e:collect())
    assert.matches("\nx_a 42\n", e:page())
    os.remove(script)
    os.remove(neighbour)
  end)

  it("is no binary", function()
    refused("\27Lua\n", ": this is no Lua text$")
  end)

  it("that asks for what a module does not have is told", function()
    refused("require \"udp\".conect()\nreturn {}\n",
      ":1: udp has no 'conect'; did you mean 'connect'%?")
    refused("return {\n collect = require \"task\".frobnicate,\n}\n",
      ":2: task has no 'frobnicate'$")
  end)
end)

describe("a key", function()
  it("that is unknown is told with line and the nearest", function()
    refused(with("intervall = 3"),
      ":5: unknown key 'intervall'; did you mean 'interval'%?")
    refused(with("zzz = 3"), ":5: unknown key 'zzz'$")
    refused(with("limits = { memroy = 1 }"),
      ":5: unknown key 'memroy' in 'limits'; did you mean 'memory'%?")
    refused(with("config = { a = { 1, hepl = 'x' } }"),
      ":5: unknown key 'hepl' in 'a'; did you mean 'help'%?")
  end)

  it("of the wrong type is told with its line", function()
    refused(with("timeout = true"),
      ":5: 'timeout': expected seconds, .* got boolean")
    refused(with("listen = 8000"), ":5: 'listen': expected a string")
    refused(with("labels = { site = 5 }"),
      ":5: 'labels%.site': expected a string, got number")
    refused(with("config = { port = 5 }"),
      ":5: 'config%.port': expected a table such as")
    refused(with("config = { port = { 5, type = 'int' } }"),
      ":5: 'config%.port': type is one of string, integer")
  end)

  it("that names a flag of the host anew is looked at", function()
    assert(exporter.load(
      with("flags = { listen = 'web-endpoint.2', log_level = 'v' }"))):close()
    refused(with("flags = { listne = 'endpoint' }"),
      ":5: unknown key 'listne' in 'flags'; did you mean 'listen'%?")
    for _, name in ipairs { "5", "true", "''", "'--path'", "'a b'", "'a=b'",
      "'a\\0b'", "'5'" } do
      refused(with("flags = { listen = " .. name .. " }"),
        ":5: 'flags%.listen': expected the name of a flag, such as \"endpoint\"")
    end
  end)

  it("that holds a time may be a number or have a unit", function()
    for _, time in ipairs { "3", "'3'", "'3s'", "'500ms'", "'1m'", "'2h'",
      "'1m30s'", "'1d'" } do
      local e <close> = assert(exporter.load(with("timeout = " .. time)))
      assert.is_true(e:collect())
    end
    for _, time in ipairs { "0", "-1", "'3 parsecs'", "'3s3'", "''", "1/0" } do
      refused(with("timeout = " .. time), ":5: 'timeout': expected seconds")
    end
  end)
end)

describe("name", function()
  it("must be able to begin a metric's name", function()
    refused("return {\n name = 'my exporter',\n collect = function() end }\n",
      ":2: 'name': 'my exporter' cannot begin the name of a metric")
  end)
end)

describe("collect", function()
  it("with named parts fails part by part", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
return {
  name = "spec",
  metrics = { x_a = metric.gauge "A.", x_b = metric.gauge "B." },
  collect = {
    a = function(m) m.x_a:set(1) end,
    b = function(m) m.x_b:set(1) error("b is down") end,
  },
}
]]))
    assert.is_false(e:collect())
    local page = e:page()
    assert.matches("\nx_a 1\n", page)
    assert.is_nil(page:find("x_b", 1, true))
    assert.matches('spec_scrape_success{part="a"} 1\n', page)
    assert.matches('spec_scrape_success{part="b"} 0\n', page)
    assert.matches("spec_up 0\n", page)
    assert.is_nil(page:find("last_success", 1, true))
  end)

  it("refuses a part that is no function", function()
    refused("return { name = 'spec',\n collect = { a = 5 } }\n",
      ":2: 'collect%.a': expected a function, got number")
    refused("return { name = 'spec',\n collect = {} }\n",
      ":2: 'collect': the table has no parts")
  end)

  it("ends at the deadline and serves the parts that are done", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
local task = require "task"
return {
  name = "spec",
  timeout = 0.1,
  metrics = { x_fast = metric.gauge "F.", x_slow = metric.gauge "S." },
  collect = {
    fast = function(m) m.x_fast:set(1) end,
    slow = function(m) m.x_slow:set(1) task.sleep(3600) end,
  },
}
]]))
    assert.is_false(e:collect())
    assert.matches("\nx_fast 1\n", e:page())
    assert.is_nil(e:page():find("x_slow", 1, true))
  end)
end)

describe("nil and a message", function()
  local function failed(collect, message)
    local e <close> = assert(exporter.load(string.format([[
local metric = require "metric"
return {
  name = "spec",
  metrics = { spec_x = metric.gauge "X." },
  collect = function(m) m.spec_x:set(1) %s end,
}
]], collect)))
    local ok, reason = e:collect()
    assert.equal(message == nil, ok)
    assert.equal(message, reason)
    assert.equal(message == nil, e:page():find("spec_x 1\n", 1, true) ~= nil)
  end

  it("that collect returns are its failure", function()
    failed("return nil, 'the world is dark'", "the world is dark")
  end)

  it("are no failure when they are something else", function()
    failed "return nil"
    failed "return true, 'fine'"
    failed "return nil, 7"
  end)
end)

describe("the host's metrics", function()
  it("take the help text of a script that declares them", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
return {
  name = "spec",
  metrics = { spec_up = metric.gauge "Was the last query successful." },
  collect = function() end,
}
]]))
    assert.is_true(e:collect())
    assert.matches("# HELP spec_up Was the last query successful%.\n", e:page())
    assert.matches("\nspec_up 1\n", e:page())
    assert.matches("\nspec_last_success_timestamp_seconds %d", e:page())
    assert.matches('\nspec_scrape_duration_seconds{part="collect"} ', e:page())
  end)

  it("cannot be declared in another form", function()
    refused([[
local metric = require "metric"
return {
  name = "spec",
  metrics = { spec_up = metric.counter "Up." },
  collect = function() end,
}
]], ":4: spec_up is set by the host; declare it as a gauge without labels")
  end)
end)

describe("config", function()
  local script = [[
local metric = require "metric"
return {
  name = "spec",
  config = { host = { "localhost" }, port = { 5000 }, other = {} },
  metrics = { x_info = metric.info { "I.", labels = { "host", "port" } } },
  collect = function(m, config)
    assert(config.other == nil)
    m.x_info:set(1, config.host, config.port)
    if config.host == "typo" then
      return config.prot
    end
    if config.host == "set" then
      config.port = 1
    end
  end,
}
]]

  it("has the defaults where nothing is given", function()
    local e <close> = assert(exporter.load(script, { port = 5001 }))
    assert.is_true(e:collect())
    assert.matches('x_info{host="localhost",port="5001"} 1', e:page())
  end)

  it("is strict", function()
    local e <close> = assert(exporter.load(script, { host = "typo" }))
    assert.is_false(e:collect())
    local f <close> = assert(exporter.load(script, { host = "set" }))
    assert.is_false(f:collect())
    local g, err = exporter.load(script, { prot = 1 })
    assert.is_nil(g)
    assert.matches("no configuration key 'prot'", err)
  end)

  it("wants what is required", function()
    refused([[
return {
  name = "spec",
  config = { token = { required = true } },
  collect = function() end,
}
]], "spec: 'token' must be given")
  end)
end)

describe("a name", function()
  it("is not longer than 200 bytes", function()
    refused([[
return {
  name = ("a"):rep(201),
  collect = function() end,
}
]], ":2: 'name': longer than 200 bytes$")
    local e <close> = assert(exporter.load([[
return {
  name = ("a"):rep(200),
  collect = function() end,
}
]]))
    assert.is_true(e:collect())
    assert.matches("\n" .. ("a"):rep(200) .. "_up 1\n", e:page())
  end)

  it("has no zero byte", function()
    refused(with [[landing = "a\0b"]],
      ":5: 'landing': expected text without a zero byte")
  end)
end)

describe("a constant label", function()
  it("has the name of a label", function()
    refused(with [[labels = { [""] = "x" }]],
      ":5: 'labels%.' is not the name of a label")
    refused(with [[labels = { __a = "x" }]],
      ":5: 'labels%.__a' is not the name of a label")
  end)

  it("has a text as its value", function()
    refused(with [[labels = { a = 1 }]],
      ":5: 'labels%.a': expected a string, got number")
    refused(with [[labels = { a = "x\0y" }]],
      ":5: 'labels%.a': expected text without a zero byte")
  end)

  it("is one of 1 024 at most", function()
    refused([[
local labels = {}
for i = 1, 1025 do labels["l" .. i] = "x" end
return {
  labels = labels,
  collect = function() end,
}
]], ":4: 'labels': more than 1024$")
  end)

  it("cannot be one that the host gives", function()
    refused(with [[labels = { part = "x" }]],
      "^/tmp/.*: spec_scrape_.*: label name 'part' is given twice, once as " ..
        "constant label$")
  end)
end)

describe("limits", function()
  it("are refused when they are none", function()
    refused(with [[limits = { cpu = 1e10 }]], ":5: 'limits%.cpu': expected")
    refused(with [[limits = { cpu = 0 }]], ":5: 'limits%.cpu': expected")
    refused(with [[limits = { memory = 0/0 }]],
      ":5: 'limits%.memory': expected a number above 0")
    refused(with [[limits = { series = "7" }]],
      ":5: 'limits%.series': expected a number above 0, got string")
    refused(with [[limits = { body = 2^31 }]],
      ":5: 'limits%.body': expected bytes above 0, at most 1 GiB")
    refused(with [[limits = { operations = 0.5 }]],
      ":5: 'limits%.operations': expected a number above 0")
  end)

  it("of series leave room for what the host says", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
return {
  name = "spec",
  limits = { series = 2 },
  metrics = { x_a = metric.counter { "A.", labels = { "l" } } },
  collect = function(m)
    for i = 1, 3 do m.x_a:inc(1, i) end
  end,
}
]]))
    local ok, err = e:collect()
    assert.is_false(ok)
    assert.matches("x_a: the limit of 2 series is reached", err)
    local page = e:page()
    assert.matches('\nx_a{l="2"} 1\n', page)
    assert.matches("\nspec_up 0\n", page)
    assert.matches('\nspec_scrape_success{part="collect"} 0\n', page)
  end)

  it("of memory fail the run and leave the script usable", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
local n = 0
return {
  name = "spec",
  limits = { memory = 2000000 },
  metrics = { x_a = metric.gauge "A." },
  collect = function(m)
    n = n + 1
    if n == 1 then
      local big = string.rep("x", 3000000)
      m.x_a:set(#big)
    end
    m.x_a:set(n)
  end,
}
]]))
    assert.is_false(e:collect())
    assert.is_true(e:collect())
    assert.matches("\nx_a 2\n", e:page())
  end)

  it("of time without a wait cannot be hidden by pcall", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
local n = 0
return {
  name = "spec",
  limits = { cpu = 0.05 },
  metrics = { x_a = metric.gauge "A." },
  collect = function(m)
    n = n + 1
    while n == 1 do
      pcall(function() while true do end end)
    end
    m.x_a:set(n)
  end,
}
]]))
    assert.is_false(e:collect())
    assert.is_true(e:collect())
    assert.matches("\nx_a 2\n", e:page())
  end)
end)

describe("the promise of a sandbox", function()
  local function sandboxed(line)
    return with("sandbox = true, " .. line)
  end

  it("is checked", function()
    refused(with "sandbox = 1", ":5: 'sandbox': expected true or false")
    refused(with "allow = { 'a' }", ":5: 'allow' is for a script with")
    refused(sandboxed "allow = 'a'", ":5: 'allow': expected a list of strings")
    refused(sandboxed "allow = { 1 }", ":5: 'allow': expected a list of strin")
    refused(sandboxed "allow = { 'a:b' }", ":5: 'allow': 'a:b': expected a p")
  end)

  it("holds for all that comes behind it", function()
    local e <close> = assert(exporter.load [[
local metric = require "metric"
return {
  name = "spec",
  sandbox = true,
  metrics = { x_a = metric.gauge "A." },
  collect = function(m) m.x_a:set(io and 1 or 0) end,
}
]])
    local good, message = e:collect()
    assert.is_false(good)
    assert.matches("io is not available in a sandbox", message)
  end)

  it("does not raise the limits of the host", function()
    for body, expected in pairs {
      ["for i = 1, 100001 do m.x_a:set(1, i) end"] = "100000 series",
      ["return ('x'):rep(1 << 30)"] = "memory limit of 64 MiB exceeded",
      ["while true do end"] = "ran for more than 1 s",
    } do
      local e <close> = assert(exporter.load(([[
local metric = require "metric"
return {
  name = "spec",
  sandbox = true,
  limits = { series = 1e6, memory = 1e12, cpu = 1e6 },
  metrics = { x_a = metric.gauge { "A.", labels = { "n" } } },
  collect = function(m) %s end,
}
]]):format(body)))
      local good, message = e:collect()
      assert.is_false(good)
      assert.matches(expected, message)
    end
  end)
end)
