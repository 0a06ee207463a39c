-- SPDX-License-Identifier: Apache-2.0
--
-- Devices, vitals and integrations in the Particle cloud.
-- A drop-in for DazWilkin's particle-exporter; reads products, too.
local clock = require "clock"
local http = require "http"
local log = require "log"
local metric = require "metric"
local task = require "task"
local value = require "value"

local counter, gauge, info = metric.counter, metric.gauge, metric.info
local bool, num, str, time = value.bool, value.num, value.str, value.time
-- Requests at the same time; as many again are ready when an answer comes.
local IN_FLIGHT <const>, TASKS <const> = 64, 128
local NO_VITALS <const> = { [403] = true, [404] = true, [408] = true }
local ABOUT <const> = { "name", "product_id", "platform_id", "serial_number",
  "system_firmware_version", "firmware_version" }

-- Vitals that are numbers: the metric (%s is the path, "connection" left out),
-- what they are divided by, and their paths in a record.
local UNITS <const> = {
  { "device_uptime", 1, "device.system.uptime" },
  { "%s", 1, "device.system.memory.used", "device.system.memory.total" },
  { "particle_%s_seconds", 1, "service.cloud.uptime" },
  { "particle_%s_seconds", 1000, "device.cloud.coap.round_trip", "service.coap.round_trip" },
  { "particle_%s_ratio", 100, "device.power.battery.charge",
    "device.network.signal.strength", "device.network.signal.quality" },
  { "particle_%s_dbm", 1, "device.network.signal.strengthv" },
  { "particle_%s_db", 1, "device.network.signal.qualityv" },
  { "particle_%s_code", 1, "device.network.connection.error", "device.cloud.connection.error" },
  { "particle_%s", 1, "device.network.connection.attempts" },
  { "particle_%s_total", 1, "device.network.connection.disconnects",
    "device.cloud.disconnects", -- of old firmware
    "device.cloud.connection.attempts", "device.cloud.connection.disconnects",
    "device.cloud.coap.transmit", "device.cloud.coap.retransmit",
    "device.cloud.coap.unack", "device.cloud.publish.rate_limited", "service.cloud.publish.sent" },
}

local function device(kind, help, ...)
  return kind { help, labels = { "core_id", ... } }
end

local metrics = {
  particle_connected = device(gauge, "Connected? The original always said 1."),
  particle_device_online = device(gauge, "Has it a session with the cloud?"),
  particle_device_info = device(info, "About it.", table.unpack(ABOUT)),
  particle_device_status = metric.stateset { "What it runs.", labels = { "core_id" },
    states = { "normal", "safe_mode" } },
  particle_device_firmware_lag = device(gauge, "Wanted version less its own."),
  particle_device_last_heard_timestamp_seconds = device(gauge, "When it was last heard."),
  particle_device_last_handshake_timestamp_seconds = device(gauge, "When its session began."),
  particle_device_vital_info = device(info, "Words.", "vital", "value"),
  particle_device_vitals_error = device(gauge, "Why it is not read.", "vital"),
  particle_device_vitals_success = device(gauge, "Could vitals be asked for?"),
  particle_device_vitals_updated_timestamp_seconds = device(gauge, "When it sent its vitals."),
  particle_integration_sends_total = counter { "Sends of the latest day, each from 0.",
    labels = { "integration_id", "result" } },
  particle_api_requests_total = counter { "Requests made.", labels = { "endpoint", "code" } },
  particle_api_rate_limited_total = counter { "Requests refused with 429." },
  exporter_produce_time = gauge { "Milliseconds to read it.", labels = { "type" } },
  exporter_consume_time = gauge { "Milliseconds to read all." },
}
for _, key in ipairs { "logs", "errors", "counters" } do
  metrics["particle_integration_" .. key .. "_count"] = gauge {
    "How many " .. key .. " the API keeps.", labels = { "integration_id" } }
end
local units = {} -- prefix of the path -> last key -> { metric, divisor }
for _, unit in ipairs(UNITS) do
  for _, path in ipairs { table.unpack(unit, 3) } do
    local name = unit[1]:format((path:gsub("%.connection", ""):gsub("%.", "_")))
    local prefix, key = path:match "^(.*%.)(.*)$"
    units[prefix] = units[prefix] or {}
    units[prefix][key] = { metric = name, divisor = unit[2] }
    metrics[name] = device(unit[1]:find "_total$" and counter or gauge, "Vital " .. path .. ".")
  end
end

local api        -- the client, made by the first collection
local known = {} -- devices of the last good collection

-- What is under KEY in the JSON at PATH of a product ("": the account), and all
-- of it; without KEY a list. nil, a sentence and the status of a refusal.
local function ask(slug, path, options, key)
  local base = slug == "" and "/v1/" or "/v1/products/" .. slug .. "/"
  local answer, message, refusal = api:get(base .. path, options)
  local reply, data, problem = answer or refusal, nil, nil
  if reply then data, problem = reply:json() end
  local found, no = value.get(data, key), str(data, "error")
  if answer and not no and type(found) == "table"
    and (key or found[1] or not next(found)) then
    return found, data
  end
  message = message or problem or ("GET %s: not the answer"):format(answer.url)
  local why = no and no:find "^[a-z_]+$" and (" (%s)"):format(no) or ""
  return nil, message .. why, refusal and refusal.status
end

local function set(family, reading, ...)
  if type(reading) == "boolean" then reading = reading and 1 or 0 end
  if reading then family:set(reading, ...) end
end

-- A device sends { err = code } for what it could not read.
local function show_vitals(m, id, branch, prefix)
  local leaves = units[prefix] or {}
  for key, reading in next, type(branch) == "table" and branch or {} do
    local unit = leaves[key]
    local number = unit and tonumber(reading)
    local kind = not number and type(reading)
    if number then
      m[unit.metric]:set(number / unit.divisor, id)
    elseif kind == "table" then
      local code = reading.err and num(reading.err)
      if code then m.particle_device_vitals_error:set(code, id, prefix .. key) end
      show_vitals(m, id, reading, prefix .. key .. ".")
    elseif not unit and (kind == "string" and not key:find("_units", -6, true)
      or kind == "number" and prefix:find "identity") then -- are names
      m.particle_device_vital_info:set(1, id, prefix .. key, reading)
    end
  end
end

local function show_device(m, id, it, record)
  local connected, online, about = bool(it.connected), bool(it.online), {}
  if online == nil then online = connected end
  if connected == nil then connected = online end
  set(m.particle_connected, connected, id)
  set(m.particle_device_online, online, id)
  for i, key in ipairs(ABOUT) do about[i] = str(it[key]) or "" end
  m.particle_device_info:set(1, id, table.unpack(about))
  set(m.particle_device_status, str(it.status), id)
  set(m.particle_device_last_heard_timestamp_seconds, time(it.last_heard), id)
  set(m.particle_device_last_handshake_timestamp_seconds, time(it.last_handshake_at), id)
  local has, wants = num(it.firmware_version), num(it.desired_firmware_version)
    or num(it.targeted_firmware_release_version)
  set(m.particle_device_firmware_lag, has and wants and wants - has, id)
  set(m.particle_device_vitals_success, record and 1 or 0, id)
  set(m.particle_device_vitals_updated_timestamp_seconds, time(record, "updated_at"), id)
  show_vitals(m, id, value.get(record, "payload"), "")
end

-- An account's devices come at once, a product's page by page.
local function list_devices(devices, slug)
  local page, key = 1, slug ~= "" and "devices" or nil
  repeat
    local list, whole = assert(ask(slug, "devices", { name = "devices", retries = 1,
      query = key and { page = page, perPage = 100 } }, key))
    for _, it in ipairs(list) do
      local id = str(it, "id")
      if id and not devices[id] then
        devices[id] = { id = id, slug = slug, it = it }
        table.insert(devices, devices[id])
      end
    end
    page = page + 1
  until page > math.min(num(whole, "meta.total_pages") or 1, 100)
end

-- Devices that are known are asked about while the list is under way, and shown
-- once they are on it.
local function collect_devices(m, config)
  local devices, before, records, missing = {}, known, {}, {}
  local listed, problem, hopeless
  local function show(d)
    if listed and d then show_device(m, d.id, d.it, records[d.id]) end
  end
  local function read(d)
    if hopeless then return show(devices[d.id]) end
    local record, message, status = ask(d.slug, "diagnostics/" .. d.id .. "/last",
      { name = "diagnostics", timeout = 5 }, "diagnostics")
    records[d.id] = record or NO_VITALS[status] and {} or false
    problem = problem or not records[d.id] and message
    hopeless = hopeless or status == 401 or status == 429
    show(devices[d.id])
  end
  known = {}
  task.all(function()
    for _, slug in ipairs(config.products) do list_devices(devices, slug) end
    listed = true
    for _, d in ipairs(devices) do
      if records[d.id] ~= nil then show(d) end
    end
  end, function() task.each(before, read, TASKS) end)
  for _, d in ipairs(devices) do
    if records[d.id] == nil then missing[#missing + 1] = d end
  end
  task.each(missing, read, TASKS)
  known = devices
  if problem then log.warn("vitals are missing", { err = problem }) end
end

local function collect_integrations(m, config)
  for _, slug in ipairs(config.products) do
    local list = assert(ask(slug, "integrations", { name = "integrations", retries = 1 }))
    task.each(list, function(item)
      local id = str(item, "id") or ""
      local whole, why = ask(slug, "integrations/" .. id, { name = "integration" }, "integration")
      if not whole then
        return log.warn("an integration is missing", { err = why })
      end
      local latest = value.get(item, "todayCounters")
      for _, day in ipairs(value.list(whole, "counters")) do
        local later = (str(day, "date") or "") >= (str(latest, "date") or "")
        latest = later and day or latest
      end
      for _, result in ipairs { "success", "error" } do
        set(m.particle_integration_sends_total, num(latest, result), id, result)
      end
      for _, key in ipairs { "logs", "errors", "counters" } do
        local family = m["particle_integration_" .. key .. "_count"]
        family:set(#value.list(whole, key), id)
      end
    end, IN_FLIGHT)
  end
end

-- A part that says how long it took, as the original does.
local function part(kind, collect)
  return function(m, config)
    local begun = clock.monotonic()
    api = api or http.client {
      base_url = config.api_url, bearer = config.token, cookies = false,
      ca_file = config.ca_file, connections = IN_FLIGHT, rate = { requests = 10000, per = 300 },
      observe = function(name, status)
        m.particle_api_requests_total:inc(name, status or "none")
        m.particle_api_rate_limited_total:inc(status == 429 and 1 or 0)
      end,
    }
    collect(m, config)
    local ms = (clock.monotonic() - begun) * 1000
    m.exporter_produce_time:set(ms, kind)
    m.exporter_consume_time:set(ms)
  end
end

return {
  name = "particle", aliases = { "particle-exporter" }, listen = ":9999", timeout = 30,
  flags = { listen = "endpoint", telemetry_path = "path" },
  limits = { memory = 256 << 20, cpu = 5, series = 1000000 },
  config = {
    token = { env = "PARTICLE_TOKEN", secret = true, required = true, help = "Access token." },
    api_url = { "https://api.particle.io", help = "Where the API is." },
    products = { { "" }, help = "Products to read instead of the account." },
    ca_file = { type = "string", help = "Authorities to trust (PEM)." },
  },
  metrics = metrics,
  collect = { devices = part("devices", collect_devices),
    integrations = part("integrations", collect_integrations) },
}
