-- SPDX-License-Identifier: Apache-2.0
-- Sessions with a server that can be told how to take a login.

local exporter = require "exporter"
local http = require "http"
local session = require "session"
local task = require "task"

local STAND_IN <const> = [[
  local clock = require "clock"
  local json = require "json"
  local task = require "task"
  local now = { login = 200, ready = 200, data = 200, slow = 0 }
  local seen = { logins = 0, data = 0, ready = 0, current = "", times = {} }
  return {
    name = "stand_in",
    routes = {
      ["PUT /now"] = function(request)
        for key, value in pairs(json.decode(request.body)) do
          now[key] = value
        end
        return "ok"
      end,
      ["GET /seen"] = function() return { json = seen } end,
      ["GET /ready"] = function()
        seen.ready = seen.ready + 1
        return { status = now.ready, body = "" }
      end,
      ["POST /login"] = function(request)
        seen.logins = seen.logins + 1
        seen.times[seen.logins] = clock.monotonic()
        seen.form = request.body
        local number = seen.logins
        task.sleep(now.slow)
        if now.login ~= 200 then
          return { status = now.login, body = "no" }
        end
        seen.current = "SID=" .. number
        return { headers = { ["Set-Cookie"] = seen.current }, body = "yes" }
      end,
      ["POST /forget"] = function() seen.current = "" return "ok" end,
      ["GET /data"] = function(request)
        seen.data = seen.data + 1
        if request.headers.cookie ~= seen.current then
          return { status = 401, body = "who?" }
        end
        return { status = now.data, body = "data" }
      end,
    },
  }
]]

describe("a session", function()
  local stand_in, url, form

  before_each(function()
    stand_in = assert(exporter.load(STAND_IN, {}, { serve = true }))
    url = stand_in:url()
    form = { user = "u", password = "s3cret" }
  end)

  after_each(function()
    stand_in:close()
  end)

  local function open(options)
    local login = { url = "/login", form = form }
    for key, value in pairs(options or {}) do
      login[key] = value
    end
    return session.open({ base_url = url }, login)
  end

  local function open_with(login)
    return session.open({ base_url = url }, login)
  end

  local function now(change)
    assert(http.put(url .. "/now", { json = change }))
  end

  local function seen()
    return assert(assert(http.get(url .. "/seen")):json())
  end

  local function data(one)
    return assert(one:get "/data").body
  end

  it("tells of a URL that cannot be one at the place of the caller", function()
    assert.has_error(function()
      session.open({ base_url = "h/api" }, { url = "/login" })
    end, "session_spec.lua:" .. debug.getinfo(1, "l").currentline - 1 ..
      ": option 'base_url': expected http:// or https://, a host and at " ..
      "most a path, got 'h/api'")
  end)

  it("says what is wrong with a login", function()
    local function refused(login, message)
      assert.has_error(function() open_with(login) end, message)
    end
    refused(nil, "expected what logs in, such as { url = ")
    refused({ form = form }, "expected what logs in, such as { url = ")
    refused({ url = "/login", forn = form }, "unknown key 'forn' of the login")
    refused({ url = "/login", form = "x" },
      "'form' of the login: expected a table, got string")
    local one = open()
    assert.has_error(function() return one.get "/data" end,
      "ask with a colon: session:get(url)")
    assert.has_error(function() return one.client.get "/data" end,
      "ask with a colon: client:get(url)")
  end)

  it("names what was probably meant", function()
    assert.has_error(function() return session.opne end,
      "session has no 'opne'; did you mean 'open'?")
    assert.has_error(function() return http.gett end,
      "http has no 'gett'; did you mean 'get'?")
  end)

  it("logs in once for all requests", function()
    local one = open()
    assert.equal("data", data(one))
    assert.equal("data", data(one))
    assert.equal("data", data(open()))
    assert.equal(1, seen().logins)
    assert.equal(3, seen().data)
    assert.matches("password=s3cret", seen().form)
    one.client:close()
  end)

  it("logs in once for tasks that ask at the same time", function()
    now { slow = 0.05 }
    local one = open()
    local function ask() return data(one) end
    task.all(ask, ask, ask, ask)
    assert.equal(1, seen().logins)
    assert(http.post(url .. "/forget"))
    task.all(ask, ask, ask, ask)
    assert.equal(2, seen().logins)
    one.client:close()
  end)

  it("logs in again when the server has forgotten it", function()
    local one = open()
    data(one)
    assert(http.post(url .. "/forget"))
    assert.equal("data", data(one))
    assert.equal(2, seen().logins)
    one.client:close()
  end)

  it("is another one for another user, password or server option", function()
    local one = open()
    assert.equal(one, open())
    form = { user = "u", password = "other" }
    assert(one ~= open())
    form = { user = "u", password = "s3cret" }
    assert(one ~= session.open({ base_url = url, insecure = true },
      { url = "/login", form = form }))
    assert.equal(one, open())
  end)

  it("is dropped when there are too many, the one unused for longest", function()
    local one = open()
    data(one)
    for i = 1, 256 do
      session.open({ base_url = url }, { url = "/login/" .. i })
    end
    local again = open()
    assert(one ~= again)
    data(again)
    assert.equal(2, seen().logins)
    again.client:close()
  end)

  it("passes on what is no 401", function()
    local one = open()
    now { data = 503 }
    local answer, message, refused = one:get "/data"
    assert.is_nil(answer)
    assert.matches("GET .*/data: 503 Service Unavailable$", message)
    assert.equal(503, refused.status)
    assert.equal(1, seen().logins)
    one.client:close()
  end)

  it("does not log in for a while after a login that failed", function()
    local one = open()
    now { login = 401 }
    local answer, message = one:get "/data"
    assert.is_nil(answer)
    assert.matches("POST .*/login: 401 Unauthorized; no other login before " ..
      "%d+%-%d+%-%d+T", message)
    assert(not message:find "s3cret")
    now { login = 200 }
    local _, again = one:get "/data"
    assert.equal(message, again)
    assert.equal(1, seen().logins)
    assert.equal(0, seen().data)
    one.client:close()
  end)

  it("waits twice as long after each login that failed", function()
    local one = open { pause = 0.1 }
    now { login = 403 }
    local clock = require "clock"
    local begun, logins = {} -- when the request that logged in began
    repeat
      local begin = clock.monotonic()
      one:get "/data"
      logins = seen().logins
      begun[logins] = begun[logins] or begin
    until logins == 3
    local times = seen().times
    assert(times[2] - begun[1] >= 0.1, "the second login came too soon")
    assert(times[3] - begun[2] >= 0.2, "the third login came too soon")
    now { login = 200 }
    repeat until one:get "/data"
    assert(http.post(url .. "/forget"))
    assert.equal("data", data(one))
    assert.equal(5, seen().logins)
    one.client:close()
  end)

  it("tells tasks that waited for a login that failed the same", function()
    now { login = 401, slow = 0.05 }
    local one = open()
    local messages = {}
    local function ask()
      local _, message = one:get "/data"
      table.insert(messages, message)
    end
    task.all(ask, ask, ask)
    assert.equal(3, #messages)
    assert.equal(messages[1], messages[2])
    assert.equal(messages[1], messages[3])
    assert.equal(1, seen().logins)
    one.client:close()
  end)

  it("counts a login that nobody waited for to the end", function()
    now { slow = 5 }
    local one = open()
    pcall(task.all, function() one:get "/data" end, function()
      repeat until seen().logins == 1
      error "cancels the other"
    end)
    local answer, message = one:get "/data"
    assert.is_nil(answer)
    assert.matches("not answered in time; no other login before", message)
    assert.equal(1, seen().logins)
    one.client:close()
  end)

  it("does not count a server that has trouble of its own", function()
    local one = open()
    now { login = 503 }
    local _, message = one:get "/data"
    assert.matches("/login: 503 Service Unavailable$", message)
    now { login = 200 }
    assert.equal("data", data(one))
    assert.equal(2, seen().logins)
    one.client:close()
  end)

  it("sends no password to a server that is not ready", function()
    local function ready(client)
      return client:get "/ready"
    end
    local one = open { ready = ready }
    now { ready = 503 }
    local _, message = one:get "/data"
    assert.matches("GET .*/ready: 503 Service Unavailable$", message)
    assert.equal(0, seen().logins)
    now { ready = 200 }
    assert.equal("data", data(one))
    assert.equal("data", data(one))
    assert.equal(2, seen().ready)
    one.client:close()
  end)

  it("rests after a login that was good for nothing", function()
    local one = open { pause = 60 }
    now { data = 401 }
    local _, message = one:get "/data"
    assert.matches("GET .*/data: 401 Unauthorized$", message)
    _, message = one:get "/data"
    assert.matches("401 Unauthorized; no other login before", message)
    assert.equal(1, seen().logins)
    assert.equal(2, seen().data)
    one.client:close()
  end)
end)
