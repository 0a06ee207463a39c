-- SPDX-License-Identifier: Apache-2.0
-- The ping exporter: real echoes to this machine, and a stand-in for the
-- Pushgateway.
local clock = require "clock"
local exporter = require "exporter"
local http = require "http"
local json = require "json"
local task = require "task"

local PING <const> = "exporters/ping.lua"
local FIXTURES <const> = "spec/fixtures/ping/"
local NOWHERE <const> = "198.51.100.77" -- TEST-NET-2 answers nobody

local function eventually(condition, what)
  for _ = 1, 2000 do
    local answer = condition()
    if answer then
      return answer
    end
    task.sleep(0.01)
  end
  error("never: " .. what, 2)
end

-- The page as a table: "name{labels}" -> number.
local function samples(text)
  local page = {}
  for line in text:gmatch "[^\n]+" do
    local name, value = line:match "^([^#].*) (%S+)$"
    if name then
      page[name] = tonumber(value)
    end
  end
  return page
end

-- What was set since the last collection is published by one.
local function page_of(e)
  assert(e:collect())
  return samples(e:page())
end

local function of(name, target, ip, version)
  return ('%s{target="%s",ip="%s",ip_version="%s"}'):format(name, target, ip,
    version)
end

describe("ping", function()
  local function collected(config)
    local e <close> = assert(exporter.load(PING, config))
    return page_of(e)
  end

  it("shows the round trips to each target", function()
    local page = collected { targets = { "127.0.0.1", "::1" } }
    assert.equal(1, page.ping_up)
    for ip, version in pairs { ["127.0.0.1"] = "4", ["::1"] = "6" } do
      local function at(name) return page[of(name, ip, ip, version)] end
      local best, mean = at "ping_rtt_best_seconds", at "ping_rtt_mean_seconds"
      local worst = at "ping_rtt_worst_seconds"
      assert(0 < best and best <= mean and mean <= worst and worst < 1)
      assert(at "ping_rtt_std_deviation_seconds" <= worst - best)
      assert(at "ping_rtt_jitter_seconds" <= worst - best)
      assert.equal(0, at "ping_loss_ratio")
      assert.equal(5, at "ping_echoes_total")
      assert.equal(5, at "ping_rtt_seconds_count")
      assert.near(5 * mean, at "ping_rtt_seconds_sum", 1e-9)
      assert.equal(0, at "ping_late_total")
      assert.equal(0, at "ping_duplicates_total")
    end
  end)

  it("shows loss as loss, and no round trip", function()
    local page = collected { targets = { NOWHERE }, wait = 0.2, count = 2 }
    assert.equal(1, page[of("ping_loss_ratio", NOWHERE, NOWHERE, "4")])
    assert.equal(2, page[of("ping_echoes_total", NOWHERE, NOWHERE, "4")])
    for name, number in pairs(page) do
      assert(not name:find "^ping_rtt", name)
      assert(number ~= 3000)
    end
    assert.equal(1, page.ping_up)
  end)

  it("shows loss of a name that nobody knows, at no address", function()
    local name = "no.such.host.invalid"
    local page = collected { targets = { name, "127.0.0.1" } }
    assert.equal(1, page[of("ping_loss_ratio", name, "", "")])
    assert.equal(0, page[of("ping_loss_ratio", "127.0.0.1", "127.0.0.1", "4")])
  end)

  it("follows the options", function()
    local e <close> = assert(exporter.load(PING, { targets = { "localhost" },
      family = 6, count = 3, size = 1000 }))
    assert(e:collect())
    local page = page_of(e)
    assert.equal(6, page[of("ping_echoes_total", "localhost", "::1", "6")])
    assert.equal(6, page[of("ping_rtt_seconds_count", "localhost", "::1", "6")])
  end)

  it("does nothing without targets", function()
    local page = collected {}
    assert.equal(1, page.ping_up)
    assert.is_nil(next(page, nil) and page.ping_loss_ratio)
  end)

  it("pings a thousand targets side by side", function()
    local targets = {}
    for i = 1, 1000 do
      targets[i] = ("127.1.%d.%d"):format(i // 250, i % 250 + 1)
    end
    local page = collected { targets = targets, count = 1 }
    for _, ip in ipairs(targets) do
      assert.equal(0, page[of("ping_loss_ratio", ip, ip, "4")])
    end
    assert(page['ping_scrape_duration_seconds{part="collect"}'] < 3)
  end)
end)

describe("a probe with ping", function()
  local e

  before_each(function()
    e = assert(exporter.load(PING, { wait = 0.3 }, { serve = true }))
  end)

  after_each(function() e:close() end)

  local function probed(query)
    local answer = assert(http.get(e:url() .. "/probe", { query = query }))
    return samples(answer.body)
  end

  it("has the shape of the blackbox exporter's", function()
    local page = probed { target = "127.0.0.1" }
    assert.equal(1, page.probe_success)
    assert.equal(4, page.probe_ip_protocol)
    local sum = 0
    for _, phase in ipairs { "resolve", "setup", "rtt" } do
      local seconds =
        page[('probe_icmp_duration_seconds{phase="%s"}'):format(phase)]
      assert(seconds >= 0, phase)
      sum = sum + seconds
    end
    assert(page.probe_duration_seconds >= sum)
    assert.equal(page.probe_dns_lookup_time_seconds,
      page['probe_icmp_duration_seconds{phase="resolve"}'])
    assert(page.probe_icmp_reply_hop_limit > 0)
  end)

  it("prefers a protocol and takes the other one if need be", function()
    for protocol, number in pairs { ip4 = 4, ip6 = 6 } do
      local query = { target = "localhost", preferred_ip_protocol = protocol }
      assert.equal(number, probed(query).probe_ip_protocol)
    end
    local page = probed { target = "127.0.0.1", preferred_ip_protocol = "ip6" }
    assert.equal(1, page.probe_success)
    assert.equal(4, page.probe_ip_protocol)
  end)

  it("fails when there is no answer or no such name", function()
    for _, target in ipairs { NOWHERE, "no.such.host.invalid" } do
      local page = probed { target = target }
      assert.equal(0, page.probe_success)
      assert.is_nil(page['probe_icmp_duration_seconds{phase="rtt"}'])
    end
  end)

  it("takes a TTL and a size, and fails for wrong ones", function()
    local page = probed { target = "127.0.0.1", ttl = 1, payload_size = 1400 }
    assert.equal(1, page.probe_success)
    page = probed { target = "127.0.0.1", ttl = 999 }
    assert.equal(0, page.probe_success)
  end)
end)

describe("ping in the place of PingExporter", function()
  local gateway, push_file

  before_each(function()
    gateway = assert(exporter.load(FIXTURES .. "gateway.lua", {},
      { serve = true }))
    push_file = os.tmpname()
  end)

  after_each(function()
    os.remove(push_file)
    gateway:close()
  end)

  local function write(url)
    local file <close> = assert(io.open(push_file, "w"))
    local ip, port = url:match "^http://(.*):(%d+)$"
    file:write(json.encode { ip_pushgateway = ip, port_pushgateway = port,
      username_pushgateway = "user", pass_pushgateway = "password" })
  end

  local function load(folder, url)
    write(url or gateway:url())
    return assert(exporter.load(PING, { push_config = push_file,
      configs = FIXTURES .. folder }))
  end

  local function seen()
    local answer = assert(http.get(gateway:url() .. "/stand-in/seen"))
    return assert(answer:json()).list
  end

  local function answers(status)
    assert(http.put(gateway:url() .. "/stand-in/status", { body = status }))
  end

  -- The paths of what was pushed, and the last value of each metric: "path name"
  local function pushed()
    local values, times = {}, {}
    for _, request in ipairs(seen()) do
      times[request.path] = (times[request.path] or 0) + 1
      for name, value in pairs(samples(request.body)) do
        values[request.path .. " " .. name] = value
      end
    end
    return values, times
  end

  -- Body or path with the numbers that differ from run to run taken out.
  local function masked(body)
    return (body:gsub("(%l) [%d.e-]+\n", "%1 N\n"))
  end

  it("sends the requests that PingExporter was seen to send", function()
    local recorded = dofile(FIXTURES .. "requests.lua")
    local _ <close> = load "captured"
    local list = eventually(function()
      local all = seen()
      return #all >= #recorded and all
    end, "a cycle is pushed")
    local expected = {}
    for i, request in ipairs(recorded) do
      local path = request.path
      if i == 9 then -- the second of its name, which replaced the first
        path = path .. "/instance/198.51.100.80"
      end
      expected[path] = masked(request.body)
    end
    local got = {}
    for i = 1, #recorded do
      local request = list[i]
      got[request.path] = masked(request.body)
      assert.equal("Basic dXNlcjpwYXNzd29yZA==", request.authorization)
      assert.equal(recorded.content_type, request.content_type)
    end
    assert.same(expected, got)
    assert.equal("/metrics/job/ExporterINFO_PROJECT", list[#recorded].path)
  end)

  it("pushes milliseconds, and the value for what is down", function()
    local _ <close> = load "captured"
    local values = eventually(function()
      local all = pushed()
      return all["/metrics/job/ExporterINFO_PROJECT exporter_jobs"] and all
    end, "a cycle is pushed")
    for _, path in ipairs { "Loop01", "Loop02", "MyDevice01" } do
      local ms = values["/metrics/job/" .. path .. " dev_ping"]
      assert(0 < ms and ms < 500, path)
    end
    assert(values["/metrics/job@base64/c2l0ZS93aXRoIHNwYWNl dev_ping"] < 500)
    for _, path in ipairs { "NoRoute", "Blackhole", "BadName",
      "MyDevice01/instance/198.51.100.80" } do
      assert.equal(3000, values["/metrics/job/" .. path .. " dev_ping"])
    end
    local begin = "/metrics/job/ExporterINFO_PROJECT exporter_"
    assert.equal(9, values[begin .. "jobs"])
    local seconds = values[begin .. "duration"]
    assert(0 < seconds and seconds < 5)
  end)

  it("runs each file in a cycle of its own", function()
    local _ <close> = load "several"
    local values, times
    eventually(function()
      values, times = pushed()
      return (times["/metrics/job/fast"] or 0) >= 4
    end, "the fast one was pushed four times")
    assert.equal(1, times["/metrics/job/slow"])
    assert(times["/metrics/job/down"] >= 3)
    assert.equal(-1, values["/metrics/job/down dev_ping"])
  end)

  it("keeps jobs of one name apart, by their address", function()
    local _ <close> = load "several"
    local values = eventually(function()
      local all = pushed()
      return all["/metrics/job/slow exporter_jobs"] and
        all["/metrics/job/fast exporter_jobs"] and all
    end, "both files were pushed")
    for _, path in ipairs { "a", "a/instance/127.0.1.1", "a/instance/127.0.1.2",
      "fast/instance/127.0.1.3" } do
      assert(values["/metrics/job/" .. path .. " dev_ping"], path)
    end
  end)

  it("skips a metric that it does not know", function()
    local _ <close> = load "several"
    local values, times
    eventually(function()
      values, times = pushed()
      return values["/metrics/job/slow exporter_jobs"]
    end, "the file was pushed")
    assert.equal(1, times["/metrics/job/odd"])
    assert.is_nil(values["/metrics/job/odd dev_ping"])
    assert(values["/metrics/job/both dev_ping"])
  end)

  local function counted(e, result)
    return page_of(e)[('ping_pushes_total{result="%s"}'):format(result)]
      or 0
  end

  it("goes on when the gateway refuses, and counts that", function()
    answers "401"
    local e <close> = load "several"
    eventually(function() return counted(e, "refused") >= 12 end,
      "cycles go on")
    assert.equal(0, counted(e, "ok"))
    answers "200"
    eventually(function() return counted(e, "ok") >= 4 end, "it is well again")
    assert.equal(0, counted(e, "unanswered"))
  end)

  it("goes on when there is no gateway", function()
    local url = gateway:url()
    gateway:close()
    local e <close> = load("several", url)
    eventually(function() return counted(e, "unanswered") >= 12 end,
      "cycles go on")
    local page = page_of(e)
    assert.equal(0, page[of("ping_loss_ratio", "127.0.1.1", "127.0.1.1", "4")])
  end)

  it("pings on time when the gateway is silent", function()
    answers "silence"
    local e <close> = load "several"
    local name = of("ping_echoes_total", NOWHERE, NOWHERE, "4")
    eventually(function() return (page_of(e)[name] or 0) >= 1 end,
      "the first ping")
    local began = clock.monotonic()
    eventually(function() return page_of(e)[name] >= 11 end,
      "ten more pings")
    assert(clock.monotonic() - began < 10)
    assert(counted(e, "unanswered") >= 10)
  end)

  it("serves what it pings", function()
    local e <close> = load "captured"
    local page = eventually(function()
      local page = page_of(e)
      return page[of("ping_loss_ratio", "no.such.host.invalid", "", "")] and
        page[of("ping_loss_ratio", NOWHERE, NOWHERE, "4")] and page
    end, "everything was pinged")
    assert(page[of("ping_rtt_mean_seconds", "127.0.0.1", "127.0.0.1", "4")])
    assert.equal(0, page[of("ping_loss_ratio", "::1", "::1", "6")])
    assert.equal(1, page[of("ping_loss_ratio", NOWHERE, NOWHERE, "4")])
  end)

  it("takes a URL and an IPv6 address of a gateway", function()
    for _, change in ipairs { { "127.0.0.1", "http://127.0.0.1" },
      { "127.0.0.1", "::ffff:127.0.0.1" } } do
      answers "200"
      write((gateway:url():gsub(change[1], change[2], 1)))
      local _ <close> = load "several"
      eventually(function() return #seen() > 0 end, change[2])
    end
  end)

  it("does not start with a mistake in its files", function()
    write(gateway:url())
    for _, config in ipairs { { push_config = push_file },
      { configs = FIXTURES .. "captured" },
      { push_config = "/none.json", configs = FIXTURES .. "captured" },
      { push_config = push_file, configs = "/none" },
      { push_config = push_file, configs = "spec/fixtures/files" },
      { push_config = FIXTURES .. "captured/project.json",
        configs = FIXTURES .. "captured" } } do
      local e, message = exporter.load(PING, config)
      assert.is_nil(e)
      assert(message:find "the JSON files have mistakes$" or
        message:find "%-%-push%-config and %-%-configs go together$", message)
    end
  end)
end)
