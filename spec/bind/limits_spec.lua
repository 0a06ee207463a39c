-- SPDX-License-Identifier: Apache-2.0
local exporter = require "exporter"
local host = require "host"
local task = require "task"
local timely = dofile "spec/bind/timely.lua"

local MIB <const> = 1 << 20
local RAISES <const> = " (limits = { %s = ... } raises it)"

local function memory_at(line, size)
  return ("script:%d: memory limit of %s exceeded"):format(line, size)
    .. RAISES:format "memory"
end

local function run(source, options)
  return host.run(source, options)
end

describe("the memory limit", function()
  it("ends a script with a sentence", function()
    local _, message, code = run([[
      local t = {}
      while true do t[#t + 1] = ("x"):rep(1000) .. #t end
    ]], { memory = 4 * MIB })
    assert.equal(memory_at(2, "4 MiB"), message)
    assert.equal("limit", code)
  end)

  it("stops one string that is too large", function()
    local _, message = run([[return ("x"):rep(1 << 30)]])
    assert.equal(memory_at(1, "64 MiB"), message)
  end)

  it("is told of whoever catches its error and raises it again", function()
    local _, message, code = run([[
      local _, why = pcall(string.rep, "x", 1 << 30)
      error(why)
    ]], { memory = 2 * MIB })
    assert.equal(memory_at(2, "2 MiB"), message)
    assert.equal("limit", code)
    assert.equal("script:2: the printer has not enough memory",
      select(2, run([[
        pcall(string.rep, "x", 1 << 30)
        error "the printer has not enough memory"
      ]], { memory = 2 * MIB })))
    assert.equal("script:1: printer: not enough memory",
      select(2, run "error 'printer: not enough memory'"))
  end)

  it("leaves the state usable", function()
    assert.equal("fine", run([[
      local ok, message = pcall(string.rep, "x", 1 << 30)
      assert(not ok and message == "not enough memory")
      return "fine"
    ]], { memory = 2 * MIB }))
  end)

  it("ends one task and lets its parent go on", function()
    assert.equal("not enough memory", run([[
      local task = require "task"
      local _, message = pcall(task.all, function()
        task.sleep(0)
        return ("x"):rep(1 << 30)
      end)
      task.sleep(0)
      return message
    ]], { memory = 2 * MIB }))
  end)

  it("refuses a state that cannot even be made", function()
    local _, message = run("return 1", { memory = 4096 })
    assert.equal("memory limit of 4 KiB exceeded"
      .. RAISES:format "memory", message)
  end)

  it("bounds the number of tasks", function()
    local _, message = run([[
      local task = require "task"
      local list = setmetatable({}, {
        __len = function() return 1000000 end,
        __index = function(_, i) return i end,
      })
      task.each(list, function() task.sleep(1) end)
    ]], { memory = 8 * MIB })
    assert.matches("memory limit of 8 MiB exceeded", message)
  end)

  -- What a script can grow, each with the line where it does.
  local GROWS <const> = {
    ["a string that doubles"] = {
      3, [[local s = "x"
        while true do
          s = s .. s
        end]],
    },
    ["a table of tables"] = {
      3, [[local t = {}
        while true do
          t[#t + 1] = {}
        end]],
    },
    ["table.concat"] = {
      5, [[local t, s = {}, ("x"):rep(100000)
        for i = 1, 100 do
          t[i] = s
        end
        return table.concat(t)]],
    },
    ["a JSON text that has one string many times"] = {
      4, [[local json = require "json"
        local t, s = {}, ("x"):rep(1 << 20)
        for i = 1, 100000 do t[i] = s end
        return json.encode(t)]],
    },
    ["a JSON text whose tables have each other"] = {
      4, [[local json = require "json"
        local t = { 1 }
        for _ = 1, 60 do t = { t, t } end
        return json.encode(t)]],
    },
    ["an XML document of many elements"] = {
      2, [[local xml = require "xml"
        return xml.parse("<a>" .. ("<b/>"):rep(400000) .. "</a>"):table()]],
    },
  }
  for name, case in pairs(GROWS) do
    it("ends " .. name .. " with its line", function()
      local _, message, code = run(case[2], { memory = 8 * MIB, slice = 30 })
      assert.equal(memory_at(case[1], "8 MiB"), message)
      assert.equal("limit", code)
    end)
  end
end)

describe("the limit of a body", function()
  local ASKS <const> = [[
    local http = require "http"
    local answer, message = http.get("%s", { body_max = %s })
    return answer and tostring(#answer.body) or message
  ]]
  it("is a sentence with a line, and an option can only ask for less",
    function()
      local stand <close> = assert(exporter.load([[
return {
  name = "stand",
  routes = { ["GET /big"] = function() return ("x"):rep(5000) end },
}
]], {}, { serve = true }))
      local url = stand:url() .. "/big"
      local function ask(limit, option)
        return run(ASKS:format(url, option), { body = limit })
      end
      local sentence = "script:2: GET " .. url
        .. ": the body is larger than 4000 bytes" .. RAISES:format "body"
      assert.equal(sentence, ask(4000, "nil"))
      assert.equal(sentence, ask(4000, 1 << 20))
      assert.equal("GET " .. url .. ": the body is larger than 3000 bytes",
        ask(4000, 3000))
      assert.equal("5000", ask(5000, "nil"))
    end)
end)

describe("the limit of operations", function()
  local MANY <const> = [[
    local task = require "task"
    local list = {}
    for i = 1, 100 do list[i] = i end
    task.each(list, function()
      task.sleep(0.01)
    end%s)
    return "done"
  ]]
  it("is a sentence with a line", function()
    assert.equal("script:5: limit of 50 operations at the same time exceeded"
      .. RAISES:format "operations",
      select(2, run(MANY:format "", { operations = 50 })))
  end)

  it("does not count what is over", function()
    -- The one that waits for all of them is an operation, too.
    assert.equal("done", run(MANY:format "", { operations = 101 }))
    assert.equal("done", run(MANY:format ", 49", { operations = 50 }))
  end)

  it("leaves the state usable", function()
    assert.equal("done", run([[
      local task = require "task"
      local list = {}
      for i = 1, 100 do list[i] = i end
      local ok, message = pcall(task.each, list, function() task.sleep(1) end)
      assert(not ok and message:find "limit of 50 operations", message)
      for _ = 1, 100 do task.sleep(0) end
      return "done"
    ]], { operations = 50 }))
  end)
end)

describe("memory of C that objects hold", function()
  local SMALL <const> = { memory = 4 << 20 }

  it("counts schemas, which the collector does not see", function()
    local SCHEMAS <const> = [[
      local protobuf = require "protobuf"
      local text, kept = { "syntax = \"proto3\"; message M {" }, {}
      for i = 1, 1000 do text[i + 1] = "string f" .. i .. " = " .. i .. ";" end
      text = table.concat(text) .. "}"
      for i = 1, 200 do
        %s = assert(protobuf.load(text))
      end
      return "done"
    ]]
    local _, message = run(SCHEMAS:format "kept[i]", SMALL)
    assert.matches("^script:%d+: the schemas and documents of the script take "
      .. "more memory than it may have itself %(limits = { memory = ... }",
      message)
    assert.equal("done", run(SCHEMAS:format "kept[1]", SMALL))
  end)

  it("counts what XPath wants of documents", function()
    local _, message = run([[
      local xml = require "xml"
      local text, kept = "<r>" .. ("<a/>"):rep(8000) .. "</r>", {}
      for i = 1, 10 do
        kept[i] = assert(xml.parse(text))
        local found, message = kept[i]:find "count(a)"
        if not found then
          kept[i - 1] = nil
          collectgarbage()
          assert(kept[i]:find "count(a)" == 8000)
          error(message, 0)
        end
      end
    ]], SMALL)
    assert.matches("^find: the trees of the documents take more memory",
      message)
  end)
end)

describe("the slice", function()
  local SLICE <const> = { slice = 0.05 }
  local SENTENCE <const> =
    "^script:%d+: script ran for more than 0.05 s without waiting "
    .. "%(limits = { cpu = ... } raises it%)$"

  it("ends an endless loop", function()
    local _, message, code = run("while true do end", SLICE)
    assert.matches(SENTENCE, message)
    assert.equal("limit", code)
  end)

  it("cannot be hidden by pcall", function()
    local _, message = run([[
      while true do
        pcall(function() while true do end end)
      end
    ]], SLICE)
    assert.matches(SENTENCE, message)
  end)

  it("cannot be hidden by xpcall and its handler", function()
    local _, message = run([[
      local function endless() while true do end end
      while true do
        xpcall(endless, endless)
      end
    ]], SLICE)
    assert.matches(SENTENCE, message)
  end)

  it("cannot be hidden in a coroutine", function()
    local _, message = run([[
      while true do
        local co = coroutine.create(function()
          while true do pcall(function() while true do end end) end
        end)
        coroutine.resume(co)
      end
    ]], SLICE)
    assert.matches(SENTENCE, message)
  end)

  it("cannot be hidden in what a dead coroutine closes", function()
    local _, message = run([[
      local endless = setmetatable({}, {
        __close = function() while true do end end,
      })
      local function body()
        local mark <close> = endless
        while true do end
      end
      pcall(coroutine.wrap(body))
      local co = coroutine.create(body)
      coroutine.resume(co)
      coroutine.close(co)
    ]], SLICE)
    assert.matches(SENTENCE, message)
    assert.equal("closed", run([[
      local task = require "task"
      local co = coroutine.create(function()
        local mark <close> = setmetatable({}, {
          __close = function() while true do end end,
        })
        while true do end
      end)
      pcall(task.all, function() coroutine.resume(co) end)
      task.sleep(0)
      local ok, why = pcall(coroutine.close, co)
      assert(not ok and why:find "ran for too long", why)
      return "closed"
    ]], SLICE))
  end)

  it("ends a loop in a child task for the parent, too", function()
    local _, message = run([[
      local task = require "task"
      task.all(function() while true do end end)
    ]], SLICE)
    assert.matches(SENTENCE, message)
  end)

  it("begins again after each wait", function()
    assert.equal("done", run([[
      local task = require "task"
      local start = os.clock()
      while os.clock() - start < 0.15 do
        local round = os.clock()
        while os.clock() - round < 0.02 do end
        task.sleep(0)
      end
      return "done"
    ]], SLICE))
  end)

  it("does not count the time of a wait", function()
    assert.equal("done", run([[
      require("task").sleep(0.12)
      for _ = 1, 100000 do end
      return "done"
    ]], SLICE))
  end)

  it("is used up for this task only", function()
    assert.equal("went on", run([[
      local task = require "task"
      pcall(task.all, function() while true do end end)
      task.sleep(0)
      for _ = 1, 10000 do end
      return "went on"
    ]], SLICE))
  end)

  -- Ways to hide that it is used up. Each of them ends with an instruction or
  -- a function of C that could go on as if nothing had happened.
  local HIDDEN <const> = {
    ["behind pcall in a tail call"] = "return pcall(endless)",
    ["behind xpcall in a tail call"] =
      "return xpcall(endless, function() return 'hidden' end)",
    ["behind a hundred pcalls"] = [[
      local function nest(n)
        if n == 0 then endless() end
        return pcall(nest, n - 1)
      end
      return nest(100)]],
    ["behind coroutine.resume in a tail call"] =
      "return coroutine.resume(coroutine.create(endless))",
    ["behind coroutine.wrap"] =
      "while true do pcall(coroutine.wrap(endless)) end",
    ["in a coroutine that yields from time to time"] = [[
      local step = coroutine.wrap(function()
        while true do
          pcall(endless)
          coroutine.yield()
        end
      end)
      while true do pcall(step) end]],
    ["in the handler of xpcall"] = "return xpcall(error, endless, 'x')",
    ["behind pcall in the handler of xpcall"] =
      "return xpcall(error, function() return pcall(endless) end, 'x')",
    ["in __close"] = [[
      local mark <close> = setmetatable({}, {
        __close = function() pcall(endless) end,
      })
      return "hidden"]],
    ["by another error in __close"] = [[
      local mark <close> = setmetatable({}, {
        __close = function() error "innocent" end,
      })
      endless()]],
    ["in a finalizer"] = [[
      setmetatable({}, { __gc = endless })
      collectgarbage()
      return "hidden"]],
    ["behind pcall in a finalizer"] = [[
      setmetatable({}, { __gc = function()
        while true do pcall(endless) end
      end })
      collectgarbage()
      return "hidden"]],
    ["in __index"] = [[
      return pcall(function()
        return setmetatable({}, { __index = endless }).x
      end)]],
    ["in __tostring"] =
      "return pcall(tostring, setmetatable({}, { __tostring = endless }))",
    ["in table.sort"] = "return pcall(table.sort, { 3, 2, 1 }, endless)",
    ["in string.gsub"] = "return pcall(string.gsub, 'xxx', 'x', endless)",
    ["in a reader of load"] = "return pcall(load, endless)",
    ["in a module"] = [[
      package.preload.endless = endless
      return pcall(require, "endless")]],
    ["behind a wait that follows"] = [[
      pcall(endless)
      require("task").sleep(0)
      return "hidden"]],
    ["behind pcall in a for loop"] = [[
      for _ in function() pcall(endless) end do end
      return "hidden"]],
  }
  for name, source in pairs(HIDDEN) do
    it("cannot be hidden " .. name, function()
      local started = os.clock()
      local result, message, code =
        run("local function endless() while true do end end " .. source, SLICE)
      assert.is_nil(result)
      assert.matches(SENTENCE, message)
      assert.equal("limit", code)
      assert(os.clock() - started < 5)
    end)
  end

  it("is used up by one call of C as well, which is told when it is over",
    function()
      local _, message, code = run([[
        return (("a"):rep(25)):find(("a*"):rep(5) .. "b")
      ]], { slice = 0.0005 })
      assert.matches("script ran for more than 0.0005 s", message)
      assert.equal("limit", code)
    end)

  it("ends finalizers when the state is closed", function()
    local started = os.clock()
    assert.equal("kept", run([[
      local function endless() while true do end end
      for i = 1, 20 do
        rawset(_G, "kept" .. i, setmetatable({}, { __gc = endless }))
      end
      return "kept"
    ]], SLICE))
    assert(os.clock() - started < 1)
  end)

  it("is given once more to the close variables of a runaway", function()
    assert.equal("closed", run([[
      local task = require "task"
      local state = "open"
      pcall(task.all, function()
        local mark <close> = setmetatable({}, {
          __close = function()
            for _ = 1, 10000 do end
            state = "closed"
          end,
        })
        while true do end
      end)
      return state
    ]], SLICE))
  end)

  it("ends endless loops in close variables as well", function()
    local _, message = run([[
      local endless = setmetatable({}, {
        __close = function() while true do end end,
      })
      local a <close> = endless
      local b <close> = endless
      while true do end
    ]], SLICE)
    assert.matches(SENTENCE, message)
  end)

  it("ends endless loops in close variables of a cancelled task", function()
    assert.equal("timed out after 0.01 s", run([[
      local task = require "task"
      return select(2, task.timeout(0.01, function()
        local a <close> = setmetatable({}, {
          __close = function() while true do end end,
        })
        task.sleep(10)
      end))
    ]], SLICE))
  end)
end)

describe("recursion", function()
  it("without end is an error", function()
    local _, message = run([[
      local function f() return 1 + f() end
      f()
    ]], { slice = 30 })
    assert.equal(memory_at(1, "64 MiB"), message)
    _, message = run([[
      local function f() return 1 + f() end
      f()
    ]], { memory = 256 * MIB, slice = 30 })
    assert.matches("^script:1: stack overflow", message)
  end)

  -- Each goes through C, whose stack is small.
  local DEEP <const> = {
    ["a string.gsub callback"] =
      "local function f(s) return (s:gsub('.', f)) end f 'x'",
    ["table.sort"] =
      "local function f() table.sort({ 3, 2, 1 }, f) return false end f()",
    ["__index"] = [[
      local t
      t = setmetatable({}, { __index = function(_, k) return t[k + 1] end })
      return t[1] ]],
    ["__tostring"] = [[
      local t
      t = setmetatable({}, { __tostring = function() return tostring(t) end })
      return tostring(t)]],
    ["__close"] = [[
      local function f()
        local mark <close> = setmetatable({}, { __close = f })
      end
      f()]],
    ["coroutine.wrap"] =
      "local function f() return coroutine.wrap(f)() end return f()",
    ["require"] = [[
      package.preload.a = function() return require "b" end
      package.preload.b = function()
        package.loaded.a = nil
        return require "a"
      end
      return require "a"]],
  }
  for name, source in pairs(DEEP) do
    it("through " .. name .. " is an error with its line", function()
      local _, message = run(source)
      assert.matches("^script:%d: C stack overflow$", message)
    end)
  end

  it("of a pattern, a text of JSON and a table is an error", function()
    assert.matches("^script:1: pattern too complex$", select(2, run [[
      return string.find(("a"):rep(3e5), ("a?"):rep(300) .. ("a"):rep(3e5))]]))
    assert.matches("excessive nesting", select(2, run [[
      local t = {}
      for _ = 1, 1e5 do t = { t } end
      return require("json").encode(t)]]))
    assert.matches("too many nested", run [[
      return select(2, require("json").decode(("["):rep(1e5)))]])
    assert.matches("C stack overflow", run [[
      return select(2, load(("("):rep(1e5)))]])
  end)

  it("in error handling is an error", function()
    local ok = pcall(run, [[
      local function f() return xpcall(error, f) end
      return tostring(f())
    ]])
    assert.is_true(ok)
  end)
end)

describe("a finalizer", function()
  it("runs as Lua says", function()
    assert.equal("3 2 1 ", run [[
      local text = ""
      local meta = { __gc = function(o) text = text .. o.n .. " " end }
      for n = 1, 3 do setmetatable({ n = n }, meta) end
      collectgarbage()
      return text
    ]])
  end)

  it("cannot yield or wait", function()
    assert.equal("done", run [[
      local task = require "task"
      local said
      setmetatable({}, { __gc = function()
        said = select(2, pcall(task.sleep, 0))
        coroutine.yield()
      end })
      collectgarbage()
      assert(said:find "inside a finalizer", said)
      return "done"
    ]])
  end)

  it("cannot change what a protected metatable has", function()
    assert.matches("cannot change a protected metatable", select(2, run [[
      setmetatable(setmetatable({}, { __metatable = false }), {})]]))
    assert.matches("nil or table expected", select(2, run [[
      setmetatable({}, 1)]]))
    assert.matches("table expected", select(2, run "setmetatable(1, {})"))
  end)
end)

describe("errors", function()
  it("keep their file and line", function()
    local _, message, code = run "\nerror 'no'"
    assert.equal("script:2: no", message)
    assert.equal("usage", code)
  end)

  it("that are not strings are named by their type", function()
    assert.equal("error object is a table value",
      select(2, run "error({})"))
    assert.equal("error object is a nil value", select(2, run "error()"))
    assert.equal("error object is a number value", select(2, run "error(3)"))
  end)

  it("of syntax have a line", function()
    assert.matches("^script:1: .* near", select(2, run "return )"))
  end)
end)

describe("globals", function()
  it("that do not exist raise when they are read", function()
    local _, message = run "pritn(1)"
    assert.equal("script:1: undefined global 'pritn'; did you mean 'print'?",
      message)
    _, message = run "return zzyzx"
    assert.equal("script:1: undefined global 'zzyzx'", message)
  end)

  it("cannot be made", function()
    local _, message = run "x = 1"
    assert.equal(
      "script:1: assignment to undefined global 'x'; use local", message)
    _, message = run "function f() end"
    assert.matches("undefined global 'f'", message)
  end)

  it("can be asked for with rawget", function()
    assert.equal("nil", run "return type(rawget(_G, 'jit'))")
  end)

  it("stay strict: the metatable is out of reach", function()
    assert.equal("false", run "return tostring(getmetatable(_G))")
    assert.matches("protected metatable",
      select(2, run "setmetatable(_G, nil)"))
  end)

  it("of other versions of Lua do not break installed modules", function()
    assert.equal("table", run "return type(require 'dkjson')")
    assert.equal("table", run "return type(require 'pl.utils')")
  end)
end)

describe("the standard library", function()
  local ABSENT <const> = {
    os = { "execute", "exit", "setlocale" },
    io = { "popen", "read", "write", "stdin", "stdout", "input", "output",
      "close" },
    debug = { "sethook", "gethook", "getregistry", "setmetatable",
      "getmetatable", "setupvalue", "upvaluejoin", "setlocal", "getlocal",
      "debug", "setuservalue", "setcstacklimit" },
    package = { "loadlib" },
    string = { "dump" },
  }
  local PRESENT <const> = {
    os = { "clock", "date", "difftime", "getenv", "time", "remove", "rename",
      "tmpname" },
    io = { "open", "lines", "type", "stderr" },
    debug = { "traceback", "getinfo" },
    string = { "format", "rep", "pack", "gsub" },
    table = { "concat", "sort", "move", "pack", "unpack" },
    math = { "floor", "tointeger" },
    utf8 = { "char", "codepoint" },
  }

  for library, names in pairs(ABSENT) do
    for _, name in ipairs(names) do
      it("does not have " .. library .. "." .. name, function()
        assert.is_nil(_G[library][name])
      end)
    end
  end

  it("has the rest", function()
    for library, names in pairs(PRESENT) do
      for _, name in ipairs(names) do
        assert.is_not_nil(_G[library][name])
      end
    end
  end)

  it("loads text only", function()
    local _, message = load("\27Lua", "x", "b")
    assert.matches("attempt to load a binary chunk", message)
    assert.equal(7, load("return x", "x", "t", { x = 7 })())
    assert.equal(7, load("return 7")())
    local file = os.tmpname()
    local out <close> = assert(io.open(file, "w"))
    out:write("\27Lua")
    out:flush()
    _, message = loadfile(file, "b")
    local ok, err = pcall(dofile, file)
    os.remove(file)
    assert.matches("attempt to load a binary chunk", message)
    assert.is_false(ok)
    assert.matches("attempt to load a binary chunk", err)
  end)

  it("does not read standard input", function()
    assert.has_error(function() loadfile() end, "string expected")
    assert.has_error(function() dofile() end, "string expected")
    assert.has_error(function() io.lines() end, "string expected")
  end)

  it("cannot stop the collector", function()
    assert.has_error(function() collectgarbage("stop") end,
      "cannot be stopped")
    assert.equal("number", type(collectgarbage("count")))
  end)
end)

describe("require", function()
  local function with_module(text, fn)
    local name = os.tmpname()
    os.remove(name)
    local file = name .. ".lua"
    local out = assert(io.open(file, "w"))
    out:write(text)
    out:close()
    local ok, err = pcall(fn, name:match("[^/]+$"), file)
    os.remove(file)
    assert(ok, err)
  end

  it("finds modules in the path it was given", function()
    with_module("return 'from the file'", function(name)
      assert.equal("from the file", run(
        string.format("return require %q", name), { path = "/tmp/?.lua" }))
    end)
  end)

  it("keeps the default folders where the path has two semicolons", function()
    assert.matches("^/tmp/%?.lua;/usr/local/share/lua/5.4/",
      run("return package.path", { path = "/tmp/?.lua;;" }))
    assert.equal("/tmp/?.lua",
      run("return package.path", { path = "/tmp/?.lua" }))
  end)

  it("finds nothing outside of the binary with an empty path", function()
    local _, message = run("require 'dkjson'", { path = "", cpath = "" })
    assert.matches("module 'dkjson' not found", message)
    assert.equal("table",
      run("return type(require 'value')", { path = "", cpath = "" }))
  end)

  it("has no relative folder by default", function()
    for _, path in ipairs { package.path, package.cpath } do
      for template in path:gmatch("[^;]+") do
        assert.equal("/", template:sub(1, 1))
      end
    end
  end)

  it("refuses relative folders", function()
    assert.matches("package.path: '%./%?.lua' is not absolute", select(2, run [[
      package.path = package.path .. ";./?.lua"
      require "nothing.at.all"
    ]]))
    assert.matches("package.cpath: '%?.so' is not absolute", select(2, run [[
      package.cpath = "?.so"
      require "nothing.at.all"
    ]]))
  end)

  it("loads no binary chunk", function()
    with_module("\27Lua", function(name)
      local _, message = run(string.format("require %q", name),
        { path = "/tmp/?.lua" })
      assert.matches("attempt to load a binary chunk", message)
    end)
  end)
end)

describe("the counters", function()
  it("say what the state costs", timely(function()
    collectgarbage()
    local before = host.memory()
    local kept = ("x"):rep(100000) .. before
    assert(host.memory() >= before + 100000)
    assert.equal("string", type(kept))
    local cpu = host.cpu()
    local start = os.clock()
    while os.clock() - start < 0.02 do end
    assert(host.busy() > 0.015)
    task.sleep(0)
    assert(host.cpu() >= cpu + 0.015)
    assert(host.busy() < 0.015)
  end))
end)
