-- SPDX-License-Identifier: Apache-2.0
--
-- A Particle Cloud that does not exist: as many devices as one likes, half of
-- them cellular, with vitals that change; two integrations; and the same
-- devices as those of a product, in pages. It asks for a token and refuses as
-- the real one does.
local clock = require "clock"
local json = require "json"
local metric = require "metric"
local task = require "task"

local TOTAL <const> = 170572 -- bytes of heap
local REFUSALS <const> = { -- no token, no Bearer, a wrong one
  none = { 400, "invalid_request", "The access token was not found" },
  malformed = { 400, "invalid_request", "Malformed auth header" },
  wrong = { 401, "invalid_token", "The access token provided is invalid." },
}

local booted = clock.now() - 86400

local function id_of(i)
  return ("e00fce68%016x"):format(i)
end

-- Of an id; nil when there is no such device.
local function number_of(id, config)
  local i = tonumber(id:match "^e00fce68(%x+)$", 16)
  return #id == 24 and i and i >= 1 and i <= config.devices and i or nil
end

-- One device in seven is away, and not always the same one.
local function is_online(i)
  return (clock.now() // 60 + i) % 7 ~= 0
end

local function wave(i, low, high)
  local phase = 2 * math.pi * ((clock.now() / 60 + i / 10) % 1)
  return low + (high - low) * (1 + math.sin(phase)) / 2
end

local function device(i)
  local cellular, online = i % 2 == 0, is_online(i)
  return {
    id = id_of(i),
    name = i % 5 == 0 and json.null or "device " .. i,
    last_ip_address = "192.0.2." .. i % 256,
    last_heard = clock.format(clock.now() - (online and 5 or 3600)),
    last_handshake_at = clock.format(booted + i),
    product_id = cellular and 13 or 12,
    online = online,
    connected = online,
    platform_id = cellular and 13 or 12,
    cellular = cellular,
    notes = i == 1 and "on the roof" or json.null,
    functions = online and { "fire" } or json.null,
    variables = online and { temperature = "double" } or json.null,
    status = i % 50 == 3 and "safe_mode" or "normal",
    serial_number = ("P%014d"):format(i),
    system_firmware_version = "3.0.0",
    mobile_secret = ("%015d"):format(i * 7919),
  }
end

local function product_device(i)
  local described = device(i)
  described.product_id = 12857
  described.firmware_product_id = 12857
  described.firmware_version = i % 3 == 0 and 6 or 7
  described.desired_firmware_version = json.null
  described.targeted_firmware_release_version = 7
  described.groups = { "north" }
  described.quarantined, described.denied = false, false
  return described
end

local function network(i, cellular)
  return {
    signal = {
      at = cellular and "LTE Cat-M1" or "Wi-Fi",
      strength = 66.66, strength_units = "%",
      strengthv = -math.floor(wave(i, 50, 90)), strengthv_units = "dBm",
      strengthv_type = cellular and "RSRP" or "RSSI",
      quality = 56.25, quality_units = "%",
      qualityv = cellular and -9 or 21, qualityv_units = "dB",
      qualityv_type = cellular and "RSRQ" or "SNR",
    },
    connection = { status = "connected", error = 0, disconnects = i % 4,
      attempts = 1, disconnect_reason = "unknown" },
    cellular = cellular and {
      radio_access_technology = "LTE", operator = "AT&T Wireless Inc.",
      cell_global_identity = { mobile_country_code = 310,
        mobile_network_code = "410", location_area_code = 7002,
        cell_id = 177000000 + i },
    } or nil,
  }
end

local function record(i)
  local cellular = i % 2 == 0
  local uptime = math.floor(clock.now() - booted)
  return { diagnostics = {
    updated_at = clock.format(clock.now() // 60 * 60),
    deviceID = id_of(i),
    payload = {
      device = {
        system = { uptime = uptime,
          memory = { used = math.floor(wave(i, 60000, 90000)),
            total = TOTAL } },
        power = cellular and { source = "VIN", battery = {
          charge = i % 8 == 0 and { err = -210 } or wave(i, 70, 95),
          state = i % 8 == 0 and "disconnected" or "charging" } } or nil,
        network = network(i, cellular),
        cloud = {
          connection = { status = "connected", error = 17, attempts = 3,
            disconnects = i % 3, disconnect_reason = "error" },
          coap = { transmit = uptime // 10, retransmit = uptime // 900,
            unack = i % 2, round_trip = math.floor(wave(i, 80, 900)) },
          publish = { rate_limited = 0 },
        },
      },
      service = {
        device = { status = "ok" },
        cloud = { uptime = uptime - 60,
          publish = { sent = uptime // 30 } },
        coap = { round_trip = math.floor(wave(i, 90, 1000)) },
      },
    },
  } }
end

local INTEGRATIONS <const> = { "58b9a3c1aaaaaaaaaaaaaaaa",
  "58b9a3c1bbbbbbbbbbbbbbbb" }

local function integration(n)
  return { id = INTEGRATIONS[n], event = "reading", name = json.null,
    created_at = "2024-03-04T05:06:07.890Z", integration_type = "Webhook",
    url = "https://collector.example/in?key=not-for-labels",
    requestType = "POST", headers = { Authorization = "Basic not-for-labels" } }
end

local function whole_integration(n)
  local whole = integration(n)
  local sent = math.floor(clock.now() % 86400) // 30
  whole.logs = { { type = "hook-sent", time = clock.now() * 1000 } }
  whole.errors = {}
  whole.counters = {
    { date = clock.format(clock.now() - 86400):sub(1, 10), success = "2880",
      error = "0" },
    { date = clock.format(clock.now()):sub(1, 10), success = tostring(sent),
      error = tostring(sent // 100) },
  }
  return { integration = whole }
end

local function list(n, make)
  local all = {}
  for i = 1, n do all[i] = make(i) end
  return all
end

local function page(request, config)
  local size = tonumber(request.query.perPage) or 25
  local first = ((tonumber(request.query.page) or 1) - 1) * size
  local count = math.max(math.min(size, config.devices - first), 0)
  return {
    devices = list(count, function(i) return product_device(first + i) end),
    customers = {},
    meta = { total_pages = math.ceil(config.devices / size) },
  }
end

local function refusal(request, config)
  local header = request.headers.authorization
  local token = header and header:match "^Bearer (%S+)$"
  if token ~= config.token then
    return REFUSALS[token and "wrong" or header and "malformed" or "none"]
  end
end

-- A route: who asks is looked at, answers take as long as the configuration
-- says, and FIND makes the JSON, or nil, a status and an error.
local function answer(endpoint, find)
  return function(request, m, config)
    m.particle_cloud_requests_total:inc(endpoint)
    task.sleep(config.delay)
    local no = refusal(request, config)
    if no then
      return { status = no[1],
        json = { error = no[2], error_description = no[3] } }
    end
    local data, status, message = find(request, config)
    return { status = data and 200 or status,
      json = data or { ok = false, error = message } }
  end
end

local function find_record(request, config)
  local i = number_of(request.params.id, config)
  return i and record(i), 403, "Permission Denied"
end

local function find_integration(request)
  for n, id in ipairs(INTEGRATIONS) do
    if id == request.params.id then return whole_integration(n) end
  end
  return nil, 404, "Webhook not found"
end

local function of_product(find)
  return function(request, config)
    if request.params.product ~= config.product then
      return nil, 404, "Product not found."
    end
    return find(request, config)
  end
end

local routes = {
  devices = function(_, config) return list(config.devices, device) end,
  ["diagnostics/:id/last"] = find_record,
  integrations = function() return list(#INTEGRATIONS, integration) end,
  ["integrations/:id"] = find_integration,
}

local declared = {
  ["GET /v1/access_tokens/current"] = answer("access_token", function()
    return { expires_at = json.null }
  end),
  ["GET /v1/products/:product/devices"] =
    answer("devices", of_product(page)),
}
for path, find in pairs(routes) do
  local endpoint = path:match "^%w+"
  declared["GET /v1/" .. path] = answer(endpoint, find)
  declared["GET /v1/products/:product/" .. path] =
    declared["GET /v1/products/:product/" .. path]
    or answer(endpoint, of_product(find))
end

return {
  name = "particle_cloud",
  listen = ":8002",
  config = {
    token = { "demo", secret = true, help = "The token that is accepted." },
    devices = { 5, help = "How many devices there are." },
    product = { "demo-12857", help = "The product that they belong to." },
    delay = { 0.0, help = "Seconds that every answer takes." },
  },
  metrics = {
    particle_cloud_requests_total = metric.counter {
      "Requests, by what was asked for.", labels = { "endpoint" } },
  },
  routes = declared,
}
