-- SPDX-License-Identifier: Apache-2.0
-- Round trips to hosts and what is lost on the way, for Prometheus to scrape. Or,
-- as PingExporter: the devices of a folder of JSON files, for a Pushgateway.
local clock = require "clock"
local files = require "files"
local icmp = require "icmp"
local log = require "log"
local metric = require "metric"
local resolve = require "resolve"
local task = require "task"
local value = require "value"

-- The metrics of a target: how they are filled, and with what of icmp.series.
local SERIES <const> = {
  ping_rtt_best_seconds = { "set", "min", "Shortest round trip." },
  ping_rtt_worst_seconds = { "set", "max", "Longest round trip." },
  ping_rtt_mean_seconds = { "set", "mean", "Mean round trip." },
  ping_rtt_std_deviation_seconds = { "set", "stddev", "Deviation of the round trips." },
  ping_rtt_jitter_seconds = { "set", "jitter", "Mean difference from one to the next." },
  ping_loss_ratio = { "set", "loss", "Echoes without an answer, 0 to 1." },
  ping_rtt_seconds = { "observe", "rtts", "Round trips.",
    { 1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3 } },
  ping_echoes_total = { "inc", "sent", "Echoes sent." },
  ping_duplicates_total = { "inc", "duplicates", "Second answers." },
  ping_late_total = { "inc", "late", "Answers after their time." },
}
local places, denied = {}, nil -- target -> the labels of its series; why none may be pinged
-- The labels of TARGET: where it is, or was last. When it moves, its series there end.
local function place(m, target, series, message)
  local was = places[target] or { target, "", "" }
  local ip = series and series.address or was[2]
  if not (series or was.failed) then log.warn("no ping", { target = target, err = message }) end
  if ip ~= was[2] then
    for name in pairs(SERIES) do m[name]:remove(table.unpack(was)) end
    was = { target, ip, ip:find ":" and "6" or "4" }
  end
  places[target], was.failed = was, not series
  return was
end

-- Pings TARGET and shows how that went; the mean round trip, nil without an answer.
local function ping(m, target, config, count, timeout)
  local series, message, reason = icmp.series(target, { count = config.count or count,
    interval = 0.2, timeout = timeout, size = config.size, family = config.family })
  denied = reason == "denied" and message
  assert(not denied, denied)
  local labels = place(m, target, series, message)
  series = series or { loss = 1, error = message }
  for name, it in pairs(SERIES) do
    local family, verb, values = m[name], it[1], value.list(series, it[2])
    for _, measured in ipairs(values) do
      if measured then family[verb](family, measured, table.unpack(labels)) end
    end
    if verb == "set" and not values[1] then family:remove(table.unpack(labels)) end
  end
  local tell = config.debug and log.info or log.debug
  tell("pinged", { target = target, rtt = series.mean, loss = series.loss, err = series.error })
  return series.mean
end

-- What may stand in the "metrics" of a job; each sets a family of its registry.
local measures = {
  ping = function(m, job, conf, config)
    local rtt = ping(m, job.host, config, 1, conf.timeout)
    job.registry.dev_ping:set(rtt and ("%.3f"):format(rtt * 1000) or conf.value_dev_down)
  end,
}

-- The JSON of PingExporter: one file about the gateway, and a folder of others.
local GATEWAY <const> = { ip_pushgateway = "text", port_pushgateway = "port",
  username_pushgateway = "string", pass_pushgateway = "string" }
local FILE <const> = { jobs = { { job = "text", ip = "text", metrics = { "string" } } }, conf = {
  prom_id = "text", interval = "positive", timeout = "positive", value_dev_down = "number" } }
local gateway -- the first, with its url; the others are its items
local count = {} -- what became of a push -> how many groups had that the last time

-- GROUP, a file or a job, is pushed as NAME; if that is taken, with INSTANCE, too.
local function add_group(taken, group, name, instance, metrics)
  while taken[name .. "\0" .. instance] do instance = instance .. "'" end
  if taken[name] then log.warn("two jobs have one name", { job = name, instance = instance }) end
  group.registry = metric.registry(metrics)
  group.options = { job = name, grouping = taken[name] and { instance = instance },
    username = gateway.username_pushgateway, password = gateway.pass_pushgateway }
  taken[name .. "\0" .. instance], taken[name] = taken[name], true
end

local function load_files(config)
  assert(config.push_config and config.configs, "--push-config and --configs go together")
  local mistakes, taken = {}, {}
  gateway = value.read(config.push_config, GATEWAY, mistakes) or {}
  local names, message = files.list(config.configs)
  for i, name in ipairs(names or {}) do
    gateway[i] = value.read(config.configs .. "/" .. name, FILE, mistakes)
  end
  mistakes[#mistakes + 1] = message or not names[1] and config.configs .. " has no files" or nil
  for _, mistake in ipairs(mistakes) do log.error(mistake) end
  assert(#mistakes == 0, "the JSON files have mistakes")
  local ip = gateway.ip_pushgateway
  gateway.url = ("%s%s:%d"):format(ip:find "^https?://" and "" or "http://",
    ip:find "^[%x:]*:[%x:.]*$" and "[" .. ip .. "]" or ip, gateway.port_pushgateway)
  for i, file in ipairs(gateway) do
    add_group(taken, file, file.conf.prom_id, names[i], {
      exporter_duration = metric.gauge "Duration of all metrics exprot",
      exporter_jobs = metric.gauge "Number of jobs to export" })
    for _, job in ipairs(file.jobs) do
      add_group(taken, job, job.job, job.ip, { dev_ping = metric.gauge "Ping to device (ms)" })
      job.host = job.ip:match "^%[(.*)%]" or job.ip:match "^([^:]+):[^:]*$" or job.ip -- no port
      for _, name in ipairs(job.metrics) do
        if not measures[name] then
          log.warn("an unknown metric is skipped", { metric = name, job = job.job })
          measures[name] = function() end
        end
      end
    end
  end
end

-- Pushes GROUP, until LAST. Tells when the first group fails so, and when none does any more.
local function push(m, group, last)
  group.options.timeout = math.max(0.1, math.min(30, last - clock.monotonic()))
  local ok, message, answer = group.registry:push(gateway.url, group.options)
  local result, was = ok and "ok" or answer and "refused" or "unanswered", group.result or "ok"
  m.ping_pushes_total:inc(result)
  if result == was then return end
  count[was], count[result], group.result = (count[was] or 0) - 1, (count[result] or 0) + 1, result
  if not ok and count[result] == 1 then
    log.warn("pushing fails, and is tried again", { err = message })
  elseif ok and count[was] == 0 then
    log.info("pushing works again", { was = was })
  end
end

-- One round of a file, all jobs side by side. Pushes do not make the next one late.
local function cycle(m, file, config)
  local conf, begun = file.conf, clock.monotonic()
  task.each(file.jobs, function(job)
    for _, name in ipairs(job.metrics) do measures[name](m, job, conf, config) end
    push(m, job, begun + 0.9 * conf.interval)
  end)
  local took = clock.monotonic() - begun
  file.registry.exporter_duration:set(took)
  file.registry.exporter_jobs:set(#file.jobs)
  push(m, file, begun + conf.interval)
  if took > conf.interval then
    log.warn("a cycle does not fit its interval", { prom_id = conf.prom_id, seconds = took })
  end
  task.sleep(math.max(0, begun + conf.interval - clock.monotonic()))
end

local metrics = {
  ping_pushes_total = metric.counter { "Pushes by what came of them.", labels = { "result" } },
  probe_dns_lookup_time_seconds = metric.gauge "Time to find the address.",
  probe_icmp_duration_seconds = metric.gauge { "Time by phase.", labels = { "phase" } },
  probe_icmp_reply_hop_limit = metric.gauge "TTL or hop limit of the answer.",
  probe_ip_protocol = metric.gauge "4 or 6.",
}
local KINDS <const> = { set = metric.gauge, inc = metric.counter, observe = metric.histogram }
for name, it in pairs(SERIES) do
  metrics[name] = KINDS[it[1]] { it[3], labels = { "target", "ip", "ip_version" }, buckets = it[4] }
end

return {
  name = "ping", listen = ":9427", interval = 15, aliases = { "ping-exporter", "PingExporter" },
  limits = { memory = 256 << 20, cpu = 5, series = 1000000 },
  config = {
    targets = { {}, env = "PING_TARGETS", position = 1, help = "Hosts to ping." },
    count = { type = "integer", help = "Echoes each time; default: 5, or 1 for a push." },
    wait = { 3.0, help = "Seconds to wait for an answer." },
    size = { 56, help = "Bytes of payload." },
    family = { type = "integer", choices = { 4, 6 }, help = "Of IP; default: as the system." },
    push_config = { type = "string", help = "JSON: a Pushgateway and a login." },
    configs = { type = "string", help = "Folder of JSON files: what to push there." },
    debug = { false, help = "Log every ping." },
  },
  metrics = function(config)
    if not gateway and (config.push_config or config.configs) then load_files(config) end
    return metrics
  end,
  start = function(m, config)
    task.each(gateway or {}, function(file) while true do cycle(m, file, config) end end)
  end,
  collect = function(m, config)
    task.each(config.targets, function(host) ping(m, host, config, 5, config.wait) end)
    assert(not denied, denied) -- also when there is nothing but pushes
  end,
  probe = function(m, target, config, params)
    local begun, family = clock.monotonic(), ({ ip4 = 4, ip6 = 6 })[params.preferred_ip_protocol]
    local addresses = family and resolve.lookup(target, { family = family })
      or assert(resolve.lookup(target))
    local lookup = clock.monotonic() - begun
    m.probe_dns_lookup_time_seconds:set(lookup)
    m.probe_ip_protocol:set(addresses[1]:find ":" and 6 or 4)
    local reply = assert(icmp.echo(addresses[1], { timeout = config.wait,
      ttl = tonumber(params.ttl), size = tonumber(params.payload_size) or config.size }))
    m.probe_icmp_duration_seconds:set(lookup, "resolve")
    m.probe_icmp_duration_seconds:set(clock.monotonic() - begun - lookup - reply.rtt, "setup")
    m.probe_icmp_duration_seconds:set(reply.rtt, "rtt")
    m.probe_icmp_reply_hop_limit:set(reply.ttl)
  end,
}
