-- SPDX-License-Identifier: Apache-2.0
local xml = require "xml"

describe("xml.parse", function()
  it("gives the root", function()
    local list = assert(xml.parse "<list><c><received>1</received></c></list>")
    assert.equal("list", list:tag())
    assert.equal("1", list:child "c".received)
  end)
end)
