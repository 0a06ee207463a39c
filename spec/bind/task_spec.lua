-- SPDX-License-Identifier: Apache-2.0
-- luacheck: ignore 211 (variables that are there to be closed)
local clock = require "clock"
local host = require "host"
local task = require "task"
local timely = dofile "spec/bind/timely.lua"

local function closer(log, name)
  return setmetatable({}, {
    __close = function()
      log[#log + 1] = name
    end,
  })
end

local function elapsed(fn)
  local start = clock.monotonic()
  fn()
  return clock.monotonic() - start
end

describe("task.sleep", function()
  it("suspends for about the time it was asked for", timely(function()
    assert.near(0.05, elapsed(function() task.sleep(0.05) end), 0.045)
  end))

  it("lets others run when it sleeps for nothing", function()
    local order = {}
    task.all(
      function()
        order[#order + 1] = "a1"
        task.sleep(0)
        order[#order + 1] = "a2"
      end,
      function()
        order[#order + 1] = "b1"
        task.sleep(0)
        order[#order + 1] = "b2"
      end)
    assert.same({ "a1", "b1", "a2", "b2" }, order)
  end)

  it("refuses what is not a length of time", function()
    assert.has_error(function() task.sleep(-1) end, "not negative")
    assert.has_error(function() task.sleep(1 / 0) end, "finite")
    assert.has_error(function() task.sleep("x") end, "number expected")
  end)

  it("costs no CPU while it waits", timely(function()
    local before = os.clock()
    task.sleep(0.2)
    assert(os.clock() - before < 0.1)
  end))
end)

describe("task.each", function()
  it("returns results in the order of the list", function()
    local results = task.each({ 3, 1, 2 }, function(item, index)
      task.sleep(item / 100)
      return item * 10 + index
    end)
    assert.same({ 31, 12, 23 }, results)
  end)

  it("keeps a place for an item that gave nothing", function()
    local results = task.each({ 1, 2, 3 }, function(item)
      if item ~= 2 then
        return item
      end
    end)
    assert.equal(1, results[1])
    assert.is_nil(results[2])
    assert.equal(3, results[3])
  end)

  it("runs the items side by side", timely(function()
    assert(elapsed(function()
      task.each({ 1, 2, 3, 4, 5 }, function() task.sleep(0.05) end)
    end) < 0.2)
  end))

  it("runs at most as many as the limit", function()
    for _, limit in ipairs { 2, { limit = 2 } } do
      local running, most = 0, 0
      task.each({ 1, 2, 3, 4, 5, 6, 7 }, function()
        running = running + 1
        most = math.max(most, running)
        task.sleep(0.002)
        running = running - 1
      end, limit)
      assert.equal(2, most)
    end
  end)

  it("takes an empty list", function()
    assert.same({}, task.each({}, error))
  end)

  it("runs thousands", function()
    local list = {}
    for i = 1, 5000 do
      list[i] = i
    end
    local results = task.each(list, function(i)
      task.sleep(0)
      return i
    end)
    assert.same(list, results)
  end)

  it("raises the first error unchanged and cancels the rest", function()
    local log = {}
    local err = assert.has_error(function()
      task.each({ 1, 2, 3 }, function(item)
        local mark <close> = closer(log, "closed " .. item)
        if item == 2 then
          task.sleep(0.01)
          error("item two failed")
        end
        task.sleep(10)
        log[#log + 1] = "never " .. item
      end)
    end)
    assert.matches("^[%w/_.]*task_spec.lua:%d+: item two failed$", err)
    table.sort(log)
    assert.same({ "closed 1", "closed 2", "closed 3" }, log)
  end)

  it("raises error objects as they are", function()
    local object = {}
    local ok, err = pcall(task.each, { 1 }, function() error(object) end)
    assert.is_false(ok)
    assert(rawequal(object, err))
  end)

  it("begins nothing more after an error", function()
    local begun = {}
    pcall(task.each, { 1, 2, 3, 4 }, function(item)
      begun[#begun + 1] = item
      error("no")
    end, 1)
    assert.same({ 1 }, begun)
  end)

  it("raises errors of the list itself and leaves no child", function()
    local list = setmetatable({}, {
      __len = function() return 3 end,
      __index = function(_, i)
        return i < 3 and i or error("no third item", 0)
      end,
    })
    assert.has_error(function()
      task.each(list, function() task.sleep(10) end)
    end, "no third item")
    assert.equal(1, host.tasks())
  end)

  it("refuses a wrong limit", function()
    local function call(limit)
      return function() task.each({ 1 }, print, limit) end
    end
    assert.has_error(call(0), "at least 1")
    assert.has_error(call { limit = 0 }, "option 'limit'")
    assert.has_error(call { limt = 2 },
      "unknown option 'limt'; did you mean 'limit'?")
  end)

  it("nests", function()
    local results = task.each({ 1, 2 }, function(a)
      local inner = task.each({ 10, 20 }, function(b)
        task.sleep(0.001)
        return a + b
      end)
      return inner[1] + inner[2]
    end)
    assert.same({ 32, 34 }, results)
  end)

  it("nests as deep as memory lets it", function()
    local function down(n)
      if n == 0 then
        task.sleep(10)
      end
      task.each({ n - 1 }, down)
    end
    local _, message = task.timeout(0.3, down, 2000)
    assert.equal("timed out after 0.3 s", message)
    assert.equal(1, host.tasks())
  end)
end)

describe("task.all", function()
  it("returns each function's first result", function()
    local a, b, c = task.all(
      function() task.sleep(0.01) return 1, "x" end,
      function() end,
      function() return 3 end)
    assert.equal(1, a)
    assert.is_nil(b)
    assert.equal(3, c)
  end)

  it("takes no function at all", function()
    assert.equal(0, select("#", task.all()))
  end)

  it("closes the variables of a failed task, which may wait", function()
    local log = {}
    pcall(task.all, function()
      local slow <close> = setmetatable({}, {
        __close = function()
          task.sleep(0.01)
          log[#log + 1] = "slept"
        end,
      })
      error("x")
    end)
    assert.same({ "slept" }, log)
  end)
end)

describe("task.timeout", function()
  it("returns all results of a function that is quick enough", function()
    local n = select("#", task.timeout(1, function(...)
      return ..., nil, nil
    end, "a", "b"))
    assert.equal(3, n)
    local a, b = task.timeout(1, function(...) return ... end, "a", "b")
    assert.equal("a", a)
    assert.equal("b", b)
  end)

  it("cancels the function and runs its close variables", function()
    local log = {}
    local result, message = task.timeout(0.02, function()
      local mark <close> = closer(log, "closed")
      task.sleep(10)
      log[#log + 1] = "never"
    end)
    assert.is_nil(result)
    assert.equal("timed out after 0.02 s", message)
    assert.same({ "closed" }, log)
  end)

  it("cannot be caught by the function", function()
    local log = {}
    task.timeout(0.02, function()
      while true do
        pcall(function() task.sleep(10) end)
        log[#log + 1] = "went on"
      end
    end)
    assert.same({}, log)
  end)

  it("cancels children of the function", function()
    local log = {}
    task.timeout(0.02, function()
      local mark <close> = closer(log, "parent")
      task.each({ 1, 2 }, function()
        local inner <close> = closer(log, "child")
        task.sleep(10)
      end)
    end)
    assert.same({ "child", "child", "parent" }, log)
  end)

  it("raises what the function raises", function()
    assert.has_error(function()
      task.timeout(1, function() error("bad", 0) end)
    end, "bad")
  end)

  it("times out at once with no time at all", function()
    local _, message = task.timeout(0, task.sleep, 1)
    assert.equal("timed out after 0 s", message)
  end)

  it("cannot wait while it is cancelled, and says so", function()
    local message
    task.timeout(0.01, function()
      local mark <close> = setmetatable({}, {
        __close = function()
          message = select(2, pcall(task.sleep, 1))
        end,
      })
      task.sleep(10)
    end)
    assert.matches("I/O is not possible here %(.*cancelled", message)
  end)

  it("is bound by the shorter one outside", function()
    local _, message = task.timeout(0.02, function()
      return task.timeout(10, task.sleep, 10)
    end)
    assert.equal("timed out after 0.02 s", message)
  end)
end)

describe("task.deadline", function()
  it("is nil without one", function()
    assert.is_nil(task.deadline())
  end)

  it("is the earliest that binds the task, also in children", function()
    task.timeout(5, function()
      assert.near(5, task.deadline(), 0.1)
      task.timeout(1, function()
        assert.near(1, task.deadline(), 0.1)
      end)
      task.timeout(60, function()
        assert.near(5, task.deadline(), 0.1)
      end)
      task.each({ 1 }, function()
        assert.near(5, task.deadline(), 0.1)
      end)
    end)
  end)
end)

describe("a task's deadline", function()
  it("names the line that waited", function()
    local _, message, code = host.run([[
      local task = require "task"
      task.sleep(10)
    ]], { deadline = 0.02 })
    assert.equal("script:2: deadline of 0.02 s exceeded "
      .. "(timeout of the exporter or the scrape)", message)
    assert.equal("timeout", code)
  end)

  it("names the line inside a coroutine", function()
    local _, message = host.run([[
      local task = require "task"
      local next_page = coroutine.wrap(function()
        task.sleep(10)
      end)
      next_page()
    ]], { deadline = 0.02 })
    assert.equal("script:3: deadline of 0.02 s exceeded "
      .. "(timeout of the exporter or the scrape)", message)
  end)
end)

describe("a wait", function()
  -- Runs WAIT where it must not be possible and returns the message.
  local function refused(fn)
    return assert.has_error(fn, "I/O is not possible here (")
  end
  local function nap()
    task.sleep(0)
    return true
  end

  it("is refused inside table.sort", function()
    assert.matches("%(inside table%.sort%)$", refused(function()
      table.sort({ 1, 2, 3 }, nap)
    end))
  end)

  it("is refused inside a string.gsub callback", function()
    assert.matches("%(inside string%.gsub%)$", refused(function()
      local _ = string.gsub("abc", ".", nap)
    end))
  end)

  it("is refused inside __tostring", function()
    assert.matches("%(inside tostring%)$", refused(function()
      tostring(setmetatable({}, { __tostring = nap }))
    end))
  end)

  it("is refused inside a reader of load", function()
    local _, message = load(nap)
    assert.matches("I/O is not possible here %(inside load%)$", message)
  end)

  it("is refused inside a finalizer", function()
    local message
    setmetatable({}, {
      __gc = function() message = select(2, pcall(nap)) end,
    })
    collectgarbage()
    assert.matches("I/O is not possible here %(inside a finalizer%)$", message)
  end)

  it("is refused at the top level of a module", function()
    package.preload["spec.waits"] = nap
    local message = refused(function() require "spec.waits" end)
    package.preload["spec.waits"] = nil
    assert.matches("%(at the top level of a module%)$", message)
  end)

  it("is refused in a coroutine below table.sort", function()
    refused(function()
      table.sort({ 1, 2, 3 }, function()
        return coroutine.wrap(nap)()
      end)
    end)
  end)

  it("begins no child where it is refused", function()
    refused(function()
      table.sort({ 1, 2, 3 }, function()
        return task.each({ 1 }, nap)
      end)
    end)
    assert.equal(1, host.tasks())
  end)

  it("works in pcall, xpcall, metamethods, iterators and dofile", function()
    assert.equal(true, select(2, pcall(nap)))
    assert.equal(true, select(2, xpcall(nap, print)))
    local object = setmetatable({}, {
      __index = nap, __add = nap, __call = nap, __eq = nap, __lt = nap,
      __concat = nap, __len = nap, __unm = nap,
    })
    assert(object.x and object + 1 and object() and object < object)
    assert(object .. "x" and #object and -object)
    for _ in function(_, last) return not last and nap() or nil end do
      nap()
    end
    local file = os.tmpname()
    local out <close> = assert(io.open(file, "w"))
    out:write("require('task').sleep(0) return 'waited'")
    out:flush()
    local result = dofile(file)
    os.remove(file)
    assert.equal("waited", result)
  end)

  it("works in a <close>", function()
    local closed = false
    do
      local mark <close> = setmetatable({}, {
        __close = function() closed = nap() end,
      })
    end
    assert.is_true(closed)
  end)
end)

describe("a state that ends", function()
  it("cancels its tasks and runs their close variables", function()
    local file = os.tmpname()
    local _, message, code = host.run(string.format([[
      local task = require "task"
      local function mark(name)
        return setmetatable({}, { __close = function()
          local out <close> = io.open(%q, "a")
          out:write(name, "\n")
        end })
      end
      local outer <close> = mark "outer"
      task.all(function()
        local inner <close> = mark "inner"
        coroutine.wrap(function()
          local nested <close> = mark "nested"
          task.sleep(10)
        end)()
      end)
    ]], file), { stop = 0.02 })
    local lines = {}
    for line in io.lines(file) do
      lines[#lines + 1] = line
    end
    os.remove(file)
    assert.equal("cancelled", message)
    assert.equal("closed", code)
    assert.same({ "nested", "inner", "outer" }, lines)
  end)
end)
