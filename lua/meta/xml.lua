---@meta xml
-- SPDX-License-Identifier: Apache-2.0

-- XML, read by libxml2. What has a dot is the document's, what has a colon is
-- ours:
--
--     local list = assert(xml.parse(body))
--     for channel in list:each "channelStatistics" do
--       m.received:set(channel.received, channel.channelId)
--     end
--
-- Names are local names: `<a:b>` is "b", whatever namespace it has. Text is
-- exact, with the blanks it has in the document, and UTF-8 whatever encoding
-- the document has: UTF-8, UTF-16, US-ASCII, ISO-8859-*, windows-125*.
-- Comments and processing instructions are left out, CDATA is text.
--
-- Nothing is fetched: external entities are an error, an external DTD is never
-- read. Entities of the document itself are replaced if they are plain text.
-- Elements are nested at most 256 deep, and have at most 256 attributes.
-- A document's memory is the script's: about 30 bytes an element and its text.

---@class xmllib
local xml = {}

---@class (exact) xml.options
---@field size? integer bytes of the largest document; 16 MiB
---@field nodes? integer elements and attributes of it; 1000000

---An element. Its fields are the texts of its child elements: `e.received` is
---the text of the first child called `received`, nil without one. An element
---keeps its document; two of one place are equal.
---@class xml.element
---@field [string] string
local element = {}

---Reads a document and gives its root.
---
---    local list = assert(xml.parse(body))
---@param text string
---@param options? xml.options
---@return xml.element? root
---@return string? message "xml: line 3: Opening and ending tag mismatch: ..."
function xml.parse(text, options) end

---The same as the field: for names that a method has, too.
---
---    local label = e:get "text"
---@param name string
---@return string?
function element:get(name) end

---The first child element of that name.
---@param name string
---@return xml.element?
function element:child(name) end

---Iterates over the child elements, all or those of one name.
---
---    for entry in status:child "statistics":each "entry" do
---@param name? string
---@return fun(): xml.element?
function element:each(name) end

---The child elements as a list, all or those of one name.
---@param name? string
---@return xml.element[]
function element:children(name) end

---All text inside, that of elements inside too.
---@return string
function element:text() end

---The local name.
---@return string
function element:tag() end

---The URI of its namespace.
---@return string?
function element:namespace() end

---An attribute, by its local name.
---@param name string
---@return string?
function element:attribute(name) end

---All attributes by local name.
---@return table<string, string>
function element:attributes() end

---Evaluates XPath 1.0 with this element as its context. Nodes are a list in
---the order of the document: elements, and strings for attributes and text().
---Names without a prefix are those without a namespace; for others, `prefixes`
---says what a prefix in the expression means. A wrong expression and an unknown
---prefix raise. The first find of a document takes twice as long as parsing it,
---and 300 bytes an element outside of the script's memory until the document is
---collected; documents of more than 250000 elements and attributes have none.
---Steps are counted, the bytes that each looks at are not: an expression that
---takes the text of a large element again for each of many others, such as
---`//a[contains(/, "x")]`, keeps this exporter busy for as long as that takes.
---
---    for _, state in ipairs(list:find "dashboardStatus[name='ADT']/state") do
---    local sum = list:find "sum(channelStatistics/queued)"
---    local ids = doc:find("//s:item/@id", { s = "urn:example:stock" })
---@param xpath string
---@param prefixes? table<string, string> prefix to URI
---@return (xml.element|string)[]|string|number|boolean|nil result
---@return string? message the document is too large, or it took too many steps
function element:find(xpath, prefixes) end

---Plain tables: an element without children is its text ("" when it is empty),
---others are a table with a field for each name among their children, which is
---a list when there is more than one of that name. Attributes are left out, and
---so is text beside elements. That is the shape of Mirth's JSON, so the
---functions of `value` read both; `value.list` knows that one of a list is not
---in a list.
---
---    local data = list:table()
---    for _, channel in ipairs(value.list(data, "channelStatistics")) do
---      m.received:set(value.num(channel, "received"), channel.channelId)
---    end
---@return string|table
function element:table() end

return xml
