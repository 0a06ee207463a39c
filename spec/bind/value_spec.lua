-- SPDX-License-Identifier: Apache-2.0
local json = require "json"
local value = require "value"

describe("value.get", function()
  it("follows a path of names and indexes", function()
    local data = { a = { b = { { c = "x" } } } }
    assert.equal("x", value.get(data, "a.b.1.c"))
    assert.equal("x", value.get(data, { "a", "b", 1, "c" }))
    assert.equal(data, value.get(data))
  end)

  it("is nil wherever the path ends early", function()
    local data = { a = "text", n = 3, null = json.null, f = false }
    for _, path in ipairs { "x", "x.y", "a.b", "n.b", "null", "null.b",
      "f.b" } do
      assert.is_nil(value.get(data, path))
    end
    assert.is_nil(value.get(nil, "a"))
    assert.is_nil(value.get(json.null, "a"))
    assert.is_nil(value.get("text", "len"))
    assert.is_false(value.get(data, "f"))
  end)

  it("takes a list of keys for names with dots", function()
    assert.equal(1, value.get({ ["a.b"] = 1 }, { "a.b" }))
    assert.is_nil(value.get({ ["a.b"] = 1 }, "a.b"))
  end)

  it("finds names that look like numbers", function()
    assert.equal("x", value.get({ ["7"] = "x" }, "7"))
    assert.equal("y", value.get({ [7] = "y" }, "7"))
  end)
end)

describe("value.time", function()
  it("reads timestamps, and nothing else", function()
    assert.equal(1463946608.244,
      value.time({ seen = "2016-05-22T19:50:08.244Z" }, "seen"))
    assert.equal(0, value.time "1970-01-01T01:00:00+01:00")
    for _, odd in ipairs { "yesterday", "", 5, false, json.null, {} } do
      assert.is_nil(value.time(odd))
    end
    assert.is_nil(value.time(nil))
    assert.is_nil(value.time({}, "seen"))
  end)
end)

describe("value.num", function()
  it("reads numbers and numbers as text", function()
    assert.equal(3, value.num(3))
    assert.equal(3.5, value.num(" 3.5\n"))
    assert.equal(-1e3, value.num("-1e3"))
    assert.equal(7, value.num({ x = "7" }, "x"))
  end)

  it("is nil for everything else", function()
    for _, bad in ipairs { "", "x", "3 C", true, {}, { err = 3 }, json.null,
      0 / 0, print } do
      assert.is_nil(value.num(bad))
    end
    assert.is_nil(value.num(nil))
    assert.is_nil(value.num({ x = { err = 3 } }, "x"))
  end)
end)

describe("value.str", function()
  it("reads text and numbers", function()
    assert.equal("a", value.str("a"))
    assert.equal("3", value.str(3))
    assert.equal("3", value.str(3.0))
    assert.equal("0.5", value.str(0.5))
    assert.is_nil(value.str({}))
    assert.is_nil(value.str(json.null))
    assert.equal("true", value.str(true))
  end)
end)

describe("value.bool", function()
  it("reads what APIs use for truth", function()
    for _, yes in ipairs { true, "true", "True", "yes", "on", "1", 1 } do
      assert.is_true(value.bool(yes))
    end
    for _, no in ipairs { false, "false", "NO", "off", "0", 0 } do
      assert.is_false(value.bool(no))
    end
    for _, bad in ipairs { "maybe", 2, {}, json.null } do
      assert.is_nil(value.bool(bad))
    end
    assert.is_nil(value.bool(nil))
  end)
end)

describe("value.list", function()
  it("is the list", function()
    assert.same({ 1, 2 }, value.list({ x = { 1, 2 } }, "x"))
  end)

  it("is a list of one for a single thing", function()
    assert.same({ { id = 1 } }, value.list({ id = 1 }))
    assert.same({ "x" }, value.list("x"))
    assert.same({ false }, value.list(false))
  end)

  it("is empty for nothing", function()
    assert.same({}, value.list(nil))
    assert.same({}, value.list(json.null))
    assert.same({}, value.list({}))
    assert.same({}, value.list({}, "a.b"))
  end)

  it("leaves nulls out", function()
    assert.same({ 1, 2 }, value.list { 1, json.null, 2 })
  end)
end)

describe("value.put", function()
  it("sets what is a number and nothing else", function()
    local seen = {}
    local family = { set = function(_, ...) table.insert(seen, { ... }) end }
    value.put(family, "7", "a", "b")
    value.put(family, 0.5)
    for _, bad in ipairs { "", "x", {}, json.null, false } do
      value.put(family, bad, "a")
    end
    value.put(family, nil, "a")
    assert.same({ { 7, "a", "b" }, { 0.5 } }, seen)
  end)
end)

describe("value.check", function()
  local SHAPE <const> = {
    conf = { id = "string", interval = "number", dry = "boolean" },
    jobs = { { name = "string", metrics = { "string" } } },
    port = function(data)
      return tonumber(data) ~= nil, "a port"
    end,
  }
  local GOOD <const> = [[{"conf": {"id": "", "interval": 5, "dry": false},
    "jobs": [{"name": "a", "metrics": ["x", "y"]}], "port": "90"}]]

  -- The mistakes in GOOD once PATTERN is REPLACEMENT.
  local function mistakes(pattern, replacement)
    local text, n = GOOD:gsub(pattern, replacement)
    assert(n > 0, pattern)
    return value.check(assert(json.decode(text)), SHAPE)
  end

  it("finds nothing in what fits", function()
    assert.same({}, mistakes("x", "z"))
    assert.same({}, mistakes("%b[]", "[]"))
    assert.same({}, value.check("x", "string"))
    assert.same({}, value.check({}, {}))
    assert.same({}, value.check({}, { "number" }))
  end)

  it("tells what is missing and what nobody knows", function()
    assert.same({ "missing key 'conf.id'", "unknown key 'conf.ID'" },
      (function(all) table.sort(all) return all end)(mistakes("id", "ID")))
    assert.same({ "missing key 'jobs.1.name'" },
      mistakes('"name": "a", ', ""))
    assert.same({ "unknown key 'a'", "missing key 'conf'",
      "missing key 'jobs'", "missing key 'port'" },
      value.check({ a = 1 }, SHAPE))
  end)

  it("tells what is of another kind, and not its value", function()
    assert.same({ "conf.interval: expected a number, got a string" },
      mistakes("5", '"s3cret"'))
    assert.same({ "conf.dry: expected a boolean, got null" },
      mistakes("false", "null"))
    assert.same({ "jobs: expected a list, got an object" },
      mistakes("%[%b{}%]", '{"a": 1}'))
    assert.same({ "jobs.1: expected an object, got a list" },
      mistakes("%[%b{}%]", "[[1]]"))
    assert.same({ "jobs.1.metrics.2: expected a string, got a number" },
      mistakes('"y"', "7"))
    assert.same({ "conf.interval: expected a number above 0" },
      value.check({ conf = { interval = 0 } },
        { conf = { interval = "positive" } }))
    assert.same({ "port: expected a port, got a string" },
      mistakes('"90"', '"ninety"'))
    assert.same({ "expected an object, got a list" },
      value.check({ 1 }, SHAPE))
    assert.same({ "expected an object, got null" },
      value.check(json.null, SHAPE))
  end)

  it("tells all of them", function()
    assert.equal(3, #value.check({ conf = 1, jobs = 2, port = {} }, SHAPE))
  end)

  it("knows texts, positive numbers and ports", function()
    for shape, all in pairs {
      text = { good = { "a" }, bad = { "", "a\0b", "\0", 5, {}, json.null } },
      positive = { good = { 1, 0.1 }, bad = { 0, -1, "1", 0 / 0, false } },
      port = { good = { 1, 65535, "9091" },
        bad = { 0, 65536, -1, 1.5, "x", "", {}, true } },
    } do
      for _, data in ipairs(all.good) do
        assert.same({}, value.check(data, shape))
      end
      for _, data in ipairs(all.bad) do
        assert.equal(1, #value.check(data, shape))
      end
    end
  end)

  it("raises for a shape that is none", function()
    assert.has_error(function() value.check(1, "strnig") end,
      "'strnig' is no shape")
    assert.has_error(function() value.check(1) end, "'nil' is no shape")
  end)
end)

describe("value.read", function()
  -- What value.read makes of a file with this TEXT.
  local function read(text, shape)
    local path, mistakes = os.tmpname(), {}
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    local data = value.read(path, shape, mistakes)
    os.remove(path)
    for i, mistake in ipairs(mistakes) do
      assert.equal(path .. ": ", mistake:sub(1, #path + 2))
      mistakes[i] = mistake:sub(#path + 3)
    end
    return data, mistakes
  end

  it("gives the JSON in a file", function()
    local data, mistakes = read('{"a": [1, 2]}', { a = { "number" } })
    assert.same({ a = { 1, 2 } }, data)
    assert.same({}, mistakes)
  end)

  it("tells what is wrong with the JSON and with its shape", function()
    local data, mistakes = read('{"a": [1, "s3cret"], "b": 2}',
      { a = { "number" } })
    assert.is_nil(data)
    assert.same({ "a.2: expected a number, got a string", "unknown key 'b'" },
      mistakes)
    data, mistakes = read('{"a": s3cret}', { a = "number" })
    assert.is_nil(data)
    assert.equal(1, #mistakes)
    assert.matches("^JSON: .* in line 1, column 7$", mistakes[1])
    for text, mistake in pairs { ["null"] = "expected an object, got null",
      ["false"] = "expected an object, got a boolean",
      [""] = "JSON: Expected value but found the end in line 1, column 1",
      ["[1,\n  2,]"] = "JSON: Expected value but found ']' in line 2, column 5",
      ["\n\n{}\n1"] = "JSON: Expected the end but found a number in line 4, " ..
        "column 1",
      ['{"T_END": 1\n"a": 2}'] = "JSON: Expected comma or object end but found " ..
        "a string in line 2, column 1" } do
      data, mistakes = read(text, {})
      assert.is_nil(data)
      assert.same({ mistake }, mistakes)
    end
  end)

  it("takes the mark that Windows begins a text with, once", function()
    local data, mistakes = read('\u{FEFF}{"a": 1}', { a = "number" })
    assert.same({ a = 1 }, data)
    assert.same({}, mistakes)
    data, mistakes = read('\u{FEFF}\u{FEFF}{"a": 1}', { a = "number" })
    assert.is_nil(data)
    assert.matches("line 1, column 1$", mistakes[1])
  end)

  it("adds to the mistakes that are there", function()
    local mistakes = { "one" }
    assert.is_nil(value.read("/none.json", {}, mistakes))
    assert.same({ "one", "cannot read /none.json: No such file or directory" },
      mistakes)
  end)
end)
