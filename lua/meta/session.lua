---@meta session
-- SPDX-License-Identifier: Apache-2.0

---A server that wants a login first, and then knows the client by a cookie (or
---by whatever the login leaves in it). Parts that run side by side share one
---login, collections after that share it too, and when the server has forgotten
---it (401) there is one new login.
---
---Servers lock accounts that guess. So after a login that failed there is no
---other for a minute, then two, up to a quarter of an hour; requests fail
---meanwhile with a sentence that says why, and until when. A login without an
---answer counts as failed; a server that answers 5xx has not looked at it.
---@class sessionlib
local session = {}

---What logs in: a POST to `url` with `form` or `json`; any 2xx is a success.
---`ready` is a request that needs no login and tells whether the server would
---know a right password (when not, nothing is tried and nothing counted);
---`pause` is the number of seconds after the first login that failed, 60.
---@alias session.login { url: string, form?: table, json?: any, ready?: function, pause?: number }

---The session with these options: made at the first call, kept for the next
---ones until it is not asked for during an hour.
---
---    local api = session.open({ base_url = config.url }, {
---      url = "/login",
---      form = { user = config.user, password = config.password },
---    })
---    local answer = assert(api:get "/devices")
---@param options http.client_options
---@param login session.login
---@return session
function session.open(options, login) end

---Has the methods of its client that ask. The client itself, `one.client`, asks
---without a login.
---@class session
local one = {}

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused an answer whose status is not 2xx
function one:get(url, options) end

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused
function one:post(url, options) end

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused
function one:put(url, options) end

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused
function one:delete(url, options) end

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused
function one:head(url, options) end

---@param url string
---@param options? http.options
---@return http.answer|nil
---@return string? message
---@return http.answer? refused
function one:request(url, options) end

return session
