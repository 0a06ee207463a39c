-- SPDX-License-Identifier: Apache-2.0
-- The power exporter before a meter whose answers are given: datagrams in,
-- page out.
local exporter = require "exporter"
local task = require "task"
local udp = require "udp"

local TOTAL <const> = "powerexporter_power_consumption_ampere_seconds_total"
local CURRENT <const> = "powerexporter_current_ampere"
local UPTIME <const> = "powerexporter_device_uptime_seconds"
local TIMEOUTS <const> = "powerexporter_request_timeouts_total"
local OK <const> = 'powerexporter_datagrams_total{result="ok"}'
local MALFORMED <const> = 'powerexporter_datagrams_total{result="malformed"}'
local UP <const> = "powerexporter_up"
local SEED <const> = "08b1d1f9d6031100000000008e12411d0000c844"

local function bytes(hex)
  return (hex:gsub("%x%x", function(byte)
    return string.char(tonumber(byte, 16))
  end))
end

-- The lines of the fixture: name, datagram, and the values on the page.
local function story()
  local steps = {}
  for line in io.lines "spec/fixtures/powerexporter/datagrams.tsv" do
    local name, hex, total, current, uptime =
      line:match "^([^#\t][^\t]*)\t(%S+)\t(%S+)\t(%S+)\t(%S+)$"
    if name then
      table.insert(steps, {
        name = name,
        datagram = hex == "-" and "" or bytes(hex),
        page = {
          [TOTAL] = total,
          [CURRENT] = current,
          [UPTIME] = uptime ~= "-" and uptime or nil,
        },
      })
    end
  end
  return steps
end

-- The page as a table: "name{labels}" -> text of the value.
local function samples(e)
  local page = {}
  for name, value in e:page():gmatch "([%w_:]+%b{}) (%S+)\n" do
    page[name] = value
  end
  for name, value in e:page():gmatch "\n([%w_:]+) (%S+)" do
    page[name] = value
  end
  return page
end

describe("powerexporter", function()
  local server, e

  before_each(function()
    server = assert(udp.listen("127.0.0.1", 0))
    e = assert(exporter.load("exporters/powerexporter.lua", {
      device_ip = "127.0.0.1",
      device_port = server:port(),
      wait = 0.2,
    }))
  end)

  after_each(function()
    e:close()
    server:close()
  end)

  -- One collection, in which the meter answers with DATAGRAMS one after the
  -- other; false is an answer that never comes.
  local function collect(...)
    local datagrams, ok, message = { ... }, nil, nil
    task.all(function()
      ok, message = e:collect()
    end, function()
      for _, datagram in ipairs(datagrams) do
        local request, peer = server:receive()
        assert.equal("DATA_REQUEST", request)
        if datagram then
          assert(server:send(datagram, peer))
        end
      end
    end)
    return ok, message
  end

  it("gives the right page for each datagram of a real gateway", function()
    local steps = story()
    assert.equal(21, #steps)
    for _, step in ipairs(steps) do
      assert(collect(step.datagram))
      local page = samples(e)
      for _, name in ipairs { TOTAL, CURRENT, UPTIME } do
        assert.equal(step.name .. ": " .. tostring(step.page[name]),
          step.name .. ": " .. tostring(page[name]))
      end
      assert.equal("1", page[UP])
    end
    local page = samples(e)
    assert.equal("21", page[OK])
    assert.equal("0", page[MALFORMED])
    assert.equal("21", page.powerexporter_round_trip_seconds_count)
  end)

  it("drops the readings of a meter that has fallen silent", function()
    assert(collect(bytes(SEED)))
    assert.equal("1.6", samples(e)[CURRENT])
    local ok, message = collect(false, false)
    assert.is_false(ok)
    assert.matches("no answer within 0.2 s", message)
    local page = samples(e)
    assert.equal("0", page[UP])
    assert.equal("2", page[TIMEOUTS])
    for _, name in ipairs { TOTAL, CURRENT, UPTIME } do
      assert.is_nil(page[name])
    end
    assert.is_not_nil(page.powerexporter_last_measurement_timestamp_seconds)
  end)

  it("asks once more when an answer is lost or malformed", function()
    assert(collect(false, bytes(SEED)))
    assert(collect("\x08", bytes(SEED)))
    local page = samples(e)
    assert.equal("1.6", page[CURRENT])
    assert.equal("1", page[TIMEOUTS])
    assert.equal("1", page[MALFORMED])
    assert.equal("2", page[OK])
  end)

  it("fails a collection with malformed answers alone", function()
    local ok, message = collect("\x11\x00", "\x08")
    assert.is_false(ok)
    assert.matches("powerexporter.lua:%d+: ", message)
    local page = samples(e)
    assert.equal("0", page[UP])
    assert.equal("2", page[MALFORMED])
    assert.is_nil(page[CURRENT])
  end)

  it("has the types and help texts of the original", function()
    assert(collect(bytes(SEED)))
    local page = e:page()
    for _, text in ipairs {
      "# HELP " .. TOTAL ..
        " The total power consumption given in ampere-seconds.\n" ..
        "# TYPE " .. TOTAL .. " counter\n" .. TOTAL .. " 304\n",
      "# HELP " .. CURRENT .. " The electric current given in ampere.\n" ..
        "# TYPE " .. CURRENT .. " gauge\n" .. CURRENT .. " 1.6\n",
    } do
      assert(page:find(text, 1, true), "not on the page: " .. text)
    end
  end)
end)
