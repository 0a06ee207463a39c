-- SPDX-License-Identifier: Apache-2.0
-- A call: one request as it will be sent, made from a client's defaults and the
-- options of the request. What this costs is paid by every request of a fan-out,
-- so defaults are merged once.

local clock = require "clock"
local json = require "json"
local options_of = require "http.options"
local task = require "task"
local urls = require "http.url"

local monotonic <const> = clock.monotonic
local raise <const> = options_of.raise

local TIMEOUT <const> = 10

local NONE <const> = {}

local M = {}

local function add_header(flat, seen, name, value)
  local key = name:lower()
  if not seen[key] then
    seen[key] = true
    flat[#flat + 1] = name
    flat[#flat + 1] = tostring(value)
  end
end

-- A list of names and values: the options' own headers, what they imply, then
-- those of DEFAULTS that are not there yet. A login of its own replaces theirs.
local function merge_headers(options, content_type, defaults)
  local login = options.bearer or options.user or options.password
  if not (options.headers or options.accept or content_type or login) then
    return defaults.flat
  end
  local flat, seen = {}, {}
  for name, value in pairs(options.headers or NONE) do
    add_header(flat, seen, name, value)
  end
  if options.accept then
    add_header(flat, seen, "Accept", options.accept)
  end
  seen.authorization = seen.authorization or login ~= nil
  for i = 1, #defaults.flat, 2 do
    add_header(flat, seen, defaults.flat[i], defaults.flat[i + 1])
  end
  if content_type then
    add_header(flat, seen, "Content-Type", content_type)
  end
  return flat
end

local function encode_json(value)
  local ok, text = pcall(json.encode, value)
  return ok and text or raise("option 'json': %s", text)
end

local function body_of(options)
  if options.json ~= nil then
    return encode_json(options.json), "application/json"
  elseif options.form then
    return urls.encode_form(options.form), "application/x-www-form-urlencoded"
  elseif options.body then
    return options.body, "application/octet-stream"
  end
end

local EMPTY <const> = { options = NONE, flat = {} }

-- What does not change from request to request.
function M.new_defaults(options)
  return { options = options, flat = merge_headers(options, nil, EMPTY) }
end

local SECRET_OPTIONS <const> = { "user", "password", "bearer", "cert_file",
  "key_file", "query", "json", "form", "body" }
local SECRET_WORDS <const> = { "auth", "cookie", "key", "passw", "secret",
  "session", "token" }

-- "X-Api-Key" proves as much as Authorization.
local function is_secret(name)
  for _, word in ipairs(SECRET_WORDS) do
    if name:lower():find(word, 1, true) then
      return true
    end
  end
  return false
end

-- The same for another origin than the client's own: what proves who we are
-- stays at home.
local function foreign_defaults(defaults)
  local options = {}
  for key, value in pairs(defaults.options) do
    options[key] = value
  end
  for _, key in ipairs(SECRET_OPTIONS) do
    options[key] = nil
  end
  options.headers = {}
  for name, value in pairs(defaults.options.headers or NONE) do
    if not is_secret(name) then
      options.headers[name] = value
    end
  end
  return M.new_defaults(options)
end

local function merge_query(own, others)
  if not (own and others) then
    return own or others
  end
  local query = {}
  for name, value in pairs(others) do
    query[name] = value
  end
  for name, value in pairs(own) do
    query[name] = value
  end
  return query
end

-- The full URL, and the defaults that may go there.
local function target(client, url)
  local base = client.base
  if not base then
    return url, client.defaults
  elseif not urls.is_absolute(url) then
    return urls.join(base, url), client.defaults
  elseif client.origin and urls.origin(url) == client.origin then
    return url, client.defaults
  end
  client.foreign = client.foreign or foreign_defaults(client.defaults)
  return url, client.foreign
end

-- The task's own deadline ends it without a word: a request ends a little
-- earlier, so that the script can say what did not answer.
local function time_for(timeout)
  local left = task.deadline()
  if not left then
    return timeout
  end
  return math.min(timeout, left - math.min(left * 0.02, 0.1))
end

function M.new(client, method, url, options)
  if type(url) ~= "string" then
    raise("expected a URL, got %s", type(url))
  elseif url:find("\0", 1, true) then
    raise "the URL contains a NUL"
  end
  local full, defaults = target(client, url)
  local common = defaults.options
  local body, content_type = body_of(options)
  if not body then
    body, content_type = body_of(common)
  end
  local query = merge_query(options.query, common.query)
  return {
    method = method,
    url = query and urls.add_query(full, query) or full,
    path = url,
    headers = merge_headers(options, content_type, defaults),
    body = body,
    options = options,
    defaults = common,
    retries = options.retries or common.retries or 0,
    deadline = monotonic() +
      time_for(options.timeout or common.timeout or TIMEOUT),
  }
end

return M
