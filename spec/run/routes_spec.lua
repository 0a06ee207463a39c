-- SPDX-License-Identifier: Apache-2.0
-- The key `routes`: what is refused, and how it is told. What routes answer is
-- in spec/e2e/routes_test.py.

local exporter = require "exporter"

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

describe("exporter.load with serve", function()
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
