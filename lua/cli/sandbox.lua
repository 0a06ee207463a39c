-- SPDX-License-Identifier: Apache-2.0
-- The sandbox as an operator asks for it: `sandbox` and `allow` of a
-- configuration and of its entries, --sandbox and --allow of a single script.

local M = {}

-- ---- a configuration ----

-- Loaded with one: a script that runs alone does without.
local function load_reader()
  return require "cli.reader"
end

local function check_entry(reader, made, list, i, host)
  local read <const> = load_reader()
  local text = list[i]
  if type(text) ~= "string" or text:find("\0", 1, true) then
    read.refuse(reader, list, i, "allow: expected strings, number %d is a %s",
      i, type(text))
  end
  local good, message = host.check_allow(text)
  if not good then
    local hidden = read.is_hidden(reader, text)
    read.refuse(reader, made, "allow", "allow: %s", hidden
      and ("number %d is none of a name, an address and a range"):format(i)
      or message)
  end
end

local function read_allow(reader, made, host)
  local read <const> = load_reader()
  local list = read.expect(reader, made, "allow", "table",
    'a list of strings such as "api.example.com:443"')
  for key in pairs(list or {}) do
    if math.type(key) ~= "integer" or key < 1 or key > #list then
      read.refuse(reader, made, "allow", "allow: expected a list, got the key "
        .. "%s", read.shown(reader, key))
    end
    check_entry(reader, made, list, key, host)
  end
  return list
end

--[[
  What MADE, the configuration or an entry, says: { sandbox = , allow = }, where
  COMMON, what the configuration says, stands in for an entry. `allow` without a
  sandbox would look like a fence and be none.
]]
function M.read(reader, made, host, common)
  local read <const> = load_reader()
  local sandbox = read.expect(reader, made, "sandbox", "boolean",
    "true or false")
  local allow = read_allow(reader, made, host)
  if sandbox == nil and common then
    sandbox = common.sandbox
  end
  if allow and not sandbox then
    read.refuse(reader, made, "allow", "allow: without sandbox = true it "
      .. "restricts nothing")
  end
  return {
    sandbox = sandbox or false,
    allow = sandbox and (allow or common and common.allow) or nil,
  }
end

-- ---- the command line ----

-- Do ARGUMENTS ask for a sandbox? It must be known before the script is loaded,
-- whose flags are not known before that. One word for it is enough.
function M.is_asked(arguments)
  for _, argument in ipairs(arguments) do
    if argument == "--" then
      return false
    end
    local value = argument:match "^%-%-?sandbox$" and "true"
      or argument:match "^%-%-?sandbox=(.*)$"
    if value and value ~= "false" then
      return true
    end
  end
  return false
end

-- Puts the texts of --allow into PLAN, for a script in a SANDBOX; nil and a
-- sentence.
function M.add(plan, sandbox, texts, host)
  if #texts > 0 and not sandbox then
    return nil, "--allow restricts nothing without --sandbox"
  end
  for _, text in ipairs(texts) do
    local good, message = host.check_allow(text)
    if not good then
      return nil, "--allow: " .. message
    end
  end
  plan.sandbox = sandbox
  plan.allow = sandbox and texts or nil
  return plan
end

-- The same for --scripts, whose flags are known: { sandbox = , allow = }; nil
-- and a sentence. A configuration says it itself.
function M.of_flags(parsed, host)
  local fenced = false
  for _, text in ipairs(parsed.sandbox) do
    fenced = fenced or text ~= "false"
  end
  if #parsed.config > 0 and (#parsed.sandbox > 0 or #parsed.allow > 0) then
    return nil, "--sandbox and --allow are for scripts: a configuration says "
      .. "sandbox = true"
  end
  return M.add({}, fenced, parsed.allow, host)
end

return M
