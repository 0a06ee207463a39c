-- SPDX-License-Identifier: Apache-2.0
-- Documents read like tables. The fixtures are answers of a Mirth Connect.
local json = require "json"
local value = require "value"
local xml = require "xml"

local FIXTURES <const> = "spec/fixtures/xml/"

local function read(name)
  local file <close> = assert(io.open(FIXTURES .. name, "rb"))
  return file:read "a"
end

local function parse(text, options)
  return assert(xml.parse(text, options))
end

local function refuses(text, pattern, options)
  local root, message = xml.parse(text, options)
  assert.is_nil(root)
  assert.matches("^xml: ", message)
  assert.matches(pattern, message)
  assert.is_nil(message:find "\n")
end

local function texts(elements)
  local list = {}
  for i, element in ipairs(elements) do
    list[i] = type(element) == "string" and element or element:text()
  end
  return list
end

-- Code points as UTF-16, "<" little or ">" big end first.
local function utf16(text, order)
  local out = {}
  for _, code in utf8.codes(text) do
    if code < 0x10000 then
      out[#out + 1] = (order .. "I2"):pack(code)
    else
      code = code - 0x10000
      out[#out + 1] = (order .. "I2I2"):pack(0xd800 + (code >> 10),
        0xdc00 + (code & 0x3ff))
    end
  end
  return table.concat(out)
end

-- Kilobytes of memory that the process has in use.
local function resident()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+)"
    if kilobytes then
      return tonumber(kilobytes)
    end
  end
end

describe("an answer of Mirth", function()
  it("has its channels", function()
    local list = parse(read "statistics.xml")
    local found = {}
    assert.equal("list", list:tag())
    for channel in list:each "channelStatistics" do
      found[#found + 1] = { channel.channelId:sub(1, 8), channel.received,
        channel.error, channel.queued }
    end
    assert.same({
      { "44444444", "0", "0", "0" },
      { "11111111", "10", "2", "4" },
      { "22222222", "5", "1", "0" },
    }, found)
  end)

  it("is the same as plain tables as in JSON", function()
    local from_json = json.decode(read "statistics.json").list
    for _, channel in ipairs(from_json.channelStatistics) do
      for key in pairs(channel) do
        channel[key] = value.str(channel, key)
      end
    end
    assert.same(from_json, parse(read "statistics.xml"):table())
  end)

  it("has names with every character", function()
    local names = {}
    for entry in parse(read "names.xml"):each "entry" do
      local pair = entry:children "string"
      names[#names + 1] = pair[2]:text()
    end
    assert.same({ "Stopped Zero", "ADT-Inbound", "Not Deployed",
      [[Übergabe Lab & Rx <ORU> "q" \ test]] }, names)
  end)

  it("has records in records", function()
    local list = parse(read "statuses.xml")
    local status = list:children "dashboardStatus"[2]
    assert.equal("ADT-Inbound", status.name)
    assert.equal("4", status.queued)
    assert.equal("CHANNEL", status.statusType)
    local connectors = {}
    for child in status:child "childStatuses":each() do
      connectors[#connectors + 1] = child.name .. " " .. child.queued
    end
    assert.same({ "Source 0", "Destination 1 4" }, connectors)
    assert.equal("linked-hash-map",
      status:child "statistics":attribute "class")
    assert.equal(3, #list:find "dashboardStatus/name")
    assert.equal(9, list:find "count(//statusType)")
    local path = "dashboardStatus[name='ADT-Inbound']/statistics/entry" ..
      "[*='RECEIVED']/long"
    assert.same({ "10" }, texts(list:find(path)))
  end)

  it("has numbers at paths", function()
    local system = parse(read "system.xml"):table()
    assert.equal(536870912, value.num(system, "maxMemoryBytes"))
    assert.equal(1795220091882, value.num(system, "timestamp.time"))
    assert.equal("Etc/UTC", value.get(system, "timestamp.timezone"))
  end)

  it("may hold one channel or none", function()
    local one = "<list><channelStatistics><sent>1</sent></channelStatistics></list>"
    assert.same({ { sent = "1" } },
      value.list(parse(one):table(), "channelStatistics"))
    assert.same({}, value.list(parse "<list/>":table(), "channelStatistics"))
  end)
end)

describe("an element", function()
  local doc <const> = parse [==[
<!-- before --><?pi before?>
<r id="7" x:kind="k&amp;&#33;" xmlns="urn:default" xmlns:x="urn:x">
  <name>first</name><name>second</name>
  <x:name>third</x:name>
  <empty/><blank> </blank>
  <text>in &lt;text&gt; &quot;&apos;&#x20AC;&#10;</text>
  <cdata>a<![CDATA[<b>&amp;]]]]>c</cdata>
  <mixed>one <b>two</b><!-- not --> <i>three</i><?nor this?> four</mixed>
  <child>a child</child><each>an each</each>
</r>]==]

  it("has its children's texts as fields", function()
    assert.equal("first", doc.name)
    assert.equal("", doc.empty)
    assert.equal(" ", doc.blank)
    assert.is_nil(doc.absent)
    assert.is_nil(doc[""])
    assert.equal("in <text> \"'€\n", doc:get "text")
  end)

  it("has fields with a method's name by get", function()
    assert.equal("a child", doc:get "child")
    assert.equal("an each", doc:get "each")
    assert.is_nil(doc:get "find")
    assert.equal("function", type(doc.child))
  end)

  it("has children", function()
    local tags = {}
    for child in doc:each() do
      tags[#tags + 1] = child:tag()
    end
    assert.same({ "name", "name", "name", "empty", "blank", "text", "cdata",
      "mixed", "child", "each" }, tags)
    assert.equal(#tags, #doc:children())
    assert.same({ "first", "second", "third" }, texts(doc:children "name"))
    assert.same({}, doc:children "absent")
    assert.same({}, doc:child "empty":children())
    assert.is_nil(doc:child "absent")
    assert.is_nil(doc:each "absent"())
    local next_name = doc:each "name"
    assert.equal("first", next_name():text())
    assert.equal("second", next_name():text())
    assert.equal("third", next_name():text())
    assert.is_nil(next_name())
    assert.is_nil(next_name())
  end)

  it("has attributes", function()
    assert.equal("7", doc:attribute "id")
    assert.equal("k&!", doc:attribute "kind")
    assert.is_nil(doc:attribute "absent")
    assert.is_nil(doc:attribute "name")
    assert.same({ id = "7", kind = "k&!" }, doc:attributes())
    assert.same({}, doc:child "name":attributes())
  end)

  it("has a namespace", function()
    local names = doc:children "name"
    assert.equal("urn:default", doc:namespace())
    assert.equal("urn:default", names[1]:namespace())
    assert.equal("urn:x", names[3]:namespace())
    assert.is_nil(parse "<a/>":namespace())
    assert.is_nil(parse "<a xmlns='u'><b xmlns=''/></a>":child "b":namespace())
  end)

  it("has text with entities, CDATA, and without comments", function()
    assert.equal("a<b>&amp;]]c", doc.cdata)
    assert.equal("one two three four", doc.mixed)
    assert.equal("two", doc:child "mixed".b)
    assert.equal("second", doc:children "name"[2]:text())
  end)

  it("is equal to itself and shows its tag", function()
    assert.is_true(doc:child "name" == doc:children()[1])
    assert.is_false(doc:child "name" == doc:children()[2])
    assert.is_false(parse "<a/>" == parse "<a/>")
    assert.equal("<mixed>", tostring(doc:child "mixed"))
  end)

  it("cannot be changed and says what it does not have", function()
    assert.has_error(function() doc.name = "x" end, "cannot be changed")
    assert.has_error(function() return doc[1] end, "fields by name")
    assert.has_error(function() return #doc end, "attempt to get length")
    assert.has_error(function() doc.child({}, "x") end, "xml.element expected")
    assert.has_error(function() doc:child(1) end, "string expected")
    assert.has_error(function() doc:each {} end, "string expected")
    assert.has_error(function() doc:attribute() end, "string expected")
    assert.has_error(function() doc:nothing() end, "nil value")
  end)

  it("outlives the variable of its document", function()
    local function one()
      return parse("<a><b id='1'><c>" .. ("x"):rep(100) .. "</c></b></a>")
        :child "b"
    end
    local b, cs = one(), one():find "c"
    for _ = 1, 3 do
      collectgarbage()
      parse "<other/>"
    end
    assert.equal(("x"):rep(100), b.c)
    assert.equal("1", b:attribute "id")
    assert.equal(("x"):rep(100), cs[1]:text())
    assert.equal("b", cs[1]:find ".."[1]:tag())
  end)
end)

describe("element:table", function()
  local function of(text)
    return parse(text):table()
  end

  it("is text for a leaf", function()
    assert.equal("x", of "<a>x</a>")
    assert.equal("", of "<a/>")
    assert.equal(" x\n", of "<a> x\n</a>")
    assert.equal("", of "<a><!-- no --></a>")
  end)

  it("is a table for what has children, without the blanks between", function()
    assert.same({ b = "1", c = "", d = { e = "2" } },
      of "<a>\n <b>1</b>\n <c/>\n <d>\n  <e>2</e></d>\n</a>")
  end)

  it("makes a list of what is repeated", function()
    assert.same({ b = { "1", "2", "3" }, c = "4" },
      of "<a><b>1</b><c>4</c><b>2</b><b>3</b></a>")
    assert.same({ b = { { c = { "1", "2" } }, { c = "3" }, "" } },
      of "<a><b><c>1</c><c>2</c></b><b><c>3</c></b><b/></a>")
    assert.same({ b = { "", "" }, c = { "", "" } },
      of "<a><b/><c/><b/><c/></a>")
  end)

  it("leaves attributes and text beside elements out", function()
    assert.same({ b = "1" }, of "<a id='1'>some<b k='v'>1</b>text</a>")
  end)

  it("is as deep as documents are", function()
    local data = of(("<a>"):rep(256) .. "x" .. ("</a>"):rep(256))
    for _ = 1, 255 do
      data = data.a
    end
    assert.equal("x", data)
  end)
end)

describe("element:find", function()
  local doc <const> = parse [==[
<shop xmlns:s="urn:stock" open="yes">
  <item id="1"><price>2.5</price></item>
  <item id="2"><price>4</price></item>
  <s:item id="3"/>
</shop>]==]

  it("gives elements in the order of the document", function()
    assert.same({ "4", "2.5" }, texts { doc:find "item[@id='2']/price"[1],
      doc:find "item[@id='1']/price"[1] })
    assert.same({ "2.5", "4" }, texts(doc:find "item[2]/price | item[1]/price"))
    assert.same({}, doc:find "absent")
    assert.equal("shop", doc:find "/"[1]:tag())
    assert.is_true(doc:find "item"[1] == doc:child "item")
    assert.is_true(doc:child "item":find ".."[1] == doc)
  end)

  it("is relative to its element", function()
    local second = doc:children "item"[2]
    assert.equal("4", second:find "price"[1]:text())
    assert.equal("4", second:find "string(price)")
    assert.equal(2, #second:find "//price")
  end)

  it("gives the texts of attributes and text nodes", function()
    assert.same({ "1", "2", "3" }, doc:find "*/@id")
    assert.same({ "2.5", "4" }, doc:find "//price/text()")
    assert.same({ "yes" }, doc:find "@open")
  end)

  it("gives numbers, strings and booleans", function()
    assert.equal(6.5, doc:find "sum(//price)")
    assert.equal("shop", doc:find "name()")
    assert.is_true(doc:find "count(item) = 2")
    assert.is_false(doc:find "boolean(absent)")
    local nan = doc:find "number('x')"
    assert.is_true(nan ~= nan)
  end)

  it("knows namespaces by the prefixes it is given", function()
    assert.equal(2, #doc:find "item")
    assert.equal("3", doc:find("x:item/@id", { x = "urn:stock" })[1])
    assert.equal("s:item", doc:find "name(*[3])")
    assert.has_error(function() doc:find "x:item" end, "an unknown prefix")
    local default = parse "<a xmlns='urn:d'><b>1</b></a>"
    assert.equal(0, #default:find "b")
    assert.equal("1", default:find("d:b", { d = "urn:d" })[1]:text())
  end)

  it("raises for a wrong expression, and says what is wrong", function()
    for _, case in ipairs {
      { "//[", "invalid expression at character 3" },
      { "", "invalid expression" },
      { "item[", "invalid expression" },
      { "1 + nothing(2)", "an unknown function at character 5 of" },
      { "$x", "no variables" },
      { "'open", "an unfinished string" },
      { "count()", "wrong number of arguments" },
      { "count(1)", "wrong type" },
      { "x:nothing()", "unknown function at character 3" },
      { ("("):rep(4000) .. "1" .. (")"):rep(4000), "4096 bytes" },
      { ("("):rep(2000) .. "1" .. (")"):rep(2000), "too much nesting" },
      { ("a"):rep(5000), "4096 bytes at character 1 of 'aaa" },
    } do
      assert.has_error(function() doc:find(case[1]) end, case[2])
    end
    assert.has_error(function() doc:find "a\0b" end, "a NUL byte")
    assert.has_error(function() doc:find() end, "string expected")
    assert.has_error(function() doc:find("a", "b") end, "table expected")
    assert.has_error(function() doc:find("a", { 1 }) end, "prefix = uri")
    assert.has_error(function() doc:find("a", { b = 1 }) end, "prefix = uri")
    assert.equal(2, #doc:find "item", "and goes on")
  end)

  it("ends an expression that takes too long", function()
    local large = parse("<a>" .. ("<b><c/></b>"):rep(20000) .. "</a>")
    local started = os.clock()
    local result, message = large:find "//*[count(//*[count(//*) > 0]) > 0]"
    assert.is_nil(result)
    assert.matches("takes too many steps", message)
    assert.is_true(os.clock() - started < 10)
    assert.equal(20000, #large:find "b")
  end)

  it("needs a tree, which a large document does not get", function()
    local large = parse("<a>" .. ("<b/>"):rep(300000) .. "</a>")
    local result, message = large:find "b[1]"
    assert.is_nil(result)
    assert.matches("more than 250000 elements", message)
    assert.equal("", large.b)
  end)
end)

describe("the encoding of a document", function()
  local TEXT <const> = "<?xml version='1.0' encoding='%s'?><a b='é'>%s</a>"

  it("is UTF-8 unless it says otherwise", function()
    assert.equal("é€𝄞", parse "<a>é€𝄞</a>":text())
    assert.equal("é", parse "\xEF\xBB\xBF<a>é</a>":text())
    assert.equal("é", parse(TEXT:format("utf-8", "é")):text())
    assert.equal("é", parse("\xEF\xBB\xBF" .. TEXT:format("x", "é")):text())
  end)

  it("may be UTF-16", function()
    for order, mark in pairs { ["<"] = "\xFF\xFE", [">"] = "\xFE\xFF" } do
      local text = TEXT:format("UTF-16", "é€𝄞")
      for _, bytes in ipairs { mark .. utf16(text, order), utf16(text, order) } do
        local a = parse(bytes)
        assert.equal("é€𝄞", a:text())
        assert.equal("é", a:attribute "b")
      end
    end
    refuses("\xFF\xFE<\0a\0/\0>\0\0\xD8", "bytes that are not UTF%-16LE")
    refuses("\xFF\xFE<\0a\0/\0>", "bytes that are not UTF%-16LE")
  end)

  it("may be one byte a character", function()
    local text = "<?xml version=\"1.0\" encoding = \"%s\"?><a>%s</a>"
    assert.equal("é", parse(text:format("ISO-8859-1", "\xE9")):text())
    assert.equal("€", parse(text:format("ISO-8859-15", "\xA4")):text())
    assert.equal("€ é", parse(text:format("windows-1252", "\x80 \xE9")):text())
    assert.equal("Ж", parse(text:format("Windows-1251", "\xC6")):text())
    assert.equal("x", parse(text:format("US-ASCII", "x")):text())
    refuses(text:format("windows-1252", "\n\x81"),
      "line 2: bytes that are not windows%-1252")
  end)

  it("is one of those that are known", function()
    for _, name in ipairs { "EBCDIC-CP-US", "UTF-7", "UTF-32", "ISO-2022-JP",
      "ISO-8859-", "ISO-8859-1//TRANSLIT", "../../x", "a\nb", "x\xff",
      ("x"):rep(100) } do
      refuses(TEXT:format(name, "x"), "encoding '")
    end
  end)

  it("is kept to", function()
    for _, text in ipairs { "<a>\xFF</a>", "<a>\n\xC3</a>", "<a b='\xE9'/>",
      "<\xFF/>", "<a>\xED\xA0\x80</a>", "<a>\xF4\x90\x80\x80</a>",
      "<a>\xC0\x80</a>" } do
      refuses(text, "line %d")
    end
    refuses("<a>\n\0</a>", "line 2: a NUL byte")
    refuses("<a>\1</a>", "line 1")
    refuses("<a>&#1;</a>", "line 1")
    refuses("\0", "NUL")
  end)
end)

describe("a malformed document", function()
  it("fails with the line and the reason", function()
    refuses("<list>\n <a>\n </b>\n</list>",
      "^xml: line 3: Opening and ending tag mismatch: a line 2 and b$")
    refuses("", "^xml: the document is empty$")
    refuses("   ", "line 1: ")
    refuses("no xml", "line 1: Start tag expected")
    refuses("<a/><b/>", "Extra content")
    refuses("<a b='1' b='2'/>", "Attribute b redefined")
    refuses("<a b=1/>", "line 1")
    refuses("<a>&nbsp;</a>", "no declaration of entity 'nbsp'")
    refuses("<a><b", "line 1")
    refuses("<html><br></html>", "tag mismatch")
    refuses("<a><!-- ", "omment")
    refuses("<a><![CDATA[ ", "line 1")
    refuses('{"error":"not xml"}', "Start tag expected")
  end)

  it("is what is cut anywhere", function()
    local whole = read("statistics.xml"):gsub("%s+$", "")
    for length = 0, #whole - 1 do
      refuses(whole:sub(1, length), "^xml: ")
    end
    assert.is_not_nil(xml.parse(whole))
  end)

  it("is not an unknown prefix, which is left out", function()
    local a = parse "<s:a t:b='1'><c/></s:a>"
    assert.equal("a", a:tag())
    assert.equal("1", a:attribute "b")
    assert.is_nil(a:namespace())
  end)
end)

describe("a hostile document", function()
  it("reads no file and asks nobody", function()
    for _, place in ipairs { "file:///etc/passwd", "/etc/passwd",
      "http://127.0.0.1:1/x" } do
      local dtd = "<!DOCTYPE a [<!ENTITY e SYSTEM '" .. place .. "'>]>"
      refuses(dtd .. "<a>&e;</a>", "external entities are not read")
      refuses(dtd .. "<a b='&e;'/>", "line 1")
      refuses("<!DOCTYPE a [<!ENTITY % e SYSTEM '" .. place .. "'>%e;]><a/>",
        "parameter entities are not read")
      assert.equal("x",
        parse("<!DOCTYPE a SYSTEM '" .. place .. "'><a>x</a>"):text())
    end
  end)

  it("may have entities of plain text", function()
    local a = parse [[<!DOCTYPE a [
      <!ENTITY e "e1"> <!ENTITY f "[&e;&amp;&#38;#60;]"> <!-- ' ]> --> <?p "]>?>
      <!ATTLIST a d CDATA "by default"> <!ELEMENT a (b|c)*>
    ]><a b="&e;&f;">&e;&f;&e;</a>]]
    assert.equal("e1[e1&<]e1", a:text())
    assert.equal("e1[e1&<]", a:attribute "b")
    assert.is_nil(a:attribute "d")
    refuses("<!DOCTYPE a [<!ENTITY e '<b/>'>]><a>&e;</a>", "markup")
    refuses("<!DOCTYPE a [<!ENTITY e '&f;'><!ENTITY f '&e;'>]><a>&e;</a>",
      "line 1")
  end)

  it("does not grow by entities", function()
    local laughs = { '<!DOCTYPE a [<!ENTITY l0 "lol">' }
    for i = 1, 12 do
      laughs[#laughs + 1] = ('<!ENTITY l%d "%s">'):format(i,
        ("&l%d;"):format(i - 1):rep(10))
    end
    local dtd = table.concat(laughs) .. "]>"
    refuses(dtd .. "<a>&l12;</a>", "line 1")
    refuses(dtd .. "<a b='&l12;'/>", "line 1")
    local quadratic = "<!DOCTYPE a [<!ENTITY e '" .. ("x"):rep(16000) ..
      "'>]><a>" .. ("&e;"):rep(10000) .. "</a>"
    refuses(quadratic, "too much text from entities")
    refuses("<!DOCTYPE a [<!ENTITY e '" .. ("x"):rep(1000000) .. "'>]><a>&e;</a>",
      "a DOCTYPE of more than 16 KiB")
    refuses("<!DOCTYPE a [<!ENTITY e 'x'>]><a>" .. ("&e;"):rep(10001) .. "</a>",
      "too much text from entities")
  end)

  it("ends at a ceiling", function()
    refuses(("<a>"):rep(100000) .. ("</a>"):rep(100000), "256 deep")
    refuses(("<a>"):rep(257) .. ("</a>"):rep(257), "256 deep")
    assert.is_not_nil(xml.parse(("<a>"):rep(256) .. ("</a>"):rep(256)))
    refuses("<a>" .. ("<b/>"):rep(1000000) .. "</a>",
      "more than 1000000 elements and attributes")
    refuses("<a><b c='1'/></a>", "more than 2 elements", { nodes = 2 })
    assert.is_not_nil(xml.parse("<a><b c='1'/></a>", { nodes = 3 }))
    refuses("<a>" .. ("x"):rep(16 << 20) .. "</a>", "16777223 bytes, at most")
    refuses("<a/>", "4 bytes, at most 3", { size = 3 })
    local names = {}
    for i = 1, 20000 do
      names[i] = ("<n%d/>"):format(i)
    end
    refuses("<a>" .. table.concat(names) .. "</a>", "too many different names")
  end)

  -- FNV-1a, as names are hashed, but without the seed: names that end in one
  -- of 32768 slots.
  it("cannot have names that all take the same place", function()
    local PRIME <const>, MASK <const>, SLOT <const> = 403, 32767, 1234
    local undone = 1
    while undone * PRIME & MASK ~= 1 do
      undone = undone + 2
    end
    local letters, names, seen = {}, {}, 0
    for i = 0, 31 do
      letters[i] = i < 26 and 97 + i or 39 + i
    end
    while #names < 6000 do
      local hash = 0x811c9dc5
      for shift = 0, 20, 5 do
        hash = (hash ~ letters[seen >> shift & 31]) * PRIME & MASK
      end
      local last = SLOT * undone & MASK ~ hash
      if last >= 97 and last <= 122 then
        names[#names + 1] = string.char(letters[seen & 31],
          letters[seen >> 5 & 31], letters[seen >> 10 & 31],
          letters[seen >> 15 & 31], letters[seen >> 20 & 31], last)
      end
      seen = seen + 1
    end
    local text = "<r><" .. table.concat(names, "/><") .. "/>" ..
      ("<" .. names[#names] .. "/>"):rep(500000) .. "</r>"
    local began = os.clock()
    assert(xml.parse(text))
    assert.is_true(os.clock() - began < 2)
  end)

  it("is an answer with wrong options, which raise", function()
    assert.has_error(function() xml.parse("<a/>", { node = 1 }) end,
      "did you mean 'nodes'")
    assert.has_error(function() xml.parse("<a/>", { size = 0 }) end, "size")
    assert.has_error(function() xml.parse(nil) end, "string expected")
    assert.has_error(function() xml.parse(1) end, "string expected")
  end)
end)

-- The address sanitizer keeps freed memory for a while.
local function grown_at_most(megabytes, before)
  local maps <close> = assert(io.open "/proc/self/maps")
  local sanitized = maps:read "a":find "libasan"
  return resident() - before < (sanitized and 1024 or megabytes) << 10
end

describe("the memory of documents", function()
  it("is given back", function()
    local record = "<record><name>something</name><count>%d</count></record>"
    local text = "<list>" .. (record:format(12345)):rep(90000) .. "</list>"
    assert.is_true(#text > 5000000)
    collectgarbage()
    local before = resident()
    for _ = 1, 15 do
      assert.equal("12345", parse(text):child "record".count)
    end
    assert.is_true(grown_at_most(64, before))
  end)

  it("is given back with the trees of find", function()
    local text = "<list>" .. ("<record><name>something</name></record>"):rep(
      20000) .. "</list>"
    parse(text):find "record[1]"
    collectgarbage()
    local before = resident()
    for _ = 1, 10 do
      assert.equal(20000, parse(text):find "count(record)")
    end
    assert.is_true(grown_at_most(96, before))
  end)
end)
