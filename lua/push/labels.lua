-- SPDX-License-Identifier: Apache-2.0
-- Does a text have a label that the group has, too? The gateway would replace
-- it without a word. A text may be large: what cannot have one is told by a
-- search, and only lines that look like it are read.

local M = {}

-- Behind the value that begins at AT, or nil.
local function value_end(line, at)
  while true do
    at = line:find('["\\]', at)
    if not at then
      return nil
    elseif line:sub(at, at) == '"' then
      return at + 1
    end
    at = at + 2
  end
end

-- The name of the metric, when the line has the label.
local function read_line(line, label)
  local metric, at = line:match "^([%a_:][%w_:]*){()"
  while at do
    local name, from = line:match('^([%a_][%w_]*)="()', at)
    if not name then
      return nil
    elseif name == label then
      return metric
    end
    at = value_end(line, from)
    at = at and line:match("^,()", at)
  end
end

-- The line around AT.
local function line_at(text, at)
  local from = at
  while from > 1 and text:byte(from - 1) ~= 10 do
    from = from - 1
  end
  return text:match("^[^\n]*", from)
end

local function find(text, label, before)
  local wanted = before .. label .. '="'
  local at = text:find(wanted, 1, true)
  while at do
    local metric = read_line(line_at(text, at), label)
    if metric then
      return metric
    end
    at = text:find(wanted, at + 1, true)
  end
end

-- A metric of TEXT and the label that it shares with the group, or nil.
function M.clash(text, grouping)
  local names = { "job" }
  for name in pairs(grouping or {}) do
    names[#names + 1] = name
  end
  for _, name in ipairs(names) do
    local metric = find(text, name, "{") or find(text, name, ",")
    if metric then
      return metric, name
    end
  end
end

return M
