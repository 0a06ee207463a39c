-- SPDX-License-Identifier: Apache-2.0
-- A small HTTP server for specs, beside the client in the same loop. It says
-- what the spec tells it to say, nonsense included.
--
--   serve(handler, body [, path [, workers]])
--
-- calls body(stand) and returns its results; then the server is gone. `stand`
-- has `url`, `port`, `requests` (all so far) and `connections` (a count). For
-- each request handler(request, connection) returns { status =, headers =,
-- body = } or nil when it has written to the connection itself. With a path it
-- listens on that socket file; `workers` connections are served at a time.

local clock = require "clock"
local task = require "task"
local tcp = require "tcp"

local WORKERS <const> = 80

-- Reads on until the pattern is there; nil at the end.
local function read_until(connection, text, pattern)
  while not text:find(pattern) do
    local more = connection:read()
    if not more then
      return nil
    end
    text = text .. more
  end
  return text
end

local function parse_head(head)
  local method, path = head:match "^(%S+) (%S+)"
  local request = { method = method, path = path, headers = {}, head = head,
    time = clock.monotonic() }
  for name, value in head:gmatch "\r\n([^:\r\n]+): *([^\r\n]*)" do
    request.headers[name:lower()] = value
  end
  return request
end

-- The request, and what came behind it.
local function read_request(connection, text)
  text = read_until(connection, text, "\r\n\r\n")
  if not text then
    return nil
  end
  local head, rest = text:match "^(.-\r\n)\r\n(.*)$"
  local request = parse_head(head)
  local length = tonumber(request.headers["content-length"] or 0)
  if request.headers.expect then
    connection:write "HTTP/1.1 100 Continue\r\n\r\n"
  end
  while #rest < length do
    local more = connection:read()
    if not more then
      return nil
    end
    rest = rest .. more
  end
  request.body = rest:sub(1, length)
  return request, rest:sub(length + 1)
end

local function write_response(connection, request, response)
  local body = response.body or ""
  local lines = { string.format("HTTP/1.1 %d Whatever",
    response.status or 200), "Content-Length: " .. #body }
  for name, value in pairs(response.headers or {}) do
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. item
    end
  end
  connection:write(table.concat(lines, "\r\n") .. "\r\n\r\n" ..
    (request.method == "HEAD" and "" or body))
end

local function serve_connection(stand, connection, handler)
  local rest = ""
  while true do
    local request
    request, rest = read_request(connection, rest)
    if not request then
      return
    end
    table.insert(stand.requests, request)
    local response = handler(request, connection)
    if response then
      write_response(connection, request, response)
    end
  end
end

local function work(stand, server, handler)
  while true do
    local connection <close> = server:accept()
    if not connection then
      return
    end
    stand.connections = stand.connections + 1
    serve_connection(stand, connection, handler)
  end
end

local function serve(handler, body, path, workers)
  local server <close> = tcp.listen(path)
  local stand = { requests = {}, connections = 0 }
  if not path then
    stand.port = server:port()
    stand.url = "http://127.0.0.1:" .. stand.port
  end
  local jobs = { function()
    local results = table.pack(body(stand))
    server:close()
    return results
  end }
  for i = 1, workers or WORKERS do
    jobs[i + 1] = function() work(stand, server, handler) end
  end
  local results = task.all(table.unpack(jobs))
  return table.unpack(results, 1, results.n)
end

return serve
