-- SPDX-License-Identifier: Apache-2.0
-- The module of the push thread. What is in a request is in
-- spec/core/remote_write_spec.c, how records are kept in spec/net/spool_spec.c.

local page = require "page"
local remote = require "remote_write"
local times = require "pusher.time"

-- A path that is not there, and nothing is left of after the spec.
local function folder()
  local path = os.tmpname()
  os.remove(path)
  return path, setmetatable({}, { __close = function()
    for number = 1, 9 do
      os.remove(string.format("%s/%016x.spool", path, number))
    end
    os.remove(path .. "/lock")
    assert(os.remove(path))
  end })
end

local function drain(spool)
  local samples, bodies = 0, {}
  while true do
    local body, n = spool:peek()
    if not body then
      return samples, bodies
    end
    samples = samples + n
    bodies[#bodies + 1] = body
    spool:take()
  end
end

describe("a writer", function()
  it("puts a page into a spool as requests", function()
    local writer = remote.writer { job = "spec" }
    local spool <close> = assert(remote.spool {})
    assert.equal(4500, writer:write(page.new(1, 4500), 1000, spool))
    local counts = spool:counts()
    assert.equal(3, counts.records)
    assert.equal(4500, counts.samples)
    local samples, bodies = drain(spool)
    assert.equal(4500, samples)
    assert.equal(counts.bytes, #bodies[1] + #bodies[2] + #bodies[3] + 3 * 16)
    assert.equal(0, spool:counts().records)
  end)

  it("ends what is gone, all without a page", function()
    local writer = remote.writer {}
    local spool <close> = assert(remote.spool {})
    assert.equal(10, writer:write(page.new(1, 10), 1000, spool))
    assert.equal(13, writer:write(page.new(4, 13), 2000, spool))
    assert.equal(10, writer:write(nil, 3000, spool))
    assert.equal(0, writer:write(nil, 4000, spool))
    assert.equal(33, (drain(spool)))
  end)

  it("may be told to write more, by names that it knows", function()
    assert(remote.writer({}, { native_histograms = true, exemplars = true }))
    assert.has_error(function() remote.writer({}, { native = true }) end,
      "unknown option 'native'")
    assert.has_error(function() remote.writer({}, { exemplars = 1 }) end,
      "option 'exemplars': expected a boolean, got number")
  end)

  it("says what is in each request", function()
    local writer = remote.writer {}
    local spool <close> = assert(remote.spool {})
    assert(writer:write(page.new(1, 10), 1000, spool))
    assert.same({ 10, "samples" }, { select(2, spool:peek()) })
  end)

  it("says what the spool did not take", function()
    local writer = remote.writer {}
    local spool <close> = assert(remote.spool { bytes = 1000 })
    local samples, message = writer:write(page.new(1, 2500), 1000, spool)
    assert.is_nil(samples)
    assert.matches("^a record of %d+ bytes is larger than the queue, " ..
      "which has 1000$", message)
    assert.equal(2500, spool:counts().dropped_samples)
  end)

  it("raises for labels that are not valid", function()
    local cases = {
      ["label name '__name__' is reserved"] = { __name__ = "x" },
      ["label name 'a-b' is not valid"] = { ["a-b"] = "x" },
      ["the value of label 'a' is not UTF-8"] = { a = "\xFF" },
      ["a value is a string, got a number"] = { a = 1 },
      ["a name is a string, got a number"] = { "a" },
      ["a value has a zero byte"] = { a = "a\0b" },
      ["more than 1024 labels"] = {},
    }
    for i = 1, 1025 do
      cases["more than 1024 labels"]["l" .. i] = "x"
    end
    for message, labels in pairs(cases) do
      assert.has_error(function() remote.writer(labels) end, message)
    end
    assert.has_error(function() remote.writer() end, "table expected")
  end)

  it("wants a page, a time and a spool", function()
    local writer = remote.writer {}
    local spool <close> = assert(remote.spool {})
    local p = page.new(1, 1)
    assert.has_error(function() writer:write(1, 1, spool) end, "pages.page")
    assert.has_error(function() writer:write(p, 1.5, spool) end, "integer")
    assert.has_error(function() writer:write(p, 1, p) end,
      "remote_write.spool expected")
    do
      local _ <close> = p
    end
    assert.has_error(function() writer:write(p, 1, spool) end,
      "the page is closed")
    spool:close()
    assert.has_error(function() writer:write(nil, 1, spool) end,
      "the spool is closed")
  end)
end)

describe("a spool", function()
  it("has what its folder had", function()
    local path, rest = folder()
    local _ <close> = rest
    local writer = remote.writer {}
    do
      local spool <close> = assert(remote.spool { folder = path })
      assert.equal(3000, writer:write(page.new(1, 3000), 1000, spool))
      assert.equal("2000", tostring(select(2, spool:peek())))
      spool:take()
    end
    local spool <close> = assert(remote.spool { folder = path })
    assert.equal(1, spool:counts().records)
    assert.equal(1000, (drain(spool)))
    spool:close()
    spool:close()
  end)

  it("is one of a folder", function()
    local path, rest = folder()
    local _ <close> = rest
    local first <close> = assert(remote.spool { folder = path })
    local second, message = remote.spool { folder = path }
    assert.is_nil(second)
    assert.equal(0, first:counts().records)
    assert.equal(path .. " is in use already, by this lunex", message)
  end)

  it("tells a folder that cannot be", function()
    local spool, message = remote.spool { folder = "/dev/null/q" }
    assert.is_nil(spool)
    assert.equal("/dev/null/q: Not a directory", message)
    assert.has_error(function() remote.spool { folder = "/a\0b" } end,
      "zero byte")
    assert.has_error(function() remote.spool { size = 1 } end,
      "unknown option 'size'")
  end)

  it("loses its oldest samples when it is full", function()
    local writer = remote.writer {}
    local spool <close> = assert(remote.spool { bytes = 20000 })
    for i = 1, 100 do
      assert.equal(100, writer:write(page.new(1, 100), i, spool))
    end
    local counts = spool:counts()
    assert(counts.bytes <= 20000 and counts.records > 5)
    assert.equal(10000, counts.samples + counts.dropped_samples)
    assert.equal(0, counts.damaged)
  end)

  it("gives away only what was shown", function()
    local spool <close> = assert(remote.spool {})
    assert.equal(1, remote.writer {}:write(page.new(1, 1), 1, spool))
    spool:take()
    assert.equal(1, spool:counts().records)
    spool:peek()
    spool:take()
    spool:take()
    assert.equal(0, spool:counts().records)
    assert.is_nil(spool:peek())
  end)
end)

describe("the time of a sample", function()
  it("is that of the clock", function()
    assert.same({ 7000, false }, { times.after(0, 7000) })
    assert.same({ 9000, false }, { times.after(7000, 9000) })
  end)

  it("rises while a clock that was set back a little catches up", function()
    assert.same({ 600001, false }, { times.after(600000, 600000) })
    assert.same({ 600001, false }, { times.after(600000, 0) })
  end)

  it("follows one that was far ahead", function()
    assert.same({ 5, true }, { times.after(600006, 5) })
    assert.same({ 6, false }, { times.after(5, 6) })
  end)
end)
