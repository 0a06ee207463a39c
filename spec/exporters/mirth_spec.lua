-- SPDX-License-Identifier: Apache-2.0
-- The Mirth exporter before a server that repeats the answers of a real one:
-- answers in, page out.
local exporter = require "exporter"
local http = require "http"

local SERVER <const> = "spec/fixtures/mirth/server.lua"
local UMLAUT <const> = [[Übergabe Lab & Rx <ORU> \"q\" \\ test]]

-- The page as a table: "name{labels}" -> text of the value.
local function samples(e)
  local page = {}
  for line in e:page():gmatch "[^\n]+" do
    local name, value = line:match "^([^#].*) (%S+)$"
    if name then page[name] = value end
  end
  return page
end

-- Without what differs from run to run.
local function golden_part(page)
  local lines = {}
  for line in page:gmatch "[^\n]+" do
    local name = line:match "^# %u+ (%S+)" or line:match "^[^{ ]+"
    if name ~= "mirth_scrape_duration_seconds" and
      name ~= "mirth_last_success_timestamp_seconds" then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("mirth", function()
  local server, url, running

  before_each(function()
    server = assert(exporter.load(SERVER, {}, { serve = true }))
    url, running = server:url(), {}
  end)

  after_each(function()
    for _, e in ipairs(running) do e:close() end
    server:close()
  end)

  local function load(changes)
    local config = { endpoint = url, user = "monitor", password = "pa ss" }
    for key, value in pairs(changes or {}) do config[key] = value or nil end
    local e = assert(exporter.load("exporters/mirth.lua", config))
    table.insert(running, e)
    return e
  end

  local function seen()
    return assert(assert(http.get(url .. "/stand-in/seen")):json())
  end

  local function answer(path, change)
    path = path:find "/" and path or "root/" .. path
    assert(http.put(url .. "/stand-in/answers/" .. path, { json = change }))
  end

  local function xml(path, body) answer(path, { body = body }) end

  local function collected(changes)
    local e = load(changes)
    assert(e:collect())
    return samples(e), e
  end

  it("shows the golden page for the answers of a real server", function()
    local _, e = collected()
    local file <close> = assert(io.open("spec/golden/mirth.prom", "rb"))
    assert.equal(file:read "a", golden_part(e:page()))
  end)

  it("sends X-Requested-With and prefers XML", function()
    collected()
    local headers = seen().headers
    assert.equal("lunex", headers["x-requested-with"])
    assert.matches("^application/xml,", headers.accept)
  end)

  it("takes the endpoint with /api and without, in either place", function()
    for _, changes in ipairs { { endpoint = url .. "/" },
      { endpoint = url .. "/api/" }, { endpoint = false, base_api_url = url },
      { endpoint = false, base_api_url = url .. "/api" } } do
      assert.equal("1", collected(changes).mirth_up)
    end
  end)

  it("says how to name a server when it has none", function()
    local ok, message = load({ endpoint = false }):collect()
    assert.is_false(ok)
    assert.matches("give %-%-endpoint or MIRTH_ENDPOINT", message)
  end)

  it("logs in once, for all parts and collections", function()
    local _, e = collected()
    assert(e:collect())
    assert(e:collect())
    assert.equal(1, seen().logins)
  end)

  it("logs in again when the session has ended", function()
    local _, e = collected()
    assert(http.post(url .. "/stand-in/forget"))
    assert(e:collect())
    assert.equal(2, seen().logins)
    assert.equal("1", samples(e).mirth_up)
  end)

  it("does not try a wrong password again and again", function()
    local e = load { password = "wr0ng-secret" }
    for _ = 1, 3 do
      local ok, message = e:collect()
      assert.is_false(ok)
      assert.matches("/users/_login: 401 Unauthorized; no other login before %d",
        message)
      assert(not message:find "wr0ng")
    end
    assert.equal(1, seen().logins)
    local page = samples(e)
    assert.equal("0", page.mirth_up)
    assert.equal("1", page['mirth_scrape_success{part="server"}'])
    assert.equal('1', page['mirth_info{version="4.5.2"}'])
  end)

  it("does not log in while the server is starting", function()
    local e = load()
    xml("server/status", "<int>2</int>")
    local ok, message = e:collect()
    assert.is_false(ok)
    assert.matches("the server is not running", message)
    assert.equal("2", samples(e).mirth_server_status)
    answer("server/status", { status = 503 })
    assert.is_false((e:collect()))
    assert.equal(0, seen().logins)
    answer("server/status", {})
    assert(e:collect())
    assert.equal(1, seen().logins)
  end)

  it("keeps the other parts when one endpoint fails", function()
    local _, e = collected()
    for path, part in pairs {
      ["channels/statistics"] = "channel_statistics",
      ["channels/statuses"] = "channel_statuses",
      ["system/stats"] = "system_stats",
      ["databaseTasks"] = "database_tasks",
      ["server/version"] = "server",
    } do
      for _, change in ipairs { { status = 500 }, { body = "<list><chan" },
        { body = "<html><body>Bad Gateway</body></html>", type = "text/html" },
        { body = "{}", type = "application/json" },
        { body = "[]", type = "application/json" } } do
        answer(path, change)
        local ok, message = e:collect()
        assert.is_false(ok)
        assert.matches(path:match "%w+$", message)
        local page = samples(e)
        assert.equal("0", page.mirth_up)
        for _, other in ipairs { "channel_statistics", "channel_statuses",
          "system_stats", "database_tasks", "server" } do
          assert.equal(other .. (other == part and " 0" or " 1"), other .. " " ..
            page['mirth_scrape_success{part="' .. other .. '"}'])
        end
      end
      answer(path, {})
      assert(e:collect())
    end
  end)

  it("understands JSON", function()
    local file <close> = assert(io.open "spec/fixtures/mirth/statistics.json")
    answer("channels/statistics",
      { type = "application/json", body = file:read "a" })
    local page = collected()
    assert.equal("10",
      page['mirth_messages_received_total{channel="ADT-Inbound"}'])
    assert.equal("2", page['mirth_messages_sent_total{channel="' .. UMLAUT ..
      '"}'])
  end)

  it("understands Mirth's JSON of lists with one element or none", function()
    local kind = "application/json"
    answer("channels/idsAndNames", { type = kind,
      body = '{"map":{"entry":{"string":["a-1",123]}}}' })
    answer("channels/statistics", { type = kind,
      body = '{"list":{"channelStatistics":{"channelId":"a-1","received":7}}}' })
    answer("channels/statuses", { type = kind, body = '{"list":null}' })
    answer("databaseTasks", { type = kind, body = '{"map":""}' })
    local page, e = collected()
    assert.equal("7", page['mirth_messages_received_total{channel="123"}'])
    assert.is_nil(page['mirth_messages_sent_total{channel="123"}'])
    assert.equal("0", page.mirth_num_db_tasks)
    answer("channels/idsAndNames", { type = kind,
      body = '{"map":{"entry":[{"string":["a-1",true]}]}}' })
    assert(e:collect())
    assert.equal("7",
      samples(e)['mirth_messages_received_total{channel="true"}'])
  end)

  local function statistics(ids)
    local items = {}
    for i, id in ipairs(ids) do
      items[i] = ("<channelStatistics><channelId>%s</channelId>" ..
        "<received>%d</received></channelStatistics>"):format(id, i)
    end
    xml("channels/statistics", "<list>" .. table.concat(items) .. "</list>")
  end

  local function names(list)
    local entries = {}
    for i, pair in ipairs(list) do
      entries[i] = "<entry><string>" ..
        table.concat(pair, "</string><string>") .. "</string></entry>"
    end
    xml("channels/idsAndNames", "<map>" .. table.concat(entries) .. "</map>")
  end

  local function received(e)
    local values = {}
    for name, value in pairs(samples(e)) do
      local channel = name:match '^mirth_messages_received_total{channel="(.*)"}'
      if channel then values[channel] = value end
    end
    return values
  end

  it("calls a channel by its id when it has no name of its own", function()
    statistics { "a", "b", "c", "d", "e" }
    names { { "a", "A" }, { "b", "" }, { "c" }, { "d", "A" } }
    local _, e = collected()
    assert.same({ A = "1", b = "2", c = "3", d = "4", e = "5" }, received(e))
  end)

  it("shows a renamed channel under its new name alone", function()
    statistics { "a" }
    names { { "a", "old" } }
    local _, e = collected()
    assert.same({ old = "1" }, received(e))
    names { { "a", "new" } }
    assert(e:collect())
    assert.same({ new = "1" }, received(e))
  end)

  it("passes on a reset of the statistics, and channels that go", function()
    statistics { "x", "a" }
    names { { "a", "A" }, { "x", "X" } }
    local _, e = collected()
    assert.same({ A = "2", X = "1" }, received(e))
    statistics { "a" }
    assert(e:collect())
    assert.same({ A = "1" }, received(e))
  end)

  it("shows names of any characters", function()
    statistics { "a", "b" }
    names { { "a", "line\nbreak &quot;&lt;\\" }, { "b", "日本 ☃" } }
    local _, e = collected()
    assert.same({ ['line\\nbreak \\"<\\\\'] = "1", ["日本 ☃"] = "2" },
      received(e))
  end)

  it("shows the state of an undeployed channel, and no numbers", function()
    xml("channels/statuses", [[<list><dashboardStatus>
      <channelId>33333333-aaaa-4bbb-8ccc-000000000003</channelId>
      <name>Not Deployed</name><state>UNDEPLOYED</state><childStatuses/>
      </dashboardStatus></list>]])
    local page = collected()
    local labels = 'channel="Not Deployed"'
    assert.equal("1", page["mirth_channel_state{" .. labels ..
      ',mirth_channel_state="UNDEPLOYED"}'])
    assert.equal("0", page["mirth_channel_state{" .. labels ..
      ',mirth_channel_state="STARTED"}'])
    assert.is_nil(page["mirth_messages_received_total{" .. labels .. "}"])
    assert.is_nil(page["mirth_undeployed_revisions{" .. labels .. "}"])
  end)

  it("shows a state that nobody knows as UNKNOWN", function()
    xml("channels/statuses", [[<list><dashboardStatus><channelId>x</channelId>
      <state>DREAMING</state></dashboardStatus></list>]])
    assert.equal("1", collected()[
      'mirth_channel_state{channel="x",mirth_channel_state="UNKNOWN"}'])
  end)

  it("leaves out a processor load that the server does not know", function()
    xml("system/stats", [[<systemStats><cpuUsagePct>-1.0</cpuUsagePct>
      <maxMemoryBytes>5</maxMemoryBytes></systemStats>]])
    local page = collected()
    assert.is_nil(page.mirth_cpu_usage_pct)
    assert.equal("5", page.mirth_max_memory_bytes)
  end)

  it("probes another server with the same code", function()
    local target = assert(exporter.load(SERVER, {}, { serve = true }))
    table.insert(running, target)
    local e = assert(exporter.load("exporters/mirth.lua",
      { endpoint = url, user = "monitor", password = "of its own" },
      { serve = true, profiles = {
        default = { user = "monitor", password = "pa ss" } } }))
    table.insert(running, e)
    local page = assert(http.get(e:url() .. "/probe",
      { query = { target = target:url() } })).body
    assert.matches("probe_success 1\n", page)
    assert.matches('mirth_messages_queued{channel="ADT%-Inbound"} 4\n', page)
    assert.equal(0, seen().logins)
  end)
end)
