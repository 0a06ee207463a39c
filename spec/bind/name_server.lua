-- SPDX-License-Identifier: Apache-2.0
-- A name server for specs, on UDP and TCP, beside the resolver in the same
-- loop. It says what the spec tells it to say, nonsense included.
--
--   name_server(handler, body [, options])
--
-- calls body(server) with a resolver that asks it; then the server is gone. For
-- each question handler(question) returns an answer or nil, to be silent.
-- `question` has `name`, `type` ("A", "AAAA"), `via` ("udp", "tcp"); `server`
-- has `port`, `questions` (all so far) and `answer(question, answer)`, for
-- later. An answer is a string, sent as it is, or a table: rcode, truncated, id,
-- and a list of { type, data, ttl =, name = }. Options: `resolv_conf` and
-- `nsswitch` are texts of files, `patience` is that of the resolver.

local names = require "names"
local task = require "task"
local tcp = require "tcp"
local udp = require "udp"

local TYPES <const> = { A = 1, CNAME = 5, AAAA = 28 }
local TYPE_NAMES <const> = { "A", [28] = "AAAA" }

local function pack_name(name)
  local parts = {}
  for label in name:gmatch "[^.]+" do
    parts[#parts + 1] = string.pack("s1", label)
  end
  return table.concat(parts) .. "\0"
end

local pack_data = { CNAME = pack_name }

function pack_data.A(text)
  return string.char(text:match "(%d+)%.(%d+)%.(%d+)%.(%d+)")
end

-- "2001:db8::7", with "::" before the last group.
function pack_data.AAAA(text)
  local head, last = text:match "^(.*)::(%x+)$"
  local groups = {}
  for group in head:gmatch "%x+" do
    groups[#groups + 1] = string.pack(">I2", tonumber(group, 16))
  end
  return table.concat(groups) .. ("\0\0"):rep(7 - #groups) ..
    string.pack(">I2", tonumber(last, 16))
end

local function unpack_question(data, via)
  local id, labels = string.unpack(">I2", data), {}
  local label, at = string.unpack("s1", data, 13)
  while label ~= "" do
    labels[#labels + 1] = label
    label, at = string.unpack("s1", data, at)
  end
  return { id = id, name = table.concat(labels, "."), via = via,
    type = TYPE_NAMES[string.unpack(">I2", data, at)],
    bytes = data:sub(13, at + 3) }
end

local function pack_answer(question, answer)
  if type(answer) == "string" then
    return answer
  end
  local flags = 0x8180 | (answer.rcode or 0) | (answer.truncated and 0x200 or 0)
  local parts = { string.pack(">I2I2I2I2I2I2", answer.id or question.id, flags,
    1, #answer, 0, 0), question.bytes }
  for _, record in ipairs(answer) do
    local kind, data = record[1], record[2]
    parts[#parts + 1] = pack_name(record.name or question.name) ..
      string.pack(">I2I2I4s2", TYPES[kind], 1, record.ttl or 60,
        pack_data[kind](data))
  end
  return table.concat(parts)
end

local function take(server, question, reply)
  table.insert(server.questions, question)
  question.reply = reply
  local answer = server.handler(question)
  if answer then
    server.answer(question, answer)
  end
end

local function serve_udp(server, socket)
  while true do
    local data, peer = socket:receive()
    if not data then
      return
    end
    take(server, unpack_question(data, "udp"), function(text)
      socket:send(text, peer)
    end)
  end
end

local function serve_tcp(server, listener)
  while true do
    local connection <close> = listener:accept()
    if not connection then
      return
    end
    local text = ""
    while #text < 2 or #text < 2 + string.unpack(">I2", text) do
      local more = connection:read()
      if not more then
        break
      end
      text = text .. more
    end
    if #text > 2 then
      take(server, unpack_question(text:sub(3), "tcp"), function(answer)
        connection:write(string.pack(">s2", answer))
      end)
    end
  end
end

local function write_file(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

-- Runs FN(resolv_conf, nsswitch) with files of these texts.
local function with_files(options, fn)
  local resolv_conf = write_file(options.resolv_conf or "nameserver 127.0.0.1\n")
  local nsswitch = write_file(options.nsswitch or "hosts: files dns\n")
  local _ <close> = setmetatable({}, { __close = function()
    os.remove(resolv_conf)
    os.remove(nsswitch)
  end })
  fn(resolv_conf, nsswitch)
end

-- Of one port, which somebody else may have for UDP.
local function listen()
  local socket, message
  for _ = 1, 100 do
    local listener = assert(tcp.listen())
    socket, message = udp.listen("127.0.0.1", listener:port())
    if socket then
      return listener, socket
    end
    listener:close()
  end
  error(message)
end

local function name_server(handler, body, options)
  options = options or {}
  local tcp_socket, udp_socket = listen()
  local listener <close> = tcp_socket
  local socket <close> = udp_socket
  local server = { questions = {}, handler = handler, port = socket:port() }
  function server.answer(question, answer)
    question.reply(pack_answer(question, answer))
  end
  local function run(resolv_conf, nsswitch)
    server.resolv_conf = resolv_conf
    names.use { resolv_conf = resolv_conf, nsswitch = nsswitch,
      port = server.port, patience = options.patience or 5 }
    body(server)
    listener:close()
    socket:close()
  end
  task.all(
    function() with_files(options, run) end,
    function() serve_udp(server, socket) end,
    function() serve_tcp(server, listener) end)
end

return name_server
