-- SPDX-License-Identifier: Apache-2.0
-- Channels and health of a Mirth Connect server, or of a fork of it, by its REST API.
local metric = require "metric"
local session = require "session"
local value = require "value"

local counter <const>, gauge <const> = metric.counter, metric.gauge
local CHANNEL <const> = { "channel" }
local CONNECTOR <const> = { "channel", "connector", "connector_id" }
local RESULT <const> = { "channel", "connector", "connector_id", "status" }
local STATES <const> = { "STARTED", "STOPPED", "PAUSED", "STARTING", "STOPPING",
  "PAUSING", "DEPLOYING", "UNDEPLOYING", "UNDEPLOYED", "SYNCING", "UNKNOWN" }
local COUNTED = { RECEIVED = "received", FILTERED = "filtered", SENT = "sent", ERROR = "errored" }
local collect = {}

-- While it is starting, Mirth takes every password for wrong.
local function is_running(client)
  local answer, message = client:get "/server/status"
  local status = answer and value.num(answer:table(), "int")
  return status == 0 or status == 3, message or "the server is not running", status
end

local function api(config)
  local url = assert(config.endpoint or config.base_api_url, "give --endpoint or MIRTH_ENDPOINT")
  assert(config.user ~= "", "give --user or MIRTH_USERNAME; to a probe, a profile")
  return session.open({
    base_url = url:gsub("/*$", ""):gsub("/api$", "") .. "/api",
    headers = { ["X-Requested-With"] = "lunex" }, accept = "application/xml, */*;q=0.5",
    ca_file = config.ca_file, cert_file = config.cert_file, key_file = config.key_file,
    insecure = config.insecure,
  }, { url = "/users/_login", ready = is_running,
    form = { username = config.user, password = config.password } })
end

-- The list at URL, under PATH: of XML, or of JSON made of that XML.
local function list(config, url, path)
  local document = assert(assert(api(config):get(url)):table())
  assert(document[path:match "^%w+"] ~= nil, url .. ": there is no " .. path)
  return value.list(document, path)
end

-- The name of each channel by its id; the id, if it has no name or another's.
local function names_of(config)
  local names, taken = {}, { [""] = true }
  for _, entry in ipairs(list(config, "/channels/idsAndNames", "map.entry")) do
    local id, name = value.str(entry, "string.1"), value.str(entry, "string.2") or ""
    if not taken[name] then names[id], taken[name] = name, true end
  end
  return setmetatable(names, { __index = function(_, id) return id end })
end

function collect.channel_statistics(m, config)
  local names, url = names_of(config), "/channels/statistics"
  for _, item in ipairs(list(config, url, "list.channelStatistics")) do
    local channel = names[item.channelId]
    value.put(m.mirth_messages_received_total, item.received, channel)
    value.put(m.mirth_messages_filtered_total, item.filtered, channel)
    value.put(m.mirth_messages_queued, item.queued, channel)
    value.put(m.mirth_messages_sent_total, item.sent, channel)
    value.put(m.mirth_messages_errored_total, item.error, channel)
  end
end

function collect.channel_statuses(m, config)
  local url = "/channels/statuses?includeUndeployed=true"
  local names, state = names_of(config), m.mirth_channel_state
  for _, item in ipairs(list(config, url, "list.dashboardStatus")) do
    local channel, time = names[item.channelId], value.num(item, "deployedDate.time")
    value.put(m.mirth_channel_deployed_timestamp_seconds, time and time / 1000, channel)
    value.put(m.mirth_undeployed_revisions, item.deployedRevisionDelta, channel)
    if not state:set(item.state, channel) then state:set("UNKNOWN", channel) end
    for _, child in ipairs(value.list(item, "childStatuses.dashboardStatus")) do
      local name, id = value.str(child, "name") or "", value.str(child, "metaDataId")
      value.put(m.mirth_connector_messages_queued, child.queued, channel, name, id)
      for _, entry in ipairs(value.list(child, "statistics.entry")) do
        local what = COUNTED[entry["com.mirth.connect.donkey.model.message.Status"]]
        if what then m.mirth_connector_messages_total:set(entry.long, channel, name, id, what) end
      end
    end
  end
end

function collect.system_stats(m, config)
  local _, stats = next(assert(assert(api(config):get "/system/stats"):table()))
  local load = assert(value.num(stats, "cpuUsagePct"), "/system/stats: no cpuUsagePct")
  if load >= 0 then m.mirth_cpu_usage_pct:set(load) end
  value.put(m.mirth_allocated_memory_bytes, stats.allocatedMemoryBytes)
  value.put(m.mirth_free_memory_bytes, stats.freeMemoryBytes)
  value.put(m.mirth_max_memory_bytes, stats.maxMemoryBytes)
  value.put(m.mirth_disk_total_bytes, stats.diskTotalBytes)
  value.put(m.mirth_disk_free_bytes, stats.diskFreeBytes)
end

function collect.database_tasks(m, config)
  m.mirth_num_db_tasks:set(#list(config, "/databaseTasks", "map.entry"))
end

function collect.server(m, config)
  local client = api(config).client -- these two need no login
  local _, message, status = is_running(client)
  m.mirth_server_status:set((assert(status, message)))
  m.mirth_info:set(1, assert(client:get "/server/version").body:match "^[%w.-]+")
end

return {
  name = "mirth", listen = ":9141", aliases = { "mirth_channel_exporter" },
  limits = { cpu = 5, memory = 128 << 20, series = 300000 }, -- 2500 channels
  config = {
    endpoint = { type = "string", env = "MIRTH_ENDPOINT", help = "URL of the server." },
    base_api_url = { type = "string", env = "MIRTH_BASE_API_URL", help = "The same, with /api." },
    user = { "", env = "MIRTH_USERNAME", secret = true, help = "Whom to log in as." },
    password = { "", env = "MIRTH_PASSWORD", secret = true, help = "The password." },
    ca_file = { type = "string", help = "Certificates of authorities to trust, in PEM." },
    cert_file = { type = "string", help = "Certificate to show to the server, in PEM." },
    key_file = { type = "string", help = "Its key, in PEM." },
    insecure = { false, help = "Do not verify the server's certificate." },
  },
  metrics = {
    mirth_up = gauge "Was the last Mirth query successful.",
    mirth_messages_received_total = counter {
      "How many messages have been received (per channel).", labels = CHANNEL },
    mirth_messages_filtered_total = counter {
      "How many messages have been filtered (per channel).", labels = CHANNEL },
    mirth_messages_queued = gauge {
      "How many messages are currently queued (per channel).", labels = CHANNEL },
    mirth_messages_sent_total = counter {
      "How many messages have been sent (per channel).", labels = CHANNEL },
    mirth_messages_errored_total = counter {
      "How many messages have errored (per channel).", labels = CHANNEL },
    mirth_channel_state = metric.stateset { "Channel state.", labels = CHANNEL, states = STATES },
    mirth_channel_deployed_timestamp_seconds = gauge { "Time of deployment.", labels = CHANNEL },
    mirth_undeployed_revisions = gauge { "Revisions not deployed yet.", labels = CHANNEL },
    mirth_connector_messages_total = counter { "Messages by outcome.", labels = RESULT },
    mirth_connector_messages_queued = gauge { "Messages that wait.", labels = CONNECTOR },
    mirth_cpu_usage_pct = gauge "Processor load of the server, a ratio from 0 to 1.",
    mirth_allocated_memory_bytes = gauge "Allocated memory in bytes.",
    mirth_free_memory_bytes = gauge "Free memory in bytes, of what is allocated.",
    mirth_max_memory_bytes = gauge "Memory that can be allocated in bytes.",
    mirth_disk_total_bytes = gauge "Total disk space in bytes.",
    mirth_disk_free_bytes = gauge "Free disk space in bytes.",
    mirth_num_db_tasks = gauge "Number of database tasks.",
    mirth_server_status = gauge "0: running, 1: unavailable, 2: starting, 3: deploying.",
    mirth_info = metric.info { "The server.", labels = { "version" } },
  },
  collect = collect,
  probe = function(m, target, config)
    local there = setmetatable({ endpoint = target }, { __index = config })
    for _, part in pairs(collect) do part(m, there) end
  end,
}
