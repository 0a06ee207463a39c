-- SPDX-License-Identifier: Apache-2.0
-- Writes the C file behind host/vm/embedded.h:
--   lua5.4 cmake/embed.lua OUT.c name=path ...
-- Chunks are compiled here, so that a syntax error ends the build, and keep
-- their lines for messages ("value.lua:12: ...").

local PER_LINE <const> = 16

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read("a"))
end

-- A first line such as "#!/usr/bin/lua" is the shell's.
local function compile(name, path)
  local text = read(path):gsub("^#[^\n]*", "")
  return string.dump(assert(load(text, "=" .. name .. ".lua", "t")), false)
end

local function write_array(out, index, bytes)
  out:write("static const unsigned char file", index, "[] = {\n")
  for i = 1, #bytes, PER_LINE do
    local line = {}
    for j = i, math.min(i + PER_LINE - 1, #bytes) do
      line[#line + 1] = string.format("0x%02x,", bytes:byte(j))
    end
    out:write("\t", table.concat(line, " "), "\n")
  end
  out:write("};\n\n")
end

local function main(target, ...)
  local entries = {}
  local out <close> = assert(io.open(target, "wb"))
  out:write("/* Made by cmake/embed.lua. */\n",
    '#include "vm/embedded.h"\n\n')
  for index, pair in ipairs { ... } do
    local name, path = pair:match("^([%w_.]+)=(.+)$")
    assert(name, "expected name=path, got " .. pair)
    write_array(out, index, compile(name, path))
    entries[index] = string.format(
      '\t{ "%s", file%d, sizeof file%d },\n', name, index, index)
  end
  out:write("const struct embedded embedded_files[] = {\n",
    table.concat(entries), "\t{ NULL, NULL, 0 },\n};\n")
end

main(...)
