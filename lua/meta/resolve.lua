---@meta resolve
-- SPDX-License-Identifier: Apache-2.0

---Names to addresses: /etc/hosts, the name servers of /etc/resolv.conf, and what
---else /etc/nsswitch.conf lists. `udp` and `icmp` ask by themselves; this is for
---who wants to know, or to try one address after another.
---@class resolve
local resolve = {}

---Waits for the addresses of a name.
---
---An answer is kept for the time that its zone states, within 1 to 300 seconds
---(10 for what states none, such as /etc/hosts), and serves all of the exporter.
---A failure is not kept. Whoever asks for the same name meanwhile waits for the
---same answer.
---
---```lua
---for _, address in ipairs(assert(resolve.lookup("meter.lan"))) do
---  ...
---end
---```
---@param name string a name, or an address, which is its own answer
---@param options? resolve.options
---@return string[]? addresses the one to prefer first (RFC 6724), at most 32
---@return number|string seconds for which the answer is good; or the message
function resolve.lookup(name, options) end

---@class (exact) resolve.options
---@field family? 4|6 addresses of this family only
---@field max_age? number seconds; a kept answer that is older is asked for anew
---@field timeout? number seconds; 5 when absent

return resolve
