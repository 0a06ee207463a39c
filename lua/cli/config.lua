-- SPDX-License-Identifier: Apache-2.0
-- A script's `config`: its flags and places, and the values that flags, the
-- environment and the .env file give it. The defaults stay in the script.

local env_file = require "cli.env_file"
local values = require "cli.values"

local M = {}

local KINDS <const> = { boolean = "boolean", list = "list" }

local function type_of(entry)
  local default = entry[1]
  if entry.type then
    return entry.type
  elseif type(default) == "table" then
    return "list"
  elseif type(default) == "number" then
    return math.type(default) == "integer" and "integer" or "number"
  end
  return type(default) == "boolean" and "boolean" or "string"
end

local function default_text(entry)
  local default = entry[1]
  if type(default) == "table" then
    default = table.concat(default, ",")
  end
  return default ~= nil and default ~= "" and tostring(default) or nil
end

-- The remarks in parentheses behind an entry's help.
local function remarks(item)
  local entry, notes = item.entry, {}
  if entry.choices then
    notes[#notes + 1] = "one of: " .. table.concat(entry.choices, ", ")
  end
  if not entry.secret and default_text(entry) then
    notes[#notes + 1] = "default: " .. default_text(entry)
  end
  if entry.env then
    notes[#notes + 1] = "environment: " .. entry.env
  end
  local text = #notes > 0 and { "(" .. table.concat(notes, "; ") .. ")" } or {}
  if entry.required and entry[1] == nil then
    text[#text + 1] = "(required)"
  end
  if entry.secret then
    local also = { "secret" }
    if item.file_flag then
      also[#also + 1] = "also --" .. item.file_flag .. " FILE"
    end
    if entry.env then
      local word = item.file_flag and "" or "also "
      also[#also + 1] = word .. entry.env .. "_FILE"
    end
    text[#text + 1] = "(" .. also[1] .. (also[2] and "; " or "")
      .. table.concat(also, ", ", 2) .. ")"
  end
  return text
end

local function help_of(item)
  local parts = { item.entry.help }
  local notes = remarks(item)
  table.move(notes, 1, #notes, #parts + 1, parts)
  return table.concat(parts, " ")
end

-- Where SOURCE, from START on, first gives KEY a value. KEY is found as a text:
-- a pattern would be tried at every letter.
local function position(source, key, start)
  local first, last = source:find(key, start, true)
  while first do
    if source:find("^%s*=", last + 1)
      and not source:sub(first - 1, first - 1):find "[%w_]" then
      return first
    end
    first, last = source:find(key, first + 1, true)
  end
end

-- The items in the order of the source text: as their author thought of them.
local function ordered(config, source)
  local start = position(source, "config", 1) or 1
  local items = {}
  for key, entry in pairs(config) do
    items[#items + 1] = {
      key = key,
      entry = entry,
      type = type_of(entry),
      order = position(source, key, start) or math.huge,
    }
  end
  table.sort(items, function(a, b)
    if a.order ~= b.order then
      return a.order < b.order
    end
    return a.key < b.key
  end)
  return items
end

-- Gives ITEM its flag; nil and a sentence when that is taken.
local function add_flag(offer, taken, item)
  local entry = item.entry
  if entry.flag == false then
    return true
  end
  item.flag = entry.flag or item.key:gsub("_", "-")
  if taken[item.flag] then
    return nil, ("config.%s: the flag --%s is taken by %s"):format(item.key,
      item.flag, taken[item.flag])
  end
  taken[item.flag] = "config." .. item.key
  table.insert(offer.flags, {
    name = item.flag,
    item = item,
    kind = KINDS[item.type] or "value",
    argname = item.type ~= "boolean" and item.argname or nil,
  })
  return true
end

-- A secret's flag for a file, unless the script has one of that name.
local function add_file_flag(taken, item)
  local name = item.flag and item.flag .. "-file"
  if item.entry.secret and name and not taken[name] then
    item.file_flag = name
    taken[name] = "config." .. item.key
  end
end

-- The items with a place on the command line, in order.
local function places_of(items)
  local places = {}
  for _, item in ipairs(items) do
    if item.entry.position then
      item.kind, item.target = KINDS[item.type], item.key
      item.help = item.flag and "The same as --" .. item.flag .. "."
        or help_of(item)
      places[#places + 1] = item
    end
  end
  table.sort(places, function(a, b)
    return a.entry.position < b.entry.position
  end)
  return places
end

--[[
  What the table CONFIG of a script offers: items, flags, places; COMMON are the
  flags that it cannot have. nil and a sentence when two want the same flag.
]]
function M.describe(config, source, common)
  local offer = { items = ordered(config or {}, source), flags = {} }
  local taken = {}
  for _, flag in ipairs(common) do
    if taken[flag.name] then
      return nil, ("%s: the flag --%s is taken by %s"):format(flag.origin,
        flag.name, taken[flag.name])
    end
    taken[flag.name] = flag.origin or "lunex"
  end
  for _, item in ipairs(offer.items) do
    item.argname = item.key:upper()
    local ok, message = add_flag(offer, taken, item)
    if not ok then
      return nil, message
    end
  end
  for _, item in ipairs(offer.items) do
    add_file_flag(taken, item)
  end
  for _, flag in ipairs(offer.flags) do
    flag.help = help_of(flag.item)
  end
  offer.places = places_of(offer.items)
  return offer
end

-- The flags with those that read a secret from a file, which --help mentions
-- at the flag that they belong to.
function M.all_flags(offer)
  local all = table.move(offer.flags, 1, #offer.flags, 1, {})
  for _, item in ipairs(offer.items) do
    if item.file_flag then
      all[#all + 1] =
        { name = item.file_flag, kind = "value", argname = "FILE" }
    end
  end
  return all
end

-- What was expected and did not come, without showing a secret.
local function refuse(item, origin, expected, text)
  if item.entry.secret then
    return nil, ("%s: %s"):format(origin, expected)
  end
  return nil, ("%s: %s, got '%s'"):format(origin, expected, text)
end

local function choose(item, value, origin, text)
  local choices = item.entry.choices
  if not choices then
    return value
  end
  for _, one in ipairs(type(value) == "table" and value or { value }) do
    local known = false
    for _, choice in ipairs(choices) do
      known = known or choice == one
    end
    if not known then
      local expected = "expected one of " .. table.concat(choices, ", ")
      return refuse(item, origin, expected, text)
    end
  end
  return value
end

-- TEXT (or a list of texts) as a value of ITEM; nil and a sentence.
local function convert(item, text, origin)
  if type(text) == "table" then
    return choose(item, text, origin, table.concat(text, ","))
  end
  local value, expected = values[item.type](text)
  if value == nil then
    return refuse(item, origin, expected, text)
  end
  return choose(item, value, origin, text)
end

-- The content of a secret's file, without its line end.
local function from_file(item, path, origin, host)
  local text, message = host.read(path)
  if not text then
    return nil, origin .. ": " .. message
  end
  text = text:gsub("\r?\n$", "")
  if text == "" or text:find("\0", 1, true) then
    local what = text == "" and "is empty" or "holds a zero byte"
    return nil, ("%s: %s %s"):format(origin, path, what)
  end
  return convert(item, text, origin)
end

-- A value from the command line, the best source.
local function from_flags(item, given, host)
  local texts = item.flag and given.flags[item.flag] or {}
  local files = item.file_flag and given.flags[item.file_flag] or {}
  local place = given.places[item.key]
  local sources = (#texts > 0 and 1 or 0) + (#files > 0 and 1 or 0)
    + (place and 1 or 0)
  if sources > 1 then
    local other = #files > 0 and "--" .. item.file_flag or item.argname
    return nil, ("--%s and %s exclude each other"):format(item.flag, other)
  elseif #files > 0 then
    return from_file(item, files[#files], "--" .. item.file_flag, host)
  elseif #texts > 0 then
    local text = item.type == "list" and texts or texts[#texts]
    return convert(item, text, "--" .. item.flag)
  elseif place then
    return convert(item, place, item.argname)
  end
end

-- A value from variables; GET answers a text and how to call its origin.
local function from_variables(item, get, host)
  local name = item.entry.env
  local text, origin = get(name)
  local path, path_origin
  if item.entry.secret then
    path, path_origin = get(name .. "_FILE")
  end
  if text and path then
    return nil, ("%s and %s_FILE exclude each other"):format(origin, name)
  elseif text then
    return convert(item, text, origin)
  elseif path then
    return from_file(item, path, path_origin, host)
  end
end

-- The variables of the environment, and those of FILE, or, without one, of the
-- .env file if it is there; nil and a sentence when that cannot be read. Set
-- but empty is not set.
function M.sources(host, file)
  local sources = {
    function(name)
      local text = host.getenv(name)
      return text ~= "" and text or nil, name
    end,
  }
  file = file or host.exists ".env" and ".env"
  if file then
    local text, message = host.read(file)
    if not text then
      return nil, message
    end
    local variables
    variables, message = env_file.parse(text, file)
    if not variables then
      return nil, message
    end
    sources[2] = function(name)
      local found = variables[name]
      if found and found.value ~= "" then
        return found.value, ("%s:%d: %s"):format(file, found.line, name)
      end
    end
  end
  return sources
end

local function find_value(item, given, sources, host)
  local value, message = from_flags(item, given, host)
  if value ~= nil or message or not item.entry.env then
    return value, message
  end
  for _, get in ipairs(sources) do
    value, message = from_variables(item, get, host)
    if value ~= nil or message then
      return value, message
    end
  end
end

-- How to give ITEM, for the sentence that it is missing.
local function ways(item)
  local all = {}
  all[#all + 1] = item.flag and "--" .. item.flag
  all[#all + 1] = item.file_flag and "--" .. item.file_flag
  all[#all + 1] = item.entry.env and "the variable " .. item.entry.env
  if #all == 0 then
    return nil
  end
  return table.concat(all, ", ", 1, #all - 1) .. (#all > 1 and " or " or "")
    .. all[#all]
end

-- An empty secret is the flag --token=$TOKEN without the variable.
local function is_missing(item, value)
  local entry = item.entry
  return entry.required and entry[1] == nil
    and (value == nil or (entry.secret and value == ""))
end

-- With one argument the others that are required must be there, too.
local function missing_place(offer, given, program)
  if next(given.places) == nil then
    return nil
  end
  for _, item in ipairs(offer.places) do
    local flagged = item.flag and given.flags[item.flag]
    if item.entry.required and not given.places[item.key]
      and not (flagged and #flagged > 0) then
      return ("%s: missing argument %s"):format(program, item.argname)
    end
  end
end

-- The texts of secrets that stand on the command line itself, where every user
-- of the machine can read them.
function M.secrets(offer, given)
  local texts = {}
  for _, item in ipairs(offer.items) do
    if item.entry.secret then
      local flagged = item.flag and given.flags[item.flag] or {}
      table.move(flagged, 1, #flagged, #texts + 1, texts)
      local place = given.places[item.key]
      place = type(place) == "table" and place or { place }
      table.move(place, 1, #place, #texts + 1, texts)
    end
  end
  return texts
end

-- ---- values of a configuration file ----

local EXPECTED <const> = {
  string = "a string",
  integer = "an integer",
  number = "a number",
  boolean = "true or false",
  list = "a list of strings",
  port = "a port, 1 to 65535",
}

-- VALUE, which is no string, as a value of ITEM; nil when it is none.
local function as_it_is(item, value)
  if type(value) == "number" then
    local text = ("%.17g"):format(value)
    local number = math.tointeger(value)
    if item.type == "integer" then
      return number
    elseif item.type == "port" then
      return number and values.port(tostring(number))
    end
    return item.type == "number" and values.number(text) or nil
  elseif type(value) == "boolean" then
    return item.type == "boolean" and value or nil
  elseif type(value) ~= "table" or item.type ~= "list" then
    return nil
  end
  local count = 0
  for key, one in pairs(value) do
    count = count + 1
    if math.type(key) ~= "integer" or type(one) ~= "string"
      or one:find("\0", 1, true) then
      return nil
    end
  end
  return count == #value and value or nil
end

-- What a configuration says for ITEM: a string is read as a variable's would
-- be, other values are taken as they are.
local function from_listed(item, listed)
  local given = listed[item.key]
  if not given then
    return nil
  elseif given.hidden then
    local entry = setmetatable({ secret = true }, { __index = item.entry })
    item = setmetatable({ entry = entry }, { __index = item })
  end
  if type(given.value) == "string" then
    if given.value:find("\0", 1, true) then
      return nil, given.origin .. ": the string holds a zero byte"
    end
    return convert(item, given.value, given.origin)
  end
  local value = as_it_is(item, given.value)
  if value == nil then
    return nil, ("%s: expected %s, got a %s"):format(given.origin,
      EXPECTED[item.type], type(given.value))
  end
  return choose(item, value, given.origin, type(value) == "table"
    and table.concat(value, ",") or tostring(value))
end

-- LISTED, key -> { value = , origin = }, as key -> value; nil and a sentence.
function M.convert_listed(offer, listed)
  local config = {}
  for _, item in ipairs(offer.items) do
    local value, message = from_listed(item, listed)
    if message then
      return nil, message
    end
    config[item.key] = value
  end
  return config
end

-- The value of ITEM from the first source that has it. A variable cannot mean
-- one of several exporters with the same script: then what is listed is first.
local function find_listed(item, listed, shared, sources, host)
  local value, message = from_listed(item, listed)
  if message or not item.entry.env or (shared and value ~= nil) then
    return value, message
  end
  for i, get in ipairs(sources) do
    local other
    if i == 1 or value == nil then
      other, message = from_variables(item, get, host)
    end
    if other ~= nil or message then
      return other, message
    end
  end
  return value
end

--[[
  The values of an exporter in a configuration, as M.resolve has those of the
  command line. LISTED: what the file says, key -> { value = , origin = }, and
  `hidden` for what is not to be repeated; SHARED: its script is there more than once.
]]
function M.resolve_listed(offer, listed, shared, sources, host)
  local config = {}
  for _, item in ipairs(offer.items) do
    local value, message = find_listed(item, listed, shared, sources, host)
    if message then
      return nil, message
    elseif is_missing(item, value) then
      return nil, ("config.%s is missing%s"):format(item.key, item.entry.env
        and "; the variable " .. item.entry.env .. " would do, too" or "")
    end
    config[item.key] = value
  end
  return config
end

--[[
  The values that somebody gave: key -> value. GIVEN holds what the command line
  said, flags (name -> list of texts) and places (key -> text or list), and
  env_file, the path of a file that must be there instead of ".env" that may be.
  nil and a sentence for a mistake.
]]
function M.resolve(offer, given, program, host)
  local message = missing_place(offer, given, program)
  if message then
    return nil, message
  end
  local sources
  sources, message = M.sources(host, given.env_file)
  if not sources then
    return nil, message
  end
  local config = {}
  for _, item in ipairs(offer.items) do
    local value
    value, message = find_value(item, given, sources, host)
    if message then
      return nil, message
    elseif is_missing(item, value) then
      local how = item.entry.position and not ways(item)
        and "missing argument " .. item.argname
        or "missing " .. (ways(item) or item.key)
      return nil, ("%s: %s"):format(program, how)
    end
    config[item.key] = value
  end
  return config
end

return M
