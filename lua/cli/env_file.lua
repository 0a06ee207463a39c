-- SPDX-License-Identifier: Apache-2.0
-- The .env file: NAME=VALUE lines. `export` in front, comments, and quotes are
-- understood; what is in single quotes is taken as it is, in double quotes
-- \n, \t, \", \\ and \$ are replaced. A quoted value may span lines. Nothing is
-- expanded.

local M = {}

local ESCAPED <const> = { n = "\n", r = "\r", t = "\t" }

local function line_of(text, position)
  local _, count = text:sub(1, position - 1):gsub("\n", "")
  return count + 1
end

-- The value at POSITION and where it ends; nil when its quote is never closed.
local function value_at(text, position)
  local quote = text:match("^['\"]", position)
  if not quote then
    local value, stop = text:match("^([^\n]*)()", position)
    return value:gsub("^#.*", ""):gsub("%s#.*", ""):match "^(.-)%s*$", stop
  end
  local stop = position
  repeat
    stop = text:find(quote, stop + 1, true)
    if not stop then
      return nil
    end
    local slashes = text:sub(position + 1, stop - 1):match "\\*$"
  until quote == "'" or #slashes % 2 == 0
  local value = text:sub(position + 1, stop - 1)
  if quote == '"' then
    value = value:gsub("\\(.)", function(c)
      return ESCAPED[c] or c
    end)
  end
  return value, stop + 1
end

-- TEXT as name -> { value = , line = }; nil and a sentence that names FILE and
-- line, and never the value.
function M.parse(text, file)
  local variables, position = {}, 1
  text = text:gsub("^\xEF\xBB\xBF", ""):gsub("\r\n", "\n")
  local function malformed(what)
    return nil, ("%s:%d: %s"):format(file, line_of(text, position), what)
  end
  while true do
    position = text:match("^%s*()", position)
    if position > #text then
      return variables
    end
    if text:sub(position, position) == "#" then
      position = text:match("^[^\n]*()", position)
    else
      local start = text:match("^export[ \t]+()", position) or position
      local name, from = text:match("^([%a_][%w_.]*)[ \t]*=[ \t]*()", start)
      if not name then
        return malformed "expected NAME=VALUE"
      end
      local value, stop = value_at(text, from)
      local rest = value and text:match("^[ \t]*([^\n]*)", stop)
      if not value then
        return malformed("the quoted value of " .. name .. " has no end")
      elseif rest ~= "" and rest:sub(1, 1) ~= "#" then
        return malformed("something follows the quoted value of " .. name)
      end
      variables[name] = { value = value, line = line_of(text, position) }
      position = text:match("^[^\n]*()", stop)
    end
  end
end

return M
