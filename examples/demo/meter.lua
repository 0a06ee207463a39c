-- SPDX-License-Identifier: Apache-2.0
--
-- A power meter that does not exist: a load that changes, measured in three
-- channels. It answers any datagram with the latest measurement of channel 1,
-- as the gateway beside a real meter does; with --subscription-port it also is
-- the ESP32 itself, which sends the channel that it was told every second.
local clock = require "clock"
local log = require "log"
local metric = require "metric"
local protobuf = require "protobuf"
local task = require "task"
local udp = require "udp"

local Measurement = protobuf.message {
  timestamp          = { 1, "uint64" }, -- microseconds since the meter booted
  energy_consumption = { 2, "double" }, -- mAs since the meter booted
  current            = { 3, "float"  }, -- mA
}

local booted = clock.monotonic()
local loads = { -- mA: always, the height of a wave, and what switches on
  { base = 180, wave = 40, period = 60, extra = 900, every = 45, for_s = 12 },
  { base = 60,  wave = 10, period = 25, extra = 350, every = 20, for_s = 3  },
  { base = 15,  wave = 5,  period = 90, extra = 0,   every = 60, for_s = 1  },
}

for channel, load in ipairs(loads) do
  load.channel = channel
  load.energy, load.current, load.measured = 0, 0, 0
end

local function current(load, t)
  local wave = load.wave * math.sin(2 * math.pi * t / load.period)
  local extra = t % load.every < load.for_s and load.extra or 0
  return load.base + wave + extra + math.random() * 4
end

local function measure(m)
  local t = clock.monotonic() - booted
  for _, load in ipairs(loads) do
    load.current = current(load, t)
    load.energy = load.energy + load.current * (t - load.measured)
    load.measured = t
    m.meter_current_ampere:set(load.current / 1000, load.channel)
  end
end

local function message(load)
  return Measurement:encode {
    timestamp = math.floor(load.measured * 1e6),
    energy_consumption = load.energy,
    current = load.current,
  }
end

local function answer(m, config)
  local server <close> = assert(udp.listen(config.address, config.port))
  while true do
    local _, peer = server:receive()
    if peer and server:send(message(loads[1]), peer) then
      m.meter_messages_total:inc("answer")
    end
  end
end

-- Whoever sends "2\0" gets channel 2 once a second from then on, for ever.
local function push(m, config)
  local server <close> =
    assert(udp.listen(config.address, config.subscription_port))
  local subscribers = {} -- peer -> load

  task.all(function()
    while true do
      local request, peer = server:receive()
      local load = request and loads[tonumber(request:match "^(%d+)%z?$")]
      if load and not subscribers[peer] then
        log.info("subscribed", { peer = peer, channel = load.channel })
      end
      if load then
        subscribers[peer] = load
      end
    end
  end, function()
    while true do
      for peer, load in pairs(subscribers) do
        if server:send(message(load), peer) then
          m.meter_messages_total:inc("push")
        end
      end
      task.sleep(1)
    end
  end)
end

return {
  name = "meter",
  listen = ":8001",
  config = {
    address = { "127.0.0.1", flag = "address", help = "Address to bind." },
    port = { 5000, flag = "port", help = "UDP port to answer on." },
    subscription_port = { 0, flag = "subscription-port",
      help = "UDP port to be an ESP32 on (it uses 30000); 0: none." },
  },
  metrics = {
    meter_current_ampere = metric.gauge {
      "The current that is simulated.", labels = { "channel" } },
    meter_messages_total = metric.counter {
      "Messages sent.", labels = { "protocol" } },
  },
  start = function(m, config)
    local tasks = {
      function() answer(m, config) end,
      function()
        while true do
          measure(m)
          task.sleep(0.1)
        end
      end,
    }
    if config.subscription_port > 0 then
      table.insert(tasks, function() push(m, config) end)
    end
    task.all(table.unpack(tasks))
  end,
}
