-- SPDX-License-Identifier: Apache-2.0
-- HTTP for scripts: what `require "http"` gives.

local clients = require "http.client"
local common = require "http.common"
local options_of = require "http.options"

local M = {}

function M.client(options)
  options = options or {}
  options_of.check_client(options)
  return clients.new(options)
end

function M.request(url, options)
  return common:request(url, options)
end

for _, verb in ipairs(clients.VERBS) do
  local method <const> = common[verb]
  M[verb] = function(url, options)
    return method(common, url, options)
  end
end

return M
