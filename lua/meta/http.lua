---@meta http
-- SPDX-License-Identifier: Apache-2.0

---HTTP and HTTPS, by libcurl.
---
---A status of 2xx is an answer. Everything else is `nil` and one sentence that
---begins with method and URL ("GET https://host/path: 503 Service Unavailable"),
---so `assert(http.get(url))` gives up the part that cannot go on. When the
---server answered, its answer is the third value. Credentials, headers, bodies
---and the values of a query are never in a sentence, nor in a trace; of a page
---that came instead of data, a sentence has the first words.
---
---A request waits; other tasks run meanwhile. All of it, name, connection, TLS,
---redirects, its turn under a rate limit, retries, ends within its timeout, and
---a little before the deadline of the collection.
---
---An unknown option and one of the wrong type raise.
---@class http
local http = {}

---What a request can say. A client takes the same as defaults; headers and query
---are merged by name, the request's wins. So does its login, of whatever kind; a
---header Authorization beats a token beside it.
---@class (exact) http.options
---@field method? string for `request` alone; default: "GET"
---@field headers? table<string, string|number>
---Appended to the URL, encoded, sorted by name; a list repeats its name.
---@field query? table<string, any>
---@field json? any the body, and its Content-Type
---@field form? table<string, any> the body, as a form of the web sends it
---The body, application/octet-stream unless `headers` has a Content-Type.
---@field body? string
---@field accept? string the header Accept
---@field user? string basic authentication
---@field password? string
---@field bearer? string a token for the header Authorization
---@field timeout? number seconds over everything; default: 10
---How many are followed; default: 10; with 0 one is a failure as any status
---that is not 2xx. The login stays with the first host, and so do the headers
---Authorization and Cookie; a header like X-Api-Key goes along.
---@field redirects? integer
---@field body_max? integer bytes; a larger body is a failure; default: 16 MiB
---Default: as the environment says (https_proxy, no_proxy); "" is none.
---@field proxy? string
---@field unix_socket? string a path; the URL's host is then a mere name
---@field ca_file? string PEM, instead of the system's authorities
---@field cert_file? string PEM, the client's own certificate
---@field key_file? string PEM
---Whom the certificate must name, instead of the URL's host.
---@field server_name? string
---@field insecure? boolean true: whoever answers is believed
---Further attempts of GET, HEAD, PUT, DELETE after no connection, 429, 502, 503
---or 504; default: 0. Waits grow from 0.2 s at random, and never end behind the
---timeout.
---@field retries? integer
---@field name? string of the endpoint, for `observe`; default: the path

---@class (exact) http.rate
---@field requests integer
---@field per number seconds

---@class (exact) http.client_options : http.options
---In front of what is no URL of its own: with "https://h/api", "/v1" is
---"https://h/api/v1". To another origin, credentials (user, password, bearer,
---client certificate, headers such as Authorization, Cookie and X-Api-Key) and the
---defaults of query and body are not sent.
---@field base_url? string
---@field cookies? boolean keep them and send them back; default: true
---@field connections? integer at a time to one host; default: 16
---Never more than so many requests in any window of so many seconds. A place is
---free `per` seconds after the end of its request, so this also holds as the
---server counts; a redirect that is followed is not counted. Requests go in the
---order in which they came. One whose turn would come too late fails at once.
---@field rate? http.rate
---Called after each attempt; the status is nil when nobody answered.
---@field observe? fun(name: string, status: integer?, seconds: number)

---The verbs, with a client that keeps no cookies.
---
---```lua
---local answer = assert(http.get("https://api.example.org/v1/state", {
---  query = { since = 0 },
---  bearer = config.token,
---}))
---local state = assert(answer:json())
---```
---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal the answer, when its status is not 2xx
function http.get(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function http.post(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function http.put(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function http.delete(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer its body is ""
---@return string? message
---@return http.answer? refusal
function http.head(url, options) end

---Any method: `http.request(url, { method = "PATCH", json = change })`.
---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function http.request(url, options) end

---What belongs together: defaults, cookies, connections, a rate limit. Nothing
---is sent yet, so a script may make one at its top level.
---
---A server that answers 429 or 503 with Retry-After pauses the whole client for
---so long (an hour at most), also in later collections: requests wait, or fail
---at once when the pause is longer than what they have left.
---
---```lua
---local api = http.client {
---  base_url = config.endpoint,
---  bearer = config.token,
---  rate = { requests = 10000, per = 300 },
---  retries = 2,
---}
---local devices = assert(assert(api:get "/v1/devices"):json())
---```
---@param options? http.client_options
---@return http.client
function http.client(options) end

---@class (exact) http.client
local client = {}

---@param url string a path below `base_url`, or a URL
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:get(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:post(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:put(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:delete(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:head(url, options) end

---@param url string
---@param options? http.options
---@return http.answer? answer
---@return string? message
---@return http.answer? refusal
function client:request(url, options) end

---Forgets all cookies: the next request is a stranger's.
function client:clear_cookies() end

---Ends it, as `<close>` and the garbage collector do. Who waits for an answer
---gets `nil, message`.
function client:close() end

---Seconds since the start at which each was over; 0 for what did not happen,
---such as `connect` on a connection that was kept.
---@class (exact) http.timings
---@field resolve number
---@field connect number
---@field tls number
---@field first_byte number
---@field total number

---@class (exact) http.answer
---@field status integer
---By name in lower case; repeated ones joined by ", ".
---@field headers table<string, string>
---@field body string decompressed
---@field url string where it came from, after redirects
---@field timings http.timings
---When the server's certificate ends, as clock.now() counts; nil without TLS.
---@field certificate_expiry? number
local answer = {}

---The body as JSON, whatever its Content-Type.
---@return any value nil when it is none
---@return string? message "GET https://h/v1: expected JSON, got text/html: <html>..."
function answer:json() end

---The body as XML.
---@return xml.element? root nil when it is none
---@return string? message "GET https://h/v1: expected XML, got text/html: <html>..."
function answer:xml() end

---The body as plain tables, whether it is JSON or XML: what an API serves both
---ways, a script reads with the same lines. XML becomes a table with the root's
---name, in the shape of element:table().
---
---    local data = assert(answer:table())
---    for _, channel in ipairs(value.list(data, "list.channelStatistics")) do
---@return table? data nil when it is neither
---@return string? message
function answer:table() end

return http
