-- SPDX-License-Identifier: Apache-2.0
-- Messages declared in Lua and in .proto files, decoded and encoded. The byte
-- strings of the fixtures' messages were made with protoc --encode.

local protobuf = require "protobuf"

local FIXTURES <const> = "../fixtures/protobuf/"

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function hex(s)
  return (s:gsub(".", function(c)
    return string.format("%02x", c:byte())
  end))
end

local function measurement()
  return protobuf.message({
    timestamp = { 1, "uint64" },
    energy_consumption = { 2, "double" },
    current = { 3, "float" },
  }, "powermeter.Measurement")
end

describe("a message of the power meter", function()
  local Measurement <const> = measurement()

  it("decodes what the meter sends", function()
    assert.same({
      timestamp = 1000000,
      energy_consumption = 1250.5,
      current = 162.75,
    }, Measurement:decode(bytes "08c0843d1100000000008a93401d00c02243"))
  end)

  it("is all zeros when the datagram is empty", function()
    local reading = assert(Measurement:decode "")
    assert.same({ timestamp = 0, energy_consumption = 0.0, current = 0.0 },
      reading)
    assert.equal("integer", math.type(reading.timestamp))
    assert.equal("float", math.type(reading.current))
  end)

  it("gives a float as the double nearest to it", function()
    local reading = assert(Measurement:decode(bytes "1dcdcccc3e"))
    assert.equal(0x1.99999ap-2, reading.current)
  end)

  it("names the byte at which input is malformed", function()
    local reading, message = Measurement:decode(bytes "08c0843d11000000")
    assert.is_nil(reading)
    assert.equal("powermeter.Measurement: truncated 64-bit value at byte 5",
      message)
    reading, message = Measurement:decode(bytes "0880")
    assert.is_nil(reading)
    assert.equal("powermeter.Measurement: truncated varint at byte 1", message)
  end)

  it("skips fields it does not know", function()
    assert.equal(5, Measurement:decode(bytes "22026869 0805").timestamp)
  end)

  it("encodes without the fields that are zero", function()
    assert.equal("08c0843d1d00c02243", hex(Measurement:encode {
      timestamp = 1000000, energy_consumption = 0, current = 162.75,
    }))
    assert.equal("", Measurement:encode {})
  end)

  it("writes a negative zero", function()
    assert.equal("110000000000000080",
      hex(Measurement:encode { energy_consumption = -0.0 }))
  end)

  it("survives being cut at every byte", function()
    local whole <const> = bytes "08b1d1f9d6031100000000008e12411d0000c844"
    local failed = 0
    for i = 0, #whole do
      local reading, message = Measurement:decode(whole:sub(1, i))
      assert((reading == nil) == (message ~= nil))
      failed = failed + (message and 1 or 0)
    end
    assert.equal(#whole + 1 - 4, failed)
  end)

  it("shows its name", function()
    assert.equal("protobuf.message: powermeter.Measurement",
      tostring(Measurement))
  end)

  it("does not decode what is no string", function()
    assert.has_error(function() Measurement:decode(5) end, "string expected")
    assert.has_error(function() Measurement.decode("x", "y") end,
      "protobuf.message expected")
  end)
end)

describe("integers", function()
  local Numbers <const> = protobuf.message {
    i32 = { 1, "int32" }, i64 = { 2, "int64" },
    u32 = { 3, "uint32" }, u64 = { 4, "uint64" },
    s32 = { 5, "sint32" }, s64 = { 6, "sint64" },
    f32 = { 7, "fixed32" }, f64 = { 8, "fixed64" },
    sf32 = { 9, "sfixed32" }, sf64 = { 10, "sfixed64" },
  }

  local function round(fields)
    return Numbers:decode(Numbers:encode(fields))
  end

  it("come back at both ends of their range", function()
    local low <const> = {
      i32 = -2 ^ 31 | 0, i64 = math.mininteger, u32 = 0, u64 = 0,
      s32 = -2 ^ 31 | 0, s64 = math.mininteger, f32 = 0, f64 = 0,
      sf32 = -2 ^ 31 | 0, sf64 = math.mininteger,
    }
    local high <const> = {
      i32 = 2 ^ 31 - 1 | 0, i64 = math.maxinteger, u32 = 2 ^ 32 - 1 | 0,
      u64 = math.maxinteger, s32 = 2 ^ 31 - 1 | 0, s64 = math.maxinteger,
      f32 = 2 ^ 32 - 1 | 0, f64 = math.maxinteger, sf32 = 2 ^ 31 - 1 | 0,
      sf64 = math.maxinteger,
    }
    assert.same(low, round(low))
    assert.same(high, round(high))
  end)

  it("are floats from 2^63 on", function()
    local numbers = assert(Numbers:decode(
      bytes "20ffffffffffffffffff01 410000000000000080"))
    assert.equal(2.0 ^ 64, numbers.u64)
    assert.equal(2.0 ^ 63, numbers.f64)
    assert.equal("float", math.type(numbers.f64))
    assert.equal(2.0 ^ 63, round { u64 = 2.0 ^ 63 }.u64)
  end)

  it("may be given as floats without a fraction", function()
    assert.equal(7, round { i32 = 7.0 }.i32)
  end)

  it("that do not fit raise", function()
    for _, case in ipairs {
      { { i32 = 2 ^ 31 }, "field 'i32': 2147483648.0 does not fit int32" },
      { { u32 = -1 }, "field 'u32': -1 does not fit uint32" },
      { { u64 = -1 }, "field 'u64': -1 does not fit uint64" },
      { { u64 = 2.0 ^ 64 }, "does not fit uint64" },
      { { u64 = 0 / 0 }, "does not fit uint64" },
      { { i64 = 1.5 }, "field 'i64': 1.5 does not fit int64" },
      { { f32 = 1 << 32 }, "does not fit fixed32" },
      { { s32 = "7" }, "field 's32': expected integer, got string" },
    } do
      assert.has_error(function() Numbers:encode(case[1]) end, case[2])
    end
  end)
end)

describe("protobuf.message", function()
  it("has lists, messages, enums, defaults and optional fields", function()
    local Inner <const> = protobuf.message { x = { 1, "int32" } }
    local Outer <const> = protobuf.message {
      list = { 1, "int32", repeated = true },
      loose = { 2, "int32", repeated = true, packed = false },
      inner = { 3, Inner },
      inners = { 4, Inner, repeated = true },
      mode = { 5, { OFF = 0, ON = 1 } },
      port = { 6, "uint32", default = 80 },
      seen = { 7, "bool", optional = true },
      text = { 8, "string", default = "none" },
    }
    assert.same({ list = {}, loose = {}, inners = {}, mode = "OFF", port = 80,
      text = "none" }, Outer:decode "")
    local encoded <const> = Outer:encode {
      list = { 1, 2, 300 }, loose = { 1, 2 }, inner = {},
      inners = { { x = 1 }, {} }, mode = "ON", port = 0, seen = false,
      text = "",
    }
    assert.equal("0a040102ac02 1001 1002 1a00 22020801 2200 2801 3000 3800 " ..
      "4200", (hex(encoded):gsub("^(............)(....)(....)(....)" ..
      "(........)(....)(....)(....)(....)", "%1 %2 %3 %4 %5 %6 %7 %8 %9 ")))
    assert.same({ list = { 1, 2, 300 }, loose = { 1, 2 }, inner = { x = 0 },
      inners = { { x = 1 }, { x = 0 } }, mode = "ON", port = 0, seen = false,
      text = "" }, Outer:decode(encoded))
  end)

  it("keeps the messages it is made of", function()
    local Outer = protobuf.message {
      inner = { 1, protobuf.message { x = { 1, "int32" } } },
    }
    collectgarbage()
    collectgarbage()
    assert.same({ inner = { x = 3 } }, Outer:decode(bytes "0a020803"))
  end)

  it("decodes an enum it does not know as its number", function()
    local M <const> = protobuf.message { mode = { 1, { OFF = 0, ON = 1 } } }
    assert.equal(7, M:decode(bytes "0807").mode)
    assert.equal("0807", hex(M:encode { mode = 7 }))
    assert.has_error(function() M:encode { mode = "AUTO" } end,
      "has no value 'AUTO'")
  end)

  it("refuses malformed UTF-8 both ways", function()
    local M <const> = protobuf.message { s = { 1, "string" },
      b = { 2, "bytes" } }
    local fields, message = M:decode(bytes "0a0241ff")
    assert.is_nil(fields)
    assert.equal("message: malformed UTF-8 in field 's' at byte 3", message)
    assert.has_error(function() M:encode { s = "A\xff" } end,
      "field 's': malformed UTF-8 at byte 1")
    assert.equal("\xff", M:decode(M:encode { b = "\xff" }).b)
  end)

  it("explains a wrong declaration", function()
    local declare <const> = protobuf.message
    for _, case in ipairs {
      { { a = { 1, "unit64" } }, "unknown type 'unit64'; did you mean" },
      { { a = { 1 } }, "field 'a': expected the name of a type" },
      { { a = 1 }, "field 'a': expected { number, type }, got number" },
      { { a = { "1", "int32" } }, "expected a number at [1], got string" },
      { { a = { 0, "int32" } }, "field number 0 is not within" },
      { { a = { 1, "int32" }, b = { 1, "int32" } }, "the same number 1" },
      { { a = { 1, "int32", repeatd = true } },
        "unknown option 'repeatd'; did you mean 'repeated'?" },
      { { a = { 1, "int32", repeated = 1 } }, "expected boolean, got number" },
      { { a = { 1, "int32", default = "x" } }, "expected integer, got string" },
      { { a = { 1, "int32", repeated = true, default = 1 } },
        "have no default" },
      { { { 1, "int32" } }, "a field's name is a string" },
      { { a = { 1, {} } }, "has no value" },
      { { a = { 1, { X = "1" } } }, "is no 32-bit integer" },
    } do
      assert.has_error(function() declare(case[1]) end, case[2])
    end
  end)
end)

describe("encode", function()
  local Inner <const> = protobuf.message({ x = { 1, "int32" } }, "Inner")
  local M <const> = protobuf.message({
    energy = { 1, "double" },
    list = { 2, "int32", repeated = true },
    inner = { 3, Inner },
    flag = { 4, "bool" },
    name = { 5, "string" },
  }, "M")

  it("names the field that is wrong", function()
    for _, case in ipairs {
      { { energy = "5" }, "M: field 'energy': expected number, got string" },
      { { flag = 1 }, "M: field 'flag': expected boolean, got number" },
      { { name = 5 }, "M: field 'name': expected string, got number" },
      { { list = 5 }, "M: field 'list': expected table, got number" },
      { { list = { 1, "x" } },
        "M: field 'list'[2]: expected integer, got string" },
      { { list = { a = 1 } }, "M: field 'list': expected a list" },
      { { inner = 5 }, "M: field 'inner': expected table, got number" },
      { { inner = { x = true } },
        "Inner: field 'x': expected integer, got boolean" },
      { { enrgy = 1 }, "M: unknown field 'enrgy'; did you mean 'energy'?" },
      { { 1 }, "M: a field's name is a string, not a number" },
    } do
      assert.has_error(function() M:encode(case[1]) end, case[2])
    end
  end)

  it("does not follow a table into itself for ever", function()
    local schema <const> = assert(protobuf.load [[
      message Node { optional Node next = 1; }
    ]])
    local node <const> = {}
    node.next = node
    assert.has_error(function() schema.Node:encode(node) end,
      "nested deeper than 100")
  end)

  it("works again after it has raised", function()
    assert.has_error(function() M:encode { energy = 1, name = 5 } end)
    assert.equal("2a0161", hex(M:encode { name = "a" }))
  end)
end)

describe("protobuf.load of a file", function()
  -- protoc --encode=station.Report weather.proto < weather.txt
  local REPORT <const> = bytes [[
    0a046d61737412080880e2cfaa0610051a130801110000000000003540180120
    012a0202011a0620ffffffff0f220e0a03746f701100000000000044402a0808
    071204180220093a070d00004841100140004a040102d8045101000000000000
    005102000000000000005a0200ff
  ]]

  it("finds it beside the script, with its imports", function()
    local schema <const> = assert(protobuf.load(FIXTURES .. "weather.proto"))
    assert.is_not_nil(schema.Report)
    assert.is_not_nil(schema["station.Report"])
    assert.is_not_nil(schema["station.Report.Battery"])
    assert.is_not_nil(schema.Timestamp)
    assert.is_nil(schema.LimitsEntry)
  end)

  it("decodes and encodes all that proto3 has", function()
    local Report <const> =
      assert(protobuf.load(FIXTURES .. "weather.proto")).Report
    local report <const> = {
      name = "mast",
      at = { seconds = 1700000000, nanos = 5 },
      readings = {
        { unit = "CELSIUS", value = 21.0, quality = "GOOD", sequence = 1,
          past = { "BAD", "GOOD" } },
        { unit = "NONE", value = 0.0, quality = "UNKNOWN",
          sequence = 4294967295, past = {} },
      },
      limits = { top = 40.0 },
      last = {
        [7] = { unit = "NONE", value = 0.0, quality = "BAD", sequence = 9,
          past = {} },
      },
      battery = { volts = 12.5, charging = true },
      altitude = 0,
      history = { -1, 1, 300 },
      ids = { 1, 2 },
      raw = "\0\xff",
    }
    assert.same(report, Report:decode(REPORT))
    assert.equal(hex(REPORT), hex(Report:encode(report)))
  end)

  it("cannot send two members of a oneof", function()
    local Report <const> =
      assert(protobuf.load(FIXTURES .. "weather.proto")).Report
    assert.has_error(function()
      Report:encode { mains_volts = 230, battery = {} }
    end, "field 'mains_volts': 'battery' of the same oneof is set too")
  end)

  it("gives the defaults that proto2 files write, and nil", function()
    local Frame <const> =
      assert(protobuf.load(FIXTURES .. "legacy.proto")).Frame
    assert.same({ id = 1, gain = -3, title = 'none "yet"\n', mode = "BUSY",
      loose = {}, tight = {} }, Frame:decode(bytes "0801"))
    local encoded <const> = Frame:encode {
      id = 0, gain = -3, mode = "IDLE", level = 0, loose = { 1, 2 },
      tight = { 1, 2 }, detail = { x = 5 },
    }
    assert.equal("080010fdffffffffffffffff01200129000000000000000030013002" ..
      "3a02010243080544", hex(encoded))
    assert.equal(5, Frame:decode(encoded).detail.x)
    assert.has_error(function() Frame:encode {} end,
      "legacy.Frame: field 'id': a required value is missing")
    local frame, message = Frame:decode ""
    assert.is_nil(frame)
    assert.equal(
      "legacy.Frame: missing required value in field 'id' at byte 0", message)
  end)

  it("fails with a message when there is none", function()
    local schema, message = protobuf.load "nowhere.proto"
    assert.is_nil(schema)
    assert.equal("open nowhere.proto: No such file or directory", message)
  end)

  it("looks for imports in options.paths, from a text too", function()
    local text <const> = [[
      syntax = "proto3";
      import "units.proto";
      message M { common.Unit unit = 1; }
    ]]
    local schema, message = protobuf.load(text)
    assert.is_nil(schema)
    assert.equal("<text>:2:14: 'units.proto' is neither beside the file nor " ..
      "in options.paths", message)
    local here <const> = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
    schema = assert(protobuf.load(text, {
      paths = { "/nonexistent", here .. FIXTURES .. "common" },
    }))
    assert.equal("CELSIUS", schema.M:decode(bytes "0801").unit)
  end)
end)

describe("protobuf.load of a text", function()
  it("names line and column of a fault", function()
    local schema, message = protobuf.load "message M {\n  reserved 1\n}"
    assert.is_nil(schema)
    assert.equal("<text>:3:1: expected ';', got '}'", message)
  end)

  it("does not import from outside of the directories", function()
    for _, name in ipairs { "/etc/passwd", "../x.proto", "a/../../x.proto" } do
      local schema, message =
        protobuf.load(string.format("import %q;\n", name), { paths = "." })
      assert.is_nil(schema)
      assert.matches("is no path below", message)
    end
  end)

  it("leaves out simple names that mean two messages", function()
    local schema <const> = assert(protobuf.load [[
      package p;
      message A { message X {} }
      message B { message X {} message Y {} }
    ]])
    assert.is_nil(schema.X)
    assert.is_not_nil(schema.Y)
    assert.is_not_nil(schema["p.A.X"])
  end)

  it("rejects unknown options", function()
    assert.has_error(function()
      protobuf.load("message M {}", { path = "." })
    end, "unknown option 'path'; did you mean 'paths'?")
  end)

  it("merges, drops and collects as protobuf says", function()
    local M <const> = assert(protobuf.load [[
      syntax = "proto3";
      message I { int32 a = 1; int32 b = 2; repeated int32 l = 3; }
      message M {
        I i = 1;
        oneof o { int32 x = 2; I y = 3; }
        map<string, I> m = 4;
        repeated int32 n = 5;
      }
    ]]).M
    assert.same({ i = { a = 5, b = 6, l = { 1, 2 } }, m = {}, n = {} },
      M:decode(bytes "0a050805 1a0101 0a051006 1a0102"))
    assert.same({ x = 1, m = {}, n = {} }, M:decode(bytes "1a020805 1001"))
    assert.same({ y = { a = 0, b = 0, l = {} }, m = {}, n = {} },
      M:decode(bytes "1001 1a00"))
    assert.same({ m = { k = { a = 2, b = 0, l = {} } }, n = { 1, 2, 3 } },
      M:decode(bytes "2801 22070a016b12020801 2a020203 22070a016b12020802"))
    assert.same({ m = { [""] = { a = 0, b = 0, l = {} } }, n = {} },
      M:decode(bytes "2200"))
  end)

  it("refuses input nested a hundred times", function()
    local M <const> = assert(protobuf.load "message M { optional M m = 1; }").M
    local inner = ""
    local function wrap(n)
      for _ = 1, n do
        inner = "\x0a" .. (#inner < 128 and string.char(#inner) or
          string.char(#inner & 127 | 128, #inner >> 7)) .. inner
      end
    end
    wrap(99)
    assert.is_not_nil(M:decode(inner))
    wrap(1)
    local fields, message = M:decode(inner)
    assert.is_nil(fields)
    assert.matches("^M: nested too deeply at byte %d+$", message)
  end)

  it("survives random bytes", function()
    local M <const> = assert(protobuf.load [[
      syntax = "proto3";
      message M {
        repeated M a = 1; map<string, M> b = 2; repeated double c = 3;
        oneof o { M d = 4; string e = 5; } M f = 6; repeated sint32 g = 7;
      }
    ]]).M
    local seed = 42
    local good, bad = 0, 0
    for _ = 1, 20000 do
      local parts <const> = {}
      for i = 1, 2 + seed % 7 do
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        parts[i] = string.char((seed >> 16) % (i % 2 == 1 and 64 or 6))
      end
      local fields, message = M:decode(table.concat(parts))
      if fields then
        good = good + 1
      else
        bad = bad + 1
        assert.matches("^M: .+ at byte %d+$", message)
      end
    end
    assert(good > 100 and bad > 100)
  end)
end)
