-- SPDX-License-Identifier: Apache-2.0
-- Flags: those that every exporter has, those of a script's `config`, and how
-- an argument list is taken apart with Go's habits: one or two dashes, the
-- value after "=" or in the next argument, the last of several wins.
--
-- A flag is { name, target, kind = "value"|"boolean"|"list", argname, help }.
-- argparse knows neither these habits nor "did you mean", so it lays out the
-- help and nothing else, and a start without --help does not load it.

local values = require "cli.values"

local M = {}

M.FORMATS = { "text", "openmetrics", "openmetrics2", "protobuf" }
M.ESCAPINGS = { "underscores", "dots", "values", "allow-utf-8" }
M.LEVELS = { "debug", "info", "warn", "error" }
M.WATCHES = { "auto", "poll", "off" }

-- The conversion to one of WORDS.
local function one_of(words)
  return function(text)
    for _, known in ipairs(words) do
      if text == known then
        return text
      end
    end
    return nil, "expected one of " .. table.concat(words, ", ")
  end
end

local function positive(text)
  local seconds, expected = values.seconds(text)
  if seconds == 0 then
    return nil, "expected more than 0 seconds"
  end
  return seconds, expected
end

M.common = {
  {
    name = "web.listen-address",
    target = "listen",
    kind = "list",
    argname = "ADDRESS",
    help = "Address to serve on: :8000, localhost:8000, [::]:8000. Repeatable.",
    convert = values.address,
  },
  {
    name = "web.telemetry-path",
    target = "telemetry_path",
    kind = "value",
    argname = "PATH",
    help = "Path of the metrics. (default: /metrics)",
    convert = values.path,
  },
  {
    name = "interval",
    target = "interval",
    kind = "value",
    argname = "DURATION",
    help = "Collect that often: 15, 15s, 1m; 0: when scraped.",
    convert = values.seconds,
  },
  {
    name = "timeout",
    target = "timeout",
    kind = "value",
    argname = "DURATION",
    help = "End a collection after that time.",
    convert = positive,
  },
  {
    name = "config.file-path",
    target = "env_file",
    kind = "value",
    argname = "FILE",
    help = "Read variables from this file. (default: .env, if there is one)",
  },
  {
    name = "log.level",
    target = "log_level",
    kind = "value",
    argname = "LEVEL",
    help = "debug, info, warn or error. (default: info)",
    convert = one_of(M.LEVELS),
  },
  {
    name = "watch",
    target = "watch",
    kind = "value",
    argname = "MODE",
    help = "Notice changed files: auto, poll or off. (default: auto)",
    convert = one_of(M.WATCHES),
  },
  {
    name = "web.enable-lifecycle",
    target = "lifecycle",
    kind = "boolean",
    help = "Reload when asked by POST /-/reload.",
    convert = values.boolean,
  },
  {
    name = "web.disable-created-samples",
    target = "without_created",
    kind = "boolean",
    help = "Leave the samples *_created out of OpenMetrics 1.0.",
    convert = values.boolean,
  },
  {
    name = "sandbox",
    kind = "boolean",
    help = "Do not trust the script: no files, no processes, no variables, "
      .. "and the network only where --allow says.",
  },
  {
    name = "allow",
    kind = "list",
    argname = "HOST",
    help = "Where a script in the sandbox may go: api.example.com, "
      .. "*.example.com:443, 10.0.0.0/8, [2001:db8::1]:161, listen:5000. "
      .. "Repeatable.",
  },
  { name = "help", kind = "boolean", help = "Show this help." },
  { name = "version", kind = "boolean", help = "Show the version." },
}

-- What a page looks like that nobody negotiates.
M.once = {
  {
    name = "format",
    target = "format",
    kind = "value",
    argname = "FORMAT",
    help = "Print text, openmetrics, openmetrics2 or protobuf. "
      .. "(default: text)",
    convert = one_of(M.FORMATS),
  },
  {
    name = "escaping",
    target = "escaping",
    kind = "value",
    argname = "SCHEME",
    help = "Names beyond [a-zA-Z0-9_:]: underscores, dots, values or "
      .. "allow-utf-8. (default: underscores)",
    convert = one_of(M.ESCAPINGS),
  },
}

for _, list in ipairs { M.common, M.once } do
  for _, flag in ipairs(list) do
    flag.common = true
  end
end

-- ALL, and what COMMAND has besides: those that are not TAKEN, names -> true.
function M.for_command(command, all, taken)
  all = table.move(all, 1, #all, 1, {})
  for _, flag in ipairs(command == "once" and M.once or {}) do
    all[#all + 1] = not (taken and taken[flag.name]) and flag or nil
  end
  return all
end

-- The common flags, and once more those to which a script gives a name of its
-- own: RENAMED is its `flags`, target -> name.
function M.common_for(renamed)
  local all = table.move(M.common, 1, #M.common, 1, {})
  for _, flag in ipairs(M.common) do
    local name = flag.target and renamed[flag.target]
    if name then
      all[#all + 1] = setmetatable({
        name = name,
        origin = "flags." .. flag.target,
        common = false,
        help = ("The same as --%s."):format(flag.name),
      }, { __index = flag })
    end
  end
  return all
end

-- The flags before the name of a script, or without one. A script may have a
-- flag of its own that is called --config.
M.leading = {
  {
    name = "config",
    kind = "value",
    argname = "FILE",
    help = "Run the exporters that FILE lists.",
  },
  {
    name = "scripts",
    kind = "list",
    argname = "FOLDER",
    help = "Run every script in FOLDER. Repeatable.",
  },
  table.unpack(M.common),
}

-- A lookup table by name; a single letter h is --help unless it is taken.
local function index(flags)
  local by_name = {}
  for _, flag in ipairs(flags) do
    by_name[flag.name] = flag
  end
  by_name.h = by_name.h or by_name.help
  return by_name
end

-- The name in an argument that looks like a flag, and what follows its "=".
local function split(argument)
  if argument:find "^%-[%d.]" then
    return nil
  end
  return argument:match "^%-%-?([^=-][^=]*)=?(.*)$"
end

local function unknown(argument, by_name, host, hint)
  local written = argument:match "^[^=]*"
  local names = {}
  for name in pairs(by_name) do
    names[#names + 1] = #name > 1 and name or nil
  end
  table.sort(names)
  local near = host.nearest(written:gsub("^%-+", ""), names)
  if near then
    return ("unknown flag %s; did you mean --%s?"):format(written, near)
  end
  return ("unknown flag %s; %s"):format(written, hint)
end

-- Takes the flag at ARGUMENTS[i]: the flag, its text, and where it goes on; nil
-- and a sentence when it cannot; nothing when there is no flag.
local function take(arguments, i, by_name, host, hint)
  local argument = arguments[i]
  local name, text = split(argument)
  if not name then
    if argument:find "^%-%-." then
      return nil, unknown(argument, by_name, host, hint)
    end
    return
  end
  local flag = by_name[name]
  if not flag then
    return nil, unknown(argument, by_name, host, hint)
  elseif argument:find("=", 1, true) then
    return flag, text, i + 1
  elseif flag.kind == "boolean" then
    return flag, "true", i + 1
  end
  local value = arguments[i + 1]
  if not value or value == "--" or by_name[split(value) or false] then
    return nil, ("--%s needs a value"):format(flag.name)
  end
  return flag, value, i + 2
end

-- The first word of ARGUMENTS, the rest, nil, and the names of the leading flags
-- in front of the word, which are moved behind it. Without a word there is only
-- the rest; nil, nil and a sentence for a mistake.
function M.first_word(command, arguments, host, hint)
  local by_name = index(M.for_command(command, M.leading))
  local before, i = {}, 1
  while arguments[i] and arguments[i] ~= "--" do
    local flag, text, next_i = take(arguments, i, by_name, host, hint)
    if not flag then
      if text then
        return nil, nil, text
      end
      break
    end
    before[flag.name] = true
    i = next_i
  end
  local rest = table.move(arguments, 1, i - 1, 1, {})
  table.move(arguments, i + 1, #arguments, i, rest)
  return arguments[i], rest, nil, before
end

--[[
  Reads ARGUMENTS: a table with flag name -> list of texts in order, and a list
  of the words, and word number -> name of the flag before it, one without word.
  SPEC is { flags, hint }; HINT ends the sentence about something that nobody
  knows. nil and a sentence for a mistake.
]]
function M.parse(spec, arguments, host)
  local by_name, given, i = index(spec.flags), {}, 1
  local words, behind = {}, {}
  for _, flag in ipairs(spec.flags) do
    given[flag.name] = {}
  end
  while i <= #arguments do
    if arguments[i] == "--" then
      table.move(arguments, i + 1, #arguments, #words + 1, words)
      break
    end
    local flag, text, next_i = take(arguments, i, by_name, host, spec.hint)
    if flag then
      table.insert(given[flag.name], text)
      local bare = flag.kind == "boolean" and not arguments[i]:find "="
      behind[#words + 1] = bare and flag.name or nil
    elseif text then
      return nil, text
    else
      words[#words + 1] = arguments[i]
    end
    i = next_i or i + 1
  end
  return given, words, behind
end

--[[
  Gives each of PLACES, in order, its word of WORDS, and a list the rest: place
  target -> text or list of texts. nil and a sentence when a word is left. What
  BEHIND is, M.parse says.
]]
function M.distribute(places, words, behind, hint)
  local result, next_word = {}, 1
  for _, place in ipairs(places) do
    if words[next_word] and place.kind == "list" then
      result[place.target] = table.move(words, next_word, #words, 1, {})
      next_word = #words + 1
    elseif words[next_word] then
      result[place.target] = words[next_word]
      next_word = next_word + 1
    end
  end
  if words[next_word] then
    local word = words[next_word]
    local flag = behind[next_word]
    return nil, ("unexpected argument '%s'; %s"):format(word, flag
      and ("a value of --%s is written --%s=%s"):format(flag, flag, word)
      or hint)
  end
  return result
end

-- The parser that describes SPEC; its options are added to GROUPS, too.
local function describe(spec, groups)
  local made = require "argparse"(spec.program):add_help(false)
  for _, flag in ipairs(spec.flags) do
    local bare = flag.kind == "boolean"
    local option = made[bare and "flag" or "option"](made, "--" .. flag.name)
    option:count("*"):description(flag.help or "")
    if flag.argname then
      option:argname(flag.argname)
    end
    local group = groups[flag.common and "common" or "own"]
    group[#group + 1] = option
  end
  for _, place in ipairs(spec.places) do
    local argument = made:argument(place.argname)
    argument:args(place.kind == "list" and "*" or "?")
    argument:description(place.help or "")
  end
  return made
end

-- The text of --help for SPEC = { program, usage, description, flags, places }.
function M.help(spec)
  local groups = { own = {}, common = {} }
  local made = describe(spec, groups)
  made:usage(spec.usage):description(spec.description)
  made:help_description_margin(30):help_max_width(79)
  if #groups.own > 0 then
    made:group("Flags", table.unpack(groups.own))
  end
  made:group("Common flags", table.unpack(groups.common))
  return made:get_help() .. "\n"
end

return M
