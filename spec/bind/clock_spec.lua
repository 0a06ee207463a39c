-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"

describe("clock.now", function()
  it("is the time of day with fractions", function()
    assert.near(os.time(), clock.now(), 2)
    assert.equal("float", math.type(clock.now()))
  end)
end)

describe("clock.monotonic", function()
  it("never goes back", function()
    local last = clock.monotonic()
    for _ = 1, 1000 do
      local now = clock.monotonic()
      assert(now >= last)
      last = now
    end
  end)
end)

describe("clock.format", function()
  it("writes RFC 3339", function()
    assert.equal("1970-01-01T00:00:00.000Z", clock.format(0))
    assert.equal("2026-11-21T05:22:43.123Z", clock.format(1795238563.1234))
    assert.equal("2001-09-09T01:46:41.000Z", clock.format(1000000000.9996))
    assert.equal("1969-12-31T23:59:59.500Z", clock.format(-0.5))
    assert.has_error(function() clock.format(1e300) end, "calendar")
    assert.has_error(function() clock.format(0 / 0) end, "calendar")
  end)
end)

describe("clock.parse", function()
  it("reads RFC 3339 and its usual variants", function()
    assert.equal(0, clock.parse "1970-01-01T00:00:00Z")
    assert.equal(1795238563, clock.parse "2026-11-21T05:22:43Z")
    assert.equal(1795238563, clock.parse "2026-11-21T07:22:43+02:00")
    assert.equal(1795238563, clock.parse "2026-11-21 04:52:43-0030")
    assert.near(1795238563.123, clock.parse "2026-11-21t05:22:43.123z", 1e-6)
    assert.equal(951782400, clock.parse "2000-02-29T00:00:00Z")
  end)

  it("fails with a message for anything else", function()
    for _, text in ipairs { "", "now", "2026-11-21", "2026-11-21T05:22:43",
      "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21T25:00:00Z",
      "2026-11-21T05:22:43Zjunk", "2026-11-21T05:22:43.Z",
      "2026-11-21T05:22:43Z\0", "-026-11-21T05:22:43Z",
      "2026-11-21T05:22:43+99:00" } do
      local result, message = clock.parse(text)
      assert.is_nil(result)
      assert.matches("^not an RFC 3339 timestamp: ", message)
    end
  end)
end)
