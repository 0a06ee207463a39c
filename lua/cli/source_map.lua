-- SPDX-License-Identifier: Apache-2.0
--[[
  The lines of a text's tables, for messages: Lua keeps none for a constructor.
  Each constructor { ... } is rewritten as (at(N, { ... })), on the same line,
  so that running the text tells for every table where it was written, also for
  one made in a loop. The text must be valid Lua.
]]

local M = {}

-- What is at POSITION: kind ("name", "string", "comment" or the character
-- itself), and the position behind it.
local function token_at(text, position)
  if text:find("^%-%-", position) then
    local level = text:match("^%-%-%[(=*)%[", position)
    if not level then
      return "comment", text:match("^[^\n]*()", position)
    end
    return "comment", select(2, text:find("]" .. level .. "]", position, true))
      + 1
  end
  local level = text:match("^%[(=*)%[", position)
  if level then
    return "string", select(2, text:find("]" .. level .. "]", position, true))
      + 1
  end
  local quote = text:match("^['\"]", position)
  if quote then
    local stop = position + 1
    while text:sub(stop, stop) ~= quote do
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
    end
    return "string", stop + 1
  end
  local behind = text:match("^[%a_][%w_]*()", position)
    or text:match("^%d[%w.]*()", position)
  if behind then
    return "name", behind
  end
  return text:sub(position, position), position + 1
end

-- The tokens of TEXT but for comments: { kind, text, line, from, to }.
local function tokens_of(text)
  local tokens, line, position = {}, 1, 1
  while true do
    local start = text:match("^%s*()", position)
    line = line + select(2, text:sub(position, start - 1):gsub("\n", ""))
    if start > #text then
      return tokens
    end
    local kind, stop = token_at(text, start)
    local word = text:sub(start, stop - 1)
    if kind ~= "comment" then
      tokens[#tokens + 1] =
        { kind = kind, text = word, line = line, from = start, to = stop }
    end
    line = line + select(2, word:gsub("\n", ""))
    position = stop
  end
end

local OPEN <const> = { ["{"] = true, ["("] = true, ["["] = true }
local CLOSE <const> = { ["}"] = true, [")"] = true, ["]"] = true }
local BEFORE_KEY <const> = { ["{"] = true, [","] = true, [";"] = true }

-- The key that token number I gives a value to: name = or ["name"] =.
local function key_at(tokens, i)
  local function kind(n)
    return tokens[n] and tokens[n].kind
  end
  if kind(i) == "name" and kind(i + 1) == "=" and kind(i + 2) ~= "=" then
    return tokens[i].text
  elseif kind(i) == "[" and kind(i + 1) == "string" and kind(i + 2) == "]"
    and kind(i + 3) == "=" then
    return tokens[i + 1].text:match "^['\"](.*)['\"]$"
  end
end

-- Calls VISIT(token, record, depth) for each constructor's braces; a record is
-- { line = , keys = { name or number = line } } and complete when its "}" is
-- visited.
local function each_constructor(tokens, visit)
  local stack = {}
  for i, token in ipairs(tokens) do
    local inside = stack[#stack]
    local before = tokens[i - 1]
    if inside and before and BEFORE_KEY[before.kind] then
      local key = key_at(tokens, i) or #inside.keys + 1
      inside.keys[key] = inside.keys[key] or token.line
    end
    if OPEN[token.kind] then
      stack[#stack + 1] = token.kind == "{"
        and { line = token.line, keys = {} } or false
      if stack[#stack] then
        visit(token, stack[#stack], #stack)
      end
    elseif CLOSE[token.kind] then
      local record = table.remove(stack)
      if record then
        visit(token, record, #stack + 1)
      end
    end
  end
end

-- Is there an outermost constructor that has KEY, or an assignment to a field
-- of that name?
function M.has_key(text, key)
  local tokens, found = tokens_of(text), false
  each_constructor(tokens, function(token, record, depth)
    found = found or token.kind == "}" and depth == 1
      and record.keys[key] ~= nil
  end)
  for i = 2, #tokens - 1 do
    found = found or tokens[i].text == key and tokens[i - 1].kind == "."
      and tokens[i + 1].kind == "="
  end
  return found
end

-- TEXT rewritten, and the function that it wants as its first argument. Then
-- PLACES[table] is the record { line = , keys = { name = line } }.
function M.mark(text, places)
  local pieces, records, position = { "local lunex_at <const> = ...; " }, {}, 1
  each_constructor(tokens_of(text), function(token, record)
    local open = token.kind == "{"
    pieces[#pieces + 1] =
      text:sub(position, open and token.from - 1 or token.to - 1)
    if open then
      records[#records + 1] = record
      pieces[#pieces + 1] = ("(lunex_at(%d,{"):format(#records)
    else
      pieces[#pieces + 1] = "))"
    end
    position = token.to
  end)
  pieces[#pieces + 1] = text:sub(position)
  return table.concat(pieces), function(number, made)
    places[made] = records[number]
    return made
  end
end

return M
