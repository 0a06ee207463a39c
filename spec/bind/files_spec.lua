-- SPDX-License-Identifier: Apache-2.0
local files = require "files"

local HERE <const> = "spec/fixtures/files"

describe("files.read", function()
  it("gives a whole file, zero bytes and all", function()
    local path = os.tmpname()
    local bytes = ("\0\r\n\255"):rep(50000)
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    assert.equal(bytes, assert(files.read(path)))
    assert.equal(bytes, assert(files.read(path, #bytes)))
    local text, message = files.read(path, #bytes - 1)
    os.remove(path)
    assert.is_nil(text)
    assert.equal(("cannot read %s: it is larger than 199999 bytes"):format(path),
      message)
  end)

  it("gives an empty file, and files that do not know their size", function()
    assert.equal("", assert(files.read(HERE .. "/empty")))
    assert.matches("^%d+%.%d+ ", assert(files.read "/proc/loadavg"))
  end)

  it("says what it could not read and why", function()
    for path, why in pairs {
      [HERE .. "/none"] = "No such file or directory",
      [HERE .. "/a.json/b"] = "Not a directory",
      [HERE] = "it is a folder",
      ["/dev/null"] = "it is no file",
      ["/dev/tty"] = "", -- no controlling terminal, or no file
      [("x"):rep(5000)] = "File name too long",
    } do
      local text, message = files.read(path)
      assert.is_nil(text)
      assert.equal(1, message:find("cannot read " .. path:sub(1, 100), 1, true))
      assert(#path > 400 or message:find(why, 1, true), message)
    end
  end)

  it("raises for what is no path or no number of bytes", function()
    assert.has_error(function() files.read() end, "string expected")
    assert.has_error(function() files.read "" end, "expected a path")
    assert.has_error(function() files.read "a\0b" end, "expected a path")
    for _, max in ipairs { 0, -1, 1 << 40 } do
      assert.has_error(function() files.read("x", max) end,
        "expected a number of bytes")
    end
  end)
end)

describe("files.list", function()
  it("names the files, sorted, without folders and hidden ones", function()
    assert.same({ "B.json", "a.json", "empty", "link.json" },
      assert(files.list(HERE)))
    assert.same({ "inside" }, assert(files.list(HERE .. "/folder")))
  end)

  it("says what it could not list and why", function()
    local names, message = files.list(HERE .. "/none")
    assert.is_nil(names)
    assert.equal("cannot read spec/fixtures/files/none: No such file or "
      .. "directory", message)
    names, message = files.list(HERE .. "/a.json")
    assert.is_nil(names)
    assert.equal("cannot read spec/fixtures/files/a.json: Not a directory",
      message)
    assert.has_error(function() files.list "" end, "expected a path")
  end)
end)
