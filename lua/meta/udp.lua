---@meta udp
-- SPDX-License-Identifier: Apache-2.0

---UDP: sockets connected to one peer, and servers that answer whoever sends.
---
---Whatever the network does is `nil, message`; the message names the peer, such
---as "udp 10.0.0.7:5000: connection refused". Sockets are closed by `close`, by
---`<close>` and by the garbage collector. Datagrams that arrive while nobody
---waits are kept, up to 256 or 1 MiB; the newest are dropped when that is full.
---Those for a server that `start` opened are kept by the kernel, because the next
---version of the script takes it over.
---@class udp
local udp = {}

---Connects a socket to a peer: only what that peer sends is heard. Waits while a
---name is resolved, and does not wait for the peer, who may not be there. Of many
---addresses the first to which this host has a way is taken; `resolve.lookup`
---tells all of them, for who wants to try another.
---
---```lua
---local meter <close> = assert(udp.connect("10.0.0.7", 5000))
---local data = assert(meter:request("DATA_REQUEST", 3))
---```
---@param host string a name or an address
---@param port integer|string 1 to 65535
---@return udp.socket? socket
---@return string? message
function udp.connect(host, port) end

---Receives what anybody sends to an address of this host. At a reload, what
---`start` listens on passes to the next version without losing a datagram, if
---that listens at the same address and port.
---
---```lua
---local server <close> = assert(udp.listen("", 5000))
---while true do
---  local data, peer = assert(server:receive())
---  server:send(data, peer)
---end
---```
---@param host string an address; "" is every address, IPv4 and IPv6
---@param port integer 0 to 65535; 0 takes a free one
---@return udp.server? server
---@return string? message
function udp.listen(host, port) end

---A socket that is connected to one peer.
---@class (exact) udp.socket
local socket = {}

---Sends one datagram, at once. That nobody is there to take it shows in the next
---`receive`.
---@param data string up to 65507 bytes; "" is a datagram too
---@return true? sent
---@return string? message
function socket:send(data) end

---Waits for a datagram. Without a timeout, and at the latest, until shortly
---before the deadline of the collection.
---@param timeout? number seconds; 0 takes what is there already
---@return string? data "" for an empty datagram
---@return string? message
---@return "timeout"? why present when nothing came in time
function socket:receive(timeout) end

---Sends a datagram and waits for one. What had arrived before is dropped, so a
---late answer to an earlier request is not taken for the answer to this one.
---@param data string
---@param timeout? number seconds, as for `receive`
---@return string? data
---@return number|string|nil seconds the round trip; after a failure the message
---@return "timeout"? why present when nothing came in time
function socket:request(data, timeout) end

---Drops every datagram that has arrived.
---@return integer count
function socket:drain() end

---The socket's own address, such as "10.0.0.2:40312".
---@return string
function socket:address() end

---The address of the peer, such as "10.0.0.7:5000".
---@return string
function socket:peer() end

---Datagrams dropped because nobody received them in time.
---@return integer count
function socket:dropped() end

---Closes the socket. A task that waits for it gets `nil, message`.
function socket:close() end

---A socket that receives from anybody.
---@class (exact) udp.server
local server = {}

---Waits for a datagram.
---@param timeout? number seconds, as for `socket:receive`
---@return string? data
---@return string? peer who sent it, for `send`; after a failure the message
---@return "timeout"? why present when nothing came in time
function server:receive(timeout) end

---Sends a datagram to a peer, at once.
---@param data string
---@param peer string as `receive` returned it: "192.0.2.1:5000"
---@return true? sent
---@return string? message
function server:send(data, peer) end

---Drops every datagram that has arrived.
---@return integer count
function server:drain() end

---The address that it is bound to, such as "0.0.0.0:5000".
---@return string
function server:address() end

---The port that it is bound to.
---@return integer
function server:port() end

---Datagrams dropped because nobody received them in time.
---@return integer count
function server:dropped() end

---Closes it. A task that waits for it gets `nil, message`.
function server:close() end

return udp
