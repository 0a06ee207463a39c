-- SPDX-License-Identifier: Apache-2.0
-- The key `routes`: what is refused, and how it is told; and exporters that
-- specs serve. What routes answer is in spec/e2e/routes_test.py.

local exporter = require "exporter"
local http = require "http"
local task = require "task"

local function script(routes)
  return "return {\n  name = 'spec',\n  routes = {\n    " .. routes ..
    "\n  },\n}\n"
end

local function refused(routes, message)
  local e, err = exporter.load(script(routes))
  assert.is_nil(e)
  assert.matches(message, err)
end

local function route(key)
  return string.format("[%q] = function() return 'x' end,", key)
end

describe("routes", function()
  it("are enough for a script", function()
    local e <close> = assert(exporter.load(script(route "GET /x")))
    assert(e:collect())
    assert.matches("spec_up 1\n", e:page())
  end)

  it("must be there when the table is", function()
    refused("", ":3: 'routes': the table has no routes$")
  end)

  it("are functions", function()
    refused("['GET /x'] = 'x',",
      ":4: 'routes.GET /x': expected a function, got string$")
  end)

  it("have a method and a path as their key", function()
    local sentence = " is not a method and a path, such as " ..
      "\"GET /v1/devices/:id\" %(GET, POST, PUT, DELETE%)$"
    for _, key in ipairs { "/x", "GET", "GET/x", "get /x", "HEAD /x",
      "PATCH /x", "" } do
      refused(route(key), ": 'routes': '" .. key .. "'" .. sentence)
    end
    refused("['GET /x\\0y'] = function() end,", sentence)
    refused("[1] = function() end,", "the table routes has the key 1")
  end)

  it("have paths that can be asked for", function()
    refused(route "GET x", "4: 'routes': the path 'x' does not begin with")
    refused(route "GET  /x", "the path ' /x' does not begin with a slash$")
    refused(route "GET /a b", "the path '/a b' holds a space or one of")
    refused(route "GET /a?b=1", "the path '/a%?b=1' holds a space or one of")
    refused(route "GET /a%20b", "write it without escapes$")
    refused(route "GET /a/:", "'/a/:': ':' is not the name of a parameter")
    refused(route "GET /:1a", "':1a' is not the name of a parameter, such as")
    refused(route "GET /:a/:b/:a", "has two parameters of one name$")
    refused(route("GET /" .. ("x"):rep(500)), "a path is longer than 500 bytes")
  end)

  it("leave the host its own", function()
    for _, path in ipairs { "/", "/healthz", "/-", "/-/", "/-/ready", "/-/x",
      "/probe", "/api/v1", "/api/v1/exporters" } do
      refused(route("GET " .. path), ":4: 'routes': " ..
        path:gsub("%p", "%%%0") .. " is a path of the host$")
    end
    local near = {}
    for _, path in ipairs { "/health", "/api", "/api/v2/x", "/api/v1x",
      "/-x", "/probes" } do
      near[#near + 1] = route("GET " .. path)
    end
    local e <close> = assert(exporter.load(script(table.concat(near))))
    assert.is_true(e:collect())
  end)

  it("of one meaning are told", function()
    refused(route "GET /:a/x" .. "\n    " .. route "GET /:b/x",
      ":5: 'routes': 'GET /:b/x' is the same route as 'GET /:a/x'$")
  end)

  it("may differ in the method alone", function()
    local e <close> = assert(exporter.load(
      script(route "GET /x" .. route "POST /x" .. route "PUT /x")))
    assert.is_true(e:collect())
  end)

  it("have a limit", function()
    local many = {}
    for i = 1, 201 do
      many[i] = route("GET /" .. i)
    end
    refused(table.concat(many), "more than 200 routes$")
  end)
end)

local STAND <const> = [[
local metric = require "metric"
local task = require "task"
return {
  name = "stand",
  metrics = { stand_calls_total = metric.counter "Calls." },
  routes = {
    ["GET /v1/devices/:id"] = function(request, m)
      m.stand_calls_total:inc()
      task.sleep(0.001)
      return { json = { id = request.params.id } }
    end,
  },
}
]]

local PROBING <const> = [[
local http = require "http"
local metric = require "metric"
return {
  name = "probing",
  metrics = { probing_id = metric.gauge "The id." },
  probe = function(m, target)
    local answer = assert(http.get(target, { query = { token = "hush" } }))
    m.probing_id:set(assert(answer:json()).id)
  end,
}
]]

describe("exporter.load with serve", function()
  it("serves routes and pages to its own spec", function()
    local e <close> = assert(exporter.load(STAND, {}, { serve = true }))
    task.each({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, function(id)
      local answer = assert(http.get(e:url() .. "/v1/devices/" .. id))
      assert.same({ id = tostring(id) }, answer:json())
    end, 3)
    local page = assert(http.get(e:url() .. "/metrics")).body
    assert.matches("\nstand_calls_total 9\n", page)
    assert.matches("\nlunex_build_info", page)
    local ok, message, answer = http.get(e:url() .. "/v2")
    assert.is_nil(ok)
    assert.matches("404 Not Found", message)
    assert.equal(404, answer.status)
  end)

  it("probes what another one serves", function()
    local stand <close> = assert(exporter.load(STAND, {}, { serve = true }))
    local e <close> = assert(exporter.load(PROBING, {}, { serve = true }))
    local function probe(path, debug)
      return assert(http.get(e:url() .. "/probe", { query = {
        target = stand:url() .. path, debug = debug } })).body
    end
    local page = probe "/v1/devices/17"
    assert.matches("\nprobing_id 17\n", page)
    assert.matches("\nprobe_success 1\n", page)
    page = probe "/v2"
    assert.is_nil(page:find("probing_id", 1, true))
    assert.matches("\nprobe_success 0\n", page)
    page = probe("/v1/devices/17", true)
    assert.matches("ms  GET http://127%.0%.0%.1:%d+/v1/devices/17", page)
    assert.matches("200", page)
    assert.matches("\nprobing_id 17\n", page)
    page = probe("/v2", true)
    assert.matches("ms  error: [^\n]*GET http://[^\n]*: 404 Not Found\n", page)
    assert.is_nil(page:find("hush", 1, true))
  end)

  it("may be closed while it is asked", function()
    local e = assert(exporter.load(STAND:gsub("0%.001", "30"), {},
      { serve = true }))
    task.all(function()
      local answer = http.get(e:url() .. "/v1/devices/1")
      assert.is_nil(answer)
    end, function()
      while not e:page():find("stand_calls_total 1\n", 1, true) do
        e:collect()
        task.sleep(0.001)
      end
      e:close()
    end)
  end)

  it("has an address", function()
    local e <close> = assert(exporter.load(script(route "GET /x"), {},
      { serve = true }))
    assert.matches("^http://127%.0%.0%.1:%d+$", e:url())
  end)

  it("refuses a route that takes the telemetry path", function()
    for _, path in ipairs { "/metrics", "/:any" } do
      local e, err = exporter.load(script(route("GET " .. path)), {},
        { serve = true })
      assert.is_nil(e)
      assert.matches(":4: the route 'GET " .. path ..
        "' takes the telemetry path /metrics$", err)
    end
  end)

  it("ends with close, collected or not", function()
    for _ = 1, 3 do
      local e = assert(exporter.load(script(route "GET /x"), {},
        { serve = true }))
      e:close()
      e:close()
    end
    exporter.load(script(route "GET /x"), {}, { serve = true })
    collectgarbage()
  end)

  it("has no address without it", function()
    local e <close> = assert(exporter.load(script(route "GET /x")))
    assert.has_error(function() e:url() end, "it is not served")
  end)
end)

describe("a probe", function()
  local PROBE <const> = [[
local metric = require "metric"
return {
  name = "spec",
  config = {
    place = { "here" },
    password = { "none", secret = true },
  },
  metrics = {
    spec_seen = metric.info { "Seen.", labels = { "place", "password" } },
  },
  probe = function(m, _, config)
    m.spec_seen:set(1, config.place, config.password)
  end,
}
]]

  local function seen(profiles, query)
    local e <close> = assert(exporter.load(PROBE,
      { place = "there", password = "its own" },
      { serve = true, profiles = profiles }))
    query.target = "x"
    local page = assert(http.get(e:url() .. "/probe", { query = query })).body
    return page:match 'spec_seen{place="(.-)",password="(.-)"} 1'
  end

  it("is given the secrets of its profile, never those of the exporter",
    function()
      local profiles = { other = { password = "for others" } }
      assert.same({ "there", "for others" },
        { seen(profiles, { profile = "other" }) })
      assert.same({ "there", "none" }, { seen(profiles, {}) })
      assert.same({ "there", "none" }, { seen(nil, {}) })
    end)

  it("has the profile 'default' when it names none", function()
    local profiles = { default = { password = "usual" }, other = {} }
    assert.same({ "there", "usual" }, { seen(profiles, {}) })
    assert.same({ "there", "none" }, { seen(profiles, { profile = "other" }) })
  end)

  it("says that a secret it needs is given by a profile", function()
    local needs = PROBE:gsub('"none", secret',
      'type = "string", required = true, secret')
    local e <close> = assert(exporter.load(needs, { password = "its own" },
      { serve = true }))
    local page = assert(http.get(e:url() .. "/probe",
      { query = { target = "x", debug = "true" } })).body
    assert.matches("spec: 'password' must be given by a profile, to a probe\n",
      page)
    local none, message = exporter.load(needs, { password = "its own" },
      { profiles = { other = {} } })
    assert.is_nil(none)
    assert.equal("spec: 'password' must be given by the profile 'other'",
      message)
  end)
end)
