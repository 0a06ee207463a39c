-- SPDX-License-Identifier: Apache-2.0
-- The Particle exporter before a cloud whose answers are files: fixtures in,
-- page out.
local exporter = require "exporter"

local PHOTON <const> = "0123456789abcdef01234567"
local BORON <const> = "e00fce68aaaaaaaaaaaaaaaa"
local SILENT <const> = "0a10aced202194944a000001"
local HOOK <const>, ALARM <const> =
  "58b9a3c1aaaaaaaaaaaaaaaa", "58b9a3c1bbbbbbbbbbbbbbbb"

-- Answers with the file that is called like the path, behind a line with status
-- and type; who asks what is counted.
local CLOUD <const> = [[
local metric = require "metric"

local function replay(request, m, config)
  local path = request.path
  if request.query.page then
    path = path .. "?" .. request.query.perPage .. "," .. request.query.page
  end
  m.cloud_requests_total:inc(path)
  if request.headers.authorization ~= "Bearer SPECTOKEN123" then
    return { status = 401, json = { error = "invalid_token" } }
  end
  local file <close> = io.open(config.prefix .. path:gsub("/", "_"))
  local status, kind = 403, "application/json; charset=utf-8"
  local body = '{"error":"Permission Denied","info":"unknown device"}'
  if file then
    status, kind, body = file:read "a":match "^(%d+) ([^\n]*)\n(.*)$"
  end
  return { status = tonumber(status), body = body,
    headers = { ["Content-Type"] = kind } }
end

local routes, path = {}, "GET /v1"
for i = 1, 6 do
  path = path .. "/:p" .. i
  routes[path] = replay
end

return {
  name = "cloud",
  config = { prefix = { "" } },
  metrics = { cloud_requests_total = metric.counter {
    "Requests.", labels = { "path" } } },
  routes = routes,
}
]]

local function fixture(name)
  local file <close> = assert(io.open("spec/fixtures/particle/" .. name, "rb"))
  return file:read "a"
end

describe("particle", function()
  local prefix, files, cloud, e

  -- What the cloud says from now on; nil takes it away.
  local function answer(path, body, status, kind)
    local name = prefix .. path:gsub("/", "_")
    os.remove(name)
    if not body then return end
    local file <close> = assert(io.open(name, "wb"))
    file:write(("%d %s\n"):format(status or 200,
      kind or "application/json; charset=utf-8"), body)
    files[name] = true
  end

  local function vitals(id, name, ...)
    answer("/v1/diagnostics/" .. id .. "/last", fixture(name), ...)
  end

  local function start(config)
    if e then e:close() end
    config = config or {}
    config.api_url = config.api_url or cloud:url()
    config.token = config.token or "SPECTOKEN123"
    e = assert(exporter.load("exporters/particle.lua", config))
    return e
  end

  -- The page as a table: "name{labels}" -> text of the value.
  local function samples(from)
    local page = {}
    for line in (from or e):page():gmatch "[^\n]+" do
      local name, number = line:match "^([^#].*) (%S+)$"
      if name then
        assert.is_nil(page[name])
        page[name] = number
      end
    end
    return page
  end

  local function of(name, id)
    return samples()[("%s{core_id=%q}"):format(name, id)]
  end

  local function asked(path)
    assert(cloud:collect()) -- its page is made anew
    return tonumber(samples(cloud)[("cloud_requests_total{path=%q}")
      :format(path)] or 0)
  end

  local function up()
    return samples().particle_up
  end

  before_each(function()
    prefix, files = os.tmpname(), {}
    os.remove(prefix)
    cloud = assert(exporter.load(CLOUD, { prefix = prefix }, { serve = true }))
    answer("/v1/devices", fixture "devices.json")
    answer("/v1/integrations", fixture "integrations.json")
    answer("/v1/integrations/" .. HOOK, fixture "integration_a.json")
    answer("/v1/integrations/" .. ALARM, fixture "integration_b.json")
    vitals(PHOTON, "vitals_wifi.json")
    vitals(BORON, "vitals_cellular.json")
    start()
  end)

  after_each(function()
    e:close()
    cloud:close()
    e = nil
    for name in pairs(files) do os.remove(name) end
  end)

  it("shows what the cloud says, once and with HELP and TYPE", function()
    assert(e:collect())
    local lines = {}
    for line in e:page():gmatch "[^\n]+" do
      if not line:find "^exporter_%w+_time" and
        not line:find "^particle_scrape_duration_seconds{" and
        not line:find "^particle_last_success_timestamp_seconds " then
        lines[#lines + 1] = line
      end
    end
    local page = table.concat(lines, "\n") .. "\n"
    assert.equal(fixture "page.prom", page)
  end)

  it("has the names of the original, each series once", function()
    assert(e:collect())
    local page = samples() -- fails for a series that is there twice
    for name, number in pairs {
      [("device_uptime{core_id=%q}"):format(PHOTON)] = "2567461",
      [("device_system_memory_used{core_id=%q}"):format(PHOTON)] = "67660",
      [("device_system_memory_total{core_id=%q}"):format(PHOTON)] = "170572",
      [("particle_connected{core_id=%q}"):format(BORON)] = "1",
      [("particle_integration_logs_count{integration_id=%q}")
        :format(HOOK)] = "2",
      [("particle_integration_errors_count{integration_id=%q}")
        :format(HOOK)] = "1",
      [("particle_integration_counters_count{integration_id=%q}")
        :format(HOOK)] = "2",
    } do
      assert.equal(name .. " " .. number, name .. " " .. tostring(page[name]))
    end
    assert.is_not_nil(page['exporter_produce_time{type="devices"}'])
    assert.is_not_nil(page['exporter_produce_time{type="integrations"}'])
    assert.is_not_nil(page.exporter_consume_time)
  end)

  it("asks for the latest record alone", function()
    assert(e:collect())
    assert.equal(1, asked("/v1/diagnostics/" .. BORON .. "/last"))
    assert.equal(0, asked("/v1/diagnostics/" .. BORON))
  end)

  it("tolerates a vital that the device could not read", function()
    vitals(BORON, "vitals_unread.json")
    assert(e:collect())
    local page = samples()
    assert.equal("-210", page[("particle_device_vitals_error{core_id=%q,"
      .. 'vital="device.power.battery.charge"}'):format(BORON)])
    assert.equal("-160", page[("particle_device_vitals_error{core_id=%q,"
      .. 'vital="device.power.source"}'):format(BORON)])
    assert.is_nil(of("particle_device_power_battery_charge_ratio", BORON))
    assert.is_nil(of("device_system_memory_used", BORON))
    assert.equal("15", of("device_uptime", BORON))
    assert.equal("7", of("particle_device_cloud_disconnects_total", BORON))
    assert.equal("1", of("particle_device_vitals_success", BORON))
  end)

  it("takes it for normal that a device has no vitals", function()
    for _, status in ipairs { 403, 404, 408 } do
      vitals(SILENT, "error_403.json", status)
      assert(e:collect())
      assert.equal("1", of("particle_device_vitals_success", SILENT))
      assert.is_nil(of("device_uptime", SILENT))
      assert.equal("0", of("particle_device_online", SILENT))
    end
  end)

  it("serves the others when one device fails", function()
    for _, fault in ipairs { { fixture "proxy.html", 500, "text/html" },
      { fixture "proxy.html", 200, "text/html" },
      { fixture("vitals_wifi.json"):sub(1, 200) },
      { fixture "error_200.json" }, { '{"diagnostics":"none"}' }, { "[]" },
      { '"text"' }, { "null" }, { "" } } do
      answer("/v1/diagnostics/" .. PHOTON .. "/last", table.unpack(fault))
      assert(e:collect())
      assert.equal("0", of("particle_device_vitals_success", PHOTON))
      assert.is_nil(of("device_uptime", PHOTON))
      assert.equal("0", of("particle_connected", PHOTON))
      assert.equal("1", of("particle_device_vitals_success", BORON))
      assert.equal("15", of("device_uptime", BORON))
      assert.equal("1", up())
    end
  end)

  it("fails the part whose list is refused, and says why", function()
    answer("/v1/devices", fixture "error_401.json", 401)
    local ok, message = e:collect()
    assert.is_false(ok)
    assert.matches("GET http://127.0.0.1:%d+/v1/devices: 401 Unauthorized "
      .. "%(invalid_token%)$", message)
    assert.equal("0", up())
    assert.equal("1", samples()['particle_scrape_success{part="integrations"}'])
    assert.is_nil(of("particle_connected", BORON))
    assert.equal("120", samples()["particle_integration_sends_total"
      .. ("{integration_id=%q,result=\"success\"}"):format(HOOK)])
    answer("/v1/devices", fixture "devices.json")
    answer("/v1/integrations", fixture "proxy.html", 502, "text/html")
    ok, message = e:collect()
    assert.is_false(ok)
    assert.matches("/v1/integrations: 502 Bad Gateway", message)
    assert.equal("1", of("particle_connected", BORON))
  end)

  it("takes no list for anything but a list", function()
    for _, body in ipairs { fixture "error_200.json", '{"message":"hello"}',
      "{}x", fixture("devices.json"):sub(1, 300), fixture "proxy.html", "",
      "null", "7" } do
      answer("/v1/devices", body)
      local ok, message = e:collect()
      assert.is_false(ok)
      assert.matches("GET http://127.0.0.1:%d+/v1/devices: ", message)
      assert.is_nil(of("particle_connected", BORON))
    end
    answer("/v1/devices", '[null,5,"x",{},{"id":null},{"id":"a"},{"id":"a"}]')
    assert(e:collect())
    assert.equal("1", of("particle_device_vitals_success", "a"))
  end)

  it("stops asking when the token or the rate is at its end", function()
    local list = {}
    for i = 1, 300 do
      list[i] = ('{"id":"%024x","online":true}'):format(i)
      answer(("/v1/diagnostics/%024x/last"):format(i), fixture "error_429.json",
        429)
    end
    answer("/v1/devices", "[" .. table.concat(list, ",") .. "]")
    assert(e:collect())
    local page = samples()
    local limited = tonumber(page.particle_api_rate_limited_total)
    assert(limited >= 1 and limited <= 128, limited)
    assert.equal(page.particle_api_rate_limited_total, page[
      'particle_api_requests_total{endpoint="diagnostics",code="429"}'])
    assert.equal("1", of("particle_connected", ("%024x"):format(300)))
    assert.equal("0", of("particle_device_vitals_success",
      ("%024x"):format(300)))
  end)

  it("counts requests by endpoint and code", function()
    assert(e:collect())
    assert(e:collect())
    local page = samples()
    for labels, number in pairs {
      ['endpoint="devices",code="200"'] = "2",
      ['endpoint="diagnostics",code="200"'] = "4",
      ['endpoint="diagnostics",code="403"'] = "2",
      ['endpoint="integrations",code="200"'] = "2",
      ['endpoint="integration",code="200"'] = "4",
    } do
      assert.equal(labels .. number, labels .. tostring(
        page["particle_api_requests_total{" .. labels .. "}"]))
    end
    assert.equal("0", page.particle_api_rate_limited_total)
  end)

  it("forgets a device that is no longer on the list", function()
    assert(e:collect())
    answer("/v1/devices", '[{"id":"' .. BORON .. '","online":false}]')
    assert(e:collect())
    assert.is_nil(e:page():find(PHOTON, 1, true))
    assert.equal("0", of("particle_connected", BORON))
    assert.equal("15", of("device_uptime", BORON))
    answer("/v1/devices", fixture "devices.json")
    assert(e:collect())
    assert.equal("2567461", of("device_uptime", PHOTON))
  end)

  it("counts the latest day of an integration", function()
    assert(e:collect())
    local function sends(id, result)
      return samples()[("particle_integration_sends_total{integration_id=%q,"
        .. "result=%q}"):format(id, result)]
    end
    assert.equal("120", sends(HOOK, "success"))
    assert.equal("3", sends(HOOK, "error"))
    assert.equal("41", sends(ALARM, "success"))
    assert.equal("2", sends(ALARM, "error"))
  end)

  it("serves the other integrations when one is refused", function()
    answer("/v1/integrations/" .. HOOK,
      '{"ok":false,"error":"Webhook not found"}', 404)
    assert(e:collect())
    assert.is_nil(e:page():find(HOOK, 1, true))
    assert.matches(ALARM, e:page())
  end)

  it("reads the pages of products instead of the account", function()
    local base = "/v1/products/north-12857"
    answer(base .. "/devices?100,1", fixture "product_1.json")
    answer(base .. "/devices?100,2", fixture "product_2.json")
    answer(base .. "/integrations", "[]")
    answer(base .. "/diagnostics/0a10aced202194944a000012/last",
      fixture "vitals_wifi.json")
    start { products = { "north-12857" } }
    assert(e:collect())
    for id, lag in pairs { ["10"] = "2", ["11"] = "-4" } do
      assert.equal(lag, of("particle_device_firmware_lag",
        "0a10aced202194944a0000" .. id))
    end
    assert.is_nil(of("particle_device_firmware_lag",
      "0a10aced202194944a000012"))
    assert.equal("2567461", of("device_uptime", "0a10aced202194944a000012"))
    assert.equal(0, asked "/v1/devices")
    assert.equal(1, asked(base .. "/integrations"))
  end)

  it("never shows a secret", function()
    vitals(PHOTON, "error_400.json", 400)
    assert(e:collect())
    local page = e:page()
    for _, secret in ipairs { "SPECTOKEN123", "MOBILESECRET123",
      "HEADERSECRET123", "QUERYSECRET123", "AUTHSECRET123", "352753090000001",
      "89014103271234567890", "198.51.100.20" } do
      assert.is_nil(page:find(secret, 1, true))
    end
  end)

  it("refuses nothing that the device status may be", function()
    answer("/v1/devices", '[{"id":"a","status":"on fire"},{"id":"b"}]')
    assert(e:collect())
    assert.equal("0", samples()[
      'particle_device_status{core_id="a",particle_device_status="normal"}'])
  end)
end)
