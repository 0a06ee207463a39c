-- SPDX-License-Identifier: Apache-2.0
-- What http does with URLs: joining, queries and forms, comparing origins.

local M = {}

local ABSOLUTE <const> = "^%a[%w+.-]*://"

local function hex(char)
  return string.format("%%%02X", char:byte())
end

function M.encode(text)
  return (text:gsub("[^%w%-._~]", hex))
end

local function text_of(value)
  if math.type(value) == "float" then
    return string.format("%.14g", value)
  end
  return tostring(value)
end

-- "a=1&b=x%20y", sorted by name; a list repeats its name.
function M.encode_pairs(fields)
  local names, out = {}, {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    local begin = M.encode(name) .. "="
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      out[#out + 1] = begin .. M.encode(text_of(item))
    end
  end
  return table.concat(out, "&")
end

function M.encode_form(fields)
  return (M.encode_pairs(fields):gsub("%%20", "+"))
end

function M.is_absolute(url)
  return url:find(ABSOLUTE) ~= nil
end

-- What has a dot or a slash less than the base still lies below the base:
-- "https://h/api" and "/v1" are "https://h/api/v1".
function M.join(base, path)
  if path == "" or path:find "^[?#]" then
    return base .. path
  end
  return base:gsub("/+$", "") .. (path:find "^/" and path or "/" .. path)
end

function M.add_query(url, query)
  local text = M.encode_pairs(query)
  url = url:gsub("#.*$", "")
  if text == "" then
    return url
  end
  return url .. (url:find("?", 1, true) and "&" or "?") .. text
end

-- The path alone: for names of endpoints.
function M.path(url)
  local path = url:gsub(ABSOLUTE .. "[^/?#]*", ""):match "^[^?#]*"
  return path == "" and "/" or path
end

local PORTS <const> = { http = ":80", https = ":443" }

-- Scheme, host and port, to be compared; nil for what is not understood.
function M.origin(url)
  local scheme, authority = url:match "^(%a[%w+.-]*)://([^/?#]*)"
  if not scheme or authority:find "[%c\\%s]" then
    return nil
  end
  scheme = scheme:lower()
  local host = authority:gsub("^.*@", ""):lower():gsub(":$", "")
  if not host:find ":%d+$" then
    host = host .. (PORTS[scheme] or "")
  end
  return scheme .. "://" .. host
end

return M
