-- SPDX-License-Identifier: Apache-2.0
-- The options of http: which there are, what they must be. A wrong one is the
-- programmer's mistake and raises, with the place in the script; the value is
-- not shown, since it may be a secret, but for what may be seen of a URL.

local driver = require "http_client"

local M = {}

-- Is this one of the files through which a script calls?
local function is_ours(info)
  return info.what == "C" or info.source == "=session.lua" or
    info.source:find "^=http[.%a]*lua$" ~= nil or
    info.source:find "^=push[.%a]*lua$" ~= nil
end

-- Raises at the place that called into http, or what stands on it.
local function raise(...)
  local message = string.format(...)
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and is_ours(info) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  if info and info.currentline > 0 then
    message = info.short_src .. ":" .. info.currentline .. ": " .. message
  end
  error(message, 0)
end

M.raise = raise

-- ---- what an option must be -------------------------------------------------
--
-- A check returns what was expected, or nil when that is what it got; and true
-- when the type is right and the fault lies in the value, or, where the value
-- may be shown, how.

local function is(kind)
  local expected = "a " .. kind
  return function(value)
    return type(value) ~= kind and expected or nil
  end
end

local function is_text(value)
  if type(value) ~= "string" then
    return "a string"
  elseif value:find("\0", 1, true) then
    return "a string without NUL", true
  end
end

local function is_count(least, most)
  local expected = string.format("an integer, %d to %d", least, most)
  return function(value)
    local fits = math.type(value) == "integer" and value >= least and
      value <= most
    return not fits and expected or nil
  end
end

local function is_seconds(value)
  if type(value) ~= "number" then
    return "seconds"
  end
  local fits = value > 0 and value < math.huge
  return not fits and "seconds, finite and above 0" or nil
end

local function is_scalar(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "boolean"
end

local function are_headers(value)
  if type(value) ~= "table" then
    return "a table of headers"
  end
  for name, text in pairs(value) do
    local kind = type(text)
    if type(name) ~= "string" or name == "" then
      return "names of headers as keys", true
    elseif kind ~= "string" and kind ~= "number" then
      return string.format("text for '%s', got %s", name, kind), true
    elseif (name .. text):find("\0", 1, true) then
      return "headers without NUL", true
    end
  end
end

local function are_fields(value)
  if type(value) ~= "table" then
    return "a table of names and values"
  end
  for name, field in pairs(value) do
    if type(name) ~= "string" then
      return "names as keys", true
    end
    for _, item in ipairs(type(field) == "table" and field or { field }) do
      if not is_scalar(item) then
        return string.format("text, a number, a boolean or a list for '%s'",
          name), true
      end
    end
  end
end

local function is_any() end

local function is_method(value)
  local fits = type(value) == "string" and value:find "^[%w!#$%%&'*+.^_`|~-]+$"
  return not fits and "the name of a method" or nil, type(value) == "string"
end

local REQUEST <const> = {
  accept = is_text,
  bearer = is_text,
  body = is "string",
  body_max = is_count(1, 1 << 30),
  ca_file = is_text,
  cert_file = is_text,
  form = are_fields,
  headers = are_headers,
  insecure = is "boolean",
  json = is_any,
  key_file = is_text,
  method = is_method,
  name = is_text,
  password = is_text,
  proxy = is_text,
  query = are_fields,
  redirects = is_count(0, 50),
  retries = is_count(0, 20),
  server_name = is_text,
  timeout = is_seconds,
  unix_socket = is_text,
  user = is_text,
}

local function is_base_url(value)
  local fits = type(value) == "string" and
    value:find "^[hH][tT][tT][pP][sS]?://[^/?#]+[^?#]*$"
  return not fits and "http:// or https://, a host and at most a path" or nil,
    type(value) == "string" and "'" .. driver.redact(value) .. "'"
end

local RATE <const> = { requests = is_count(1, 100000), per = is_seconds }

local function is_rate(value)
  if type(value) ~= "table" then
    return "{ requests =, per = }"
  end
  for key in pairs(value) do
    if not RATE[key] then
      return "{ requests =, per = }", true
    end
  end
  for key, check in pairs(RATE) do
    local expected = check(value[key])
    if expected then
      return string.format("%s as '%s'", expected, key), true
    end
  end
end

local CLIENT <const> = {
  base_url = is_base_url,
  connections = is_count(1, 1000),
  cookies = is "boolean",
  observe = is "function",
  rate = is_rate,
}
for name, check in pairs(REQUEST) do
  CLIENT[name] = check
end

-- ---- checking ---------------------------------------------------------------

local function refuse_unknown(key, known)
  if type(key) ~= "string" then
    raise("options have names, got a %s as key", type(key))
  end
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  local near = driver.nearest(key, names)
  raise("unknown option '%s'%s", key,
    near and "; did you mean '" .. near .. "'?" or "")
end

local function refuse_value(key, expected, inside, value)
  local got = type(inside) == "string" and inside or type(value)
  if inside == true or type(value) == "number" then
    raise("option '%s': expected %s", key, expected)
  end
  raise("option '%s': expected %s, got %s", key, expected, got)
end

-- What leads out of a sandbox: files, and ways around the host of the URL. The
-- driver refuses them, too, but does not know the place in the script.
local OUTSIDE <const> = { ca_file = true, cert_file = true, key_file = true,
  proxy = true, unix_socket = true }

local function check(options, known)
  if type(options) ~= "table" then
    raise("expected a table of options, got %s", type(options))
  end
  for key, value in pairs(options) do
    local test = known[key]
    if not test then
      refuse_unknown(key, known)
    end
    if OUTSIDE[key] and driver.in_sandbox() then
      raise("option '%s' is not available in a sandbox", key)
    end
    local expected, inside = test(value)
    if expected then
      refuse_value(key, expected, inside, value)
    end
  end
  local bodies = (options.json ~= nil and 1 or 0) + (options.form and 1 or 0) +
    (options.body and 1 or 0)
  if bodies > 1 then
    raise "of the options 'json', 'form' and 'body' only one makes sense"
  end
end

-- For modules that stand on http: their options, name = check, and ours.
M.check = check
M.REQUEST = REQUEST

function M.check_request(options)
  check(options, REQUEST)
end

function M.check_client(options)
  check(options, CLIENT)
end

return M
