-- SPDX-License-Identifier: Apache-2.0
--
-- A Mirth Connect server that does not exist: the part of the REST API that
-- monitoring uses, with channels whose messages grow with time. The user is
-- admin, and so is the password.
local clock = require "clock"
local metric = require "metric"

local LOGIN_STATUS <const> = "com.mirth.connect.model.LoginStatus"
local STATUS <const> = "com.mirth.connect.donkey.model.message.Status"

local channels = { -- messages a second; shares filtered and errored
  { id = "11111111-aaaa-4bbb-8ccc-000000000001", name = "ADT-Inbound",
    rate = 3, filtered = 0.1, errored = 0.01 },
  { id = "22222222-aaaa-4bbb-8ccc-000000000002", name = "Lab & Rx <ORU>",
    rate = 0.7, filtered = 0, errored = 0.05 },
  { id = "33333333-aaaa-4bbb-8ccc-000000000003", name = "Archive",
    rate = 0, filtered = 0, errored = 0, state = "STOPPED" },
}

local started = clock.now()
local sessions = {} -- cookie -> true

local function random_id()
  return ("%08x%08x"):format(math.random(0, 1 << 32 - 1),
    math.random(0, 1 << 32 - 1))
end

-- What happened in the channel until now; a queue comes and goes.
local function counts_of(channel)
  local received = (clock.now() - started) * channel.rate
  local wave = (math.sin(clock.now() / 20) + 1) / 2
  return {
    received = math.floor(received),
    filtered = math.floor(received * channel.filtered),
    error = math.floor(received * channel.errored),
    sent = math.floor(received * (1 - channel.filtered - channel.errored)),
    queued = math.floor(wave * channel.rate * 5),
  }
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;",
    [">"] = "&gt;" }))
end

-- element("a", "x") and element("a", { "b", "c" }): XML.
local function element(name, content)
  if type(content) == "table" then
    content = table.concat(content)
  end
  return ("<%s>%s</%s>"):format(name, content, name)
end

local function xml(body, status, headers)
  headers = headers or {}
  headers["Content-Type"] = "application/xml"
  return { status = status, headers = headers, body = body }
end

local function each_channel(root, render)
  local parts = {}
  for i, channel in ipairs(channels) do
    parts[i] = render(channel, counts_of(channel))
  end
  return xml(element(root, parts))
end

local function map_of(counts)
  local entries = {}
  for _, key in ipairs { "received", "filtered", "sent", "error" } do
    table.insert(entries, element("entry", {
      element(STATUS, key:upper()), element("long", counts[key]) }))
  end
  return element("statistics", entries)
end

local function connector(channel, counts, id, name)
  return element("dashboardStatus", {
    element("channelId", channel.id), element("name", name),
    element("state", channel.state or "STARTED"), map_of(counts),
    element("metaDataId", id), element("queued", id == 1 and counts.queued or 0),
  })
end

local function status(channel, counts)
  return element("dashboardStatus", {
    element("channelId", channel.id), element("name", escape(channel.name)),
    element("state", channel.state or "STARTED"),
    element("deployedRevisionDelta", 0),
    element("deployedDate", element("time", math.floor(started * 1000))),
    map_of(counts), element("queued", counts.queued),
    element("childStatuses", { connector(channel, counts, 0, "Source"),
      connector(channel, counts, 1, "Destination 1") }),
  })
end

local function log_in(request)
  local user = request.body:match "username=([^&]*)"
  local password = request.body:match "password=([^&]*)"
  if user ~= "admin" or password ~= "admin" then
    return xml(element(LOGIN_STATUS, { element("status", "FAIL"),
      element("message", "Incorrect username or password.") }), 401)
  end
  local cookie = "JSESSIONID=" .. random_id()
  sessions[cookie] = true
  return xml(element(LOGIN_STATUS, element("status", "SUCCESS")), 200,
    { ["Set-Cookie"] = cookie .. "; Path=/api; Secure" })
end

-- base64 of admin:admin
local function is_known(request)
  return sessions[request.headers.cookie or ""] or
    request.headers.authorization == "Basic YWRtaW46YWRtaW4="
end

local pages = {}

pages["/channels/idsAndNames"] = function()
  return each_channel("map", function(channel)
    return element("entry", { element("string", channel.id),
      element("string", escape(channel.name)) })
  end)
end

pages["/channels/statistics"] = function()
  return each_channel("list", function(channel, counts)
    local parts = { element("channelId", channel.id) }
    for key, count in pairs(counts) do
      table.insert(parts, element(key, count))
    end
    return element("channelStatistics", parts)
  end)
end

pages["/channels/statuses"] = function()
  return each_channel("list", status)
end

pages["/system/stats"] = function()
  local wave = (math.sin(clock.now() / 30) + 1) / 2
  return xml(element("com.mirth.connect.model.SystemStats", {
    element("cpuUsagePct", 0.05 + 0.2 * wave),
    element("allocatedMemoryBytes", 256 << 20),
    element("freeMemoryBytes", math.floor((64 + 96 * wave) * 1048576)),
    element("maxMemoryBytes", 512 << 20),
    element("diskFreeBytes", 40 << 30), element("diskTotalBytes", 100 << 30),
  }))
end

pages["/databaseTasks"] = function() return xml "<map/>" end

local public = {
  ["/server/status"] = function() return xml "<int>0</int>" end,
  ["/server/version"] = function() return "4.5.2" end,
}

local routes = {}

-- What every request to the API must have comes before anything else.
local function route(method, path, answer, needs_login)
  routes[method .. " /api" .. path] = function(request, m)
    m.mirth_server_requests_total:inc(path)
    if not request.headers["x-requested-with"] then
      return { status = 400, body =
        "All requests must have 'X-Requested-With' header\n" }
    elseif needs_login and not is_known(request) then
      return { status = 401, body = "" }
    end
    return answer(request)
  end
end

route("POST", "/users/_login", log_in, false)
for path, answer in pairs(public) do route("GET", path, answer, false) end
for path, answer in pairs(pages) do route("GET", path, answer, true) end

return {
  name = "mirth_server",
  listen = "127.0.0.1:8002",
  metrics = {
    mirth_server_requests_total = metric.counter {
      "Requests to the API.", labels = { "path" } },
  },
  routes = routes,
}
