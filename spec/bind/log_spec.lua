-- SPDX-License-Identifier: Apache-2.0
local host = require "host"
local log = require "log"

describe("log", function()
  it("takes a message and fields of any type", function()
    log.debug("a spec says", { text = "x", number = 3, truth = true })
    log.debug "a spec says"
  end)

  it("raises for wrong arguments", function()
    assert.has_error(function() log.info() end, "string expected")
    assert.has_error(function() log.info("x", 3) end, "table expected")
    assert.has_error(function() log.info("x", { 3 }) end, "strings")
    local many = {}
    for i = 1, 13 do
      many["field" .. i] = i
    end
    assert.has_error(function() log.info("x", many) end, "at most 12")
  end)

  it("raises what a __tostring of a field raises", function()
    assert.has_error(function()
      log.debug("x", {
        bad = setmetatable({}, { __tostring = function() error "no" end }),
      })
    end, "no")
  end)
end)

describe("print", function()
  it("is not on standard output", function()
    assert.equal("ok", host.run "print('a line of the spec', 1, nil) return 'ok'")
  end)
end)
