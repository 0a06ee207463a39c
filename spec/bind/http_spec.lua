-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"
local exporter = require "exporter"
local http = require "http"
local json = require "json"
local task = require "task"
local timely = dofile "spec/bind/timely.lua"

local serve = dofile "spec/bind/stand_in.lua"

local function say(response)
  return function() return response end
end

-- What the server saw of one request.
local function seen(call)
  return serve(say {}, function(stand)
    assert(call(stand.url))
    assert.equal(1, #stand.requests)
    return stand.requests[1]
  end)
end

describe("http", function()
  it("sends each verb", function()
    for _, verb in ipairs { "get", "post", "put", "delete", "head" } do
      local request = seen(function(url) return http[verb](url .. "/x") end)
      assert.equal(verb:upper(), request.method)
      assert.equal("/x", request.path)
      assert.equal("", request.body)
    end
    local request = seen(function(url)
      return http.request(url, { method = "patch", body = "x" })
    end)
    assert.equal("PATCH", request.method)
  end)

  it("returns an answer", function()
    serve(say { status = 201, headers = { ["X-Thing"] = "a",
      ["Set-Cookie"] = { "a=1", "b=2", "c=3" } }, body = "héllo\0" },
      function(stand)
        local answer = assert(http.get(stand.url .. "/p?q=1"))
        assert.equal(201, answer.status)
        assert.equal("héllo\0", answer.body)
        assert.equal("a", answer.headers["x-thing"])
        assert.equal("a=1, b=2, c=3", answer.headers["set-cookie"])
        assert.matches("^" .. stand.url .. "/p", answer.url)
        assert.is_nil(answer.certificate_expiry)
        assert.is_true(answer.timings.total > 0)
        assert.is_true(answer.timings.total >= answer.timings.first_byte)
        assert.equal(0, answer.timings.tls)
        assert.equal(1, select("#", http.get(stand.url)))
      end)
  end)

  it("joins a header that comes very often in time", function()
    local many = {}
    for i = 1, 2000 do
      many[i] = tostring(i)
    end
    serve(say { headers = { ["X-Many"] = many } }, function(stand)
      local answer = assert(http.get(stand.url))
      assert.equal(table.concat(many, ", "), answer.headers["x-many"])
    end)
  end)

  it("encodes a query, sorted, and keeps the one that is there", function()
    local query = { b = { 1, 2.5, true }, a = "ä &=#+", ["c d"] = 3.0 }
    local wanted = "a=%C3%A4%20%26%3D%23%2B&b=1&b=2.5&b=true&c%20d=3"
    assert.equal("/x?" .. wanted, seen(function(url)
      return http.get(url .. "/x", { query = query })
    end).path)
    assert.equal("/?z=1&" .. wanted, seen(function(url)
      return http.get(url .. "/?z=1#top", { query = query })
    end).path)
    assert.equal("/x", seen(function(url)
      return http.get(url .. "/x", { query = {} })
    end).path)
  end)

  it("sends JSON, forms and text with their types", function()
    local request = seen(function(url)
      return http.post(url, { json = { a = { 1, 2 } } })
    end)
    assert.same({ a = { 1, 2 } }, json.decode(request.body))
    assert.equal("application/json", request.headers["content-type"])
    request = seen(function(url)
      return http.post(url, { form = { user = "a b", password = "p&=ü" } })
    end)
    assert.equal("password=p%26%3D%C3%BC&user=a+b", request.body)
    assert.equal("application/x-www-form-urlencoded",
      request.headers["content-type"])
    request = seen(function(url) return http.put(url, { body = "\0x" }) end)
    assert.equal("\0x", request.body)
    assert.equal("application/octet-stream", request.headers["content-type"])
    request = seen(function(url)
      return http.put(url, { body = "<a/>",
        headers = { ["content-TYPE"] = "application/xml" } })
    end)
    assert.equal("application/xml", request.headers["content-type"])
    assert.is_nil(request.head:find "octet")
    assert.equal("false", seen(function(url)
      return http.post(url, { json = false })
    end).body)
  end)

  it("sends a large body", function()
    local body = ("0123456789abcdef"):rep(1 << 17)
    assert.is_true(body == seen(function(url)
      return http.post(url, { body = body })
    end).body)
  end)

  it("sends headers, Accept and credentials", function()
    local request = seen(function(url)
      return http.get(url, { headers = { ["X-Requested-With"] = "lunex",
        ["X-Number"] = 3 }, accept = "application/xml", user = "ann",
        password = "pwd" })
    end)
    assert.equal("lunex", request.headers["x-requested-with"])
    assert.equal("3", request.headers["x-number"])
    assert.equal("application/xml", request.headers.accept)
    assert.equal("Basic YW5uOnB3ZA==", request.headers.authorization)
    request = seen(function(url) return http.get(url, { bearer = "tkn" }) end)
    assert.equal("Bearer tkn", request.headers.authorization)
  end)

  it("goes through a proxy and a unix socket", function()
    serve(say { body = "proxied" }, function(stand)
      local answer = assert(http.get("http://nowhere.invalid/x",
        { proxy = stand.url }))
      assert.equal("proxied", answer.body)
      assert.equal("http://nowhere.invalid/x", stand.requests[1].path)
    end)
    local path = os.tmpname()
    os.remove(path)
    serve(say { body = "local" }, function()
      assert.equal("local", assert(http.get("http://localhost/",
        { unix_socket = path })).body)
    end, path)
    os.remove(path)
  end)

  it("says when it is the proxy that refuses", function()
    local options = { proxy = "http://me:hidden@127.0.0.1:1" }
    for _, scheme in ipairs { "http", "https" } do
      local _, message = http.get(scheme .. "://nowhere.invalid/", options)
      assert.equal("GET " .. scheme .. "://nowhere.invalid/: the proxy: " ..
        "connection refused", message)
    end
    local _, message = http.get("http://127.0.0.1:1/")
    assert.equal("GET http://127.0.0.1:1/: connection refused", message)
    _, message = http.get("http://[::1]:1/")
    assert.is_nil(message:find "proxy")
    _, message = http.get("http://h/", { proxy = "odd://me:hidden@h" })
    assert.equal("GET http://h/: the scheme of the proxy is not known", message)
  end)

  it("keeps no cookies", function()
    serve(say { headers = { ["Set-Cookie"] = "id=1" } }, function(stand)
      assert(http.get(stand.url))
      assert(http.get(stand.url))
      assert.is_nil(stand.requests[2].headers.cookie)
    end)
  end)
end)

describe("a failure of http", function()
  local function failure(response, path, options)
    return serve(say(response), function(stand)
      local result, message, answer = http.get(stand.url .. path, options)
      assert.is_nil(result)
      return message:gsub(stand.url, "URL"), answer
    end)
  end

  it("is nil, a sentence and the answer for a status that is not 2xx", function()
    for status, text in pairs { [503] = "503 Service Unavailable",
      [401] = "401 Unauthorized", [304] = "304 Not Modified", [599] = "599" } do
      local message, answer = failure({ status = status,
        body = status ~= 304 and "why" or "" }, "/x")
      assert.equal("GET URL/x: " .. text, message)
      assert.equal(status, answer.status)
      assert.equal(status ~= 304 and "why" or "", answer.body)
    end
  end)

  it("tells the name of a host that needs another form", function()
    local _, message = http.get "http://b\xc3\xbccher.invalid/"
    assert.matches("^GET http://b%%C3%%BCcher.invalid/: the host is malformed",
      message)
  end)

  it("shows neither credentials nor the values of a query", function()
    serve(say { status = 500 }, function(stand)
      local url = stand.url:gsub("//", "//ann:hunter2@")
      local _, message = http.post(url .. "/x?token=abcdef",
        { query = { key = "ghijkl" }, bearer = "mnopqr", json = { a = "stuvwx" },
          headers = { ["X-Api-Key"] = "yz1234" } })
      assert.matches("^POST http://127.0.0.1:%d+/x", message)
      assert.matches(": 500 Internal Server Error$", message)
      for _, secret in ipairs { "ann", "hunter2", "abcdef", "ghijkl", "mnopqr",
        "stuvwx", "yz1234" } do
        assert.is_nil(message:find(secret, 1, true))
      end
    end)
  end)

  it("is nil and a sentence when nobody answers", function()
    local url = serve(say {}, function(stand) return stand.url end)
    local result, message, answer = http.get(url .. "/x")
    assert.is_nil(result)
    assert.equal("GET " .. url .. "/x: connection refused", message:lower()
      :gsub("^get", "GET"))
    assert.is_nil(answer)
    result, message = http.delete("http://nowhere.invalid/x",
      { proxy = "" })
    assert.is_nil(result)
    assert.matches("^DELETE http://nowhere.invalid/x: ", message)
  end)

  it("is nil and a sentence for what cannot be a request", function()
    for _, url in ipairs { "", "x", "/x", "ftp://h/", "http://", "http:///x",
      "http://a b/", "file:///etc/passwd" } do
      local result, message = http.get(url)
      assert.is_nil(result)
      assert.is_true(#message > 10)
    end
    local result, message = http.get("http://127.0.0.1:1/",
      { headers = { ["X-A"] = "secret1\r\nX-B: c" } })
    assert.is_nil(result)
    assert.is_nil(message:find "secret1")
    result, message = http.get("https://127.0.0.1:1/",
      { ca_file = "/nowhere/ca.pem" })
    assert.is_nil(result)
    assert.matches("/nowhere/ca.pem", message)
    assert.has_error(function() http.get "http://h/\0x" end, "NUL")
  end)

  it("comes when the server hangs up before or in its answer", function()
    for _, text in ipairs { "", "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "nonsense\r\n\r\n" } do
      for _, how in ipairs { "close", "reset" } do
        serve(function(_, connection)
          connection:write(text)
          task.sleep(0.01)
          connection[how](connection)
        end, function(stand)
          local result, message, answer = http.get(stand.url .. "/x")
          assert.is_nil(result)
          assert.is_nil(answer)
          assert.matches("^GET " .. stand.url .. "/x: .", message)
        end)
      end
    end
  end)

  it("comes when the body is larger than body_max", function()
    serve(say { body = ("x"):rep(5000) }, function(stand)
      assert.equal(5000, #assert(http.get(stand.url, { body_max = 5000 })).body)
      local result, message = http.get(stand.url, { body_max = 4999 })
      assert.is_nil(result)
      assert.matches("^GET " .. stand.url .. "/?: .*4999", message)
    end)
  end)

  it("comes when redirects do not end, or are not wanted", function()
    serve(function(request)
      local n = tonumber(request.path:match "%d+")
      if n == 0 then
        return { body = "there" }
      end
      return { status = 302, headers = { Location = "/" .. n - 1 } }
    end, function(stand)
      assert.equal("there", assert(http.get(stand.url .. "/3")).body)
      assert.matches("/0$", assert(http.get(stand.url .. "/3")).url)
      local result, message = http.get(stand.url .. "/3", { redirects = 2 })
      assert.is_nil(result)
      assert.matches("redirect", message)
      assert.is_nil((http.get(stand.url .. "/1000")))
      local answer
      result, message, answer = http.get(stand.url .. "/3", { redirects = 0 })
      assert.is_nil(result)
      assert.equal("GET " .. stand.url .. "/3: 302 Found", message)
      assert.equal("/2", answer.headers.location)
    end)
  end)

  it("comes at the timeout", timely(function()
    serve(function() end, function(stand)
      local began = clock.monotonic()
      local result, message, answer = http.get(stand.url .. "/x",
        { timeout = 0.05 })
      local took = clock.monotonic() - began
      assert.is_nil(result)
      assert.is_nil(answer)
      assert.matches("^GET " .. stand.url .. "/x: ", message)
      assert.is_true(took >= 0.04 and took < 1)
    end)
  end))

  it("comes before the deadline of the task", timely(function()
    serve(function() end, function(stand)
      local result, message
      local _, why = task.timeout(2, function()
        result, message = http.get(stand.url, { timeout = 5 })
      end)
      assert.is_nil(why)
      assert.is_nil(result)
      assert.matches("^GET " .. stand.url, message)
      task.timeout(0.01, function()
        local stop = clock.monotonic() + 0.011
        while clock.monotonic() < stop do end
        result, message = http.get(stand.url)
      end)
      assert.is_nil(result)
      assert.matches("^GET " .. stand.url .. "/?: no time is left$", message)
    end)
  end))
end)

describe("answer:json", function()
  local function decoded(content_type, body, options)
    return serve(say { headers = { ["Content-Type"] = content_type },
      body = body }, function(stand)
      local answer = assert(http.get(stand.url .. "/v1?key=value1", options))
      local value, message = answer:json()
      return value, message and message:gsub(stand.url, "URL")
    end)
  end

  it("reads JSON, whatever it is called", function()
    assert.same({ a = 1 }, (decoded("application/json", '{"a":1}')))
    assert.same({ 1 }, (decoded("text/plain", "[1]")))
    assert.equal(json.null, (decoded(nil, "null")))
    assert.is_false((decoded(nil, "false")))
  end)

  it("says what came instead", function()
    local value, message = decoded("text/html; charset=utf-8",
      "<html>\n\t<head><title>Sign in, please, now and for ever</title></head>")
    assert.is_nil(value)
    assert.equal("GET URL/v1?key=...: expected JSON, got text/html: <html> " ..
      "<head><title>Sign in, please, now and for ever</title...", message)
    value, message = decoded("text/plain", "")
    assert.is_nil(value)
    assert.equal("GET URL/v1?key=...: expected JSON, got an empty body", message)
    value, message = decoded(nil, "no \xff\0\27[31m>")
    assert.is_nil(value)
    assert.equal("GET URL/v1?key=...: expected JSON, got an unknown type: " ..
      "no ? [31m>", message)
    value, message = decoded("text/html", "<" .. ("é"):rep(100))
    assert.is_nil(value)
    assert.equal("GET URL/v1?key=...: expected JSON, got text/html: <" ..
      ("é"):rep(29) .. "...", message)
  end)

  it("shows no part of broken data", function()
    local value, message = decoded("application/json", '{"token":"abcdef", ')
    assert.is_nil(value)
    assert.matches("^GET URL/v1%?key=...: expected JSON, got broken " ..
      "application/json %(JSON: .+%)$", message)
    assert.is_nil(message:find "abcdef")
  end)

  it("shows nothing that could be data of another kind", function()
    for content_type, body in pairs {
      ["text/plain"] = "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM",
      ["application/x-www-form-urlencoded"] = "access_token=gho_x&scope=repo",
      ["text/xml"] = "<login><token>gho_x</token></login>",
      ["text/html"] = "<?xml version='1.0'?><token>gho x</token>",
    } do
      local value, message = decoded(content_type, body)
      assert.is_nil(value)
      assert.equal("GET URL/v1?key=...: expected JSON, got " .. content_type,
        message)
    end
    local _, message = decoded("text/html", "<html>your key is " ..
      ("4fG_"):rep(8) .. ", now go")
    assert.matches("got text/html: <html>your key is ..., now go$", message)
  end)

  it("shows nothing that the request kept secret", function()
    local value, message = decoded("text/html", "<p>Bearer tokentoken, key " ..
      "value1, x=value2: no", { bearer = "tokentoken",
      query = { x = "value2" } })
    assert.is_nil(value)
    assert.matches("got text/html: <p>Bearer ..., key ..., x=...: no$", message)
    value, message = decoded("text/html", "<p>Basic dXNlcjo=, login hidden1: no",
      { json = { login = { password = "hidden1" } } })
    assert.is_nil(value)
    assert.matches("got text/html: <p>Basic ... login ...: no$", message)
  end)

  it("ends soon with 100 000 nested lists", function()
    local n = 100000
    local value, message = decoded("application/json",
      ("["):rep(n) .. ("]"):rep(n))
    assert.is_nil(value)
    assert.matches("nested", message)
  end)
end)

describe("answer:table", function()
  it("reads JSON and XML, whatever they are called", function()
    for body, content_type in pairs {
      ['{"list":{"a":"1"}}'] = "text/plain",
      ["<list><a>1</a></list>"] = "text/html",
    } do
      serve(say { headers = { ["Content-Type"] = content_type }, body = body },
        function(stand)
          local answer = assert(http.get(stand.url))
          assert.same({ list = { a = "1" } }, (answer:table()))
        end)
    end
  end)
end)

describe("a mistake of the script", function()
  local function mistake(options)
    local ok, message = pcall(http.get, "http://127.0.0.1:1/", options)
    assert.is_false(ok)
    return message
  end

  it("is an unknown option, and the one that was meant is named", function()
    assert.matches("^spec/bind/http_spec.lua:%d+: unknown option 'timout'; " ..
      "did you mean 'timeout'%?$",
      select(2, pcall(function()
        http.get("http://h/", { timout = 1 })
      end)))
    assert.matches("unknown option 'zzzzzz'$", mistake { zzzzzz = 1 })
    assert.matches("options have names, got a number", mistake { "x" })
    assert.matches("unknown option 'base_url'", mistake { base_url = "http://h" })
  end)

  it("is an option of the wrong type, whose value is not shown", function()
    for key, case in pairs {
      timeout = { "1secret", "seconds, got string" },
      headers = { { x = {} }, "text for 'x', got table" },
      password = { {}, "a string, got table" },
      bearer = { 12345, "a string" },
      insecure = { "yes", "a boolean, got string" },
      redirects = { -1, "an integer, 0 to 50" },
      body_max = { 0, "an integer, 1 to 1073741824" },
      query = { { a = { {} } }, "text, a number, a boolean or a list for 'a'" },
      form = { { "x" }, "names as keys" },
      method = { "a b", "the name of a method" },
    } do
      local message = mistake { [key] = case[1] }
      assert.matches("option '" .. key .. "': expected " .. case[2], message)
      assert.is_nil(message:find "secret")
      assert.is_nil(message:find "12345")
    end
    assert.matches("above 0", mistake { timeout = 0 })
    assert.matches("above 0", mistake { timeout = math.huge })
  end)

  it("is a NUL in what is no body", function()
    assert.matches("^spec/bind/http_spec.lua:%d+: the URL contains a NUL$",
      select(2, pcall(function() http.get "http://h/\0" end)))
    assert.matches("option 'user': expected a string without NUL$",
      mistake { user = "a\0" })
    assert.matches("option 'headers': expected headers without NUL$",
      mistake { headers = { a = "\0" } })
  end)

  it("is more than one body, a method twice, no URL", function()
    assert.matches("only one makes sense", mistake { json = 1, body = "x" })
    assert.matches("option 'method' is for request", mistake { method = "PUT" })
    assert.matches("option 'json': .*function", mistake { json = print })
    assert.has_error(function() http.get() end, "expected a URL, got nil")
    assert.has_error(function() http.get("http://h/", 3) end,
      "expected a table of options, got number")
  end)

  it("is a request where Lua cannot wait", function()
    assert.has_error(function()
      table.sort({ 1, 2 }, function() return http.get "http://127.0.0.1:1/" end)
    end, "I/O is not possible here (inside table.sort)")
  end)
end)

describe("a task that waits for an answer", function()
  it("can be cancelled", function()
    serve(function() end, function(stand)
      local began = clock.monotonic()
      local client <close> = http.client { rate = { requests = 5, per = 60 } }
      local ok, message = pcall(task.all,
        function() return client:get(stand.url, { timeout = 5 }) end,
        function()
          while #stand.requests == 0 do
            task.sleep(0.001)
          end
          error("enough", 0)
        end)
      assert.is_false(ok)
      assert.equal("enough", message)
      assert.is_true(clock.monotonic() - began < 2)
    end)
  end)

  it("is one of 64 at a time", function()
    local now, most = 0, 0
    serve(function(request)
      now = now + 1
      most = math.max(most, now)
      repeat
        task.sleep(0.01)
      until most > 32
      now = now - 1
      return { body = request.path }
    end, function(stand)
      local client <close> = http.client { base_url = stand.url,
        connections = 64 }
      local paths = {}
      for i = 1, 500 do
        paths[i] = "/" .. i
      end
      local bodies = task.each(paths, function(path)
        return assert(client:get(path)).body
      end, 64)
      assert.same(paths, bodies)
      assert.is_true(most <= 64)
      assert.is_true(stand.connections <= 64)
    end)
  end)

  it("fails its collection with the sentence", function()
    serve(function() end, function(stand)
      local e <close> = assert(exporter.load([[
        local http = require "http"
        return {
          name = "stuck",
          config = { url = { "" } },
          metrics = {},
          collect = function(m, config)
            assert(http.get(config.url))
          end,
        }
      ]], { url = stand.url }))
      local ok, message = e:collect(2)
      assert.is_false(ok)
      assert.matches("GET " .. stand.url, message)
    end)
  end)
end)
