-- SPDX-License-Identifier: Apache-2.0
--[[
  The command line: from arguments to a plan, which host/run/command.c carries
  out. Nothing here touches the outside but through `host`:

    host.data                 folder of the bundled files
    host.version              what --version prints
    host.getenv(name)         text or nil
    host.exists(path)         is there a file? A pipe counts, a folder does not
    host.read(path)           its text, or nil and a sentence
    host.list(folder)         names of the files in it, sorted; or nil and a
                              sentence
    host.absolute(path)       the path from the root
    host.nearest(name, names) the name that was probably meant, or nil
    host.shown(text)          as one line, whatever is in it, for a terminal
    host.check_allow(text)    true for an entry of `allow`, or nil and a
                              sentence
    host.declaration(path, paths, check, sandbox)
                              the table that a script returns and a list of
                              advice, or nil and a sentence; PATHS has the
                              lua_path and lua_cpath of a plan; with CHECK its
                              metrics are tried, too; in the SANDBOX it is
                              plain data, and loaded apart

  A plan is a table with a `command`:

    run, once   listen, telemetry_path, log_level, lifecycle, watch,
                without_created; of once the format and the escaping of
                the page; and script, name, config, interval, timeout,
                lua_path, lua_cpath, sandbox, allow (a list; nil: nowhere), or
                a list `exporters` of tables with those and labels, profiles,
                where, mistake; the
                `configuration` that lists them, a file or folders; open:
                others may join them; secrets: texts of ARGUMENTS that the
                process list should not show
    check       exporters of a configuration; text, errors, status
    test        files, log_level
    print       text; errors: sentences for standard error; status
]]

local config = require "cli.config"
local flags = require "cli.flags"
local sandbox = require "cli.sandbox"
local script_of = require "cli.script"
local scripts = require "cli.scripts"

local M = {}

local USAGE <const> = 2
local HINT <const> = "see lunex help"
local PER_EXPORTER <const> = { interval = true, timeout = true }
local COMMANDS <const> = { "check", "help", "once", "test", "version" }

local OVERVIEW <const> = [[
Usage: lunex SCRIPT.lua|NAME [flags]        run one exporter
       lunex --config FILE [flags]          run those that a file lists
       lunex --scripts FOLDER [flags]       run all scripts in a folder
       lunex once SCRIPT.lua|NAME [flags]   collect once, print the page
       lunex once --config FILE             the same for all in a file
       lunex once --scripts FOLDER          the same for all in a folder
       lunex check FILE|FOLDER|NAME...      load and validate
       lunex test SPEC.lua...               run the specs of scripts
       lunex help [SCRIPT.lua|NAME]         show the flags of an exporter
       lunex version

Bundled exporters:
%s
Common flags: --web.listen-address, --web.telemetry-path, --web.enable-lifecycle,
--web.disable-created-samples, --interval, --timeout, --config.file-path, --watch,
--log.level; lunex help NAME tells more. lunex once has --format and --escaping.
]]

-- Loaded by those who have such a file: it is a third of the command line.
local function configuration()
  return require "cli.configuration"
end

local function folder()
  return require "cli.folder"
end

local function print_plan(text)
  return { command = "print", text = text, errors = {}, status = 0 }
end

local function overview(host)
  local lines = {}
  for _, name in ipairs(scripts.bundled(host)) do
    local source = host.read(scripts.find(name, host)) or ""
    lines[#lines + 1] = ("   %-20s %s"):format(name, scripts.summary(source))
  end
  lines[1] = lines[1] or "   none"
  return OVERVIEW:format(table.concat(lines, "\n") .. "\n")
end

-- Does the file at PATH, which is no script, list exporters? A script may have
-- a table with the key `exporters`, too.
local function is_configuration(path, host)
  local text = host.read(path)
  return text and configuration().is(text)
end

-- A script to run. nil, a sentence and a status.
local function load_script(path, fenced, host)
  local script, message, status = script_of.load(path, host, false, fenced)
  if not script and is_configuration(path, host) then
    return nil, ("%s is a configuration: lunex --config %s"):format(path,
      path), USAGE
  elseif status == USAGE and host.list(path) then
    return nil, ("%s is a folder: lunex --scripts %s"):format(path, path), USAGE
  end
  return script, message, status
end

local function usage_line(script)
  local words = { "Usage: " .. script.program, "[flags]" }
  for _, place in ipairs(script.offer.places) do
    local more = place.kind == "list" and "..." or ""
    words[#words + 1] = "[" .. place.argname .. more .. "]"
  end
  return table.concat(words, " ")
end

-- The common flags, with what this script has for them.
local function common_of(script)
  local defaults = {
    listen = script.declared.listen,
    interval = script.declared.interval or "when scraped",
    timeout = script.declared.timeout,
  }
  local all = {}
  for i, flag in ipairs(script.common) do
    local default = defaults[flag.target]
    all[i] = default and setmetatable({
      help = ("%s (default: %s)"):format(flag.help, default),
    }, { __index = flag }) or flag
  end
  return all
end

local function help_plan(script)
  local all = {}
  for _, list in ipairs { script.offer.flags, common_of(script) } do
    table.move(list, 1, #list, #all + 1, all)
  end
  local text = flags.help {
    program = script.program,
    usage = usage_line(script),
    description = table.concat(scripts.comment(script.source), "\n"),
    flags = all,
    places = script.offer.places,
  }
  -- What a script says of itself is for a terminal to show, not to obey.
  return print_plan((text:gsub("[\0-\8\11-\31\127]", "?"):gsub(
    "\xC2[\x80-\x9F]", "?")))
end

-- Those of the COMMON flags that are in PARSED into PLAN; nil and a sentence.
local function add_common(plan, parsed, common)
  for _, flag in ipairs(common) do
    local texts = parsed[flag.name]
    for _, text in ipairs(flag.convert and texts or {}) do
      local value, expected = flag.convert(text)
      if value == nil then
        return nil, ("--%s: %s, got '%s'"):format(flag.name, expected, text)
      elseif flag.kind == "list" then
        plan[flag.target] = plan[flag.target] or {}
        table.insert(plan[flag.target], value)
      else
        plan[flag.target] = value
      end
    end
  end
  return plan
end

local function wants(parsed, name)
  return parsed[name] and #parsed[name] > 0
end

-- The file that --config.file-path names; an empty name is none.
local function env_file_of(parsed)
  local paths = parsed["config.file-path"]
  local path = paths[#paths]
  return path ~= "" and path or nil
end

-- Gives SCRIPT the flags that COMMAND alone has; its own come first.
local function add_flags(script, command)
  local taken = {}
  for _, list in ipairs { config.all_flags(script.offer), script.common } do
    for _, flag in ipairs(list) do
      taken[flag.name] = true
    end
  end
  script.common = flags.for_command(command, script.common, taken)
end

-- Where a script that runs alone is served when no flag says it.
local function listen_of(script)
  local listen = script.declared.listen
  return listen and { listen }
end

local function plan_script(command, path, program, arguments, host)
  local fenced = sandbox.is_asked(arguments)
  local script, message, status = load_script(path, fenced, host)
  if not script then
    return nil, message, status
  end
  script.program = program
  add_flags(script, command)
  local hint = "see " .. program .. " --help"
  local all = config.all_flags(script.offer)
  table.move(script.common, 1, #script.common, #all + 1, all)
  local parsed, words, behind =
    flags.parse({ flags = all, hint = hint }, arguments, host)
  if not parsed then
    return nil, words, USAGE
  elseif wants(parsed, "help") then
    return help_plan(script)
  elseif wants(parsed, "version") then
    return print_plan(host.version .. "\n")
  end
  local plan = {
    command = command,
    script = path,
    name = script.name,
    lua_path = script.paths.lua_path,
    lua_cpath = script.paths.lua_cpath,
  }
  plan, message = add_common(plan, parsed, script.common)
  if plan then
    plan, message = sandbox.add(plan, fenced, parsed.allow, host)
  end
  local given = { flags = parsed, env_file = env_file_of(parsed) }
  if plan then
    given.places, message =
      flags.distribute(script.offer.places, words, behind, hint)
  end
  if given.places then
    plan.config, message =
      config.resolve(script.offer, given, script.name, host)
  end
  if not (plan and plan.config) then
    return nil, message, USAGE
  end
  plan.listen = plan.listen or listen_of(script)
  plan.secrets = config.secrets(script.offer, given)
  return plan
end

-- "lunex NAME", "lunex once NAME", "lunex help NAME"
local function plan_word(command, word, arguments, host)
  local path, message = scripts.resolve(word, host,
    command == "run" and COMMANDS or {})
  if not path then
    return nil, message, USAGE
  end
  local program = (command == "once" and "lunex once " or "lunex ") .. word
  return plan_script(command, path, program, arguments, host)
end

-- The words behind a verb that takes nothing but those, and a plan with the
-- common flags; for --help a plan alone. nil, nil and a sentence.
local function words_of(verb, arguments, host)
  local spec = { flags = flags.common, hint = HINT }
  local parsed, words = flags.parse(spec, arguments, host)
  if not parsed then
    return nil, nil, words
  elseif wants(parsed, "help") then
    return nil, print_plan(overview(host))
  end
  local plan, message = add_common({ command = verb }, parsed,
    flags.common)
  if plan then
    plan, message = sandbox.add(plan, sandbox.is_asked(arguments),
      parsed.allow, host)
  end
  if plan and #words == 0 then
    return nil, nil, verb .. " needs a file; " .. HINT
  end
  return plan and words, plan, message
end

-- The folders that --scripts names; nil without one.
local function folders_of(parsed)
  local folders = parsed.scripts
  return #folders > 0 and folders or nil
end

-- "lunex --scripts FOLDER": a plan; nil and a list of sentences.
local function read_folders(folders, parsed, fence, host)
  local sources, message = config.sources(host, env_file_of(parsed))
  local entries
  if sources then
    entries, message = folder().entries(folders, {
      names = {},
      listed = {},
      sources = sources,
      advice = {},
      fence = fence,
    }, host)
  end
  if not entries then
    return nil, { message }
  end
  return {
    configuration = table.concat(folders, ", "),
    open = true,
    exporters = entries,
  }
end

local function read_configuration(parsed, fence, host)
  local folders = folders_of(parsed)
  if not wants(parsed, "config") then
    return read_folders(folders, parsed, fence, host)
  end
  return configuration().read(parsed.config[1], false, host,
    { env_file = env_file_of(parsed), folders = folders })
end

-- "lunex --config FILE", "lunex --scripts FOLDER", "lunex once" with those: a
-- plan, or one that prints what is wrong with the file or folder.
local function plan_configuration(command, parsed, host)
  local common = flags.for_command(command, flags.common)
  local flagged, message = add_common({}, parsed, common)
  if not flagged then
    return nil, message, USAGE
  end
  local fence
  fence, message = sandbox.of_flags(parsed, host)
  if not fence then
    return nil, message, USAGE
  end
  local plan, mistakes = read_configuration(parsed, fence, host)
  if not plan then
    return { command = "print", errors = mistakes, status = USAGE }
  elseif command == "once" and #plan.exporters == 0 then
    return nil, plan.configuration .. ": there is no script", USAGE
  end
  plan.command = command
  for _, flag in ipairs(common) do
    local value = flag.target and flagged[flag.target]
    if value ~= nil and not PER_EXPORTER[flag.target] then
      plan[flag.target] = value
    end
  end
  for _, entry in ipairs(plan.exporters) do
    for key in pairs(PER_EXPORTER) do
      entry[key] = flagged[key] or entry[key]
    end
  end
  return plan
end

-- What is to be done without a word: the flags in ARGUMENTS alone. MISSING is
-- the sentence when they do not say it.
local function plan_flags(command, arguments, missing, host)
  local all = flags.for_command(command, flags.leading)
  local parsed, message =
    flags.parse({ flags = all, hint = HINT }, arguments, host)
  if not parsed then
    return nil, message, USAGE
  elseif wants(parsed, "version") then
    return print_plan(host.version .. "\n")
  elseif wants(parsed, "help") then
    return print_plan(overview(host))
  elseif #parsed.config > 1 then
    return nil, "--config is given twice", USAGE
  elseif not wants(parsed, "config") and not wants(parsed, "scripts") then
    return nil, missing .. "; " .. HINT, USAGE
  end
  return plan_configuration(command, parsed, host)
end

local function refuse_both(before, word)
  return nil, ("--%s and '%s' exclude each other"):format(
    before.config and "config" or "scripts", word), USAGE
end

-- Adds to PLAN and LINES what there is to say about the configuration at PATH;
-- its exporters are tried when the plan is carried out. nil and a sentence.
local function check_configuration(plan, path, lines, host)
  if plan.exporters then
    return nil, ("%s and %s: check takes one configuration at a time"):format(
      plan.configuration, path)
  end
  local read, advice = configuration().read(path, true, host)
  if not read then
    table.move(advice, 1, #advice, #plan.errors + 1, plan.errors)
    plan.status = USAGE
    return true
  end
  table.move(advice, 1, #advice, #lines + 1, lines)
  if #read.exporters == 0 then
    lines[#lines + 1] = #advice == 0 and path .. ": ok" or nil
    return true
  end
  plan.command, plan.exporters = "check", read.exporters
  plan.configuration = path
  plan.good = #advice == 0 and path .. ": ok\n" or nil
  return true
end

local function check_script(plan, path, lines, host, fenced)
  local script, message, status = script_of.load(path, host, true, fenced)
  if script then
    table.move(script.warnings, 1, #script.warnings, #lines + 1, lines)
    lines[#lines + 1] = #script.warnings == 0 and path .. ": ok" or nil
  else
    table.insert(plan.errors, message)
    plan.status = math.max(plan.status, status)
  end
  return true
end

-- The script or configuration that WORD means; nil and a sentence.
local function check_file(plan, word, lines, host, fenced)
  local path, message = scripts.resolve(word, host, {})
  if not path then
    return nil, message
  end
  local lists = is_configuration(path, host)
    and not script_of.load(path, host, false, fenced)
  local check = lists and check_configuration or check_script
  return check(plan, path, lines, host, fenced)
end

-- Each of PATHS, the scripts in FOLDER, alone.
local function check_folder(plan, folder_path, paths, lines, host, fenced)
  for _, path in ipairs(paths) do
    check_script(plan, path, lines, host, fenced)
  end
  if #paths == 0 then
    lines[#lines + 1] = folder_path .. ": there is no script"
  end
  return true
end

local function check_word(plan, word, lines, host, fenced)
  local paths = folder().scripts(word, host)
  local bundled = paths and not scripts.is_path(word)
    and scripts.find(word, host)
  if paths and not bundled then
    return check_folder(plan, word, paths, lines, host, fenced)
  end
  return check_file(plan, word, lines, host, fenced)
end

-- The verbs: each takes the arguments behind it.
local verbs = {}

function verbs.once(arguments, host)
  local word, rest, message, before =
    flags.first_word("once", arguments, host, HINT)
  if not rest then
    return nil, message, USAGE
  elseif not word then
    return plan_flags("once", rest, "once needs a script or a name", host)
  elseif before.config or before.scripts then
    return refuse_both(before, word)
  end
  return plan_word("once", word, rest, host)
end

function verbs.check(arguments, host)
  local words, plan, mistake = words_of("check", arguments, host)
  if not words then
    return plan, mistake, USAGE
  end
  local lines, fenced = {}, plan.sandbox
  plan = print_plan ""
  for _, word in ipairs(words) do
    local good, message = check_word(plan, word, lines, host, fenced)
    if not good then
      return nil, message, USAGE
    end
  end
  for i, line in ipairs(lines) do
    lines[i] = host.shown(line) .. "\n"
  end
  plan.text = table.concat(lines)
  return plan
end

function verbs.test(arguments, host)
  local words, plan, message = words_of("test", arguments, host)
  if not words then
    return plan, message, USAGE
  end
  plan.files = words
  for _, file in ipairs(words) do
    local text, reason = host.read(file)
    if not text then
      return nil, reason, USAGE
    end
  end
  return plan
end

function verbs.help(arguments, host)
  local word, rest = flags.first_word("help", arguments, host, HINT)
  if not word or verbs[word] then
    return print_plan(overview(host))
  end
  local flag = sandbox.is_asked(rest) and "--sandbox" or nil
  return plan_word("run", word, { "--help", flag }, host)
end

function verbs.version(_, host)
  return print_plan(host.version .. "\n")
end

-- A plan; or nil, one sentence, and the exit status: 2 for wrong usage.
function M.main(argv0, arguments, host)
  local linked, program = scripts.of_program(argv0, host)
  if linked then
    return plan_script("run", linked, program, arguments, host)
  end
  local word, rest, message, before =
    flags.first_word("run", arguments, host, HINT)
  if not rest then
    return nil, message, USAGE
  elseif not word and #rest == 0 then
    return verbs.help({}, host)
  elseif not word then
    return plan_flags("run", rest,
      "there is no script and no name of an exporter", host)
  elseif before.config or before.scripts then
    return refuse_both(before, word)
  elseif verbs[word] then
    return verbs[word](rest, host)
  end
  return plan_word("run", word, rest, host)
end

return M
