-- SPDX-License-Identifier: Apache-2.0
--
-- What the sensors of a small board measure: each chip that Linux knows as an
-- industrial I/O device, such as a BME680 or an SI7021, under the names of the
-- example of prometheus_express. One that does not answer is counted; one that
-- was unplugged is gone; the others are shown.
--   lunex examples/sensor.lua      then open http://localhost:8080/metrics
--   curl localhost:8080/climate    a page of its own, for a display in the room
local clock = require "clock"
local files = require "files"
local metric = require "metric"

local LABELS <const> = { "sensor" }
local CHANNELS <const> = { -- file: metric, and Linux's unit in its unit
  in_temp_input = { "prom_express_temperature", 1, 1000 },
  in_humidityrelative_input = { "prom_express_humidity", 1, 1000 },
  in_pressure_input = { "prom_express_pressure", 10, 1 },
  in_resistance_input = { "prom_express_gas", 1, 1 },
}
local climate

local function measure(m, path, channel, sensor)
  local started = clock.monotonic()
  local value = tonumber(files.read(path) or "")
  if value then
    m[channel[1]]:set(value * channel[2] / channel[3], sensor)
    m.prom_express_reading_seconds:observe(clock.monotonic() - started, sensor)
  end
  m.prom_express_failures_total:inc(value and 0 or 1, sensor)
end

return {
  name = "prom_express",
  listen = ":8080",
  config = {
    devices = { "/sys/bus/iio/devices", help = "Where Linux shows devices." },
    room = { "here", help = "The label `room` of the page /climate." },
  },
  metrics = {
    prom_express_temperature = metric.gauge { "Celsius.", labels = LABELS },
    prom_express_humidity = metric.gauge { "Percent.", labels = LABELS },
    prom_express_pressure = metric.gauge { "Hectopascal.", labels = LABELS },
    prom_express_gas = metric.gauge { "Ohm: less, more gas.", labels = LABELS },
    prom_express_reading_seconds = metric.summary {
      "Time that a sensor took to answer.", labels = LABELS },
    prom_express_failures_total = metric.counter {
      "Values that a sensor did not give.", labels = LABELS },
  },
  collect = function(m, config)
    assert(files.list(config.devices))
    for n = 0, 31 do
      local dir = ("%s/iio:device%d/"):format(config.devices, n)
      local sensor = files.read(dir .. "label") or files.read(dir .. "name")
      for _, file in ipairs(sensor and files.list(dir) or {}) do
        if CHANNELS[file] then
          measure(m, dir .. file, CHANNELS[file], sensor:match "[^\n]*")
        end
      end
    end
  end,
  routes = {
    ["GET /climate"] = function(_, m, config)
      climate = climate or metric.registry {
        namespace = "climate", labels = { room = config.room },
        looks_total = metric.counter "How often somebody looked at this page.",
        humidity = m.prom_express_humidity,
        temperature = m.prom_express_temperature,
      }
      climate.looks_total:inc()
      return climate:render()
    end,
  },
}
