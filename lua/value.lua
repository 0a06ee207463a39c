-- SPDX-License-Identifier: Apache-2.0
-- Reads data of unreliable shape: what an upstream should have sent and did
-- not must never raise in a script. Whatever does not fit is nil (or an empty
-- list), and numbers that came as text are numbers.

local clock = require "clock"

local M = {}

-- A path is "a.b.c", "items.1.name", or a list of keys for names with dots.
local function keys_of(path)
  if type(path) == "table" then
    return path
  end
  local keys = {}
  for key in tostring(path):gmatch("[^.]+") do
    keys[#keys + 1] = key
  end
  return keys
end

local function step(data, key)
  if type(data) ~= "table" then
    return nil
  end
  local value = rawget(data, key)
  if value == nil and type(key) == "string" then
    local index = math.tointeger(tonumber(key))
    value = index and rawget(data, index)
  end
  return value
end

-- json.null and other light userdata stand for "there is nothing".
local function present(value)
  if type(value) == "userdata" then
    return nil
  end
  return value
end

-- These are called for every leaf of a large answer: what is at hand, and a
-- path of one key, take no list of keys, and type() costs as much as the rest.
function M.get(data, path)
  if path == nil then
    return present(data)
  elseif type(path) == "string" and not path:find(".", 1, true)
    and path ~= "" then
    return present(step(data, path))
  end
  for _, key in ipairs(keys_of(path)) do
    data = step(data, key)
  end
  return present(data)
end

local function at(data, path)
  if path == nil then
    return data
  end
  return M.get(data, path)
end

function M.num(data, path)
  local number = tonumber(at(data, path))
  if number == number then -- NaN is not
    return number
  end
  return nil
end

function M.str(data, path)
  local value = at(data, path)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return string.format(math.type(value) == "integer" and "%d" or "%.14g",
      value)
  elseif kind == "boolean" then
    return tostring(value)
  end
  return nil
end

-- For what is counted and was not sent.
function M.put(family, number, ...)
  number = M.num(number)
  if number then
    family:set(number, ...)
  end
end

local TRUTH <const> = {
  ["true"] = true, ["yes"] = true, ["on"] = true, ["1"] = true,
  ["false"] = false, ["no"] = false, ["off"] = false, ["0"] = false,
}

function M.bool(data, path)
  local value = at(data, path)
  if value == true or value == false then
    return value
  end
  local text = M.str(value)
  return text and TRUTH[text:lower()]
end

-- Seconds since 1970 of an RFC 3339 timestamp.
function M.time(data, path)
  local value = at(data, path)
  if type(value) == "string" then
    return (clock.parse(value))
  end
  return nil
end

local function is_list(value)
  return next(value) == nil or rawget(value, 1) ~= nil
end

-- The items of a list; a single thing where a list was expected is a list of
-- one; nothing is an empty list. Nulls inside are left out.
function M.list(data, path)
  local value = M.get(data, path)
  if value == nil then
    return {}
  end
  if type(value) ~= "table" or not is_list(value) then
    return { value }
  end
  local items = {}
  for i = 1, #value do
    local item = present(rawget(value, i))
    if item ~= nil then
      items[#items + 1] = item
    end
  end
  return items
end

-- ---- shapes -----------------------------------------------------------------

local NAMES <const> = { string = "a string", number = "a number",
  boolean = "a boolean", list = "a list", object = "an object", null = "null" }

local function kind_of(data)
  local kind = type(data)
  if kind == "table" then
    return next(data) ~= nil and is_list(data) and "list" or "object"
  end
  return kind == "userdata" and "null" or kind
end

-- Shapes with a name: does DATA have it, and what is it?
local NAMED <const> = {
  string = function(data) return type(data) == "string", "a string" end,
  text = function(data)
    return type(data) == "string" and data:find "^[^\0]+$" ~= nil,
      "a string, not empty, without zero bytes"
  end,
  number = function(data) return type(data) == "number", "a number" end,
  positive = function(data)
    return type(data) == "number" and data > 0, "a number above 0"
  end,
  port = function(data)
    local number = math.tointeger(M.num(data) or 0) or 0
    return number > 0 and number < 65536, "a port, 1 to 65535"
  end,
  boolean = function(data) return type(data) == "boolean", "a boolean" end,
}

-- The same for any shape, without a look at what is inside.
local function fits(data, shape)
  if type(shape) ~= "table" then
    local test = NAMED[shape] or shape
    if type(test) ~= "function" then
      error(("'%s' is no shape"):format(shape), 0)
    end
    return test(data)
  elseif shape[1] then -- an empty table is an empty list and an empty object
    return type(data) == "table" and is_list(data), "a list"
  end
  return kind_of(data) == "object", "an object"
end

local function keys_of_both(data, shape)
  local keys = {}
  for key in pairs(shape) do
    keys[#keys + 1] = key
  end
  for key in pairs(data) do
    keys[#keys + 1] = shape[key] == nil and tostring(key) or nil
  end
  table.sort(keys)
  return keys
end

local compare

local function compare_keys(found, data, shape, inside)
  for _, key in ipairs(keys_of_both(data, shape)) do
    if shape[key] == nil or data[key] == nil then
      found[#found + 1] = ("%s key '%s%s'"):format(shape[key] == nil
        and "unknown" or "missing", inside, key)
    else
      compare(found, data[key], shape[key], inside .. key)
    end
  end
end

function compare(found, data, shape, path)
  local good, expected = fits(data, shape)
  local inside = path and path .. "." or ""
  if not good then
    local got = NAMES[kind_of(data)] or "nothing"
    found[#found + 1] = ("%sexpected %s%s"):format(path and path .. ": " or "",
      expected, expected:find(got, 1, true) and "" or ", got " .. got)
  elseif type(shape) == "table" and shape[1] then
    for i, item in ipairs(data) do
      compare(found, item, shape[1], inside .. i)
    end
  elseif type(shape) == "table" then
    compare_keys(found, data, shape, inside)
  end
end

-- Every difference, in a sentence that names the key and never the value.
function M.check(data, shape)
  local found = {}
  compare(found, data, shape)
  return found
end

local TOKENS <const> = { T_OBJ_BEGIN = "'{'", T_OBJ_END = "'}'",
  T_ARR_BEGIN = "'['", T_ARR_END = "']'", T_COLON = "':'", T_COMMA = "','",
  T_STRING = "a string", T_NUMBER = "a number", T_BOOLEAN = "a boolean",
  T_NULL = "null", T_END = "the end" }

-- What lua-cjson says about TEXT, for one who looks at the file: in its words a
-- token is a constant of C, and its place a number of bytes.
local function for_readers(message, text)
  return (message:gsub("T_[%u_]+", TOKENS):gsub(" at character (%d+)$",
    function(place)
      local before = text:sub(1, place - 1)
      local _, lines = before:gsub("\n", "")
      return (" in line %d, column %d"):format(lines + 1,
        #before:match "[^\n]*$" + 1)
    end))
end

-- The JSON in a file, which Windows may begin with a mark; MISTAKES, a list,
-- gets what is wrong with it.
function M.read(path, shape, mistakes)
  local text, message = require "files".read(path)
  local data
  if text then
    text = text:gsub("^\u{FEFF}", "")
    data, message = require "json".decode(text)
    message = message and path .. ": " .. for_readers(message, text)
  end
  local found = message and {} or M.check(data, shape)
  for _, mistake in ipairs(found) do
    mistakes[#mistakes + 1] = path .. ": " .. mistake
  end
  mistakes[#mistakes + 1] = message
  return #found == 0 and data or nil
end

return M
