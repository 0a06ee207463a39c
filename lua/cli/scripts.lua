-- SPDX-License-Identifier: Apache-2.0
-- Which file a word on the command line means. A word with a slash or ending in
-- .lua is a path; everything else is the name of a bundled exporter, or one of
-- the `aliases` that such an exporter has.

local M = {}

local function folder(host)
  local data = host.getenv "LUNEX_DATA"
  return (data and data ~= "" and data or host.data) .. "/exporters/"
end

function M.is_path(word)
  return word:find("/", 1, true) or word:find "%.lua$"
end

-- The names of the bundled exporters, sorted.
function M.bundled(host)
  local names = {}
  for _, file in ipairs(host.list(folder(host)) or {}) do
    names[#names + 1] = file:match "^([%w_]+)%.lua$"
  end
  return names
end

-- The comment that a script begins with, licence apart: its lines.
function M.comment(source)
  local lines = {}
  for line in source:gmatch "[^\n]*" do
    local text = line:match "^%-%-+%s*(.-)%s*$"
    if not text or (text == "" and #lines > 0) then
      break
    elseif text ~= "" and not text:find "^SPDX%-" then
      lines[#lines + 1] = text
    end
  end
  return lines
end

-- One line about a script.
function M.summary(source)
  local text = table.concat(M.comment(source), " ")
  return text:match "^(.-%.)%s" or text
end

local function has_alias(path, name, host)
  local source = host.read(path)
  if not (source and source:find "%f[%w_]aliases%s*=") then
    return false
  end
  local script = host.declaration(path)
  for _, alias in ipairs(script and script.aliases or {}) do
    if alias:gsub("-", "_") == name then
      return true
    end
  end
  return false
end

-- The path of the bundled exporter called NAME; nil when there is none.
function M.find(name, host)
  local plain = name:gsub("-", "_")
  if not plain:find "^[%w_]+$" then
    return nil
  end
  local path = folder(host) .. plain .. ".lua"
  if host.exists(path) then
    return path
  end
  for _, other in ipairs(M.bundled(host)) do
    path = folder(host) .. other .. ".lua"
    if has_alias(path, plain, host) then
      return path
    end
  end
end

-- A program called like a bundled exporter (a symbolic link) is that exporter.
function M.of_program(argv0, host)
  local name = argv0:match "[^/]*$":gsub("%.lua$", "")
  if name ~= "lunex" then
    return M.find(name, host), name
  end
end

-- The path of WORD; nil and a sentence. OTHERS are words that would do, too.
function M.resolve(word, host, others)
  if M.is_path(word) then
    return word
  end
  local path = M.find(word, host)
  if path then
    return path
  end
  local names = M.bundled(host)
  local known = table.concat(names, ", ")
  table.move(others, 1, #others, #names + 1, names)
  local near = host.nearest(word, names)
  local hint = near and ("; did you mean '%s'?"):format(near)
    or host.exists(word .. ".lua")
      and ("; did you mean the file %s.lua?"):format(word)
    or host.list(word)
      and ("; for the folder: lunex --scripts %s;"):format(word)
    or ";"
  return nil, ("no exporter '%s'%s bundled: %s"):format(word, hint,
    known ~= "" and known or "none")
end

return M
