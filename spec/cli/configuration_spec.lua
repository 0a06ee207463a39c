-- SPDX-License-Identifier: Apache-2.0
-- The configuration file without its outside; spec/e2e/configuration_test.py
-- has the sentences of the real program.

local configuration = require "cli.configuration"
local source_map = require "cli.source_map"

local QUEUE <const> = [[
return {
  name = "queue",
  config = {
    host = { "h", env = "QUEUE_HOST" },
    port = { 1, type = "port" },
    ratio = { 0.5 },
    tags = { {}, env = "QUEUE_TAGS" },
    mode = { "fast", choices = { "fast", "slow" } },
    token = { secret = true, env = "TOKEN" },
  },
}
]]

local files, folders, environment, loads

local outside = {
  data = "/data",
  getenv = function(name) return environment[name] end,
  exists = function(path) return files[path] ~= nil end,
  absolute = function(path)
    return (path:gsub("^%./", ""):gsub("/%./", "/"))
  end,
  list = function(folder) return folders[folder], "cannot read " .. folder end,
  nearest = function() return nil end,
  read = function(path)
    if files[path] then
      return files[path]
    end
    return nil, "cannot read " .. path
  end,
  check_allow = function(text)
    if text:find "^%w[%w.:]*$" then
      return true
    end
    return nil, "'" .. text .. "': no"
  end,
  declaration = function(path, _, _, sandbox)
    loads[#loads + 1] = path .. (sandbox and " apart" or "")
    local chunk, message = load(files[path], "@" .. path, "t")
    return chunk and chunk(), chunk and {} or message
  end,
}

local function read(text)
  files["etc/lunex.lua"] = text
  return configuration.read("etc/lunex.lua", false, outside)
end

local function plan(text)
  local result, mistakes = read(text)
  if not result then
    error(mistakes[1], 2)
  end
  return result
end

local function refused(sentence, text)
  local result, mistakes = read(text)
  assert.is_nil(result)
  assert.equal("etc/lunex.lua:" .. sentence, mistakes[1])
end

-- The values of the only exporter, whose `config` is TEXT.
local function values(text)
  return plan("return { exporters = { { 'queue', config = " .. text
    .. " } } }").exporters[1].config
end

before_each(function()
  environment = {}
  loads = {}
  folders = { ["/data/exporters/"] = { "queue.lua" } }
  files = {
    ["/data/exporters/queue.lua"] = QUEUE,
    ["etc/own/queue.lua"] = QUEUE,
  }
end)

describe("folders of a configuration", function()
  local THING <const> = "return { config = { host = { 'h', env = 'HOST' } } }"

  before_each(function()
    folders["etc/s"] = { "a.lua", "b.lua", "c.md" }
    files["etc/s/a.lua"], files["etc/s/b.lua"] = THING, THING
  end)

  it("add their scripts behind those that are listed", function()
    environment.HOST = "x"
    local result = plan [[
      return { scripts = "s", watch = "poll", lifecycle = true,
        push = { url = "http://g:9091" },
        exporters = { { "queue", push = false } } }
    ]]
    assert.same({ "poll", true, true },
      { result.watch, result.lifecycle, result.open })
    local names = {}
    for i, entry in ipairs(result.exporters) do
      names[i] = entry.name
    end
    assert.same({ "queue", "a", "b" }, names)
    local a = result.exporters[2]
    assert.same({ "etc/s/a.lua", "etc/s/a.lua", "x", "a" },
      { a.script, a.where, a.config.host, a.push[1].job })
    assert.is_nil(a.mistake)
    assert.is_false(plan("return { exporters = { { 'queue' } } }").open)
  end)

  it("may be all that there is", function()
    assert.equal(2, #plan("return { scripts = { 's' } }").exporters)
    folders["etc/s"] = {}
    assert.equal(0, #plan("return { scripts = 's', exporters = {} }").exporters)
    assert.is_true(configuration.is "return { scripts = 's' }")
    refused("1: the configuration has no 'exporters'", "return {}")
  end)

  it("leave out what is listed, and the configuration itself", function()
    folders["etc/."] = { "lunex.lua" }
    local result = plan [[ return { scripts = { "s", "." },
      exporters = { { "s/b.lua", name = "mine" } } } ]]
    assert.same({ "mine", "a" },
      { result.exporters[1].name, result.exporters[2].name })
    assert.equal(2, #result.exporters)
  end)

  it("have names beside those that are listed", function()
    local a = plan([[ return { scripts = "s",
      exporters = { { "queue", name = "a" } } } ]]).exporters[2]
    assert.equal("etc/s/a.lua: the name 'a' is taken by etc/lunex.lua:2: give "
      .. "this script another name", a.mistake)
    assert.same({ "etc/s/a.lua" }, { a.name })
  end)

  it("make two that push the same group a mistake of the second", function()
    local result = plan [[ return { scripts = "s",
      push = { url = "http://g:9091", job = "j", method = "PUT" } } ]]
    assert.is_nil(result.exporters[1].mistake)
    assert.matches("^etc/lunex.lua:2: push: the exporter 'a' pushes the same",
      result.exporters[2].mistake)
  end)

  it("are beaten by those of the command line", function()
    folders.other = { "z.lua" }
    files["other/z.lua"] = THING
    files["etc/lunex.lua"] = "return { scripts = 's' }"
    local result = configuration.read("etc/lunex.lua", false, outside,
      { folders = { "other" } })
    assert.equal("other/z.lua", result.exporters[1].script)
    assert.equal(1, #result.exporters)
  end)

  it("must be there, and be named by texts", function()
    refused("2: scripts: cannot read etc/gone",
      "return {\n  scripts = 'gone' }")
    refused("1: scripts: expected strings, number 1 is a number",
      "return { scripts = { 1 } }")
    refused("1: scripts: the list is empty", "return { scripts = {} }")
    refused("1: scripts: expected a folder", "return { scripts = '' }")
    files["etc/secret"] = "s3cret"
    refused("1: scripts: expected a folder",
      "return { scripts = file 'secret' }")
  end)
end)

describe("a configuration", function()
  it("becomes a plan", function()
    files["etc/secret"] = "s3cret\r\n"
    environment.USER_B = "b"
    local result = plan [[
      return {
        listen = ":1", telemetry_path = "m", log_level = "warn",
        exporters = {
          { "queue", name = "a-1", labels = { site = "a" }, interval = "1m",
            timeout = 5, config = { token = file "secret" },
            profiles = { b = { token = env "USER_B", port = "7" } } },
          { "own/queue.lua" },
        },
      }
    ]]
    assert.same({ ":1" }, result.listen)
    assert.equal("/m", result.telemetry_path)
    assert.equal("warn", result.log_level)
    assert.equal("etc/lunex.lua", result.configuration)
    local first, second = table.unpack(result.exporters)
    assert.equal("/data/exporters/queue.lua", first.script)
    assert.equal("etc/lunex.lua:4", first.where)
    assert.same({ "a-1", 60.0, 5.0, "a" },
      { first.name, first.interval, first.timeout, first.labels.site })
    assert.same({ token = "s3cret" }, first.config)
    assert.same({ b = { token = "b", port = 7 } }, first.profiles)
    assert.same({ "queue", "etc/own/queue.lua", "etc/lunex.lua:7" },
      { second.name, second.script, second.where })
    assert.matches("^etc/own/%?%.lua;", second.lua_path)
  end)

  it("tells where a table was made, in whatever way", function()
    local result = plan [==[
      --[[ { { ]] local text = "}{" .. [=[ { ]=] .. '\'{' -- } {
      local function one(n)
        return { "queue", name = "q" .. n }
      end
      local list = { one(1),
        one(({ 2 })[1]),
      }
      for i = 3, 4 do
        list[#list + 1] =
          { "queue", name = "q" .. i }
      end
      list[5] = { "queue" }
      list[5].name = #text > 0 and "q5"
      return { exporters = list }
    ]==]
    local places = {}
    for i, entry in ipairs(result.exporters) do
      places[i] = entry.name .. entry.where:match ":%d+$"
    end
    assert.same({ "q1:3", "q2:3", "q3:10", "q4:10", "q5:12" }, places)
  end)

  it("has limits for all, and for one", function()
    local result = plan [[
      return { limits = { memory = 2^20, cpu = 0.5 }, exporters = {
        { "queue", limits = { memory = 3, body = 4, operations = 5 } },
        { "own/queue.lua", name = "b" } } }
    ]]
    assert.same({ memory = 3, cpu = 0.5, body = 4, operations = 5 },
      result.exporters[1].limits)
    assert.same({ memory = 1048576.0, cpu = 0.5 }, result.exporters[2].limits)
    for text, sentence in pairs {
      ["{ memroy = 1 }"] = "unknown key 'memroy' of limits",
      ["{ series = '7' }"] = "limits.series: expected a number, got a string",
      ["{ cpu = 0 }"] =
        "limits.cpu: expected a number above 0, at most 1000000000, got 0",
      ["{ operations = 0/0 }"] = "limits.operations: expected a number above "
        .. "0, at most 1000000000000000, got " .. tostring(0/0),
      ["{ body = 2^31 }"] = "limits.body: expected a number above 0, at most "
        .. "1073741824, got " .. 2^31,
      ["3"] = "limits: expected a table such as { memory = 128 * 2^20 }, got "
        .. "a number",
    } do
      refused("1: " .. sentence, "return { exporters = { { 'queue', limits = "
        .. text .. " } } }")
      refused("1: " .. sentence, "return { limits = " .. text
        .. ", exporters = { { 'queue' } } }")
    end
  end)

  it("tells the line of a key, however it is written", function()
    refused("4: name: expected a string, got a number", [[
      return { exporters = {
        { "queue",
          interval = 4,
          ["name"] = 3 } } }]])
    refused("3: interval: expected seconds, got -1", [[
      return { exporters = { { "queue", labels = { interval = "x",
        name = "y" },
        interval = -1 } } }]])
  end)

  it("keeps a script with a mistake apart from the others", function()
    files["etc/broken.lua"] = "return {"
    local result = plan [[
      return { exporters = { { "broken.lua" }, { "queue" } } }
    ]]
    assert.matches("^etc/broken.lua:1:", result.exporters[1].mistake)
    assert.equal("broken", result.exporters[1].name)
    assert.is_nil(result.exporters[2].mistake)
  end)

  it("has nothing at hand that touches the outside", function()
    for _, name in ipairs { "io", "os", "require", "load", "dofile", "debug",
      "package", "setmetatable", "rawset", "_G", "coroutine",
      "collectgarbage" } do
      refused(("1: '%s' is not there in a configuration"):format(name),
        "local x = " .. name)
    end
  end)

  it("cannot change what the host works with", function()
    plan [[
      string.format, table.concat, math.type = nil, nil, nil
      return { exporters = { { "queue" } } }
    ]]
    assert.equal("1", ("%d"):format(1))
  end)

  it("is told from a script", function()
    for _, text in ipairs { "return { exporters = {} }",
      "return { listen = ':1', ['exporters'] = {} }",
      "local c = { listen = ':1' }\nc.exporters = {}\nreturn c" } do
      assert.is_true(configuration.is(text))
    end
    for _, text in ipairs { QUEUE, "return { config = { exporters = {} } }",
      "-- exporters = {}\nreturn { name = 'exporters' }", "return {",
      "return { collect = f { exporters = 1 } }" } do
      assert.is_false(configuration.is(text))
    end
  end)
end)

describe("a value", function()
  it("has its type, and a string is read as a variable's would be", function()
    assert.same({ port = 80, ratio = 2.0, tags = { "a", "b" }, mode = "slow" },
      values "{ port = 80.0, ratio = 2, tags = { 'a', 'b' }, mode = 'slow' }")
    assert.same({ port = 80, ratio = 2.5, tags = { "a", "b" } },
      values "{ port = '80', ratio = '2.5', tags = 'a, b' }")
  end)

  it("of another type is refused", function()
    for sentence, text in pairs {
      ["port: expected a port, 1 to 65535, got a number"] = "{ port = 0 }",
      ["port: expected a port, 1 to 65535, got '0'"] = "{ port = '0' }",
      ["ratio: expected a number, got a table"] = "{ ratio = {} }",
      ["ratio: expected a number, got a number"] = "{ ratio = 0 / 0 }",
      ["tags: expected a list of strings, got a table"] = "{ tags = { 1 } }",
      ["tags: expected a list of strings, got a boolean"] = "{ tags = true }",
      ["host: the string holds a zero byte"] = "{ host = 'a\\0b' }",
      ["host: expected a string, got a function"] = "{ host = error }",
      ["mode: expected one of fast, slow, got 'x'"] = "{ mode = 'x' }",
      ["token: expected a string, got a number"] = "{ token = 77 }",
    } do
      refused("1: config." .. sentence,
        "return { exporters = { { 'queue', config = " .. text .. " } } }")
    end
  end)

  it("stands behind its variable, and before .env", function()
    files[".env"] = "QUEUE_HOST=dotenv\nQUEUE_TAGS=x\n"
    assert.same({ host = "file", tags = { "x" } }, values "{ host = 'file' }")
    environment.QUEUE_HOST = "variable"
    assert.equal("variable", values("{ host = 'file' }").host)
  end)

  it("stands before its variable when there are several instances", function()
    environment.QUEUE_HOST = "variable"
    local result = plan [[
      return { exporters = {
        { "queue", name = "a", config = { host = "file" } },
        { "queue", name = "b" } } }
    ]]
    assert.equal("file", result.exporters[1].config.host)
    assert.equal("variable", result.exporters[2].config.host)
  end)

  it("that is wrong is told, also behind a variable", function()
    environment.QUEUE_HOST = "variable"
    refused("1: config.host: expected a string, got a number",
      "return { exporters = { { 'queue', config = { host = 1 } } } }")
  end)
end)

describe("env", function()
  it("sees the environment, then .env, then its default", function()
    files[".env"] = "A=dotenv\nB=dotenv\n"
    environment.A = "variable"
    assert.same({ host = "variable", mode = "slow", token = "dotenv" },
      values "{ host = env 'A', token = env 'B', mode = env('C', 'slow') }")
    environment.A = ""
    assert.equal("dotenv", values("{ host = env 'A' }").host)
  end)

  it("without a value is refused with its line", function()
    refused("2: the variable C is not set", "local x =\nenv 'C'")
    refused("1: env: expected a string, got a nil", "local x = env()")
  end)
end)

describe("file", function()
  it("is relative to the configuration", function()
    files["etc/a"], files["/abs"] = "one\n\n", "two"
    assert.same({ host = "one\n", token = "two" },
      values "{ host = file 'a', token = file '/abs' }")
  end)

  it("that is no secret is refused with its line", function()
    files["etc/empty"], files["etc/zero"] = "\n", "a\0b"
    refused("1: cannot read etc/gone", "local x = file 'gone'")
    refused("1: etc/empty is empty", "local x = file 'empty'")
    refused("1: etc/zero holds a zero byte", "local x = file 'zero'")
  end)
end)

describe("source_map", function()
  it("leaves a text as it is, but for its tables", function()
    local text = [===[
local a = { 1, [2] = "x", f = function(...) local t = { ... } return #t end }
local b, c = a.f { 1 }, a.f{{}} --[==[ { ]==] .. "]==]\n"
return a[1] .. a[2] .. b .. c .. #{ "\"}", '\z
   }', [[
}]] }, "\
{", a.f(1, 2, ({ n = { n = 1 } }).n.n)
]===]
    local places = {}
    local marked, at = source_map.mark(text, places)
    assert.same({ assert(load(text))() }, { assert(load(marked))(at) })
    assert.equal(select(2, text:gsub("\n", "")),
      select(2, marked:gsub("\n", "")))
  end)
end)

describe("a sandbox in a configuration", function()
  -- sandbox and allow of each exporter.
  local function fences(text)
    local all = {}
    for i, exporter in ipairs(plan(text).exporters) do
      all[i] = tostring(exporter.sandbox)
        .. (exporter.allow and " " .. table.concat(exporter.allow, ",") or "")
    end
    return table.concat(all, "; ")
  end

  it("is that of the entry, or that of all", function()
    assert.equal("false; true; true a.b; false", fences [[
      return { exporters = {
        { "queue" }, { "queue", name = "b", sandbox = true },
        { "queue", name = "c", sandbox = true, allow = { "a.b" } },
        { "queue", name = "d", sandbox = false },
      } }
    ]])
    assert.equal("true x; true a.b; false; true ", fences [[
      return { sandbox = true, allow = { "x" }, exporters = {
        { "queue" }, { "queue", name = "b", allow = { "a.b" } },
        { "queue", name = "c", sandbox = false },
        { "queue", name = "d", allow = {} },
      } }
    ]])
  end)

  it("loads the script apart, and once for each way", function()
    plan [[
      return { exporters = {
        { "queue", sandbox = true }, { "queue", name = "b", sandbox = true },
        { "queue", name = "c" }, { "queue", name = "d" },
      } }
    ]]
    assert.same({ "/data/exporters/queue.lua apart",
      "/data/exporters/queue.lua" }, loads)
  end)

  it("has no variables of the environment that the script names", function()
    environment.QUEUE_HOST = "stolen"
    local both = plan [[
      return { exporters = {
        { "queue", sandbox = true }, { "queue", name = "b" },
      } }
    ]]
    assert.is_nil(both.exporters[1].config.host)
    assert.equal("stolen", both.exporters[2].config.host)
  end)

  it("that is wrong is refused with its line", function()
    refused('2: allow: without sandbox = true it restricts nothing',
      'return { exporters = {\n{ "queue", allow = { "a" } } } }')
    refused('1: allow: without sandbox = true it restricts nothing',
      'return { allow = { "a" }, exporters = { { "queue" } } }')
    refused('2: allow: without sandbox = true it restricts nothing',
      'return { sandbox = true, exporters = {\n{ "queue", sandbox = false, '
        .. 'allow = { "a" } } } }')
    refused("2: allow: '?': no",
      'return { exporters = {\n{ "queue", sandbox = true, allow = { "?" } } } }')
    refused("2: allow: expected strings, number 2 is a boolean",
      'return { exporters = {\n{ "queue", sandbox = true, allow = { "a", true }'
        .. ' } } }')
    refused("2: allow: expected a list, got the key 'a'",
      'return { exporters = {\n{ "queue", sandbox = true, allow = { a = 1 } } '
        .. '} }')
    refused("2: sandbox: expected true or false, got a number",
      'return { exporters = {\n{ "queue", sandbox = 1 } } }')
  end)

  it("does not show the text of a file", function()
    files["etc/secret"] = "!hunter2"
    local _, mistakes = read [[
      return { exporters = {
        { "queue", sandbox = true, allow = { file "secret" } },
      } }
    ]]
    assert.is_nil(mistakes[1]:find "hunter2")
    assert.matches("allow: number 1 is none of a name", mistakes[1])
  end)
end)
