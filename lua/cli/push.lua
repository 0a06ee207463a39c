-- SPDX-License-Identifier: Apache-2.0
--[[
  `push` of the configuration file: where the pages of an exporter are sent. A
  table, a list of them, or false; at the top of the file for every exporter
  that has none of its own. What is checked here is not looked at again: each
  target becomes a flat table, in which grouping, labels and headers are lists
  of names and values. Neither credentials nor a URL are in any sentence.
]]

local read = require "cli.reader"
local values = require "cli.values"

local M = {}

local STREAMS_MAX <const> = 1000
local PAIRS_MAX <const> = 64
local INTERVAL_MIN <const> = 0.1
local QUEUE_MIN <const>, QUEUE_MAX <const> = 1 << 20, 1 << 40

local COMMON <const> = { "type", "url", "interval", "on_shutdown", "username",
  "password", "bearer", "timeout", "ca_file", "cert_file", "key_file",
  "server_name", "insecure", "proxy", "headers" }
local HOSTS <const> = { ["content-encoding"] = true, ["content-length"] = true,
  ["content-type"] = true, ["user-agent"] = true, ["transfer-encoding"] = true,
  ["x-prometheus-remote-write-version"] = true }
local OWN <const> = {
  pushgateway = { "job", "grouping", "method", "format" },
  remote_write = { "labels", "queue", "queue_bytes", "send_exemplars",
    "send_native_histograms" },
}
local KEYS <const> = {}
for name, own in pairs(OWN) do
  KEYS[name] = table.move(own, 1, #own, #COMMON + 1, { table.unpack(COMMON) })
end

-- ---- single values ----

local function text(reader, made, key)
  local value =
    read.expect(reader, made, key, "string", "a string", "push." .. key)
  if value and (value == "" or value:find("\0", 1, true)) then
    read.refuse(reader, made, key, "push.%s: the string %s", key,
      value == "" and "is empty" or "holds a zero byte")
  end
  return value
end

-- Of what everybody may see.
local function open_text(reader, made, key)
  local value = text(reader, made, key)
  if value and read.is_hidden(reader, value) then
    read.refuse(reader, made, key, "push.%s: the text of a file would be shown "
      .. "to everybody", key)
  end
  return value
end

-- As `env` and `file` give it; one that stands in the file is seen by whoever
-- sees that.
local function secret(reader, made, key)
  local value = text(reader, made, key)
  for given in pairs(value and reader.given or {}) do
    if value:find(given, 1, true) then
      return value
    end
  end
  if value then
    reader.advice[#reader.advice + 1] = ("%s: the secret push.%s stands in the "
      .. "file: use env or file"):format(read.place(reader, made, key), key)
  end
  return value
end

-- Of what stands in labels.
local function label_text(reader, made, key)
  local value = open_text(reader, made, key)
  if value and not utf8.len(value) then
    read.refuse(reader, made, key, "push.%s: the string is not UTF-8", key)
  end
  return value
end

local function path(reader, made, key)
  local value = open_text(reader, made, key)
  return value and (value:find "^/" and value or reader.folder .. value)
end

local function word(reader, made, key, words)
  local value = open_text(reader, made, key)
  for _, known in ipairs(words) do
    if value == nil or value == known then
      return value or words[1]
    end
  end
  read.refuse(reader, made, key, "push.%s: expected %s, got '%s'", key,
    table.concat(words, " or "), value)
end

local function seconds(reader, made, key, least)
  local value = read.expect(reader, made, key, "number string",
    'seconds, or a string such as "15s"', "push." .. key)
  if read.is_hidden(reader, value) then
    read.refuse(reader, made, key, "push.%s: expected seconds, got the text of "
      .. "a file", key)
  end
  local number = value
  if type(value) == "string" then
    number = values.seconds(value)
  end
  if value and not (number and number >= least and number < math.huge) then
    read.refuse(reader, made, key, "push.%s: expected seconds, at least %s, "
      .. "got %s", key, least, value)
  end
  return number and number + 0.0
end

local function bytes(reader, made, key)
  local value =
    read.expect(reader, made, key, "number", "a number of bytes",
      "push." .. key)
  local number = value and math.tointeger(value)
  if value and not (number and number >= QUEUE_MIN and number <= QUEUE_MAX) then
    read.refuse(reader, made, key, "push.%s: expected bytes, %d to %d, got %s",
      key, QUEUE_MIN, QUEUE_MAX, value)
  end
  return number
end

local function boolean(reader, made, key)
  return read.expect(reader, made, key, "boolean", "true or false",
    "push." .. key)
end

-- The port that stands in a URL, or nil.
local function port_of(value)
  local host = value:match("^%a+://([^/?]*)"):match "[^@]*$"
  return host:match "^[^:]*:(%d+)$" or host:match "%]:(%d+)$"
end

-- Credentials in a URL are taken as such, but a wrong URL is not shown.
local function url(reader, made, kind)
  local value = open_text(reader, made, "url")
  local query = kind == "remote_write" and "[^#%s]*$" or "[^?#%s]*$"
  if value == nil then
    read.refuse(reader, made, nil, "push.url is missing")
  elseif not value:find("^[hH][tT][tT][pP][sS]?://[^/?#%s]+" .. query) then
    read.refuse(reader, made, "url", "push.url: expected http:// or https://, "
      .. "a host and at most a path%s",
      kind == "remote_write" and " and a query" or "")
  elseif kind == "pushgateway" and value:find "/metrics/job[/@]" then
    read.refuse(reader, made, "url", "push.url: expected it without "
      .. "/metrics/job/...: that is push.job and push.grouping")
  end
  local port = tonumber(port_of(value) or 1)
  if port < 1 or port > 65535 then
    read.refuse(reader, made, "url", "push.url: expected a port, 1 to 65535")
  end
  return value
end

-- ---- tables of texts ----

local function check_count(reader, made, key, count)
  if count > PAIRS_MAX then
    read.refuse(reader, made, key, "push.%s: more than %d of them", key,
      PAIRS_MAX)
  end
end

-- A table of strings as a list, sorted by name.
local function listed(pairs_of)
  local names, list = {}, {}
  for name in pairs(pairs_of) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = name
    list[#list + 1] = pairs_of[name]
  end
  return list
end

-- FORBIDDEN has a key of its own beside the table.
local function labels(reader, made, key, forbidden)
  local result = read.labels(reader, made, key, "push." .. key, true)
    or {}
  if forbidden and result[forbidden] then
    read.refuse(reader, result, forbidden, "push.%s.%s: it is push.%s", key,
      forbidden, forbidden)
  end
  local list = listed(result)
  check_count(reader, made, key, #list // 2)
  return list
end

-- Their values may be secrets.
local function headers(reader, made)
  local result = read.expect(reader, made, "headers", "table",
    "a table of headers", "push.headers") or {}
  for name, value in pairs(result) do
    local good = type(name) == "string" and name:find "^[%w-]+$"
      and not read.is_hidden(reader, name)
    if not good then
      read.refuse(reader, result, name, "push.headers: expected names of "
        .. "headers as keys")
    elseif HOSTS[name:lower()] then
      read.refuse(reader, result, name, "push.headers.%s: this header is the "
        .. "host's", name)
    elseif type(value) ~= "string" or value:find "%c" then
      read.refuse(reader, result, name, "push.headers.%s: expected a string "
        .. "of one line", name)
    end
  end
  local list = listed(result)
  check_count(reader, made, "headers", #list // 2)
  return list
end

-- ---- targets ----

local function own_values(reader, made, kind)
  if kind == "pushgateway" then
    return {
      job = label_text(reader, made, "job"),
      grouping = labels(reader, made, "grouping", "job"),
      method = word(reader, made, "method", { "PUT", "POST" }),
      format = word(reader, made, "format", { "text", "protobuf" }),
    }
  end
  return {
    labels = labels(reader, made, "labels"),
    queue = path(reader, made, "queue"),
    queue_bytes = bytes(reader, made, "queue_bytes"),
    send_exemplars = boolean(reader, made, "send_exemplars"),
    send_native_histograms = boolean(reader, made, "send_native_histograms"),
  }
end

local function check_login(reader, made, target)
  if target.bearer and (target.username or target.password) then
    read.refuse(reader, made, "bearer", "push: either username and password, "
      .. "or bearer")
  elseif target.password and not target.username then
    read.refuse(reader, made, "password", "push.password: there is no "
      .. "push.username")
  end
end

local function read_target(reader, made, host)
  local kind = word(reader, made, "type", { "pushgateway", "remote_write" })
  read.check_keys(reader, made, KEYS[kind],
    kind == "pushgateway" and "push" or "push of type remote_write", host)
  local target = own_values(reader, made, kind)
  target.type = kind
  target.url = url(reader, made, kind)
  target.interval = seconds(reader, made, "interval", INTERVAL_MIN)
  target.on_shutdown = word(reader, made, "on_shutdown", { "leave", "delete" })
  target.username = text(reader, made, "username")
  target.password = secret(reader, made, "password")
  target.bearer = secret(reader, made, "bearer")
  target.timeout = seconds(reader, made, "timeout", INTERVAL_MIN)
  for _, key in ipairs { "ca_file", "cert_file", "key_file" } do
    target[key] = path(reader, made, key)
  end
  target.server_name = open_text(reader, made, "server_name")
  target.insecure = boolean(reader, made, "insecure")
  target.proxy = read.expect(reader, made, "proxy", "string", "a string",
    "push.proxy")
  target.headers = headers(reader, made)
  check_login(reader, made, target)
  return { made = made, target = target }
end

local function is_list(made)
  return made[1] ~= nil
end

-- What the table OWNER has as `push`: a list of targets, false, or nil. To be
-- handed to planned().
function M.read(reader, owner, host)
  local made = owner.push
  if made == nil or made == false then
    return made
  elseif type(made) ~= "table" then
    read.refuse(reader, owner, "push", "push: expected a table such as "
      .. '{ url = "http://gateway:9091" }, a list of them, or false, got a %s',
      type(made))
  elseif not is_list(made) then
    return { read_target(reader, made, host) }
  end
  local targets = {}
  for key, one in pairs(made) do
    if math.type(key) ~= "integer" or type(one) ~= "table" then
      read.refuse(reader, made, key, "push: expected a list of tables")
    end
  end
  for i, one in ipairs(made) do
    targets[i] = read_target(reader, one, host)
  end
  return targets
end

-- ---- what belongs to an exporter ----

-- Two that have the same KEY in the table TAKEN of the reader.
local function claim(reader, item, made, key, sentence)
  local former = reader.pushes[key]
  if former then
    read.refuse(reader, made, nil, sentence, "'" .. former .. "'")
  end
  reader.pushes[key] = item.name
end

-- With PUT, each of two that push the same group would remove the other.
local function claim_group(reader, item, made, target)
  local words = { "group", (target.url:gsub("/+$", "")), target.job }
  table.move(target.grouping, 1, #target.grouping, #words + 1, words)
  local key = table.concat(words, "\0")
  if target.method == "PUT" or reader.pushes[key] then
    claim(reader, item, made, key, "push: the exporter %s pushes the same "
      .. "group to this gateway: give one of them another job or grouping")
  end
end

local function has_label(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then
      return true
    end
  end
  return false
end

local function claim_queue(reader, item, made, target, shared, host)
  if target.queue then
    target.queue = shared and target.queue:gsub("/*$", "/") .. item.name
      or target.queue
    claim(reader, item, made, "queue\0" .. host.absolute(target.queue),
      "push.queue: the exporter %s has this folder, too: give each its own")
  end
end

-- The targets of ITEM: OWN if it has said something, else those of the whole
-- file, COMMON. A queue of all is a folder with one for each.
function M.planned(reader, item, own, common, host)
  local targets = own == nil and common or own or {}
  local planned = {}
  for i, one in ipairs(targets) do
    local target = {}
    for key, value in pairs(one.target) do
      target[key] = value
    end
    if target.type == "pushgateway" then
      target.job = target.job or item.name
      claim_group(reader, item, one.made, target)
    elseif not has_label(target.labels, "job") then
      target.labels = { "job", item.name, table.unpack(target.labels) }
    end
    claim_queue(reader, item, one.made, target, own == nil, host)
    planned[i] = target
    reader.streams = reader.streams + 1
    if reader.streams == STREAMS_MAX + 1 then
      read.refuse(reader, one.made, nil, "push: more than %d targets of all "
        .. "exporters", STREAMS_MAX)
    end
  end
  return planned
end

return M
