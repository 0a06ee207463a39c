-- SPDX-License-Identifier: Apache-2.0
-- The client behind the functions of the module http. It has neither cookies
-- nor a gate: nothing that one request would do to another.

local clients = require "http.client"

local common = clients.new { cookies = false }
common.gate = nil

return common
