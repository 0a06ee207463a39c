-- SPDX-License-Identifier: Apache-2.0
-- luacheck: ignore 211 (variables that are there to be closed)
local host = require "host"
local task = require "task"
local timely = dofile "spec/bind/timely.lua"

local function closer(log, name)
  return setmetatable({}, {
    __close = function() log[#log + 1] = name end,
  })
end

-- A generator as scripts write them: it waits between what it yields.
local function pages(n)
  return coroutine.wrap(function()
    for i = 1, n do
      task.sleep(0.001)
      coroutine.yield("page " .. i)
    end
  end)
end

describe("a script's own coroutine", function()
  it("yields its pages to the script and its waits to the host", function()
    local seen = {}
    for page in pages(3) do
      seen[#seen + 1] = page
    end
    assert.same({ "page 1", "page 2", "page 3" }, seen)
  end)

  it("waits through coroutine.resume, many times in one call", function()
    local co = coroutine.create(function(a, b)
      for _ = 1, 100 do
        task.sleep(0)
      end
      local c = coroutine.yield(a + b, nil)
      task.sleep(0)
      return c, nil, nil
    end)
    local packed = table.pack(coroutine.resume(co, 1, 2))
    assert.equal(3, packed.n)
    assert.same({ true, 3, n = 3 }, packed)
    packed = table.pack(coroutine.resume(co, "c"))
    assert.equal(4, packed.n)
    assert.equal("c", packed[2])
    assert.equal("dead", coroutine.status(co))
  end)

  it("waits three deep", function()
    local function deep(n)
      if n == 0 then
        task.sleep(0.001)
        coroutine.yield "bottom"
        return "end"
      end
      local inner = coroutine.wrap(deep)
      coroutine.yield(inner(n - 1))
      task.sleep(0)
      return inner()
    end
    local outer = coroutine.wrap(deep)
    assert.equal("bottom", outer(3))
    assert.equal("end", outer())
  end)

  it("has its error caught by resume and passed on by wrap", function()
    local function bad()
      task.sleep(0)
      error "broken"
    end
    local ok, message = coroutine.resume(coroutine.create(bad))
    assert.is_false(ok)
    assert.matches("coroutine_spec.lua:%d+: broken$", message)
    assert.matches("coroutine_spec.lua:%d+: broken$",
      assert.has_error(coroutine.wrap(bad)))
  end)

  it("is closed by wrap after an error", function()
    local log = {}
    assert.has_error(coroutine.wrap(function()
      local mark <close> = closer(log, "closed")
      task.sleep(0)
      error "broken"
    end))
    assert.same({ "closed" }, log)
  end)

  it("is closed when the task that waits in it is cancelled", function()
    local log = {}
    task.timeout(0.01, function()
      local mark <close> = closer(log, "task")
      coroutine.wrap(function()
        local outer <close> = closer(log, "outer")
        local co = coroutine.create(function()
          local inner <close> = closer(log, "inner")
          task.sleep(10)
        end)
        coroutine.resume(co)
      end)()
    end)
    assert.same({ "inner", "outer", "task" }, log)
  end)

  it("is closed after errors in its close variables, too", function()
    local log = {}
    task.timeout(0.01, function()
      local mark <close> = closer(log, "task")
      coroutine.wrap(function()
        local first <close> = closer(log, "first")
        local bad <close> = setmetatable({}, {
          __close = function() error "in close" end,
        })
        task.sleep(10)
      end)()
    end)
    assert.same({ "first", "task" }, log)
  end)

  it("is not closed when it does not wait at that moment", timely(function()
    local log = {}
    local generator = coroutine.wrap(function()
      local mark <close> = closer(log, "generator")
      task.sleep(0)
      coroutine.yield(1)
      coroutine.yield(2)
    end)
    task.timeout(0.2, function()
      assert.equal(1, generator())
      task.sleep(10)
    end)
    assert.same({}, log)
    assert.equal(2, generator())
  end))

  it("cannot be resumed or closed by others while it waits", function()
    local co = coroutine.create(function()
      task.sleep(0.02)
      return "done"
    end)
    local result, ok, message, status, closed
    task.all(
      function()
        result = select(2, coroutine.resume(co))
      end,
      function()
        task.sleep(0.005)
        status = coroutine.status(co)
        ok, message = coroutine.resume(co)
        closed = pcall(coroutine.close, co)
      end)
    assert.equal("done", result)
    assert.equal("normal", status)
    assert.is_false(ok)
    assert.equal("cannot resume a coroutine that waits for I/O", message)
    assert.is_false(closed)
  end)

  it("works in loops of generic for with a closing value", function()
    local log = {}
    local seen = {}
    for page in pages(3), nil, nil, closer(log, "closed") do
      seen[#seen + 1] = page
      if #seen == 2 then
        break
      end
    end
    assert.same({ "page 1", "page 2" }, seen)
    assert.same({ "closed" }, log)
  end)
end)

describe("the coroutine of a task", function()
  it("cannot be resumed or closed by a script, alive or dead", function()
    local main
    task.all(
      function()
        main = coroutine.running()
        task.sleep(0.01)
        return print
      end,
      function()
        task.sleep(0.001)
        assert.is_false((coroutine.resume(main)))
        assert.is_false((pcall(coroutine.close, main)))
      end)
    assert.is_false((coroutine.resume(main)))
    assert.is_false((pcall(coroutine.close, main)))
  end)

  it("cannot yield to nobody", function()
    local message = select(2, pcall(task.all, function()
      coroutine.yield(1)
    end))
    assert.matches(
      "coroutine_spec.lua:%d+: coroutine.yield outside of a coroutine$",
      message)
  end)
end)

describe("the library", function()
  it("refuses dead, running and normal coroutines", function()
    local co = coroutine.create(function() end)
    coroutine.resume(co)
    assert.equal("cannot resume dead coroutine",
      select(2, coroutine.resume(co)))
    local message = select(2, coroutine.resume(coroutine.running()))
    assert.equal("cannot resume non-suspended coroutine", message)
    local outer
    outer = coroutine.wrap(function(self)
      return coroutine.wrap(function()
        return coroutine.resume(self)
      end)()
    end)
    local self = coroutine.create(outer)
    assert.equal("suspended", coroutine.status(self))
  end)

  it("closes a suspended coroutine and reports its error", function()
    local log = {}
    local co = coroutine.create(function()
      local mark <close> = closer(log, "closed")
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.equal("dead", coroutine.status(co))
    assert.same({ "closed" }, log)

    co = coroutine.create(function()
      local bad <close> = setmetatable({}, {
        __close = function() error("in close", 0) end,
      })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.same({ false, "in close" }, { coroutine.close(co) })
    assert.equal("dead", coroutine.status(co))
    assert.is_false((coroutine.resume(co)))
  end)

  it("reports the error again when a failed coroutine is closed", function()
    local co = coroutine.create(error)
    coroutine.resume(co, "broken")
    assert.same({ false, "broken" }, { coroutine.close(co) })
  end)

  it("ends endless recursion with an error", function()
    local function resume_deeper()
      return assert(coroutine.resume(coroutine.create(resume_deeper)))
    end
    assert.has_error(resume_deeper, "C stack overflow")
  end)

  it("ends endless closing inside closing with an error", function()
    local message
    local function make()
      local co = coroutine.create(function()
        local inner <close> = setmetatable({}, {
          __close = function()
            local ok, closed, err = pcall(coroutine.close, make())
            message = message or (ok and err or closed)
          end,
        })
        coroutine.yield()
      end)
      coroutine.resume(co)
      return co
    end
    coroutine.close(make())
    assert.matches("C stack overflow", message)
  end)

  it("keeps isyieldable, running and create", function()
    assert.is_true(coroutine.isyieldable())
    local co, main = coroutine.running()
    assert.equal("thread", type(co))
    assert.is_false(main)
    assert.equal("thread", type(coroutine.create(print)))
    assert.equal(1, host.tasks())
  end)
end)
