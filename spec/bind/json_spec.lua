-- SPDX-License-Identifier: Apache-2.0
local json = require "json"

describe("json.decode", function()
  it("reads JSON", function()
    assert.same({ a = { 1, 2.5, "x", true }, n = json.null },
      json.decode('{"a":[1,2.5,"x",true],"n":null}'))
    assert.equal("\u{e9}\n", json.decode [["\u00e9\n"]])
    assert.is_false(json.decode "false")
  end)

  it("fails with a message for what is not JSON", function()
    for _, text in ipairs { "", "{", "nope", "[1,]", '{"a":}', "<html>",
      "[NaN]", "[Infinity]", "\0", '"\\ud800"' } do
      local result, message = json.decode(text)
      assert.is_nil(result)
      assert.matches("^JSON: ", message)
    end
  end)

  it("bounds the depth", function()
    assert.is_not_nil(json.decode(("["):rep(100) .. ("]"):rep(100)))
    local result, message = json.decode(("["):rep(101) .. ("]"):rep(101))
    assert.is_nil(result)
    assert.matches("too many nested", message)
    assert.is_nil((json.decode(("["):rep(1000000))))
    for _, open in ipairs { "[", '{"a":' } do
      local began = os.clock()
      result, message = json.decode(open:rep(100000) ..
        (open == "[" and "]" or "}"):rep(100000))
      assert.is_nil(result)
      assert.matches("too many nested", message)
      assert.is_true(os.clock() - began < 0.5)
    end
  end)

  it("refuses 100 000 nested arrays at once", function()
    local text = ("["):rep(100000) .. ("]"):rep(100000)
    local memory, started = collectgarbage "count", os.clock()
    local result, message = json.decode(text)
    assert.is_nil(result)
    assert.matches("^JSON: .*too many nested", message)
    assert.is_true(os.clock() - started < 1)
    assert.is_true(collectgarbage "count" - memory < 1024)
  end)

  it("raises for what is not text", function()
    assert.has_error(function() json.decode(nil) end, "string expected")
    assert.has_error(function() json.decode(3) end, "string expected")
  end)
end)

describe("json.encode", function()
  it("writes JSON that decode reads", function()
    local data = { list = { 1, 2, 3 }, text = "\"\\\n\0", truth = true }
    assert.same(data, json.decode(json.encode(data)))
    assert.equal("null", json.encode(json.null))
  end)

  it("writes a sparse list as an object", function()
    assert.equal('{"1000000":1}', json.encode { [1000000] = 1 })
    assert.same({ 1, json.null, 3 }, json.decode(json.encode { 1, nil, 3 }))
  end)

  it("raises for what JSON cannot say", function()
    assert.has_error(function() json.encode(print) end, "JSON: ")
    assert.has_error(function() json.encode(0 / 0) end, "JSON: ")
    local loop = {}
    loop[1] = loop
    assert.has_error(function() json.encode(loop) end, "nest")
    local deep = {}
    for _ = 1, 1000 do
      deep = { deep }
    end
    assert.has_error(function() json.encode(deep) end, "nest")
  end)
end)
