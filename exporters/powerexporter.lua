-- SPDX-License-Identifier: Apache-2.0
--
-- Charge and current of an ESP32 power meter. A gateway beside the meter is
-- asked over UDP and answers with the latest measurement; or, with --meter, the
-- ESP32 itself is told a channel once and then sends it every second.
local clock = require "clock"
local metric = require "metric"
local protobuf = require "protobuf"
local task = require "task"
local udp = require "udp"

local SILENCE <const> = 5 -- seconds after which a channel counts as silent

local Measurement = protobuf.message {
  timestamp          = { 1, "uint64" }, -- microseconds since the meter booted
  energy_consumption = { 2, "double" }, -- mAs since the meter booted
  current            = { 3, "float"  }, -- mA
}

local totals = {} -- channel ("" for a gateway) -> ampere-seconds
local heard = {}  -- channel -> clock.monotonic() of its last measurement

local function decode(m, datagram)
  local reading, message = Measurement:decode(datagram)
  m.powerexporter_datagrams_total:inc(reading and "ok" or "malformed")
  return reading, message
end

-- Shows a measurement; "..." is its channel where there are several. All zero
-- is what a gateway says that has none yet: no reset of the counter.
local function show(m, reading, ...)
  local channel = ... or ""
  if reading.timestamp ~= 0 or reading.energy_consumption ~= 0 then
    totals[channel] = reading.energy_consumption / 1000
    m.powerexporter_device_uptime_seconds:set(reading.timestamp / 1e6, ...)
    m.powerexporter_last_measurement_timestamp_seconds:set(clock.now(), ...)
  end
  m.powerexporter_power_consumption_ampere_seconds_total:set(
    totals[channel] or 0, ...)
  m.powerexporter_current_ampere:set(reading.current / 1000, ...)
end

-- Asks the gateway, and once more when the answer is lost or broken. An answer
-- that is later than that finds the socket closed.
local function ask(m, config)
  local gateway <close> =
    assert(udp.connect(config.device_ip, config.device_port))
  local problem
  for _ = 1, 2 do
    local datagram, seconds, why = gateway:request("DATA_REQUEST", config.wait)
    if datagram then
      m.powerexporter_round_trip_seconds:observe(seconds)
      local reading, message = decode(m, datagram)
      if reading then return reading end
      problem = message
    else
      m.powerexporter_request_timeouts_total:inc(why == "timeout" and 1 or 0)
      problem = seconds
    end
  end
  error(problem)
end

-- Subscribes to a channel of the meter, and again when it falls silent: a meter
-- that rebooted has forgotten its subscribers.
local function follow(m, config, channel)
  local host, port = config.meter:match "^%[?(.-)%]?:(%d+)$"
  while true do
    local meter <close> = udp.connect(host, tonumber(port))
    local datagram = meter and meter:send(channel .. "\0") and
      meter:receive(SILENCE)
    while datagram do
      local reading = decode(m, datagram)
      if reading then
        heard[channel] = clock.monotonic()
        show(m, reading, channel)
      end
      datagram = meter:receive(SILENCE)
    end
    task.sleep(1)
  end
end

-- Collecting from a meter that sends by itself: is every channel heard?
local function listen(config)
  local patience = clock.monotonic() + config.wait
  for _, channel in ipairs(config.channel) do
    while clock.monotonic() - (heard[channel] or -SILENCE) >= SILENCE do
      if clock.monotonic() > patience then
        error(("channel %s of %s is silent"):format(channel, config.meter))
      end
      task.sleep(0.1)
    end
  end
end

return {
  name = "powerexporter",
  listen = ":8000",
  landing = "OK",
  interval = 3,
  config = {
    device_ip = { "127.0.0.1", env = "DEVICE_UDP_IP", flag = "device-ip",
      position = 1, required = true, help = "Address of the gateway." },
    device_port = { 5000, type = "port", env = "DEVICE_UDP_PORT",
      flag = "device-port", position = 2, required = true,
      help = "UDP port of the gateway." },
    wait = { 2.5, flag = "wait", help = "Seconds to wait for an answer." },
    meter = { "", flag = "meter",
      help = "HOST:PORT of an ESP32, to hear it without a gateway." },
    channel = { { "1" }, flag = "channel",
      help = "Channel of the ESP32 to hear (repeatable)." },
  },
  metrics = function(config)
    assert(config.meter == "" or config.meter:find ".:%d+$",
      "--meter: expected HOST:PORT")
    local labels = config.meter ~= "" and { "channel" } or nil
    local ttl = labels and SILENCE
    return {
      powerexporter_power_consumption_ampere_seconds_total = metric.counter {
        "The total power consumption given in ampere-seconds.",
        labels = labels, ttl = ttl },
      powerexporter_current_ampere = metric.gauge {
        "The electric current given in ampere.", labels = labels, ttl = ttl },
      powerexporter_device_uptime_seconds = metric.gauge {
        "Time since the meter booted.", labels = labels, ttl = ttl },
      powerexporter_last_measurement_timestamp_seconds = metric.gauge {
        "When the last measurement came in.", labels = labels, keep = true },
      powerexporter_datagrams_total = metric.counter {
        "Datagrams from the meter.", labels = { "result" } },
      powerexporter_request_timeouts_total = metric.counter {
        "Questions without an answer in time." },
      powerexporter_round_trip_seconds = metric.histogram {
        "Time from a question to its answer.",
        buckets = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5 } },
    }
  end,
  collect = function(m, config)
    m.powerexporter_datagrams_total:inc(0, "malformed")
    if config.meter ~= "" then
      return listen(config)
    end
    m.powerexporter_request_timeouts_total:inc(0)
    show(m, ask(m, config))
  end,
  start = function(m, config)
    local channels = config.meter ~= "" and config.channel or {}
    task.each(channels, function(channel) follow(m, config, channel) end)
  end,
}
