-- SPDX-License-Identifier: Apache-2.0
-- What people type, as values. Each function returns the value, or nil and
-- what was expected; who calls says where the text came from.

local M = {}

local TRUE <const> = { ["1"] = true, t = true, yes = true, on = true }
local FALSE <const> = { ["0"] = true, f = true, no = true, off = true }
local SECONDS <const> = {
  [""] = 1,
  ms = 0.001,
  s = 1,
  m = 60,
  h = 3600,
  d = 86400,
}

local function trim(text)
  return text:match "^%s*(.-)%s*$"
end

function M.string(text)
  return text
end

function M.integer(text)
  local digits = trim(text)
  local number = digits:find "^[+-]?%d+$" and math.tointeger(tonumber(digits))
  if not number then
    return nil, "expected an integer"
  end
  return number
end

function M.port(text)
  local number = M.integer(text)
  if not number or number < 1 or number > 65535 then
    return nil, "expected a port, 1 to 65535"
  end
  return number
end

function M.number(text)
  local digits = trim(text)
  local number = not digits:find "[xX]" and tonumber(digits)
  if not number or number ~= number or math.abs(number) == math.huge then
    return nil, "expected a number"
  end
  return number + 0.0
end

function M.boolean(text)
  local word = trim(text):lower()
  if word == "true" or TRUE[word] then
    return true
  elseif word == "false" or FALSE[word] then
    return false
  end
  return nil, "expected true or false"
end

-- One variable holds a whole list; flags are repeated instead.
function M.list(text)
  local items = {}
  for item in text:gmatch "[^,]+" do
    item = trim(item)
    if item ~= "" then
      items[#items + 1] = item
    end
  end
  return items
end

-- "15", "15s", "1m30s", "500ms"
function M.seconds(text)
  local bare = text:match "^%d+%.?%d*$" or text:match "^%.%d+$"
  if bare then
    return tonumber(bare) + 0.0
  end
  local total, rest = 0.0, text
  repeat
    local digits, unit, tail = rest:match "^([%d.]+)(%a+)(.*)$"
    local number = digits and tonumber(digits)
    if not number or not SECONDS[unit] then
      return nil, "expected seconds or a duration such as 15s or 1m"
    end
    total, rest = total + number * SECONDS[unit], tail
  until rest == ""
  return total
end

-- ":8000", "localhost:8000", "[::]:8000"
function M.address(text)
  local port = text:match "^%[[%x:.]*%%?[%w]*%]:(.*)$"
    or text:match "^[^:%s%[%]]*:([^:]*)$"
  if not port then
    return nil, "expected HOST:PORT or :PORT"
  end
  local number = port:find "^%d+$" and math.tointeger(tonumber(port))
  if not number or number > 65535 then
    return nil, "bad port '" .. port .. "', expected 0 to 65535"
  end
  return text
end

-- "metrics" is what some of the replaced programs document.
function M.path(text)
  local path = text:sub(1, 1) == "/" and text or "/" .. text
  if path:find "[^%w/._~-]" or path:find("//", 1, true) then
    return nil, "expected a path such as /metrics"
  elseif path == "/healthz" or path == "/probe" or path:find "^/%-/" then
    return nil, "expected a path that is not the host's"
  end
  return path
end

return M
