-- SPDX-License-Identifier: Apache-2.0
--[[
  Folders of scripts: every `*.lua` file in one is an exporter, whose values come
  from the environment, the .env file and its defaults. What is wrong with a
  script is its own mistake and keeps no other from running.
]]

local config = require "cli.config"
local script_of = require "cli.script"

local M = {}

-- The scripts in FOLDER by the names of their files; nil and a sentence.
function M.scripts(folder, host)
  local names, message = host.list(folder)
  if not names then
    return nil, message
  end
  local paths, prefix = {}, folder:gsub("/*$", "/")
  for _, name in ipairs(names) do
    paths[#paths + 1] = name:find "%.lua$" and prefix .. name or nil
  end
  return paths
end

-- Where SCRIPT says its name.
local function place(path, script)
  local name = script.declared.name
  local number = 0
  for line in script.source:gmatch "[^\n]*" do
    number = number + 1
    if name and line:find("%f[%w_]name%s*=%s*['\"]" .. name .. "['\"]") then
      return path .. ":" .. number
    end
  end
  return path
end

-- A name that nobody has, for an exporter that cannot run under its own. Those
-- of files may be no text, and labels show one such byte like any other.
local function other_name(path, names)
  local name = script_of.default_name(path)
  name = names[name] and path or name
  return utf8.len(name) and name or name:gsub("[\128-\255]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
end

local function claim_name(entry, script, names)
  local former = names[script.name]
  local here = place(entry.script, script)
  if former then
    entry.mistake = ("%s: the name '%s' is taken by %s: give this script "
      .. "another name"):format(here, script.name, former)
    return
  end
  entry.name = script.name
  names[script.name] = here
end

local function read_values(entry, script, sources, host)
  local values, message =
    config.resolve_listed(script.offer, {}, false, sources, host)
  entry.config = values
  entry.mistake = message and ("%s: %s"):format(entry.script, message)
end

local function entry_of(path, given, host)
  local fence = given.fence or {}
  local entry = { script = path, where = path, sandbox = fence.sandbox,
    allow = fence.allow }
  local script, message =
    script_of.load(path, host, given.check, fence.sandbox)
  if script then
    entry.lua_path = script.paths.lua_path
    entry.lua_cpath = script.paths.lua_cpath
    claim_name(entry, script, given.names)
    table.move(script.warnings, 1, #script.warnings, #given.advice + 1,
      given.advice)
  end
  if entry.name then
    read_values(entry, script, given.sources, host)
  else
    entry.mistake = entry.mistake or message
  end
  return entry
end

-- A mistake takes nobody's name away: those that run have theirs already.
local function name_the_rest(entries, names)
  for _, entry in ipairs(entries) do
    if not entry.name then
      entry.name = other_name(entry.script, names)
      names[entry.name] = entry.script
    end
  end
end

--[[
  The exporters of FOLDERS, as a plan has them; nil and a sentence when a folder
  cannot be read. GIVEN holds `names`, those that are taken and by whom, to which
  theirs are added; `listed`, absolute paths of scripts that are listed
  elsewhere, to which theirs are added, too; `sources` of values; `advice`, a
  list to add to; `check`: are the metrics to be tried?; and `fence`, their
  sandbox (cli.sandbox).
]]
function M.entries(folders, given, host)
  local entries = {}
  for _, folder in ipairs(folders) do
    local paths, message = M.scripts(folder, host)
    if not paths then
      return nil, message
    end
    local listed = {}
    for _, path in ipairs(paths) do
      local absolute = host.absolute(path)
      if not given.listed[absolute] then
        entries[#entries + 1] = entry_of(path, given, host)
        listed[absolute] = true
      end
    end
    for absolute in pairs(listed) do
      given.listed[absolute] = true
    end
  end
  name_the_rest(entries, given.names)
  return entries
end

return M
