-- SPDX-License-Identifier: Apache-2.0
-- Runs spec files inside the host: describe, it, before_each, after_each and an
-- assert with the usual comparisons. A body runs in a task and may wait. After
-- each `it` nothing may be left behind: tasks, handles of the loop, references
-- in the registry.

local host = require "host"
local task = require "task"

local assertion = {}

-- ---- showing values ---------------------------------------------------------

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
      return a < b
    end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function show(value, depth)
  depth = depth or 1
  if type(value) == "string" then
    return (string.format("%q", value):gsub("\n", "n"))
  end
  if type(value) ~= "table" then
    return tostring(value)
  end
  if depth > 4 then
    return "{...}"
  end
  local parts = {}
  for _, key in ipairs(sorted_keys(value)) do
    parts[#parts + 1] = string.format("[%s] = %s", show(key, depth + 1),
      show(value[key], depth + 1))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- ---- assertions -------------------------------------------------------------

-- The file:line of the spec, outside of this file.
local function place()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return ""
    end
    if info.currentline > 0 and info.short_src ~= "test.lua" then
      return string.format("%s:%d: ", info.short_src, info.currentline)
    end
    level = level + 1
  end
end

local function fail(format, ...)
  error(place() .. string.format(format, ...), 0)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

function assertion.equal(expected, actual)
  if expected ~= actual then
    fail("expected %s, got %s", show(expected), show(actual))
  end
end

function assertion.same(expected, actual)
  if not same(expected, actual) then
    fail("expected %s, got %s", show(expected), show(actual))
  end
end

function assertion.is_true(actual)
  assertion.equal(true, actual)
end

function assertion.is_false(actual)
  assertion.equal(false, actual)
end

function assertion.is_nil(actual)
  assertion.equal(nil, actual)
end

function assertion.is_not_nil(actual)
  if actual == nil then
    fail("expected something, got nil")
  end
end

function assertion.near(expected, actual, tolerance)
  local close = type(actual) == "number" and
    math.abs(expected - actual) <= tolerance
  if not close then
    fail("expected %s within %s, got %s", show(expected), show(tolerance),
      show(actual))
  end
end

function assertion.matches(pattern, actual)
  if type(actual) ~= "string" or not actual:find(pattern) then
    fail("expected a match of %s, got %s", show(pattern), show(actual))
  end
end

-- The error's message must contain MESSAGE, as plain text, when it is given.
function assertion.has_error(fn, message)
  local ok, err = pcall(fn)
  if ok then
    fail("expected an error, got none")
  end
  local text = type(err) == "string" and err or show(err)
  if message and not text:find(message, 1, true) then
    fail("expected an error with %s, got %s", show(message), show(text))
  end
  return err
end

setmetatable(assertion, {
  __call = function(_, value, message, ...)
    if value then
      return value, message, ...
    end
    error(message == nil and place() .. "assertion failed!" or message, 0)
  end,
  __index = function(all, name)
    local names = {}
    for known in pairs(all) do
      names[#names + 1] = known
    end
    table.sort(names)
    error(("there is no assert.%s; there are: %s"):format(tostring(name),
      table.concat(names, ", ")), 2)
  end,
})

-- ---- collecting specs -------------------------------------------------------

local function new_group(name, parent)
  return { name = name, parent = parent, before = {}, after = {} }
end

local function full_name(group, name)
  while group.parent do
    name = group.name .. " " .. name
    group = group.parent
  end
  return name
end

-- What a spec file sees besides the ordinary globals.
local function new_environment(specs, root)
  local group = root
  local env = { assert = assertion }
  function env.describe(name, body)
    group = new_group(name, group)
    body()
    group = group.parent
  end
  function env.it(name, body)
    local info = debug.getinfo(body, "S")
    specs[#specs + 1] = {
      name = full_name(group, name),
      group = group,
      body = body,
      place = string.format("%s:%d", info.short_src, info.linedefined),
    }
  end
  function env.before_each(fn)
    group.before[#group.before + 1] = fn
  end
  function env.after_each(fn)
    table.insert(group.after, 1, fn)
  end
  return setmetatable(env, { __index = _G })
end

-- ---- running ----------------------------------------------------------------

local function run_before(group)
  if group.parent then
    run_before(group.parent)
  end
  for _, fn in ipairs(group.before) do
    fn()
  end
end

-- All of them run, whatever the others do; the first error is raised.
local function run_after(group)
  local failure
  while group do
    for _, fn in ipairs(group.after) do
      local ok, err = pcall(fn)
      if not ok and failure == nil then
        failure = err
      end
    end
    group = group.parent
  end
  if failure ~= nil then
    error(failure, 0)
  end
end

local function run_body(spec)
  run_before(spec.group)
  spec.body()
end

-- What is kept for the next request is not left behind.
local function release_connections()
  host.release()
  local common = package.loaded["http.common"]
  if common then
    common:release()
  end
end

-- Finalizers of the first collection may free what the second one finds; the
-- loop then runs the close callbacks.
local function settle()
  release_connections()
  collectgarbage()
  collectgarbage()
  task.sleep(0)
  task.sleep(0)
end

local function count()
  settle()
  return {
    tasks = host.tasks(),
    handles = host.handles(),
    references = host.references(),
  }
end

local function leftovers(before)
  local after = count()
  for _, kind in ipairs { "tasks", "handles", "references" } do
    if after[kind] > before[kind] then
      return string.format("%d %s left behind", after[kind] - before[kind],
        kind)
    end
  end
end

local function message_of(err)
  return type(err) == "string" and err or show(err)
end

local function run_spec(spec)
  local before = count()
  local ok, err = pcall(run_body, spec)
  local after_ok, after_err = pcall(run_after, spec.group)
  if ok and not after_ok then
    ok, err = false, after_err
  end
  spec.body = nil
  if not ok then
    return message_of(err)
  end
  return leftovers(before)
end

local function load_specs(file)
  local specs = {}
  local root = new_group("")
  local chunk, err = loadfile(file, "t", new_environment(specs, root))
  if not chunk then
    return nil, err
  end
  local ok, message = pcall(chunk)
  if not ok then
    return nil, message_of(message)
  end
  return specs
end

local function report(where, name, message)
  local text = string.format("FAIL %s: %s: %s\n", where, name, message)
  -- What a page says is for a terminal to show, not to obey.
  io.stderr:write((text:gsub("[\0-\8\11-\31\127]", "?"):gsub(
    "\xC2[\x80-\x9F]", "?")))
end

return function(files)
  local passed, failed = 0, 0
  for _, file in ipairs(files) do
    local specs, err = load_specs(file)
    if not specs then
      report(file, "loading", err)
      failed = failed + 1
    elseif #specs == 0 then
      report(file, "loading", "there is no spec in this file")
      failed = failed + 1
    end
    for _, spec in ipairs(specs or {}) do
      local message = run_spec(spec)
      if message then
        report(spec.place, spec.name, message)
        failed = failed + 1
      else
        passed = passed + 1
      end
    end
  end
  io.stderr:write(string.format("%d passed, %d failed\n", passed, failed))
  return failed == 0
end
