-- SPDX-License-Identifier: Apache-2.0
--[[
  The configuration file: Lua that returns a table with `exporters`, evaluated
  with nothing at hand but the harmless half of the standard library, env and
  file. It becomes a plan; every mistake is one sentence with file and line.
]]

local config = require "cli.config"
local folder = require "cli.folder"
local push = require "cli.push"
local read = require "cli.reader"
local sandbox = require "cli.sandbox"
local script_of = require "cli.script"
local scripts = require "cli.scripts"
local source_map = require "cli.source_map"

local M = {}

local NAME_MAX <const> = 200
local TOP <const> = { "listen", "telemetry_path", "log_level", "lifecycle",
  "watch", "limits", "push", "sandbox", "allow", "scripts", "exporters" }
local ENTRY <const> = { "name", "labels", "interval", "timeout", "limits",
  "config", "profiles", "push", "sandbox", "allow" }
local SAFE <const> = {
  "assert", "error", "ipairs", "next", "pairs", "select", "tonumber",
  "tostring", "type", "math", "string", "table", "utf8",
}

-- Is TEXT a configuration rather than a script?
function M.is(text)
  local good = load(text, "=text", "t") ~= nil
  return good and (source_map.has_key(text, "exporters")
    or source_map.has_key(text, "scripts"))
end

-- ---- evaluating ----

-- "file:line: " of the LEVELth function above the caller.
local function caller(path, level)
  local line = debug.getinfo(level + 1, "l").currentline
  return line > 0 and ("%s:%d: "):format(path, line) or path .. ": "
end

local function check_text(value, name, where)
  if type(value) ~= "string" then
    error({ sentence = ("%s%s: expected a string, got a %s"):format(where, name,
      type(value)) }, 0)
  end
end

-- env "X", env("X", default)
local function make_env(reader, variable)
  return function(name, ...)
    local where = caller(reader.path, 2)
    check_text(name, "env", where)
    local value = variable(name)
    if value then
      reader.given[value] = true
      return value
    elseif select("#", ...) > 0 then
      return (...)
    end
    error({ sentence = ("%sthe variable %s is not set"):format(where, name) },
      0)
  end
end

-- file "path", relative to the folder of the configuration
local function make_file(reader, host)
  return function(path)
    local where = caller(reader.path, 2)
    check_text(path, "file", where)
    local full = path:find "^/" and path or reader.folder .. path
    local text, message = host.read(full)
    text = text and text:gsub("\r?\n$", "")
    if text and (text == "" or text:find("\0", 1, true)) then
      message = full .. (text == "" and " is empty" or " holds a zero byte")
      text = nil
    end
    if not text then
      error({ sentence = where .. message }, 0)
    end
    reader.given[text], reader.contents[text] = true, true
    return text
  end
end

local function environment(reader, variable, host)
  local visible =
    { env = make_env(reader, variable), file = make_file(reader, host) }
  for _, name in ipairs(SAFE) do
    local piece = _G[name]
    visible[name] = piece
    if type(piece) == "table" then
      visible[name] = {}
      for key, value in pairs(piece) do
        visible[name][key] = value
      end
    end
  end
  local names = {}
  for name in pairs(visible) do
    names[#names + 1] = name
  end
  return setmetatable(visible, {
    __index = function(_, name)
      local near = host.nearest(name, names)
      error({ sentence = ("%s'%s' is not there in a configuration%s"):format(
        caller(reader.path, 2), name,
        near and ("; did you mean '%s'?"):format(near) or "") }, 0)
    end,
    __newindex = function(_, name)
      local form = "local %s = ..."
      for _, key in ipairs(TOP) do
        form = key == name and "return { %s = ... }" or form
      end
      error({ sentence = ("%s'%s' is new: write " .. form):format(
        caller(reader.path, 2), name, name) }, 0)
    end,
  })
end

-- Runs TEXT; what it returns, or raises.
local function evaluate(reader, text, variable, host)
  text = text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  local chunkname = "@" .. reader.path
  local chunk, message = load(text, chunkname, "t")
  if not chunk then
    local hint = load("return " .. text, chunkname, "t")
      and "; a configuration begins with return" or ""
    error({ sentence = message .. hint }, 0)
  end
  local marked, at = source_map.mark(text, reader.places)
  chunk = assert(load(marked, chunkname, "t",
    environment(reader, variable, host)))
  local good, top = pcall(chunk, at)
  if not good then
    error(type(top) == "table" and top.sentence and top
      or { sentence = type(top) == "string" and top
        or reader.path .. ": it raised a " .. type(top) }, 0)
  end
  if type(top) ~= "table" then
    error({ sentence = ("%s: a configuration returns a table; this one "
      .. "returns %s"):format(reader.path,
      top == nil and "nothing" or "a " .. type(top)) }, 0)
  end
  return top
end

-- ---- checking ----

-- A string or a list of them, as a list; EXAMPLE is one.
local function read_list(reader, top, key, example)
  local value = read.expect(reader, top, key, "string table",
    ('a string such as "%s", or a list of them'):format(example))
  if value == nil then
    return nil
  end
  local list = {}
  for i, one in ipairs(type(value) == "table" and value or { value }) do
    if type(one) ~= "string" then
      read.refuse(reader, top, key, "%s: expected strings, number %d is a %s",
        key, i, type(one))
    end
    list[i] = one
  end
  if #list == 0 then
    read.refuse(reader, top, key, "%s: the list is empty", key)
  end
  return list
end

local function read_listen(reader, top)
  local list = read_list(reader, top, "listen", ":9100")
  for i, one in ipairs(list or {}) do
    list[i] = read.as_flag(reader, top, "listen", "listen", one)
  end
  return list
end

-- The folders of scripts, as seen from here.
local function read_scripts(reader, top)
  local list = read_list(reader, top, "scripts", "scripts.d")
  for i, one in ipairs(list or {}) do
    if one == "" or one:find("\0", 1, true) or read.is_hidden(reader, one) then
      read.refuse(reader, top, "scripts", "scripts: expected a folder")
    end
    list[i] = one:find "^/" and one or reader.folder .. one
  end
  return list
end

local function read_lifecycle(reader, top)
  return read.expect(reader, top, "lifecycle", "boolean", "true or false")
end

local function read_text(reader, top, key)
  local value = read.expect(reader, top, key, "string", "a string")
  return value and read.as_flag(reader, top, key, key, value)
end

-- The path of what an entry names first.
local function read_script(reader, entry, host)
  local word = entry[1]
  if type(word) ~= "string" or word == "" or read.is_hidden(reader, word) then
    read.refuse(reader, entry, nil, "the exporter has no script: expected the "
      .. "name of a bundled one or a path, such as { \"mirth\" }")
  elseif scripts.is_path(word) then
    local path = word:find "^/" and word or reader.folder .. word
    local text, message = host.read(path)
    if not text then
      read.refuse(reader, entry, nil, "%s", message)
    end
    return path
  end
  local path, message = scripts.resolve(word, host, {})
  if not path then
    read.refuse(reader, entry, nil, "%s", message)
  end
  return path
end

local function read_name(reader, entry)
  local name = read.expect(reader, entry, "name", "string", "a string")
  local good = name and #name <= NAME_MAX and name:find "^[%w_][%w_.-]*$"
  if name and (not good or read.is_hidden(reader, name)) then
    read.refuse(reader, entry, "name", "name: expected letters, digits, '_', "
      .. "'-' and '.', got %s", read.shown(reader, name))
  end
  return name
end

-- ---- values ----

-- Checks the keys of a table of values against what SCRIPT has.
local function check_values(reader, made, script, name, host)
  local known = {}
  for _, item in ipairs(script.offer.items) do
    known[#known + 1] = item.key
  end
  read.check_keys(reader, made, known, name, host)
end

local function listed_values(reader, made, script, name, host)
  check_values(reader, made, script, name .. " of " .. script.path, host)
  local listed = {}
  for key, value in pairs(made) do
    local origin =
      ("%s: %s.%s"):format(read.place(reader, made, key), name, key)
    listed[key] =
      { value = value, origin = origin, hidden = read.is_hidden(reader, value) }
  end
  return listed
end

-- A secret that is in the text is seen by whoever sees the text.
local function advise(reader, made, script, name)
  for _, item in ipairs(script.offer.items) do
    local value, literal = made[item.key], item.entry.secret
    for text in pairs(reader.given) do
      literal = literal
        and not (type(value) == "string" and value:find(text, 1, true))
    end
    if literal and value ~= nil and value ~= "" then
      reader.advice[#reader.advice + 1] = ("%s: the secret %s.%s stands in the "
        .. "file: use env or file"):format(read.place(reader, made, item.key),
        name, item.key)
    end
  end
end

local function read_config(reader, item, script, sources, host)
  local made = read.expect(reader, item.entry, "config", "table", "a table")
    or {}
  local listed = listed_values(reader, made, script, "config", host)
  advise(reader, made, script, "config")
  local result, message = config.resolve_listed(script.offer, listed,
    item.shared, sources, host)
  if not result then
    error({ sentence = message:find(reader.path, 1, true) == 1 and message
      or ("%s: %s: %s"):format(item.where, item.name, message) }, 0)
  end
  return result
end

-- A probe has no other secrets than those of its profile.
local function check_profile(reader, profiles, name, script)
  for _, item in ipairs(script.offer.items) do
    local entry = item.entry
    if entry.required and entry.secret and entry[1] == nil
      and profiles[name][item.key] == nil then
      read.refuse(reader, profiles, name, "profiles.%s.%s is missing: a probe "
        .. "gets secrets from its profile alone", name, item.key)
    end
  end
end

local function read_profiles(reader, entry, script, host)
  local profiles = read.expect(reader, entry, "profiles", "table",
    "a table of tables of values")
  local result = {}
  for name, made in pairs(profiles or {}) do
    if type(name) ~= "string" or not name:find "^[%w_][%w_.-]*$"
      or read.is_hidden(reader, name) then
      read.refuse(reader, profiles, name, "profiles: %s is not a name",
        read.shown(reader, name))
    end
    read.expect(reader, profiles, name, "table", "a table of values",
      "profiles." .. name)
    local what = "profiles." .. name
    local listed = listed_values(reader, made, script, what, host)
    advise(reader, made, script, what)
    check_profile(reader, profiles, name, script)
    local values, message = config.convert_listed(script.offer, listed)
    if not values then
      error({ sentence = message }, 0)
    end
    result[name] = values
  end
  return result
end

-- ---- entries ----

-- What an entry says of itself, without looking into its script.
local function read_entry(reader, exporters, i, common, host)
  local entry = exporters[i]
  if type(entry) ~= "table" then
    read.refuse(reader, exporters, i, "exporters: expected tables such as "
      .. '{ "mirth", name = "mirth_a" }, got a %s', type(entry))
  end
  local path = read_script(reader, entry, host)
  read.check_keys(reader, entry, ENTRY, "an exporter", host, true)
  return {
    entry = entry,
    where = read.place(reader, entry),
    path = path,
    name = read_name(reader, entry),
    labels = read.labels(reader, entry, "labels", "labels"),
    interval = read.seconds(reader, entry, "interval"),
    timeout = read.seconds(reader, entry, "timeout"),
    limits = read.limits(reader, entry, host),
    fence = sandbox.read(reader, entry, host, common),
  }
end

-- Loads the script of ITEM, once for all that have it. One with a mistake does
-- not keep the other exporters from running.
local function load_script(reader, item, check, host)
  local fenced = item.fence.sandbox
  local key = host.absolute(item.path) .. (fenced and "\0" or "")
  local loaded = reader.scripts[key]
  if not loaded then
    local script, message = script_of.load(item.path, host, check,
      fenced)
    loaded = { script = script, mistake = message, uses = 0 }
    reader.scripts[key] = loaded
    local theirs = scripts.is_path(item.entry[1])
    local warnings = theirs and script and script.warnings or {}
    table.move(warnings, 1, #warnings, #reader.advice + 1, reader.advice)
  end
  loaded.uses = loaded.uses + 1
  item.loaded = loaded
  item.name = item.name or loaded.script and loaded.script.name
    or script_of.default_name(item.path)
end

local function claim_name(reader, item)
  local former = reader.names[item.name]
  if former then
    read.refuse(reader, item.entry, "name", "the name '%s' is taken by the "
      .. "exporter at %s: give this one another name", item.name, former)
  end
  reader.names[item.name] = item.where
end

local function read_push(reader, item, common, host)
  local own = push.read(reader, item.entry, host)
  item.push = push.planned(reader, item, own, common, host)
end

local function read_values(reader, item, sources, host)
  local script = item.loaded.script
  if script then
    item.shared = item.loaded.uses > 1
    item.config = read_config(reader, item, script, sources, host)
    item.profiles = read_profiles(reader, item.entry, script, host)
  end
end

-- Those of ITEM, and the common ones where it says nothing.
local function limits_of(item, common)
  local limits = {}
  for _, given in ipairs { common or {}, item.limits or {} } do
    for key, value in pairs(given) do
      limits[key] = value
    end
  end
  return limits
end

local function planned(item, limits)
  local paths = item.loaded.script and item.loaded.script.paths or {}
  return {
    script = item.path,
    name = item.name,
    where = item.where,
    mistake = item.loaded.mistake,
    labels = item.labels,
    interval = item.interval,
    timeout = item.timeout,
    limits = limits_of(item, limits),
    config = item.config,
    profiles = item.profiles,
    push = item.push,
    lua_path = paths.lua_path,
    lua_cpath = paths.lua_cpath,
    sandbox = item.fence.sandbox,
    allow = item.fence.allow,
  }
end

-- ---- the whole ----

-- The list of exporters, as far as each says what it is.
local function read_exporters(reader, top, common, host)
  local exporters = read.expect(reader, top, "exporters", "table",
    "a list of tables")
  local items = {}
  if exporters == nil and #reader.folders > 0 then
    return items
  elseif exporters == nil then
    read.refuse(reader, top, nil, "the configuration has no 'exporters'")
  end
  for key in pairs(exporters) do
    if math.type(key) ~= "integer" or key < 1 or key > #exporters then
      read.refuse(reader, exporters, key, "exporters: expected a list, got the "
        .. "key %s", read.shown(reader, key))
    end
  end
  for i = 1, #exporters do
    items[#items + 1] = read.attempt(reader, read_entry, exporters, i,
      common, host)
  end
  if #exporters == 0 and #reader.folders == 0 then
    read.refuse(reader, top, "exporters", "exporters: the list is empty")
  end
  return items
end

-- A target that an exporter of a folder cannot have is the mistake of that one.
local function push_found(reader, entry, common, host)
  local good, result =
    pcall(push.planned, reader, entry, nil, common, host)
  if good then
    entry.push = result
  elseif type(result) == "table" and result.sentence then
    entry.mistake = read.masked(reader, result.sentence)
  else
    error(result, 0)
  end
end

-- The exporters of the folders, behind those that are listed.
local function read_folders(reader, top, plan, sources, common, fence, check,
  host)
  local listed = { [host.absolute(reader.path)] = true }
  for key in pairs(reader.scripts) do
    listed[(key:gsub("%z$", ""))] = true
  end
  local entries, message = folder.entries(reader.folders, {
    names = reader.names,
    listed = listed,
    sources = sources,
    advice = reader.advice,
    check = check,
    fence = fence,
  }, host)
  if not entries then
    read.refuse(reader, top, "scripts", "scripts: %s", message)
  end
  for _, entry in ipairs(entries) do
    entry.limits = reader.limits
    if not entry.mistake then
      push_found(reader, entry, common, host)
    end
    plan.exporters[#plan.exporters + 1] = entry
  end
end

local function read_all(reader, text, check, host)
  local sources, message = config.sources(host, reader.env_file)
  if not sources then
    error({ sentence = message }, 0)
  end
  local top = evaluate(reader, text, function(name)
    return sources[1](name) or sources[2] and sources[2](name)
  end, host)
  read.attempt(reader, read.check_keys, top, TOP, "the configuration", host)
  reader.folders = reader.folders
    or read.attempt(reader, read_scripts, top) or {}
  local plan = {
    configuration = reader.path,
    listen = read.attempt(reader, read_listen, top),
    telemetry_path = read.attempt(reader, read_text, top, "telemetry_path"),
    log_level = read.attempt(reader, read_text, top, "log_level"),
    lifecycle = read.attempt(reader, read_lifecycle, top),
    watch = read.attempt(reader, read_text, top, "watch"),
    open = #reader.folders > 0,
    exporters = {},
  }
  reader.limits = read.attempt(reader, read.limits, top, host)
  local common = read.attempt(reader, push.read, top, host)
  local fence = read.attempt(reader, sandbox.read, top, host)
  local items = read.attempt(reader, read_exporters, top, fence, host) or {}
  for _, item in ipairs(items) do
    load_script(reader, item, check, host)
    read.attempt(reader, claim_name, item)
  end
  for i, item in ipairs(items) do
    read.attempt(reader, read_values, item, sources, host)
    read.attempt(reader, read_push, item, common or nil, host)
    plan.exporters[i] = planned(item, reader.limits)
  end
  read.attempt(reader, read_folders, top, plan, sources, common or nil, fence,
    check, host)
  return plan
end

--[[
  The configuration at PATH as a plan without a command, and advice about it;
  nil and a list of sentences when something in it is wrong. With CHECK the
  metrics of its scripts are tried, too. GIVEN may have `env_file`, which is read
  instead of .env, and `folders` of scripts, which are taken instead of its own.
]]
function M.read(path, check, host, given)
  local reader = {
    path = path,
    env_file = given and given.env_file,
    folders = given and given.folders,
    folder = path:match "^.*/" or "",
    places = setmetatable({}, { __mode = "k" }),
    given = {},    -- texts from env and file
    contents = {}, -- those from file
    scripts = {},
    names = {},
    pushes = {},   -- groups and queues: names of exporters
    streams = 0,   -- targets of all exporters
    advice = {},
    mistakes = {},
  }
  local text, message = host.read(path)
  if not text then
    return nil, { message }
  end
  local plan = read.attempt(reader, read_all, text, check, host)
  if #reader.mistakes > 0 then
    return nil, reader.mistakes
  end
  return plan, reader.advice
end

return M
