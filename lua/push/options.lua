-- SPDX-License-Identifier: Apache-2.0
-- The options of push. A wrong one raises, as with http.

local options_of = require "http.options"

local M = {}

local raise <const> = options_of.raise

M.raise = raise

-- Those of http that say how to get there, passed on as they are.
M.TRANSPORT = { "bearer", "ca_file", "cert_file", "insecure", "key_file",
  "proxy", "retries", "server_name", "unix_socket" }

local function is_job(value)
  if type(value) ~= "string" then
    return "a string"
  elseif value == "" then
    return "a name that is not empty", true
  elseif not utf8.len(value) then
    return "UTF-8", true
  end
end

local function check_value(name, value)
  if type(value) == "number" and math.tointeger(value) then
    return nil
  elseif type(value) ~= "string" then
    return string.format("a string for '%s', got %s", name, type(value))
  elseif not utf8.len(value) then
    return string.format("UTF-8 for '%s'", name)
  end
end

-- What the gateway takes as the name of a label.
local function is_grouping(value)
  if type(value) ~= "table" then
    return "a table of labels"
  end
  for name, item in pairs(value) do
    if name == "job" then
      raise "option 'grouping': the job is an option of its own"
    elseif type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or
      name:find "^__" then
      return string.format("names of labels as keys, got '%s'", name), true
    end
    local expected = check_value(name, item)
    if expected then
      return expected, true
    end
  end
end

local function is_method(value)
  local fits = value == "PUT" or value == "POST"
  return not fits and "'PUT' or 'POST'" or nil, type(value) == "string"
end

local function is_format(value)
  local fits = value == "text" or value == "protobuf"
  return not fits and "'text' or 'protobuf'" or nil, type(value) == "string"
end

local OPTIONS <const> = {
  format = is_format,
  grouping = is_grouping,
  headers = options_of.REQUEST.headers,
  job = is_job,
  method = is_method,
  password = options_of.REQUEST.password,
  timeout = options_of.REQUEST.timeout,
  username = options_of.REQUEST.user,
}
for _, name in ipairs(M.TRANSPORT) do
  OPTIONS[name] = options_of.REQUEST[name]
end

function M.check(options)
  if options == nil then
    raise "expected a table of options, with a job"
  end
  options_of.check(options, OPTIONS)
  if options.job == nil then
    raise "the option 'job' is missing"
  end
end

return M
