-- SPDX-License-Identifier: Apache-2.0
-- The path of a group at a Pushgateway: "/metrics/job/x/instance/a". A value
-- that a path cannot hold, or that whatever cleans paths on the way would eat,
-- goes in base64, behind the name and "@base64".

local urls = require "http.url"

local M = {}

local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" ..
  "abcdefghijklmnopqrstuvwxyz0123456789-_" -- that of URLs (RFC 4648, 5)

-- Three bytes are four digits; one digit more than there are bytes.
local function encode_group(group)
  local a, b, c = group:byte(1, 3)
  local bits = a << 16 | (b or 0) << 8 | (c or 0)
  local digits = {}
  for i = 1, #group + 1 do
    local digit = bits >> (24 - 6 * i) & 63
    digits[i] = ALPHABET:sub(digit + 1, digit + 1)
  end
  return table.concat(digits)
end

local function base64(text)
  return (text:gsub("..?.?", encode_group))
end

local EATEN <const> = { ["."] = true, [".."] = true }

local function element(name, value)
  if value == "" then
    return "/" .. name .. "@base64/="
  elseif EATEN[value] or value:find("/", 1, true) then
    return "/" .. name .. "@base64/" .. base64(value)
  end
  return "/" .. name .. "/" .. urls.encode(value)
end

-- OPTIONS are checked. Labels go in the order of their names, so that a group
-- has one path.
function M.of(options)
  local grouping = options.grouping or {}
  local names, parts = {}, { "/metrics", element("job", options.job) }
  for name in pairs(grouping) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = grouping[name]
    if type(value) == "number" then
      value = string.format("%d", value)
    end
    parts[#parts + 1] = element(name, value)
  end
  return table.concat(parts)
end

return M
