-- SPDX-License-Identifier: Apache-2.0
-- What a server answered: the methods of an answer, and sentences about it.
-- A sentence may show the beginning of a body, so that an error page tells who
-- wrote it: of pages and plain words alone, never of what could be data of any
-- kind, and never what the request had to keep secret.

local clock = require "clock"
local driver = require "http_client"
local json = require "json"

local M = {}

local EXCERPT <const> = 60
local WORD_MAX <const> = 24 -- longer ones are rather keys than words
local LOOKED_AT <const> = 1000

local REASONS <const> = {
  [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found",
  [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
  [308] = "Permanent Redirect",
  [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content",
  [206] = "Partial Content",
  [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
  [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
  [406] = "Not Acceptable", [407] = "Proxy Authentication Required",
  [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
  [411] = "Length Required", [412] = "Precondition Failed",
  [413] = "Content Too Large", [414] = "URI Too Long",
  [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
  [417] = "Expectation Failed", [421] = "Misdirected Request",
  [422] = "Unprocessable Content", [423] = "Locked",
  [425] = "Too Early", [426] = "Upgrade Required",
  [428] = "Precondition Required", [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [451] = "Unavailable For Legal Reasons",
  [500] = "Internal Server Error", [501] = "Not Implemented",
  [502] = "Bad Gateway", [503] = "Service Unavailable",
  [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
  [507] = "Insufficient Storage", [511] = "Network Authentication Required",
}

-- "503 Service Unavailable"
function M.status_text(status)
  local reason = REASONS[status]
  return reason and status .. " " .. reason or tostring(status)
end

-- ---- when to come again -----------------------------------------------------

local MONTHS <const> = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8,
  Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- "Sun, 06 Nov 1994 08:49:37 GMT" in seconds, or nil.
local function http_date(text)
  local day, month, year, time =
    (text or ""):match "^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$"
  if not MONTHS[month] then
    return nil
  end
  return (clock.parse(string.format("%s-%02d-%sT%sZ", year, MONTHS[month], day,
    time)))
end

-- Seconds that the server asked to be left alone, or nil. Of two clocks that
-- differ, its own counts.
function M.retry_after(answer)
  local text = answer.headers["retry-after"]
  if not text then
    return nil
  end
  if text:find "^%d+$" then
    return tonumber(text) + 0.0
  end
  local date = http_date(text)
  return date and math.max(0,
    date - (http_date(answer.headers.date) or clock.now()))
end

-- ---- what must not be shown -------------------------------------------------

local function collect(value, secrets)
  if type(value) == "string" and #value >= 4 then
    secrets[#secrets + 1] = value
  elseif type(value) == "table" and #secrets < 100 then
    for _, item in pairs(value) do
      collect(item, secrets)
    end
  end
end

local function collect_options(options, secrets)
  for _, key in ipairs { "password", "bearer", "body", "headers", "query",
    "form", "json" } do
    collect(options[key], secrets)
  end
end

-- Everything that the request said besides where to.
local function secrets_of(call)
  local secrets = {}
  collect_options(call.options, secrets)
  collect_options(call.defaults, secrets)
  for value in call.url:gmatch "=([^&#]+)" do
    collect(value, secrets)
  end
  collect(call.url:match "//[^/?#]*:([^/?#]*)@", secrets)
  table.sort(secrets, function(a, b) return #a > #b end)
  return secrets
end

local function hide(text, secrets)
  for _, secret in ipairs(secrets) do
    local from, to = text:find(secret, 1, true)
    while from do
      text = text:sub(1, from - 1) .. "..." .. text:sub(to + 1)
      from, to = text:find(secret, from + 3, true)
    end
  end
  return text
end

-- The first bytes in one line, in whole characters.
local function excerpt(text, most)
  text = text:gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  local cut = text:sub(1, most or EXCERPT)
  for _ = 1, 3 do
    if utf8.len(cut) then
      break
    end
    cut = cut:gsub("[\xc2-\xf4][\x80-\xbf]*$", "")
  end
  if not utf8.len(cut) then
    cut = cut:gsub("[\x80-\xff]", "?")
  end
  return cut .. (#text > #cut and "..." or "")
end

-- ---- answers ----------------------------------------------------------------

local Answer = {}
Answer.__index = Answer

-- Which call an answer belongs to.
local calls = setmetatable({}, { __mode = "k" })

-- REPEATED are the headers that came more than once: lists so far.
function M.new(answer, repeated, call)
  for _, name in ipairs(repeated) do
    answer.headers[name] = table.concat(answer.headers[name], ", ")
  end
  calls[answer] = call
  return setmetatable(answer, Answer)
end

local function type_of(answer)
  local text = (answer.headers["content-type"] or ""):match "^[^;,]*"
  text = excerpt(text)
  return text ~= "" and text or "an unknown type"
end

local JSON_BEGINS <const> = "^[%s\xef\xbb\xbf]*[%[{\"]"
local XML_BEGINS <const> = "^[%s\xef\xbb\xbf]*<"

local function is_html(body)
  local start = body:sub(1, 100):lower()
  return start:find "^%s*<!doctype html" or start:find "^%s*<html"
end

-- The data asked for, though broken?
local function could_be(format, body)
  if format == "JSON" then
    return body:find(JSON_BEGINS) or body:find "^%s*[%w-]+%s*$"
  end
  return body:find(XML_BEGINS) and not is_html(body)
end

-- A page, or words with blanks between them. A token is neither, whatever its
-- type says, nor is data in the other format.
local function is_readable(answer, body)
  if body:find(XML_BEGINS) then
    return is_html(body) or type_of(answer):find "html" and
      not body:find "^%s*<%?xml"
  end
  return not body:find(JSON_BEGINS) and body:find "%S%s+%S"
end

-- Long words are left out, but for those that are in KNOWN.
local function readable(answer, body, most, known)
  local shown = hide(body, secrets_of(calls[answer]))
  shown = shown:gsub("([Bb]asic )%S+", "%1...") -- user and password, in base64
  shown = shown:gsub("[%w+/_-]+", function(word)
    local is_long = #word >= WORD_MAX
    return is_long and not known:find(word, 1, true) and "..." or nil
  end)
  return excerpt(shown, most)
end

-- What a server says about its refusal: at most so many bytes of the page or
-- the plain words in its body; nil where there are none. Words of KNOWN, a text
-- without secrets, are shown however long they are.
function M.words(answer, most, known)
  local body = answer.body:sub(1, LOOKED_AT)
  return is_readable(answer, body) and readable(answer, body, most, known) or
    nil
end

local function unexpected(answer, format, why)
  local call = calls[answer]
  local body = answer.body:sub(1, LOOKED_AT)
  local got = type_of(answer)
  if answer.body == "" then
    got = "an empty body"
  elseif could_be(format, body) then
    got = string.format("broken %s (%s)", got, hide(why, secrets_of(call)))
  elseif is_readable(answer, body) then
    got = got .. ": " .. readable(answer, body, EXCERPT, "")
  end
  return string.format("%s %s: expected %s, got %s", call.method,
    driver.redact(answer.url), format, got)
end

function Answer:json()
  local value, message = json.decode(self.body)
  if value == nil then
    return nil, unexpected(self, "JSON", message)
  end
  return value
end

function Answer:xml()
  local xml = require "xml"
  local root, message = xml.parse(self.body)
  if root == nil then
    return nil, unexpected(self, "XML", message)
  end
  return root
end

-- JSON as it is; XML as if it were JSON: a table with the root's name.
function Answer:table()
  if type_of(self):find "json" or self.body:find(JSON_BEGINS) then
    local value, message = self:json()
    if value ~= nil and type(value) ~= "table" then
      return nil, unexpected(self, "a JSON object", "a " .. type(value))
    end
    return value, message
  end
  local root, message = self:xml()
  if root == nil then
    return nil, message
  end
  return { [root:tag()] = root:table() }
end

return M
