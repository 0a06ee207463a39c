-- SPDX-License-Identifier: Apache-2.0
-- A script as the command line sees it: loaded, with what it offers to flags
-- and variables.

local config = require "cli.config"
local flags = require "cli.flags"

local M = {}

local USAGE <const>, FAILURE <const> = 2, 1

-- Neighbours of the script can be required, then what LUA_PATH names by full
-- paths, then the defaults, for which ";;" stands.
local function lua_path(path, host)
  local folder = host.absolute(path):match "^(.*)/[^/]*$"
  local parts = { folder .. "/?.lua", folder .. "/?/init.lua" }
  local variable = host.getenv "LUA_PATH_5_4" or host.getenv "LUA_PATH" or ""
  for template in variable:gmatch "[^;]+" do
    parts[#parts + 1] = template:find "^/" and template or nil
  end
  return table.concat(parts, ";") .. ";;"
end

local function lua_cpath(host)
  local parts = {}
  local variable = host.getenv "LUA_CPATH_5_4" or host.getenv "LUA_CPATH" or ""
  for template in variable:gmatch "[^;]+" do
    parts[#parts + 1] = template:find "^/" and template or nil
  end
  return table.concat(parts, ";") .. ";;"
end

-- The host's declaration(), but what the script requires is forgotten again: a
-- module beside another script may have the same name.
local function declaration(path, paths, check, host, sandbox)
  local before = {}
  for name in pairs(package.loaded) do
    before[name] = true
  end
  local script, warnings = host.declaration(path, paths, check,
    sandbox)
  for name in pairs(package.loaded) do
    if not before[name] then
      package.loaded[name] = nil
    end
  end
  return script, warnings
end

-- What a script without `name` is called.
function M.default_name(path)
  return (path:match "([^/]*)$":gsub("%.[^.]*$", ""):gsub("[-.]", "_"))
end

-- A script that is not trusted does not say which variable it reads: any of the
-- environment's may be a secret.
local function drop_variables(declared)
  for _, entry in pairs(declared.config or {}) do
    entry.env = nil
  end
end

--[[
  Loads the script at PATH and finds out what it offers: the table, and what
  flags.parse wants to know; with CHECK its metrics are tried, too. In the
  SANDBOX, if that is true, or if the script promises to be in one. nil, a
  sentence and a status.
]]
function M.load(path, host, check, sandbox)
  local source, reason = host.read(path)
  if not source then
    return nil, reason, USAGE
  end
  local paths = { lua_path = lua_path(path, host), lua_cpath = lua_cpath(host) }
  local declared, warnings = declaration(path, paths, check, host, sandbox)
  if not declared then
    return nil, warnings, FAILURE
  end
  if sandbox or declared.sandbox then
    drop_variables(declared)
  end
  local common = flags.common_for(declared.flags or {})
  local offer, message = config.describe(declared.config, source, common)
  if not offer then
    return nil, path .. ": " .. message, FAILURE
  end
  return {
    path = path,
    declared = declared,
    name = declared.name or M.default_name(path),
    paths = paths,
    common = common,
    offer = offer,
    source = source,
    warnings = warnings,
  }
end

return M
