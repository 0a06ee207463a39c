---@meta protobuf
-- SPDX-License-Identifier: Apache-2.0

-- Messages of Protocol Buffers, declared in Lua or read from .proto files,
-- which decode to plain tables and are encoded from them.
--
-- Values in Lua:
--
--     int32 int64 sint* sfixed* uint32 fixed32   integer
--     uint64 fixed64           integer below 2^63, else the nearest float
--     double float             float; a float is the double equal to it
--     bool                     boolean
--     string bytes             string; in `string` fields of proto3 and of
--                              protobuf.message it must be well-formed UTF-8
--     enum                     the value's name, or its number if it has none
--     message, group           table
--     repeated                 list, empty when nothing was sent
--     map                      table from keys to values, likewise
--
-- Absent fields: those of proto3 and of protobuf.message have the default of
-- their type: 0, "", false, the first name of an enum. Nil are messages,
-- members of a oneof, fields marked `optional`, and all fields of proto2,
-- except that a field with a written default has that.
--
-- Decoding keeps the rules of protobuf: the last value of a field counts,
-- parts of an embedded message merge, packed and unpacked lists are both read,
-- unknown fields are skipped. Values of an enum that are unknown are kept as
-- numbers, also in proto2. A required field must occur in the first part of a
-- message that comes in parts. Messages may be nested 100 deep, and make at
-- most 65536 + 16 values per byte.

---@class protobuf
local protobuf = {}

---A message that decodes and encodes.
---@class protobuf.message
local message = {}

---The type of a field: the name of a scalar, another message, or a table of
---the names and numbers of an enum's values.
---@alias protobuf.type
---| "double" | "float"
---| "int32" | "int64" | "uint32" | "uint64" | "sint32" | "sint64"
---| "fixed32" | "fixed64" | "sfixed32" | "sfixed64"
---| "bool" | "string" | "bytes"
---| protobuf.message
---| table<string, integer>

---@class (exact) protobuf.field
---@field [1] integer the field's number, 1 to 536870911 without 19000 to 19999
---@field [2] protobuf.type
---@field repeated? boolean a list
---@field packed? boolean how a list of numbers is written; true unless said
---@field optional? boolean nil when absent, and sent even when it is zero
---@field default? any what an absent value is; then the field is always sent

---@class (exact) protobuf.load_options
---@field paths? string|string[] directories where imports are looked for

---A message declared in Lua, with the rules of proto3. Wrong declarations
---raise.
---
---    local Measurement = protobuf.message {
---      timestamp = { 1, "uint64" },
---      channels  = { 2, "float", repeated = true },
---      state     = { 3, { OFF = 0, ON = 1 } },
---    }
---@param fields table<string, protobuf.field>
---@param name? string for messages; "message" when absent
---@return protobuf.message
function protobuf.message(fields, name) end

---Reads a .proto file or text (proto2 or proto3) with its imports. What ends
---in ".proto", or has neither a line break nor a brace nor a semicolon, is the
---name of a file: beside the calling script, else in the working directory.
---Imports are looked for beside the importing file, beside the first file, and
---in options.paths; google/protobuf/{any,descriptor,duration,empty,field_mask,
---struct,timestamp,wrappers}.proto and nanopb.proto are built in.
---
---The table has the messages under their full names ("pkg.Outer.Inner") and
---under their simple ones ("Inner") where these mean only one; messages of the
---file itself go before imported ones.
---
---    local schema = assert(protobuf.load "powermeter.proto")
---    local reading = assert(schema.Measurement:decode(bytes))
---@param text_or_file string
---@param options? protobuf.load_options
---@return table<string, protobuf.message>? messages
---@return string? message "powermeter.proto:12:5: expected ';', got '}'"
function protobuf.load(text_or_file, options) end

---The table that the bytes stand for.
---
---    local reading, message = Measurement:decode(bytes)
---@param bytes string
---@return table<string, any>? fields
---@return string? message "Measurement: truncated varint at byte 7", from 0
function message:decode(bytes) end

---The bytes of a plain table; metamethods are not looked at. Fields without a
---default that are zero are left out, as proto3 does. Raises a message that
---names the field for a wrong type, a number that does not fit, an unknown
---name, a missing required field, and two members of one oneof.
---
---    local bytes = Measurement:encode { timestamp = 5, channels = { 1.5 } }
---@param fields table<string, any>
---@return string bytes
function message:encode(fields) end

return protobuf
