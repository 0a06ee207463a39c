-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"
local exporter = require "exporter"
local http = require "http"
local task = require "task"

local serve = dofile "spec/bind/stand_in.lua"
local timely = dofile "spec/bind/timely.lua"

local function say(response)
  return function() return response end
end

-- A server, and a client of it with these options besides base_url.
local function with_client(handler, options, body)
  return serve(handler, function(stand)
    options.base_url = options.base_url or stand.url
    local client <close> = http.client(options)
    return body(client, stand)
  end)
end

describe("http.client", function()
  it("joins its base with paths and takes whole URLs", function()
    serve(say {}, function(stand)
      local client <close> = http.client { base_url = stand.url .. "/api/" }
      for path, wanted in pairs { ["/v1/x"] = "/api/v1/x", ["v1"] = "/api/v1",
        [""] = "/api/", ["?q=1"] = "/api/?q=1", ["//x"] = "/api//x",
        [stand.url .. "/other"] = "/other" } do
        assert(client:get(path))
        assert.equal(wanted, stand.requests[#stand.requests].path)
      end
    end)
  end)

  it("has defaults that a request overrides, headers by name", function()
    with_client(say {}, { headers = { ["X-One"] = "1", ["X-Two"] = "2" },
      query = { a = 1, b = 2 }, bearer = "tokentoken", accept = "text/plain",
    }, function(client, stand)
      assert(client:get "/")
      assert(client:get("/", { headers = { ["x-TWO"] = "zwei" },
        query = { b = 3 }, accept = "text/html" }))
      assert(client:post("/", { json = {}, bearer = "other" }))
      local first, second, third = table.unpack(stand.requests)
      assert.equal("1", first.headers["x-one"])
      assert.equal("2", first.headers["x-two"])
      assert.equal("text/plain", first.headers.accept)
      assert.equal("/?a=1&b=2", first.path)
      assert.equal("Bearer tokentoken", first.headers.authorization)
      assert.equal("1", second.headers["x-one"])
      assert.equal("zwei", second.headers["x-two"])
      assert.equal(1, select(2, second.head:gsub("[xX]%-[tT][wW][oO]", "")))
      assert.equal("text/html", second.headers.accept)
      assert.equal("/?a=1&b=3", second.path)
      assert.equal("Bearer other", third.headers.authorization)
      assert.equal("text/plain", third.headers.accept)
      assert.equal("application/json", third.headers["content-type"])
    end)
  end)

  it("sends one Authorization, that of who is nearer", function()
    local function sent(defaults, options)
      return serve(say {}, function(stand)
        defaults.base_url = stand.url
        local client <close> = http.client(defaults)
        assert(client:get("/", options))
        local all = {}
        for value in stand.requests[1].head:gmatch "Authorization: ([^\r]*)" do
          all[#all + 1] = value
        end
        return table.concat(all, " and ")
      end)
    end
    local header = { headers = { Authorization = "Own" } }
    local basic = { user = "u", password = "p" }
    local token = { bearer = "t" }
    assert.equal("Own", sent({ bearer = "t" }, header))
    assert.equal("Own", sent({ user = "u", password = "p" }, header))
    assert.equal("Basic dTpw", sent({ bearer = "t" }, basic))
    assert.equal("Basic dTpw", sent({ headers = header.headers }, basic))
    assert.equal("Bearer t", sent({ headers = header.headers }, token))
    assert.equal("Bearer t", sent({ user = "u", password = "p" }, token))
    assert.equal("Basic dTpw", sent({ user = "u" }, { password = "p" }))
  end)

  it("keeps its credentials from other origins", function()
    serve(say {}, function(other)
      with_client(function(request)
        if request.path:find "^/away" then
          return { status = 302, headers = { Location = other.url .. "/r" } }
        end
        return { headers = { ["Set-Cookie"] = "sid=1" } }
      end, { bearer = "tokentoken", query = { key = "abcd" }, headers = {
        Cookie = "a=1", ["X-Tool"] = "lunex", ["X-Api-Key"] = "k1" },
      }, function(client, stand)
        assert(client:get "/")
        assert.equal("Bearer tokentoken",
          stand.requests[1].headers.authorization)
        assert(client:get(other.url .. "/direct"))
        assert(client:get "/away")
        assert(client:get(other.url .. "/own", { bearer = "mine" }))
        assert.equal(3, #other.requests)
        for i = 1, 2 do
          local head = other.requests[i].head
          assert.is_nil(head:find "tokentoken")
          assert.is_nil(head:find "a=1")
          assert.is_nil(head:find "abcd")
        end
        assert.equal("lunex", other.requests[1].headers["x-tool"])
        assert.is_nil(other.requests[1].headers["x-api-key"])
        assert.equal("Bearer mine", other.requests[3].headers.authorization)
        -- the same origin, written differently, is its own
        assert(client:get((stand.url:gsub("http", "HTTP")) .. "/same"))
        assert.equal("Bearer tokentoken",
          stand.requests[#stand.requests].headers.authorization)
      end)
    end)
  end)

  it("keeps basic credentials from other origins", function()
    serve(say {}, function(other)
      with_client(say {}, { user = "ann", password = "hunter2" },
        function(client, stand)
          assert(client:get "/")
          assert(client:get(other.url))
          assert.matches("^Basic ", stand.requests[1].headers.authorization)
          assert.is_nil(other.requests[1].headers.authorization)
        end)
    end)
  end)

  it("keeps cookies, forgets them, or has none", function()
    local function cookie(options, between)
      return with_client(say { headers = { ["Set-Cookie"] = "sid=abc" } },
        options, function(client, stand)
          assert(client:get "/")
          between(client)
          assert(client:get "/")
          return stand.requests[2].headers.cookie
        end)
    end
    assert.equal("sid=abc", cookie({}, function() end))
    assert.is_nil(cookie({}, function(client) client:clear_cookies() end))
    assert.is_nil(cookie({ cookies = false }, function() end))
  end)

  it("uses a connection again", function()
    with_client(say {}, {}, function(client, stand)
      for _ = 1, 5 do
        assert(client:get "/")
      end
      assert.equal(1, stand.connections)
    end)
  end)

  it("has no more connections to a host than it may", function()
    with_client(function()
      task.sleep(0.005)
      return {}
    end, { connections = 3 }, function(client, stand)
      local list = {}
      for i = 1, 20 do
        list[i] = i
      end
      task.each(list, function() assert(client:get "/") end)
      assert.is_true(stand.connections <= 3)
    end)
  end)

  it("tells who waits when it is closed", function()
    with_client(function() end, { rate = { requests = 1, per = 60 } },
      function(client, stand)
        local messages = {}
        task.all(function()
          messages[1] = select(2, client:get "/a")
        end, function()
          messages[2] = select(2, client:get("/b", { timeout = 100 }))
        end, function()
          while #stand.requests == 0 do
            task.sleep(0.001)
          end
          client:close()
        end)
        assert.equal("GET " .. stand.url .. "/a: the client was closed",
          messages[1])
        assert.equal("GET " .. stand.url .. "/b: the client was closed",
          messages[2])
        assert.has_error(function() client:get "/" end, "the client is closed")
        client:close()
      end)
  end)

  it("is closed by the collector", function()
    serve(say {}, function(stand)
      local client = http.client {}
      assert(client:get(stand.url))
      client = http.client {}
      assert(client:get(stand.url))
      collectgarbage()
      collectgarbage()
      assert.equal("http.client (any host)", tostring(client))
    end)
  end)

  it("does not show its credentials", function()
    local client <close> = http.client { base_url = "https://ann:pw@h/x",
      bearer = "tokentoken" }
    assert.equal("http.client (https://h/x)", tostring(client))
  end)

  it("raises for options that make no sense", function()
    for _, case in ipairs {
      { { base_ulr = "x" }, "unknown option 'base_ulr'; did you mean 'base_url'" },
      { { base_url = "h:80" }, "option 'base_url': expected http:// or " ..
        "https://, a host and at most a path, got 'h:80'" },
      { { base_url = "ann:pw@h" }, "at most a path, got '...'" },
      { { base_url = "https://h/?a=1" }, "option 'base_url'" },
      { { rate = 3 }, "option 'rate': expected { requests =, per = }" },
      { { rate = { requests = 1 } }, "as 'per'" },
      { { rate = { requests = 0, per = 1 } }, "1 to 100000 as 'requests'" },
      { { rate = { requests = 1, per = 1, x = 1 } }, "option 'rate'" },
      { { connections = 0 }, "option 'connections': expected an integer" },
      { { cookies = 1 }, "option 'cookies': expected a boolean" },
      { { observe = true }, "option 'observe': expected a function" },
    } do
      assert.has_error(function() http.client(case[1]) end, case[2])
    end
  end)

  it("says the same in each collection", function()
    serve(say { body = "7" }, function(stand)
      local e <close> = assert(exporter.load([[
        local http = require "http"
        local metric = require "metric"
        local client = http.client { rate = { requests = 5, per = 60 } }
        return {
          name = "twice",
          config = { url = { "" } },
          metrics = { twice_value = metric.gauge { "A value." } },
          collect = function(m, config)
            m.twice_value:set(assert(client:get(config.url)).body)
          end,
        }
      ]], { url = stand.url }))
      for _ = 1, 3 do
        assert(e:collect())
        assert.matches("twice_value 7\n", e:page())
      end
      assert.equal(1, stand.connections)
    end)
  end)
end)

describe("observe", function()
  it("is told of every attempt", function()
    local seen = {}
    local n = 0
    with_client(function(_, connection)
      n = n + 1
      if n == 1 then
        connection:close()
        return
      end
      return { status = n == 2 and 503 or 200 }
    end, { retries = 2, observe = function(name, status, seconds)
      assert.is_true(seconds > 0)
      seen[#seen + 1] = name .. " " .. tostring(status)
    end }, function(client)
      assert(client:get "/v1/x?token=abc")
      assert(client:get("/v1/y", { name = "y" }))
      assert.same({ "/v1/x nil", "/v1/x 503", "/v1/x 200", "y 200" }, seen)
    end)
  end)

  it("raises in the script what it raises", function()
    with_client(say {}, { observe = function() error("mine", 0) end,
      rate = { requests = 2, per = 0.01 } },
      function(client)
        for _ = 1, 4 do
          assert.has_error(function() client:get "/" end, "mine")
        end
      end)
  end)
end)

describe("retries", function()
  local function attempts(method, options, responses)
    local n = 0
    return with_client(function(_, connection)
      n = n + 1
      local response = responses[n] or {}
      if response == "close" then
        connection:close()
        return
      end
      return response
    end, {}, function(client)
      options.method = method
      local answer, message, other = client:request("/", options)
      return n, answer, message, other
    end)
  end

  it("help idempotent methods over what passes", function()
    for _, method in ipairs { "GET", "HEAD", "PUT", "DELETE" } do
      for _, first in ipairs { "close", { status = 429 }, { status = 502 },
        { status = 503 }, { status = 504 } } do
        local n, answer = attempts(method, { retries = 1 }, { first })
        assert.equal(2, n)
        assert.equal(200, answer.status)
      end
    end
  end)

  it("are not for anything else", function()
    for _, case in ipairs { { "POST", { status = 503 } },
      { "PATCH", { status = 503 } }, { "POST", "close" },
      { "GET", { status = 500 } }, { "GET", { status = 401 } },
      { "GET", { status = 404 } } } do
      local n, answer, message = attempts(case[1], { retries = 3 }, { case[2] })
      assert.equal(1, n)
      assert.is_nil(answer)
      assert.matches("^" .. case[1], message)
    end
  end)

  it("end with the last failure", function()
    local bad = { status = 503, body = "no" }
    local n, answer, message, other = attempts("GET", { retries = 2 },
      { bad, bad, bad, bad })
    assert.equal(3, n)
    assert.is_nil(answer)
    assert.matches("503 Service Unavailable$", message)
    assert.equal("no", other.body)
  end)

  it("are not begun when they do not fit into the timeout", timely(function()
    local began = clock.monotonic()
    local n, answer, message = attempts("GET", { retries = 5, timeout = 0.5 },
      { { status = 503, headers = { ["Retry-After"] = 1 } } })
    assert.equal(1, n)
    assert.is_nil(answer)
    assert.matches("503", message)
    assert.is_true(clock.monotonic() - began < 0.4)
  end))
end)

describe("Retry-After", function()
  local function http_date(seconds)
    return os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(seconds))
  end

  -- What a second request says when the first was answered so.
  local function second(response, options)
    return with_client(function(request)
      return request.path == "/1" and response or {}
    end, {}, function(client, stand)
      local result, message = client:get "/1"
      assert.is_nil(result)
      assert.matches(": %d%d%d ", message)
      result, message = client:get("/2", options)
      return result, message and message:gsub(stand.url, "URL"), #stand.requests
    end)
  end

  it("pauses the client, and a request that cannot wait fails at once",
    timely(function()
      local began = clock.monotonic()
      for _, status in ipairs { 429, 503 } do
        local result, message, n = second({ status = status,
          headers = { ["Retry-After"] = 30 } }, { timeout = 5 })
        assert.is_nil(result)
        assert.matches("^GET URL/2: the server asked for a pause of another " ..
          "30 s %(" .. status .. " %u[%a ]+%)$", message)
        assert.equal(1, n)
      end
      assert.is_true(clock.monotonic() - began < 2)
    end))

  it("may be a date, by the server's clock if it says what that is", function()
    local _, message = second({ status = 503, headers = {
      ["Retry-After"] = http_date(clock.now() + 100) } })
    assert.matches("a pause of another %d%d.?%d* s", message)
    _, message = second({ status = 503, headers = {
      Date = "Sun, 06 Nov 1994 08:49:37 GMT",
      ["Retry-After"] = "Sun, 06 Nov 1994 08:50:17 GMT" } })
    assert.matches("a pause of another 40 s", message)
    assert(second { status = 503, headers = {
      ["Retry-After"] = "Sun, 06 Nov 1994 08:50:17 GMT" } })
  end)

  it("has a ceiling", function()
    local _, message = second { status = 429, headers = {
      ["Retry-After"] = "99999999999999999999" } }
    assert.matches("another 3600 s", message)
  end)

  it("means nothing when it is none, or with another status", function()
    for _, text in ipairs { "soon", "-1", "0", "1.5", "", "Sun, 06 Nov" } do
      assert(second { status = 503, headers = { ["Retry-After"] = text } })
    end
    assert(second { status = 500, headers = { ["Retry-After"] = 30 } })
  end)

  it("holds retries and other requests back for so long", function()
    local released
    with_client(function(request)
      if not released then
        released = request.time + 1
        return { status = 429, headers = { ["Retry-After"] = 1 } }
      end
      return {}
    end, { retries = 1 }, function(client, stand)
      task.all(function() assert(client:get "/retried") end, function()
        while not released do
          task.sleep(0.001)
        end
        task.sleep(0.01)
        assert(client:get "/other")
      end)
      assert.equal(3, #stand.requests)
      for i = 2, 3 do
        assert.is_true(stand.requests[i].time >= released)
      end
    end)
  end)

  it("is for the next attempt, not for all", timely(function()
    local asked = 0
    with_client(function(_, connection)
      asked = asked + 1
      if asked == 1 then
        return { status = 503, headers = { ["Retry-After"] = "1",
          Connection = "close" } }
      elseif asked == 2 then
        connection:close()
      else
        return {}
      end
    end, { retries = 2 }, function(client)
      local began = clock.monotonic()
      assert(client:get("/", { timeout = 5 }))
      assert.equal(3, asked)
      assert.is_true(clock.monotonic() - began < 1.9)
    end)
  end))

  it("makes those fail at once that wait already and cannot any more",
    timely(function()
      with_client(function(request)
        if request.path == "/slow" then
          task.sleep(0.05)
          return { status = 503, headers = { ["Retry-After"] = 60 } }
        end
        return {}
      end, { rate = { requests = 1, per = 0.5 } }, function(client)
        local began = clock.monotonic()
        local message
        task.all(function() client:get "/slow" end, function()
          message = select(2, client:get("/2", { timeout = 5 }))
        end)
        assert.matches("a pause of another 60 s %(503 Service", message)
        assert.is_true(clock.monotonic() - began < 0.4)
      end)
    end))

  it("does not bind the functions of the module", function()
    serve(function(request)
      return request.path == "/1" and { status = 503,
        headers = { ["Retry-After"] = 30 } } or {}
    end, function(stand)
      assert.is_nil((http.get(stand.url .. "/1")))
      assert(http.get(stand.url .. "/2"))
    end)
  end)
end)

describe("rate", function()
  local function times_of(n, rate, work)
    return with_client(function()
      if work then
        task.sleep(work * math.random())
      end
      return {}
    end, { rate = rate }, function(client, stand)
      local list = {}
      for i = 1, n do
        list[i] = i
      end
      task.each(list, function(i) assert(client:get("/" .. i)) end)
      assert.equal(n, #stand.requests)
      return stand.requests
    end)
  end

  it("is kept in every window, as the server sees it", timely(function()
    for _, work in ipairs { 0, 0.03 } do
      local rate = { requests = 4, per = 0.1 }
      local requests = times_of(18, rate, work)
      for i = rate.requests + 1, #requests do
        assert.is_true(requests[i].time - requests[i - rate.requests].time >=
          rate.per)
      end
    end
  end))

  it("does not hold back what it allows", timely(function()
    local began = clock.monotonic()
    times_of(100, { requests = 100, per = 60 })
    assert.is_true(clock.monotonic() - began < 2)
  end))

  it("lets requests go in the order in which they came", function()
    local requests = times_of(9, { requests = 1, per = 0.005 })
    for i, request in ipairs(requests) do
      assert.equal("/" .. i, request.path)
    end
  end)

  it("refuses at once what cannot have a place in time", timely(function()
    with_client(say {}, { rate = { requests = 2, per = 60 } },
      function(client, stand)
        assert(client:get "/1")
        assert(client:get "/2")
        local began = clock.monotonic()
        local result, message, answer = client:get("/3", { timeout = 5 })
        assert.is_nil(result)
        assert.is_nil(answer)
        assert.equal("GET " .. stand.url .. "/3: no place within 60 s under " ..
          "the limit of 2 requests in 60 s", message)
        assert.is_true(clock.monotonic() - began < 1)
        assert.equal(2, #stand.requests)
      end)
  end))

  it("gives the place of a cancelled waiter to the next", timely(function()
    with_client(say {}, { rate = { requests = 1, per = 0.1 } },
      function(client, stand)
        local began = clock.monotonic()
        assert(client:get "/1")
        task.all(function()
          task.timeout(0.02, function() client:get("/2", { timeout = 9 }) end)
        end, function()
          assert(client:get "/3")
        end)
        assert.equal(2, #stand.requests)
        assert.equal("/3", stand.requests[2].path)
        assert.is_true(clock.monotonic() - began < 0.19)
      end)
  end))

  it("counts what failed, since the server may have seen it", function()
    with_client(function(_, connection) connection:close() end,
      { rate = { requests = 1, per = 60 } }, function(client)
        assert.is_nil((client:get "/1"))
        assert.matches("no place within", select(2, client:get "/2"))
      end)
  end)
end)
