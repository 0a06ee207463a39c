-- SPDX-License-Identifier: Apache-2.0
-- What every part of the configuration file is read with: sentences that say
-- where the mistake stands, and checks that raise them. A reader knows the
-- file, what its tables are and where they stand; attempt() keeps a refusal and
-- goes on, so that all mistakes are told.

local flags = require "cli.flags"

local M = {}

local SECRET_MIN <const> = 4 -- shorter ones cannot be told from other words

-- The most that each may be, as run/limits.c has it.
local LIMITS <const> = { memory = 1e15, cpu = 1e9, series = 1e15,
  body = 1 << 30, operations = 1e15 }
local LIMIT_NAMES <const> = { "memory", "cpu", "series", "body", "operations" }

-- ---- sentences ----

-- A reader knows the file, what its tables are and where they stand.
function M.place(reader, made, key)
  local record = reader.places[made]
  local line = record and (key and record.keys[key] or record.line)
  return line and ("%s:%d"):format(reader.path, line) or reader.path
end

function M.refuse(reader, made, key, text, ...)
  error({
    sentence = M.place(reader, made, key) .. ": " .. text:format(...),
  }, 0)
end

-- A text from a file may be a secret: it is not repeated.
function M.is_hidden(reader, value)
  for secret in pairs(reader.contents) do
    if type(value) == "string" and value:find(secret, 1, true) then
      return true
    end
  end
  return false
end

function M.shown(reader, value)
  return M.is_hidden(reader, value) and "the text of a file"
    or ("'%s'"):format(value)
end

-- ---- checking ----

function M.expect(reader, made, key, kinds, expected, name)
  local value = made[key]
  if value ~= nil and not kinds:find(type(value), 1, true) then
    M.refuse(reader, made, key, "%s: expected %s, got a %s", name or key,
      expected, type(value))
  end
  return value
end

-- SCRIPTED tables have a value without a key, too.
function M.check_keys(reader, made, known, what, host, scripted)
  for key in pairs(made) do
    local found = scripted and key == 1
    for _, name in ipairs(known) do
      found = found or key == name
    end
    if not found then
      local near = type(key) == "string" and host.nearest(key, known)
      M.refuse(reader, made, key, "unknown key %s of %s%s",
        M.shown(reader, key), what,
        near and ("; did you mean '%s'?"):format(near) or "")
    end
  end
end

-- The converted VALUE of made[key], as the flag with that target has it.
function M.as_flag(reader, made, key, target, value)
  for _, flag in ipairs(flags.common) do
    if flag.target == target then
      local converted, expected = flag.convert(value)
      if converted == nil then
        M.refuse(reader, made, key, "%s: %s, got %s", key, expected,
          M.shown(reader, value))
      end
      return converted
    end
  end
end

function M.seconds(reader, entry, key)
  local value = M.expect(reader, entry, key, "number string",
    'seconds, or a string such as "15s"')
  if type(value) == "number" then
    local positive = key == "timeout"
    if not (value >= 0 and value < math.huge) or positive and value == 0 then
      M.refuse(reader, entry, key, "%s: expected %sseconds, got %s", key,
        positive and "more than 0 " or "", value)
    end
    return value + 0.0
  end
  return value and M.as_flag(reader, entry, key, key, value)
end

-- made.limits, if it is there.
function M.limits(reader, made, host)
  local limits = M.expect(reader, made, "limits", "table",
    "a table such as { memory = 128 * 2^20 }")
  if limits then
    M.check_keys(reader, limits, LIMIT_NAMES, "limits", host)
  end
  for key, value in pairs(limits or {}) do
    M.expect(reader, limits, key, "number", "a number", "limits." .. key)
    if not (value > 0 and value <= LIMITS[key])
      or key ~= "cpu" and value < 1 then
      M.refuse(reader, limits, key, "limits.%s: expected a number above 0, at "
        .. "most %.0f, got %s", key, LIMITS[key], value)
    end
  end
  return limits
end

local function is_label(name, legacy)
  return type(name) == "string" and not name:find "^__"
    and (name:find "^[%a_][%w_]*$" or not legacy and name ~= ""
      and utf8.len(name) and not name:find("\0", 1, true))
end

-- The constant labels made[key], told about as NAME. LEGACY: who gets them may
-- know no names but [a-zA-Z_][a-zA-Z0-9_]*.
function M.labels(reader, made, key, name, legacy)
  local labels = M.expect(reader, made, key, "table",
    'a table such as { site = "a" }', name)
  for label, value in pairs(labels or {}) do
    if not is_label(label, legacy) or M.is_hidden(reader, label) then
      M.refuse(reader, labels, label, "%s: %s is not the name of a label", name,
        M.shown(reader, label))
    elseif type(value) ~= "string" or value:find("\0", 1, true) then
      M.refuse(reader, labels, label, "%s.%s: expected a string, got a %s",
        name, label, type(value))
    elseif not utf8.len(value) then
      M.refuse(reader, labels, label, "%s.%s: the string is not UTF-8", name,
        label)
    elseif M.is_hidden(reader, value) then
      M.refuse(reader, labels, label, "%s.%s: the text of a file would be "
        .. "shown to everybody", name, label)
    end
  end
  return labels
end

-- SENTENCE without the texts of files: who raises in a configuration, or looks
-- up a name that is one, has them in it.
function M.masked(reader, sentence)
  for secret in pairs(reader.contents) do
    if #secret >= SECRET_MIN then
      sentence = sentence:gsub(secret:gsub("%p", "%%%0"), "***")
    end
  end
  return sentence
end

-- FN's result; a refusal is kept, once where several exporters share the table
-- that it is about, and another error goes on.
function M.attempt(reader, fn, ...)
  local good, result = pcall(fn, reader, ...)
  if good then
    return result
  elseif type(result) ~= "table" or not result.sentence then
    error(result, 0)
  end
  local sentence = M.masked(reader, result.sentence)
  if sentence ~= reader.mistakes[#reader.mistakes] then
    table.insert(reader.mistakes, sentence)
  end
end

return M
