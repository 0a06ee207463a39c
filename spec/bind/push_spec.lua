-- SPDX-License-Identifier: Apache-2.0
-- push, against a stand-in that speaks HTTP; the real gateway has its say in
-- spec/e2e/push_test.py.

local clock = require "clock"
local metric = require "metric"
local push = require "push"

local serve = dofile "spec/bind/stand_in.lua"
local timely = dofile "spec/bind/timely.lua"

local TEXT <const> = "# TYPE a gauge\na 1\n"

-- What the gateway saw of CALL(url), which must succeed if it says 200.
local function seen(call)
  return serve(function() return {} end, function(stand)
    assert(call(stand.url))
    assert.equal(1, #stand.requests)
    return stand.requests[1]
  end)
end

-- A registry with the gauges of a text, which has HELP, TYPE and value of each.
local function registry_of(text)
  local gauges, values = {}, {}
  for name, help, value in
    text:gmatch "# HELP (%S+) ([^\n]*)\n[^\n]*\n%S+ (%S+)\n" do
    gauges[name], values[name] = metric.gauge(help), value
  end
  local registry = metric.registry(gauges)
  for name, value in pairs(values) do
    registry[name]:set(value)
  end
  return registry
end

describe("a path", function()
  it("has the job and the labels in the order of their names", function()
    assert.equal("/metrics/job/Loop01", push.path { job = "Loop01" })
    assert.equal("/metrics/job/j/a/1/b/2/c/3", push.path { job = "j",
      grouping = { b = "2", c = 3, a = 1.0 } })
  end)

  it("is percent-encoded", function()
    for value, path in pairs {
      ["a b"] = "a%20b", ["50%"] = "50%25", ["a+b"] = "a%2Bb",
      ["Zürich"] = "Z%C3%BCrich", ["a\nb"] = "a%0Ab", ["?#"] = "%3F%23",
      ["..."] = "...", [".a"] = ".a", ["a@base64"] = "a%40base64",
      ["="] = "%3D", ["-._~"] = "-._~", ["\0"] = "%00", [":9100"] = "%3A9100",
    } do
      assert.equal("/metrics/job/" .. path .. "/l/" .. path, push.path {
        job = value, grouping = { l = value } })
    end
  end)

  it("is in base64 where it could not be read back", function()
    for value, path in pairs {
      [""] = "=", ["/"] = "Lw", ["."] = "Lg", [".."] = "Li4",
      ["/var/tmp"] = "L3Zhci90bXA", ["/\xc3\xbf\xc3\xbe"] = "L8O_w74",
      ["site/with space"] = "c2l0ZS93aXRoIHNwYWNl",
    } do
      assert.equal("/metrics/job/j/l@base64/" .. path, push.path { job = "j",
        grouping = { l = value } })
      if value ~= "" then
        assert.equal("/metrics/job@base64/" .. path, push.path { job = value })
      end
    end
  end)
end)

describe("a push", function()
  it("is a PUT of the text, with its type", function()
    local request = seen(function(url)
      return push.send(url, TEXT, { job = "a b" })
    end)
    assert.equal("PUT", request.method)
    assert.equal("/metrics/job/a%20b", request.path)
    assert.equal("text/plain; version=0.0.4; charset=utf-8",
      request.headers["content-type"])
    assert.matches("^lunex/%d+%.%d+%.%d+$", request.headers["user-agent"])
    assert.is_nil(request.headers.authorization)
    assert.equal(TEXT, request.body)
  end)

  it("may be a POST, go below a path, and say who sends it", function()
    local request = seen(function(url)
      return push.send(url .. "/gateway//", TEXT, { job = "j", method = "POST",
        grouping = { instance = "" }, username = "user", password = "word",
        headers = { ["X-Scope"] = "a", ["content-TYPE"] = "text/html" } })
    end)
    assert.equal("POST", request.method)
    assert.equal("/gateway/metrics/job/j/instance@base64/=", request.path)
    assert.equal("Basic dXNlcjp3b3Jk", request.headers.authorization)
    assert.equal("a", request.headers["x-scope"])
    assert.equal("text/plain; version=0.0.4; charset=utf-8",
      request.headers["content-type"])
  end)

  it("takes a bearer token, and credentials in the URL as http does", function()
    assert.equal("Bearer abc", seen(function(url)
      return push.send(url, TEXT, { job = "j", bearer = "abc" })
    end).headers.authorization)
    assert.equal("Basic dTpw", seen(function(url)
      return push.send(url:gsub("//", "//u:p@"), TEXT, { job = "j" })
    end).headers.authorization)
  end)

  it("may be empty", function()
    local request = seen(function(url)
      return push.send(url, "", { job = "j" })
    end)
    assert.equal("PUT", request.method)
    assert.equal("0", request.headers["content-length"])
  end)

  it("deletes a group", function()
    local request = seen(function(url)
      return push.delete(url .. "/", { job = "a/b", method = "POST" })
    end)
    assert.equal("DELETE", request.method)
    assert.equal("/metrics/job@base64/YS9i", request.path)
    assert.equal("", request.body)
    assert.is_nil(request.headers["content-type"])
  end)

  it("of a registry is its page", function()
    local registry = metric.registry { a = metric.gauge "A." }
    registry.a:set(1)
    local request = seen(function(url)
      return registry:push(url, { job = "j" })
    end)
    assert.equal("PUT", request.method)
    assert.equal(registry:render(), request.body)
    request = seen(function(url)
      return registry:delete(url, { job = "j" })
    end)
    assert.equal("DELETE", request.method)
  end)

  it("is what PingExporter sends", function()
    local recorded = dofile "spec/fixtures/ping/requests.lua"
    assert.equal(10, #recorded)
    for _, wanted in ipairs(recorded) do
      local request = seen(function(url)
        return registry_of(wanted.body):push(url, { job = wanted.job,
          username = "user", password = "password" })
      end)
      assert.equal("PUT", request.method)
      assert.equal(wanted.path, request.path)
      assert.equal(recorded.content_type, request.headers["content-type"])
      assert.equal("Basic dXNlcjpwYXNzd29yZA==", request.headers.authorization)
      assert.equal(wanted.body:gsub("%.0\n", "\n"), request.body)
    end
  end)
end)

-- What push.send() says when the gateway answers RESPONSE.
local function refusal(response, options, text)
  return serve(function() return response end, function(stand)
    options = options or {}
    options.job = options.job or "j"
    local ok, message, answer = push.send(stand.url, text or TEXT, options)
    assert.is_nil(ok)
    assert.equal("PUT " .. stand.url .. push.path(options),
      message:match "^(%u+ %S+): ")
    return message:match "^%u+ %S+: (.*)", answer
  end)
end

describe("a push that fails", function()
  it("has the first words of the gateway", function()
    local message, answer = refusal { status = 400, body = "pushed metrics " ..
      "are invalid or inconsistent with existing metrics: collected metric " ..
      '"a" { label:<name:"job" value:"j" > gauge:<value:1 > } is not a GAUGE' }
    assert.equal("400 Bad Request: pushed metrics are invalid or " ..
      'inconsistent with existing metrics: collected metric "a" ' ..
      '{ label:<name:"job" value:"j" > gauge:<value:1 > } is not a GAUGE',
      message)
    assert.equal(400, answer.status)
    assert.matches("not a GAUGE$", answer.body)
    message = refusal { status = 500, body = ("many words "):rep(1000) }
    assert.equal(#"500 Internal Server Error: ..." + 200, #message)
  end)

  it("shows long words when they were pushed", function()
    local name = "a_metric_with_quite_a_long_name_total"
    local message = refusal({ status = 400, body = "the metric " .. name ..
      " and the token 0123456789abcdef0123456789abcdef" }, nil, name .. " 1\n")
    assert.equal("400 Bad Request: the metric " .. name ..
      " and the token ...", message)
  end)

  it("never shows what proves who we are", function()
    local echo = "you are Basic dXNlcjpTM2NyZXRXb3Jk, S3cretWord, t0ken12345 " ..
      "and X-Key k3y12345"
    local message = refusal({ status = 401, body = echo },
      { username = "user", password = "S3cretWord",
        headers = { ["X-Key"] = "k3y12345" } })
    assert.equal("401 Unauthorized: you are Basic ... ..., t0ken12345 and " ..
      "X-Key ...", message)
    message = refusal({ status = 401, body = echo }, { bearer = "t0ken12345" })
    assert.equal("401 Unauthorized: you are Basic ... S3cretWord, ... and " ..
      "X-Key k3y12345", message)
    serve(function() return { status = 403, body = "no" } end, function(stand)
      local _, refused = push.send(stand.url:gsub("//", "//u:S3cretWord@"), TEXT,
        { job = "j" })
      assert.matches("403 Forbidden$", refused)
      assert.is_nil(refused:find("S3cret", 1, true))
    end)
  end)

  it("names the group, also one in base64", function()
    refusal({ status = 404 }, { job = "a/b" })
    local ok, message = push.send("http://127.0.0.1:1/x/", TEXT,
      { job = "a/b" })
    assert.is_nil(ok)
    assert.equal("PUT http://127.0.0.1:1/x/metrics/job@base64/YS9i: " ..
      "connection refused", message)
    ok, message = push.send("http://127.0.0.1:1", TEXT,
      { job = ("x"):rep(5000) })
    assert.is_nil(ok)
    assert.matches("^PUT http://127%.0%.0%.1:1/metrics/job/x+%.%.%.: " ..
      "connection refused$", message)
    assert.is_true(#message < 400)
    ok, message = push.delete("http://127.0.0.1:1", { job = "j" })
    assert.is_nil(ok)
    assert.equal("DELETE http://127.0.0.1:1/metrics/job/j: connection refused",
      message)
  end)

  it("does not believe other answers", function()
    assert.equal("204 No Content, where a gateway says 200 or 202",
      (refusal { status = 204 }))
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local asked = serve(function(request)
        return request.path == "/other" and {} or
          { status = status, headers = { Location = "/other" } }
      end, function(stand)
        for _, method in ipairs { "PUT", "POST" } do
          local ok, message = push.send(stand.url, TEXT, { job = "j",
            method = method })
          assert.is_nil(ok)
          assert.matches(": " .. status, message)
        end
        return #stand.requests
      end)
      assert.equal(2, asked)
    end
  end)

  it("succeeds with 202, and is not repeated unless asked for", function()
    local status = 202
    serve(function() return { status = status } end, function(stand)
      assert.is_true((push.send(stand.url, TEXT, { job = "j" })))
      status = 503
      assert.is_nil((push.send(stand.url, TEXT, { job = "j" })))
      assert.equal(2, #stand.requests)
      assert.is_nil((push.send(stand.url, TEXT, { job = "j", retries = 1 })))
      assert.equal(4, #stand.requests)
    end)
  end)

  it("ends at its timeout", function()
    local began = clock.monotonic()
    local ok, message = serve(function() end, function(stand)
      return push.send(stand.url, TEXT, { job = "j", timeout = 0.1 })
    end)
    assert.is_nil(ok)
    assert.matches("^PUT http://127%.0%.0%.1:%d+/metrics/job/j: .*0%.1 s",
      message)
    assert.is_true(clock.monotonic() - began < 5)
  end)

  it("says what an address is not", function()
    for url, shown in pairs {
      ["gateway:9091"] = "gateway:9091", ["ftp://gateway"] = "ftp://gateway",
      ["http://gateway/?a=b"] = "http://gateway/%?a=%.%.%.", [""] = "",
      ["http://"] = "http://", ["http://gateway#x"] = "http://gateway",
    } do
      local ok, message = push.send(url, TEXT, { job = "j" })
      assert.is_nil(ok)
      assert.matches("^PUT " .. shown .. ".*: expected http:// or https://, " ..
        "a host and at most a path$", message)
      ok, message = push.delete(url, { job = "j" })
      assert.is_nil(ok)
      assert.matches("^DELETE ", message)
    end
  end)
end)

describe("a label of the group", function()
  local function sent(text, grouping)
    return serve(function() return {} end, function(stand)
      local ok, message = push.send(stand.url, text, { job = "j",
        grouping = grouping })
      assert.equal(ok and 1 or 0, #stand.requests)
      return message and message:match ": not sent: (.*)"
    end)
  end

  it("must not be one of a metric", function()
    local why = " has the label '%s', which the group would replace"
    assert.equal("a" .. why:format "job", sent 'a{job="x"} 1\n')
    assert.equal("a:b" .. why:format "job",
      sent '# TYPE a gauge\na:b{x="\\"y\\\\",job=""} 1\n')
    assert.equal("b" .. why:format "instance",
      sent('a 1\nb{instance="x"} 1\n', { instance = "i", z = "z" }))
    assert.equal("h_bucket" .. why:format "le",
      sent('h_bucket{l="x",le="+Inf"} 1\n', { le = "5" }))
    assert.equal("a" .. why:format "job", sent 'a{"x.y"="{",job="x"} 1\n')
    assert.equal("a.b" .. why:format "job",
      sent '{"a.b","x\\",\\"job"="x","job"="x"} 1\n')
    assert.equal("a.b" .. why:format "job", sent '{"a.b",job="x"} 1\n')
  end)

  it("may be in help texts, values and other names", function()
    for _, text in ipairs {
      '# HELP a The {job="x"} of a.\na 1\n',
      'a{x=",job="} 1\n',
      'a{x="{job=\\"y",z=",job="} 1\n',
      'a{xjob="1",jobx="2"} 1\n',
      'a{y="\\\\",x="\\",job=\\""} 1\n',
      'a{x="',
      'a{"x',
      '{"a',
      '{"job"} 1\n',
      '{"a","x\\",job="="y"} 1\n',
      '{"a","x"=",\\"job\\"="} 1\n',
    } do
      text = text:gsub("[^\n]$", "%0\n")
      assert.is_nil(sent(text))
    end
  end)

  it("of a registry is found, too", function()
    local registry = metric.registry { namespace = "n", labels = { job = "x" },
      a = metric.histogram "A.", b = metric.gauge "B." }
    serve(function() return {} end, function(stand)
      assert(registry:push(stand.url, { job = "j" })) -- nothing has a value
      registry.b:set(1)
      local ok, message = registry:push(stand.url, { job = "j" })
      assert.is_nil(ok)
      assert.matches("not sent: n_b has the label 'job'", message)
      assert.equal(1, #stand.requests)
    end)
  end)

  -- Delimited protobuf of a registry that DECLARED makes.
  local function sent_protobuf(declared, grouping)
    return serve(function() return {} end, function(stand)
      local registry = metric.registry(declared)
      for name in pairs(declared) do
        if name ~= "labels" then
          registry[name]:inc(1, "x", { job = "j", z = "instance" })
        end
      end
      local ok, message = registry:push(stand.url,
        { job = "j", grouping = grouping, format = "protobuf" })
      assert.equal(ok and 1 or 0, #stand.requests)
      return message and message:match ": not sent: (.*)"
    end)
  end

  it("is looked for in protobuf, too", function()
    local why = " has the label '%s', which the group would replace"
    assert.equal("b_total" .. why:format "job", sent_protobuf {
      a_total = metric.counter { "Of job.", labels = { "jobs" } },
      b_total = metric.counter { "B.", labels = { "job" } },
    })
    assert.equal("a_total" .. why:format "instance", sent_protobuf({
      labels = { instance = "x" },
      a_total = metric.counter { "A.", labels = { "l" } },
    }, { instance = "i" }))
    assert.is_nil(sent_protobuf({
      a_total = metric.counter { "The job at the instance.",
        labels = { "jobs" } },
    }, { instance = "i", x = "x" }))
  end)

  it("is not looked for in what is no protobuf", function()
    for _, bytes in ipairs { "", "\x05", "\xFF", ("\xFF"):rep(20), "\2\x22\xFF",
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1", "job", "\3\x22\x7Fjob",
      "\4\x22\2\x0A\0job", "\5\x22\3\x0A\1\x08job",
      "\6\x22\4\x0A\2\x0A\x7Fjob" } do
      serve(function() return {} end, function(stand)
        assert.is_true(push.send(stand.url, bytes,
          { job = "j", format = "protobuf" }))
        assert.equal(bytes, stand.requests[1].body)
        assert.matches("^application/vnd%.google%.protobuf; proto=" ..
          "io%.prometheus%.client%.MetricFamily; encoding=delimited$",
          stand.requests[1].headers["content-type"])
      end)
    end
  end)

  it("is looked for in little time", timely(function()
    local text = ('a{instance="i",other="value"} 1\n'):rep(100000)
    local began = clock.monotonic()
    assert.is_nil(sent(text, { host = "h", rack = "r" }))
    assert.is_true(clock.monotonic() - began < 2)
  end))
end)

describe("an option of push", function()
  local function refuses(options, raised)
    local message = assert.has_error(function()
      push.send("http://127.0.0.1:1", TEXT, options)
    end, raised)
    assert.matches("push_spec%.lua:%d+: ", message)
  end

  it("must be known and right", function()
    refuses(nil, "expected a table of options, with a job")
    refuses("x", "expected a table of options, got string")
    refuses({}, "the option 'job' is missing")
    refuses({ job = "" }, "option 'job': expected a name that is not empty")
    refuses({ job = 5 }, "option 'job': expected a string")
    refuses({ job = "\xff" }, "option 'job': expected UTF-8")
    refuses({ job = "j", usernam = "u" },
      "unknown option 'usernam'; did you mean 'username'?")
    refuses({ job = "j", redirects = 1 }, "unknown option 'redirects'")
    refuses({ job = "j", method = "put" },
      "option 'method': expected 'PUT' or 'POST'")
    refuses({ job = "j", format = "openmetrics" },
      "option 'format': expected 'text' or 'protobuf'")
    refuses({ job = "j", timeout = 0 }, "option 'timeout': expected seconds")
    refuses({ job = "j", password = {} }, "option 'password': expected a string")
    refuses({ job = "j", grouping = "x" },
      "option 'grouping': expected a table of labels, got string")
  end)

  it("names labels as the gateway wants them", function()
    local function groups(name, value, raised)
      refuses({ job = "j", grouping = { [name] = value } },
        "option 'grouping': " .. raised)
    end
    groups("job", "x", "the job is an option of its own")
    for _, name in ipairs { "__a", "1a", "a-b", "", "a@base64", "ä", "a/b" } do
      groups(name, "x", "expected names of labels as keys, got '" .. name)
    end
    groups(1, "x", "expected names of labels as keys")
    groups("a", true, "expected a string for 'a', got boolean")
    groups("a", 1.5, "expected a string for 'a', got number")
    groups("a", "\xff", "expected UTF-8 for 'a'")
    assert.has_error(function() push.path { job = "j", grouping = 1 } end,
      "option 'grouping': expected a table of labels")
    assert.has_error(function() push.delete("http://x", { job = 1 }) end,
      "option 'job': expected a string")
  end)

  it("does not make up for what is not sent", function()
    assert.has_error(function() push.send("http://x", nil, { job = "j" }) end,
      "expected a text to push, got nil")
    assert.has_error(function() push.send("http://x", "a 1", { job = "j" }) end,
      "the text does not end in a line feed")
    assert.has_error(function() push.send(nil, TEXT, { job = "j" }) end,
      "expected the URL of a gateway, got nil")
    local registry = metric.registry {}
    local message = assert.has_error(function()
      registry:push("http://x", { jop = "j" })
    end, "unknown option 'jop'; did you mean 'job'?")
    assert.matches("push_spec%.lua:%d+: ", message)
  end)
end)
