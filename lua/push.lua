-- SPDX-License-Identifier: Apache-2.0
-- Pushing to a Prometheus Pushgateway: what `require "push"` gives. The text, or
-- the delimited protobuf, is somebody else's: a registry's, a page. Stands on
-- http.

local answers = require "http.answer"
local driver = require "http_client"
local families = require "push.families"
local http = require "http"
local labels = require "push.labels"
local options_of = require "push.options"
local paths = require "push.path"

local M = {}

local CONTENT_TYPES <const> = {
  protobuf = "application/vnd.google.protobuf; " ..
    "proto=io.prometheus.client.MetricFamily; encoding=delimited",
  text = "text/plain; version=0.0.4; charset=utf-8",
}
local TIMEOUT <const> = 30
local WORDS <const> = 200 -- bytes of what a gateway says about a refusal
local SHOWN <const> = 300 -- bytes of a path

-- 202: one that does not check what is pushed, and any after a DELETE.
local ACCEPTED <const> = { [200] = true, [202] = true }

-- Where the group is, or nil and why the URL is no address. `place` begins a
-- sentence: http would take the "@" of a path for one behind a password.
local function open(method, url, options)
  if type(url) ~= "string" then
    options_of.raise("expected the URL of a gateway, got %s", type(url))
  elseif not url:find "^[hH][tT][tT][pP][sS]?://[^/?#]+[^?#]*$" then
    return nil, string.format("%s %s: expected http:// or https://, a host " ..
      "and at most a path", method, driver.redact(url))
  end
  local base, path = url:gsub("/+$", ""), paths.of(options)
  return {
    method = method,
    url = base .. path,
    place = string.format("%s %s%s%s: ", method, driver.redact(base),
      path:sub(1, SHOWN), #path > SHOWN and "..." or ""),
  }
end

-- A sentence of http about the same request.
local function with_place(group, message)
  local begin = string.format("%s %s: ", group.method, driver.redact(group.url))
  if message:sub(1, #begin) ~= begin then
    return message
  end
  return group.place .. message:sub(#begin + 1)
end

local function headers_of(options, content_type)
  local headers = {}
  for name, value in pairs(options.headers or {}) do
    if name:lower() ~= "content-type" then
      headers[name] = value
    end
  end
  headers["Content-Type"] = content_type
  return headers
end

-- A redirect is a refusal: followed, a PUT may become a GET, which succeeds and
-- pushes nothing.
local function request_of(group, options, text)
  local request = {
    method = group.method,
    body = text,
    headers = headers_of(options,
      text and CONTENT_TYPES[options.format or "text"]),
    user = options.username,
    password = options.password,
    redirects = 0,
    timeout = options.timeout or TIMEOUT,
  }
  for _, name in ipairs(options_of.TRANSPORT) do
    request[name] = options[name]
  end
  return request
end

-- true | nil, message [, answer]
local function exchange(group, options, text)
  local answer, message, refusal =
    http.request(group.url, request_of(group, options, text))
  if answer and ACCEPTED[answer.status] then
    return true
  elseif answer then
    return nil, group.place .. answers.status_text(answer.status) ..
      ", where a gateway says 200 or 202", answer
  end
  local words = refusal and answers.words(refusal, WORDS, text or "")
  message = with_place(group, message)
  return nil, words and message .. ": " .. words or message, refusal
end

-- Why the gateway should not get it, or nil. It would replace labels without a
-- word; and one up to 1.5 at least takes a gauge histogram, and then breaks off
-- its page where that is.
local function objection(text, options)
  local is_text = options.format ~= "protobuf"
  local metric, label =
    (is_text and labels or families).clash(text, options.grouping)
  if metric then
    return string.format("%s has the label '%s', which the group would replace",
      metric, label)
  end
  local odd = not is_text and families.gauge_histogram(text)
  return odd and odd .. " is a gauge histogram, which gateways cannot show " ..
    "when it comes as protobuf: push it as text"
end

function M.send(url, text, options)
  options_of.check(options)
  if type(text) ~= "string" then
    options_of.raise("expected a text to push, got %s", type(text))
  elseif options.format ~= "protobuf" and text ~= ""
    and text:byte(-1) ~= 10 then
    options_of.raise "the text does not end in a line feed"
  end
  local group, message = open(options.method or "PUT", url, options)
  if not group then
    return nil, message
  end
  local why = objection(text, options)
  if why then
    return nil, group.place .. "not sent: " .. why
  end
  return exchange(group, options, text)
end

function M.delete(url, options)
  options_of.check(options)
  local group, message = open("DELETE", url, options)
  if not group then
    return nil, message
  end
  return exchange(group, options)
end

function M.path(options)
  options_of.check(options)
  return paths.of(options)
end

return M
