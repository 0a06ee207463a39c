-- SPDX-License-Identifier: Apache-2.0
-- Undocumented does not exist, documented does not lie: each module has the
-- names of its file in lua/meta, no more and no fewer.

local MODULES <const> = { "clock", "exporter", "files", "http", "icmp", "json",
  "log", "metric", "process", "protobuf", "push", "resolve", "session", "task",
  "udp", "value", "xml" }

local function documented(name)
  local names = {}
  local begun = false -- fields before are the module's own
  for line in io.lines("lua/meta/" .. name .. ".lua") do
    local word = line:match("^function " .. name .. "%.([%w_]+)%(") or
      not begun and line:match("^%-%-%-@field ([%w_]+) ")
    begun = begun or line:find("^local " .. name .. " = ") ~= nil
    if word then
      names[#names + 1] = word
    end
  end
  table.sort(names)
  return names
end

local function present(name)
  local names = {}
  for key in pairs(require(name)) do
    names[#names + 1] = key
  end
  table.sort(names)
  return names
end

for _, name in ipairs(MODULES) do
  describe("the reference of " .. name, function()
    it("lists what the module has", function()
      assert.same(documented(name), present(name))
    end)
  end)
end
