---@meta icmp
-- SPDX-License-Identifier: Apache-2.0

---Pings: ICMP and ICMPv6 echoes.
---
---A host is a name or an address. A name is looked up within the same timeout.
---Times of arrival are the kernel's: what a script computes meanwhile is not in
---them. An answer counts when it has the address, the numbers and the random
---bytes of the echo; all else is dropped.
---
---Whatever the network does is `nil, message, reason`; the message names the
---host, such as "ping meter.lan (10.0.0.7): no answer within 3 s". The host may
---use sockets for pings where `net.ipv4.ping_group_range` has its group, and raw
---sockets with CAP_NET_RAW; with neither, the reason is "denied".
---@class icmp
local icmp = {}

---@alias icmp.reason
---| "timeout" # no answer in time
---| "unreachable" # a router, or the host, says so
---| "ttl" # the TTL was used up on the way; the message says where
---| "too big" # for the network on the way, with `dont_fragment`
---| "name" # the name is not known
---| "not sent" # the system refused it: no route, a firewall; too many at a time
---| "denied" # this process may not ping

---@class (exact) icmp.options
---@field timeout? number seconds, of each echo; default 3; never beyond the deadline
---@field size? integer bytes of payload, 16 to 65507; default 56
---@field ttl? integer 1 to 255; default: the system's
---@field dont_fragment? boolean ask the network not to cut the packet up
---@field source? string an address of this machine to send from
---@field family? 4|6 default: what the host is, or the resolver prefers

---@class (exact) icmp.reply
---@field rtt number seconds
---@field ttl integer of the answer
---@field address string who answered
---@field size integer bytes of payload

---Sends one echo and waits for the answer.
---
---```lua
---local reply, message = icmp.echo("10.0.0.7", { timeout = 1 })
---m.device_up:set(reply and 1 or 0)
---```
---@param host string
---@param options? icmp.options
---@return icmp.reply? reply
---@return string? message
---@return icmp.reason? reason
function icmp.echo(host, options) end

---@class (exact) icmp.series.options: icmp.options
---@field count? integer echoes, 1 to 10000; default 5
---@field interval? number seconds from one to the next; default 1

---@class (exact) icmp.statistics
---@field sent integer fewer than `count` when the deadline came first
---@field received integer answers within their timeout
---@field loss number 0 to 1
---@field min? number seconds; like the five below absent without an answer
---@field mean? number
---@field max? number
---@field stddev? number standard deviation, as ping's mdev
---@field jitter? number mean difference of an answer's time to that before it
---@field ttl? integer of the last answer
---@field duplicates integer answers beyond the first
---@field late integer answers after their timeout; they are lost, too
---@field address string who was asked
---@field rtts (number|false)[] of each echo; false when it is lost
---@field error? string why the last one that failed did; nil when all were answered
---@field reason? icmp.reason of the same

---Sends several echoes, whether or not there are answers, and tells about all.
---It is over when each is answered or lost.
---
---```lua
---local series = assert(icmp.series(host, { count = 10, interval = 0.2 }))
---m.ping_loss_ratio:set(series.loss, host)
---if series.mean then
---  m.ping_rtt_seconds:set(series.mean, host)
---end
---```
---
---Loss is not a failure, even all of it; an unknown name is.
---@param host string
---@param options? icmp.series.options
---@return icmp.statistics? series
---@return string? message
---@return icmp.reason? reason
function icmp.series(host, options) end

---@class (exact) icmp.sweep.options: icmp.options
---@field interval? number seconds from one echo to the next; default 0: no pause

---Sends one echo to each of many hosts, up to 65536, and waits for all answers:
---a single wait, whose cost for a host is little more than the kernel's.
---
---```lua
---local rtts, failures = assert(icmp.sweep(hosts, { timeout = 1 }))
---for i, host in ipairs(hosts) do
---  m.up:set(rtts[i] and 1 or 0, host)
---  if failures[i] then
---    log.warn(failures[i])
---  end
---end
---```
---
---It fails as a whole only when this process may not ping, or the list is too
---long. A network may drop what comes without a pause.
---@param hosts string[]
---@param options? icmp.sweep.options
---@return (number|false)[]? rtts seconds for each host, or false
---@return table<integer, string>|string|nil failures the message for each without
---answer; after a failure its message
---@return icmp.reason? reason
function icmp.sweep(hosts, options) end

return icmp
