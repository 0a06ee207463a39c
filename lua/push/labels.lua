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

-- The name at AT, which may be quoted, and where it ends.
local function read_name(line, at)
  if line:sub(at, at) ~= '"' then
    return line:match("^([%a_][%w_]*)()", at)
  end
  local past = value_end(line, at + 1)
  if past then
    return line:sub(at + 1, past - 2), past
  end
end

-- The name of the metric, when the line has the label. One that is not legacy
-- is the first in the braces.
local function read_line(line, label)
  local metric, at = line:match "^([%a_:]?[%w_:]*){()"
  while at do
    local name, past = read_name(line, at)
    local from = past and line:match('^="()', past)
    if not past then
      return nil
    elseif not from then
      metric = name
    elseif name == label then
      return metric
    end
    at = line:match("^,()", from and value_end(line, from) or past)
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
  local wanted = before .. '="'
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
    local metric = find(text, name, "{" .. name)
      or find(text, name, "," .. name)
      or find(text, name, '"' .. name .. '"')
    if metric then
      return metric, name
    end
  end
end

return M
