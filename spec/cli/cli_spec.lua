-- SPDX-License-Identifier: Apache-2.0
-- The command line without its outside: files, environment and scripts are
-- tables here.

local cli = require "cli"

local METER <const> = [[
-- SPDX-License-Identifier: Apache-2.0
--
-- Charge measured by a meter. It answers
-- over UDP.
return {
  name = "meter",
  listen = ":8000",
  aliases = { "power-meter", "watt" },
  config = {
    device_port = { 5000, env = "METER_PORT", position = 2, required = true,
                    help = "UDP port of the meter." },
    device_ip = { "127.0.0.1", env = "METER_IP", flag = "device-ip",
                  position = 1, required = true, help = "Its address." },
    factor = { 1.5, env = "METER_FACTOR" },
    verbose = { false, env = "METER_VERBOSE" },
    tags = { {}, env = "METER_TAGS", help = "Words." },
    mode = { "fast", choices = { "fast", "slow" }, help = "How." },
    hidden = { "x", flag = false, env = "METER_HIDDEN" },
  },
}
]]

local CLOUD <const> = [[
-- Devices of a cloud.
return {
  config = {
    token = { env = "TOKEN", secret = true, required = true, help = "Key." },
    pin = { 7531, env = "PIN", secret = true },
  },
}
]]

local PING <const> = [[
return {
  config = {
    count = { 3 },
    hosts = { {}, position = 1, required = true, help = "Whom to ask." },
  },
}
]]

local files, folders, environment

local function read(path)
  if files[path] then
    return files[path]
  end
  return nil, "cannot read " .. path .. ": No such file or directory"
end

-- The real one is a C function with a spec of its own.
local function nearest(name, names)
  for _, other in ipairs(names) do
    if other:sub(1, 3) == name:sub(1, 3) then
      return other
    end
  end
end

local function declaration(path)
  local chunk, message = load(files[path], "@" .. path, "t")
  if not chunk then
    return nil, message
  end
  return chunk(), { path .. ":3: advice" }
end

local outside = {
  data = "/data",
  version = "lunex 1.2.3",
  read = read,
  nearest = nearest,
  shown = function(text) return text end,
  declaration = declaration,
  getenv = function(name) return environment[name] end,
  exists = function(path) return files[path] ~= nil end,
  absolute = function(path) return (path:gsub("^%.?/?", "/here/")) end,
  list = function(folder)
    local names = {}
    folder = folder:gsub("/*$", "/")
    for path in pairs(files) do
      names[#names + 1] = path:sub(1, #folder) == folder
        and path:match("^[^/]+$", #folder + 1) or nil
    end
    if #names == 0 and not folders[folder] then
      return nil, "cannot read " .. folder:sub(1, -2) .. ": no such folder"
    end
    table.sort(names)
    return names
  end,
}

-- The command line as a shell would split it.
local function main(line)
  local arguments = {}
  for word in line:gmatch "%S+" do
    arguments[#arguments + 1] = word == "''" and "" or word
  end
  return cli.main(table.remove(arguments, 1), arguments, outside)
end

local function plan(line)
  local result, message = main(line)
  if not result then
    error(message, 2)
  end
  return result
end

local function config(line)
  return plan(line).config
end

local function refused(status, message, line)
  local result, got, code = main(line)
  assert.equal(nil, result)
  assert.equal(message, got)
  assert.equal(status, code)
end

-- That TEXT has each of the parts, wherever its lines are broken.
local function shows(text, ...)
  local flat = text:gsub("%s+", " ")
  for _, part in ipairs { ... } do
    if not flat:find((part:gsub("%s+", " ")), 1, true) then
      error("no '" .. part .. "' in:\n" .. text, 2)
    end
  end
end

before_each(function()
  environment = {}
  folders = {}
  files = {
    ["/data/exporters/meter.lua"] = METER,
    ["/data/exporters/cloud.lua"] = CLOUD,
    ["/data/exporters/ping.lua"] = PING,
  }
end)

describe("a script is found", function()
  it("by the name of a bundled exporter", function()
    local result = plan "lunex meter"
    assert.equal("run", result.command)
    assert.equal("/data/exporters/meter.lua", result.script)
    assert.equal("meter", result.name)
    assert.same({}, result.config)
    assert.same({ ":8000" }, result.listen)
  end)

  it("by an alias, with dashes or underscores", function()
    assert.equal("meter", plan("lunex power_meter").name)
    assert.equal("meter", plan("lunex power-meter").name)
    assert.equal("meter", plan("lunex watt").name)
  end)

  it("by a path, which has a slash or ends in .lua", function()
    files["mine.lua"] = CLOUD
    files["./mine"] = METER
    assert.equal("mine", plan("lunex mine.lua --token x").name)
    assert.equal("./mine", plan("lunex ./mine").script)
  end)

  it("in the folder that LUNEX_DATA names", function()
    environment.LUNEX_DATA = "/other"
    files["/other/exporters/mine.lua"] = METER
    assert.equal("/other/exporters/mine.lua", plan("lunex mine").script)
    environment.LUNEX_DATA = ""
    assert.equal("/data/exporters/meter.lua", plan("lunex meter").script)
  end)

  it("by the name of a link to the program", function()
    local result = plan "/usr/bin/power-meter 10.0.0.7 5001"
    assert.equal("meter", result.name)
    assert.same({ device_ip = "10.0.0.7", device_port = 5001 }, result.config)
    assert.equal("meter", plan("./meter.lua").name)
  end)

  it("not at all, and the nearest name is told", function()
    refused(2, "no exporter 'metre'; did you mean 'meter'? "
      .. "bundled: cloud, meter, ping", "lunex metre")
    refused(2, "no exporter 'xyz'; bundled: cloud, meter, ping", "lunex xyz")
    refused(2, "no exporter 'chekc'; did you mean 'check'? "
      .. "bundled: cloud, meter, ping", "lunex chekc meter")
    files = { ["mine.lua"] = METER }
    refused(2, "no exporter 'mine'; did you mean the file mine.lua? "
      .. "bundled: none", "lunex mine")
  end)

  it("but cannot be read or loaded", function()
    refused(2, "cannot read foo.lua: No such file or directory",
      "lunex foo.lua")
    files["foo.lua"] = "return {\n  x = = 1,\n}"
    refused(1, "foo.lua:2: unexpected symbol near '='", "lunex foo.lua")
  end)

  it("and may speak of exporters without being a configuration", function()
    files["s.lua"] = "local total = { exporters = 1 }\n" .. METER
    assert.equal("s.lua", plan("lunex s.lua").script)
    assert.same({}, plan("lunex check s.lua").errors)
  end)

  it("and what reads configurations is not loaded for it", function()
    package.loaded["cli.configuration"] = nil
    plan "lunex meter"
    assert.is_nil(package.loaded["cli.configuration"])
  end)

  it("and may require its neighbours and what LUA_PATH names", function()
    files["./s.lua"] = METER
    environment.LUA_PATH = "./?.lua;/opt/?.lua;;"
    environment.LUA_CPATH_5_4 = "/opt/?.so"
    local result = plan "lunex ./s.lua"
    assert.equal("/here/?.lua;/here/?/init.lua;/opt/?.lua;;", result.lua_path)
    assert.equal("/opt/?.so;;", result.lua_cpath)
  end)
end)

describe("a flag", function()
  it("has one dash or two, and = or a value of its own", function()
    for _, line in ipairs {
      "--device-ip 10.0.0.7", "--device-ip=10.0.0.7",
      "-device-ip 10.0.0.7", "-device-ip=10.0.0.7",
    } do
      assert.equal("10.0.0.7", config("lunex meter " .. line).device_ip)
    end
  end)

  it("has the type of its default", function()
    local values = config("lunex meter --device-port 7 --factor 2 --verbose "
      .. "--tags a,b --tags c --mode slow")
    assert.same({
      device_port = 7,
      factor = 2,
      verbose = true,
      tags = { "a,b", "c" },
      mode = "slow",
    }, values)
    assert.equal("integer", math.type(values.device_port))
  end)

  it("takes the last of several values, a list all of them", function()
    assert.equal(3, config("lunex ping --count=1 --count 3 h").count)
  end)

  it("takes negative numbers as values", function()
    assert.equal(-2.5, config("lunex meter --factor -2.5").factor)
    assert.equal(-1, config("lunex meter --device-port=-1").device_port)
  end)

  it("that is a boolean takes its value behind = alone", function()
    environment.METER_VERBOSE = "yes"
    assert.is_true(config("lunex meter").verbose)
    assert.is_false(config("lunex meter --verbose=false").verbose)
    refused(2, "--verbose: expected true or false, got 'maybe'",
      "lunex meter --verbose=maybe")
  end)

  it("may be empty", function()
    assert.equal("", config("lunex meter --device-ip=").device_ip)
    assert.equal("", config("lunex meter --device-ip ''").device_ip)
  end)

  it("that nobody knows is refused with the nearest one", function()
    refused(2, "unknown flag --devce-ip; did you mean --device-ip?",
      "lunex meter --devce-ip=1.2.3.4")
    refused(2, "unknown flag -xyz; see lunex meter --help",
      "lunex meter -xyz 1")
    refused(2, "unknown flag --hidden; see lunex meter --help",
      "lunex meter --hidden y")
    refused(2, "unknown flag ---verbose; did you mean --verbose?",
      "lunex meter ---verbose")
  end)

  it("without its value is refused", function()
    refused(2, "--device-port needs a value", "lunex meter --device-port")
    refused(2, "--device-port needs a value",
      "lunex meter --device-port --device-ip x")
    refused(2, "--device-port needs a value", "lunex meter --device-port --")
  end)

  it("with a bad value is refused", function()
    refused(2, "--device-port: expected an integer, got 'abc'",
      "lunex meter --device-port abc")
    refused(2, "--device-port: expected an integer, got '1.5'",
      "lunex meter --device-port 1.5")
    refused(2, "--device-port: expected an integer, "
      .. "got '99999999999999999999'",
      "lunex meter --device-port 99999999999999999999")
    refused(2, "--factor: expected a number, got 'nan'",
      "lunex meter --factor nan")
    refused(2, "--factor: expected a number, got '0x10'",
      "lunex meter --factor 0x10")
    refused(2, "--mode: expected one of fast, slow, got 'warp'",
      "lunex meter --mode warp")
  end)

  it("of the host may have another name in a script", function()
    files["s.lua"] = [[return { listen = ":9999", flags = {
      listen = "endpoint", telemetry_path = "path", log_level = "v" } }]]
    local result = plan "lunex s.lua -endpoint=:9375 --path metrics -v debug"
    assert.same({ ":9375" }, result.listen)
    assert.equal("/metrics", result.telemetry_path)
    assert.equal("debug", result.log_level)
    result = plan "lunex s.lua --endpoint :1 --web.listen-address :2"
    assert.same({ ":2", ":1" }, result.listen)
    refused(2, "--endpoint: expected HOST:PORT or :PORT, got '9999'",
      "lunex s.lua --endpoint 9999")
    shows(plan("lunex s.lua --help").text,
      "Flags: --endpoint ADDRESS The same as --web.listen-address. "
      .. "(default: :9999)", "--path PATH The same as --web.telemetry-path.")
    refused(2, "unknown flag --endpoint; see lunex meter --help",
      "lunex meter --endpoint :9375")
  end)

  it("that two want is a mistake of the script", function()
    files["s.lua"] = "return { config = { interval = { 1 } } }"
    refused(1, "s.lua: config.interval: the flag --interval is taken by lunex",
      "lunex s.lua")
    files["s.lua"] = [[return { config = {
      a = { 1, flag = "n" }, b = { 2, flag = "n" } } }]]
    refused(1, "s.lua: config.b: the flag --n is taken by config.a",
      "lunex s.lua")
    files["s.lua"] = [[return { flags = { listen = "n" },
      config = { n = { 1 } } }]]
    refused(1, "s.lua: config.n: the flag --n is taken by flags.listen",
      "lunex s.lua")
    files["s.lua"] = [[return { flags = { listen = "timeout" } }]]
    refused(1, "s.lua: flags.listen: the flag --timeout is taken by lunex",
      "lunex s.lua")
  end)
end)

describe("an argument", function()
  it("has its place", function()
    assert.same({ device_ip = "10.0.0.7", device_port = 5001 },
      config "lunex meter 10.0.0.7 5001")
    assert.same({ device_ip = "10.0.0.7", device_port = 5001, factor = 2 },
      config "lunex meter 10.0.0.7 --factor 2 5001")
  end)

  it("may look like a flag behind --", function()
    assert.equal("--odd", config("lunex meter -- --odd 1").device_ip)
  end)

  it("may be a negative number", function()
    assert.equal(-5, config("lunex meter 10.0.0.7 -5").device_port)
  end)

  it("takes the rest when it is a list", function()
    assert.same({ "a", "b", "c" }, config("lunex ping a b c").hosts)
    assert.is_nil(config("lunex ping --count 1").hosts)
  end)

  it("wants the others that are required", function()
    refused(2, "meter: missing argument DEVICE_PORT", "lunex meter 10.0.0.7")
    environment.METER_PORT = "5001"
    refused(2, "meter: missing argument DEVICE_PORT", "lunex meter 10.0.0.7")
    assert.equal(7, config("lunex meter 10.0.0.7 --device-port 7").device_port)
  end)

  it("too many is refused", function()
    refused(2, "unexpected argument 'c'; see lunex meter --help",
      "lunex meter a 1 c d")
  end)

  it("and its flag exclude each other", function()
    refused(2, "--device-ip and DEVICE_IP exclude each other",
      "lunex meter a 1 --device-ip b")
  end)

  it("with a bad value is refused by its name", function()
    refused(2, "DEVICE_PORT: expected an integer, got 'x'",
      "lunex meter a x")
  end)
end)

describe("a variable", function()
  it("stands behind the flag and before the .env file", function()
    files[".env"] = "METER_IP=10.0.0.1\n"
    assert.equal("10.0.0.1", config("lunex meter").device_ip)
    environment.METER_IP = "10.0.0.2"
    assert.equal("10.0.0.2", config("lunex meter").device_ip)
    assert.equal("10.0.0.3",
      config("lunex meter --device-ip 10.0.0.3").device_ip)
  end)

  it("that is empty counts as not set", function()
    files[".env"] = "METER_PORT=''\n"
    environment.METER_IP = ""
    assert.same({}, config "lunex meter")
  end)

  it("gives a list by commas", function()
    environment.METER_TAGS = "a, b,,c "
    assert.same({ "a", "b", "c" }, config("lunex meter").tags)
  end)

  it("serves an entry without a flag", function()
    environment.METER_HIDDEN = "y"
    assert.equal("y", config("lunex meter").hidden)
  end)

  it("with a bad value is refused by its name and place", function()
    environment.METER_PORT = "abc"
    refused(2, "METER_PORT: expected an integer, got 'abc'", "lunex meter")
    environment = {}
    files[".env"] = "# ours\n\nMETER_FACTOR=much\n"
    refused(2, ".env:3: METER_FACTOR: expected a number, got 'much'",
      "lunex meter")
  end)
end)

describe("the .env file", function()
  it("knows comments, export, quotes and escapes", function()
    files[".env"] = "\xEF\xBB\xBF# comment\r\nexport METER_IP = a b # c\r\n"
      .. "METER_HIDDEN=\"x\\n\\\"y\\\" # z\" # c\nMETER_TAGS='a\\n,\nb'\n"
    assert.same({
      device_ip = "a b",
      hidden = "x\n\"y\" # z",
      tags = { "a\\n", "b" },
    }, config "lunex meter")
  end)

  it("is refused with its line when it is malformed", function()
    files[".env"] = "A=1\nnonsense\n"
    refused(2, ".env:2: expected NAME=VALUE", "lunex meter")
    files[".env"] = "A=1\nB='x\n"
    refused(2, ".env:2: the quoted value of B has no end", "lunex meter")
    files[".env"] = "B='x' y\n"
    refused(2, ".env:1: something follows the quoted value of B",
      "lunex meter")
  end)
end)

describe("--config.file-path", function()
  before_each(function()
    files[".env"] = "METER_IP=10.0.0.1\nMETER_FACTOR=3\n"
    files["/etc/meter.env"] = "METER_IP=10.0.0.9\n"
  end)

  it("names the file that is read in the place of .env", function()
    assert.same({ device_ip = "10.0.0.9" },
      config "lunex meter -config.file-path=/etc/meter.env")
    assert.same({ device_ip = "10.0.0.9" },
      config "lunex --config.file-path /etc/meter.env meter")
  end)

  it("does not override the environment", function()
    environment.METER_IP = "10.0.0.5"
    assert.same({ device_ip = "10.0.0.5" },
      config "lunex meter --config.file-path /etc/meter.env")
  end)

  it("that is empty means .env", function()
    assert.same({ device_ip = "10.0.0.1", factor = 3.0 },
      config "lunex meter --config.file-path=")
  end)

  it("is refused when the file is missing or malformed", function()
    refused(2, "cannot read /etc/no.env: No such file or directory",
      "lunex meter --config.file-path /etc/no.env")
    files["/etc/meter.env"] = "METER_FACTOR=much\n"
    refused(2, "/etc/meter.env:1: METER_FACTOR: expected a number, got 'much'",
      "lunex meter --config.file-path /etc/meter.env")
  end)
end)

describe("a secret", function()
  it("comes from a flag, a variable, or a file that either names", function()
    files["/run/token"] = "s3cret\n"
    assert.equal("a", config("lunex cloud --token a").token)
    assert.equal("s3cret", config("lunex cloud --token-file /run/token").token)
    environment.TOKEN_FILE = "/run/token"
    assert.equal("s3cret", config("lunex cloud").token)
    environment = { TOKEN = "b" }
    assert.equal("b", config("lunex cloud").token)
  end)

  it("is required, and all ways are told", function()
    refused(2, "cloud: missing --token, --token-file or the variable TOKEN",
      "lunex cloud")
  end)

  it("in a file that is missing or empty is refused by its path", function()
    files["empty"] = "\n"
    environment.TOKEN_FILE = "/nowhere"
    refused(2, "TOKEN_FILE: cannot read /nowhere: No such file or directory",
      "lunex cloud")
    refused(2, "--token-file: empty is empty",
      "lunex cloud --token-file empty")
  end)

  it("in two ways at once is refused", function()
    refused(2, "--token and --token-file exclude each other",
      "lunex cloud --token a --token-file b")
    environment = { TOKEN = "a", TOKEN_FILE = "b" }
    refused(2, "TOKEN and TOKEN_FILE exclude each other", "lunex cloud")
  end)

  it("that is required cannot be empty", function()
    refused(2, "cloud: missing --token, --token-file or the variable TOKEN",
      "lunex cloud --token=")
  end)

  it("on the command line is told, for the host to hide it", function()
    assert.same({ "a", "b", "17" },
      plan("lunex cloud --token a --token=b --pin 17").secrets)
    environment.TOKEN = "c"
    assert.same({}, plan("lunex cloud").secrets)
    assert.same({}, plan("lunex meter 10.0.0.7 5001").secrets)
  end)

  it("is never shown", function()
    refused(2, "--pin: expected an integer",
      "lunex cloud --token x --pin hunter2")
    local text = plan("lunex cloud --help").text
    shows(text, "(required) (secret; also --token-file FILE, TOKEN_FILE)")
    assert.is_nil(text:find("7531", 1, true))
  end)
end)

describe("a common flag", function()
  it("says where to listen, more than once", function()
    local result = plan("lunex meter --web.listen-address :8000 "
      .. "--web.listen-address [::1]:9000 -web.listen-address=localhost:0")
    assert.same({ ":8000", "[::1]:9000", "localhost:0" }, result.listen)
  end)

  it("with a bad address is refused", function()
    for address, why in pairs {
      [":http"] = "bad port 'http', expected 0 to 65535",
      ["h:65536"] = "bad port '65536', expected 0 to 65535",
      ["[::]:-1"] = "bad port '-1', expected 0 to 65535",
      ["8000"] = "expected HOST:PORT or :PORT",
      ["::1:8000"] = "expected HOST:PORT or :PORT",
    } do
      refused(2, ("--web.listen-address: %s, got '%s'"):format(why, address),
        "lunex meter --web.listen-address " .. address)
    end
  end)

  it("sets the path, with the slash that some leave out", function()
    assert.equal("/m", plan("lunex meter --web.telemetry-path=m")
      .telemetry_path)
    assert.equal("/a/b", plan("lunex meter --web.telemetry-path /a/b")
      .telemetry_path)
    refused(2, "--web.telemetry-path: expected a path such as /metrics, "
      .. "got 'a?b'", "lunex meter --web.telemetry-path a?b")
    for _, path in ipairs { "/healthz", "probe", "/-/ready" } do
      refused(2, "--web.telemetry-path: expected a path that is not the "
        .. "host's, got '" .. path .. "'",
        "lunex meter --web.telemetry-path " .. path)
    end
  end)

  it("takes seconds and durations", function()
    assert.equal(15.0, plan("lunex meter --interval 15").interval)
    assert.equal(0.0, plan("lunex meter --interval 0").interval)
    assert.equal(90.0, plan("lunex meter --interval 1m30s").interval)
    assert.equal(0.5, plan("lunex meter --timeout 500ms").timeout)
    for _, text in ipairs { "soon", "-1", "1x", "5.5.5", "1m30" } do
      refused(2, "--interval: expected seconds or a duration such as 15s "
        .. "or 1m, got '" .. text .. "'", "lunex meter --interval " .. text)
    end
    refused(2, "--timeout: expected more than 0 seconds, got '0'",
      "lunex meter --timeout 0")
  end)

  it("sets the level of the log", function()
    assert.equal("debug", plan("lunex meter --log.level debug").log_level)
    refused(2, "--log.level: expected one of debug, info, warn, error, "
      .. "got 'loud'", "lunex meter --log.level loud")
  end)

  it("says how changed files are noticed, and who may ask", function()
    local result = plan "lunex meter"
    assert.is_nil(result.watch)
    assert.is_nil(result.lifecycle)
    result = plan "lunex meter --watch=poll --web.enable-lifecycle"
    assert.equal("poll", result.watch)
    assert.is_true(result.lifecycle)
    assert.is_false(
      plan("lunex meter --web.enable-lifecycle=no").lifecycle)
    refused(2, "--watch: expected one of auto, poll, off, got 'never'",
      "lunex meter --watch never")
    refused(2, "--web.enable-lifecycle: expected true or false, got 'x'",
      "lunex meter --web.enable-lifecycle=x")
  end)

  it("leaves samples out that say when counting began", function()
    assert.is_nil(plan("lunex meter").without_created)
    assert.is_true(
      plan("lunex meter --web.disable-created-samples").without_created)
  end)

  it("may stand before the name", function()
    local result = plan "lunex --log.level debug meter 10.0.0.7 5001"
    assert.equal("debug", result.log_level)
    assert.equal(5001, result.config.device_port)
  end)

  it("alone is not enough", function()
    refused(2, "there is no script and no name of an exporter; "
      .. "see lunex help", "lunex --log.level debug")
    refused(2, "unknown flag --token; see lunex help",
      "lunex --token x cloud")
  end)
end)

describe("a folder of scripts", function()
  before_each(function()
    files["s/b.lua"] = CLOUD
    files["s/a.lua"] = METER
    files["s/c.txt"] = "no script"
    environment.TOKEN = "t"
  end)

  it("is a plan of all scripts in it, by the names of their files", function()
    environment.METER_PORT = "7"
    files[".env"] = "METER_IP=10.0.0.7\nMETER_PORT=8\n"
    local result = plan "lunex --scripts s"
    assert.same({ "run", "s", true, 2 }, { result.command,
      result.configuration, result.open, #result.exporters })
    local first, second = table.unpack(result.exporters)
    assert.same({ "s/a.lua", "s/a.lua", "meter" },
      { first.script, first.where, first.name })
    assert.same({ device_ip = "10.0.0.7", device_port = 7 }, first.config)
    assert.matches("^/here/s/%?%.lua;", first.lua_path)
    assert.same({ "s/b.lua", "b" }, { second.script, second.name })
    assert.same({ token = "t" }, second.config)
    assert.equal("once", plan("lunex once --scripts s/").command)
  end)

  it("can be one of several, and empty", function()
    files["r/z.lua"] = METER:gsub('"meter"', '"z"')
    folders["empty/"] = true
    local result = plan "lunex --scripts s --scripts=r --scripts empty"
    assert.equal("s, r, empty", result.configuration)
    assert.equal("r/z.lua", result.exporters[3].script)
    result = plan "lunex --scripts empty"
    assert.same({}, result.exporters)
    assert.is_true(result.open)
    refused(2, "empty: there is no script", "lunex once --scripts empty")
    assert.equal(2, #plan("lunex --scripts s --scripts s/").exporters)
  end)

  it("takes the flags of all exporters", function()
    local result = plan("lunex --scripts s --interval 5 --watch off "
      .. "--web.enable-lifecycle --log.level warn --timeout 2")
    assert.same({ 5.0, 5.0, 2.0 }, { result.exporters[1].interval,
      result.exporters[2].interval, result.exporters[1].timeout })
    assert.same({ "off", true, "warn" },
      { result.watch, result.lifecycle, result.log_level })
    refused(2, "unknown flag --device-ip; see lunex help",
      "lunex --scripts s --device-ip x")
  end)

  it("must be there", function()
    local result = plan "lunex --scripts gone"
    assert.same({ "cannot read gone: no such folder" }, result.errors)
    assert.equal(2, result.status)
    result = plan "lunex --scripts s --config.file-path gone.env"
    assert.same({ "cannot read gone.env: No such file or directory" },
      result.errors)
  end)

  it("keeps the others from nothing when a script is wrong", function()
    environment.TOKEN = nil
    environment.METER_PORT = "x"
    files["s/c.lua"] = "return {\n = }"
    files["s/d.lua"] = "return {}"
    local entries = plan("lunex --scripts s").exporters
    assert.equal("s/a.lua: METER_PORT: expected an integer, got 'x'",
      entries[1].mistake)
    assert.equal("s/b.lua: config.token is missing; the variable TOKEN would "
      .. "do, too", entries[2].mistake)
    assert.matches("^s/c.lua:2: ", entries[3].mistake)
    assert.same({ "meter", "b", "c", "d" }, { entries[1].name,
      entries[2].name, entries[3].name, entries[4].name })
    assert.is_nil(entries[4].mistake)
  end)

  it("wants names that differ, and tells both places", function()
    files["s/c.lua"] = METER
    files["r/b.lua"] = CLOUD
    local entries = plan("lunex --scripts s --scripts r").exporters
    assert.equal("s/c.lua:6: the name 'meter' is taken by s/a.lua:6: give "
      .. "this script another name", entries[3].mistake)
    assert.equal("c", entries[3].name)
    assert.equal("r/b.lua: the name 'b' is taken by s/b.lua: give this script "
      .. "another name", entries[4].mistake)
    assert.equal("r/b.lua", entries[4].name)
    files["s/\xff.lua"], files["s/\xfe.lua"] = "=", "="
    entries = plan("lunex --scripts s").exporters
    assert.same({ "\\xfe", "\\xff" }, { entries[4].name, entries[5].name })
  end)

  it("excludes a script, and is named to who forgets the flag", function()
    refused(2, "--scripts and 'meter' exclude each other",
      "lunex --scripts s meter")
    refused(2, "s/ is a folder: lunex --scripts s/", "lunex s/")
    refused(2, "no exporter 's'; for the folder: lunex --scripts s; bundled: "
      .. "cloud, meter, ping", "lunex s")
  end)

  it("that is empty is a good configuration", function()
    folders["./empty/"] = true
    files["l.lua"] = "return { scripts = './empty' }"
    local declared = outside.declaration
    outside.declaration = function() return nil, "no script" end
    local result = plan "lunex check l.lua"
    outside.declaration = declared
    assert.same({ "print", "l.lua: ok\n", 0 },
      { result.command, result.text, result.status })
  end)

  it("is checked script by script", function()
    files["s/c.lua"] = "return {\n = }"
    folders["empty/"] = true
    local result = plan "lunex check s empty"
    assert.equal(1, result.status)
    assert.equal(1, #result.errors)
    assert.matches("^s/c.lua:2: ", result.errors[1])
    assert.equal("s/a.lua:3: advice\ns/b.lua:3: advice\n"
      .. "empty: there is no script\n", result.text)
    folders["meter/"] = true
    assert.equal("/data/exporters/meter.lua:3: advice\n",
      plan("lunex check meter").text)
  end)
end)

describe("help", function()
  it("shows every flag of a script with what is to know", function()
    local text = plan("lunex meter --help").text
    shows(text, "Usage: lunex meter [flags] [DEVICE_IP] [DEVICE_PORT]",
      "Charge measured by a meter. It answers\nover UDP.",
      "--device-ip DEVICE_IP", "Its address. (default: 127.0.0.1; "
      .. "environment: METER_IP)", "--factor FACTOR", "--verbose ",
      "How. (one of: fast, slow; default: fast)", "--web.listen-address",
      "Repeatable. (default: :8000)", "(default: when scraped)",
      "--log.level", " DEVICE_IP The same as --device-ip.")
    assert.is_true(text:find("\n   --device-port", 1, true)
      < text:find("\n   --device-ip", 1, true), "the order of the source")
    assert.is_nil(text:find("SPDX", 1, true))
    assert.is_nil(text:find("hidden", 1, true))
  end)

  it("comes by -h, --help, help NAME and behind other flags", function()
    local text = plan("lunex meter --help").text
    assert.equal(text, plan("lunex meter -h").text)
    assert.equal(text, plan("lunex help meter").text)
    assert.equal(text, plan("lunex --help meter").text)
    assert.equal(text, plan("lunex meter --device-ip x --help").text)
    assert.equal(0, plan("lunex meter --help").status)
    shows(plan("power-meter --help").text, "Usage: power-meter [flags]")
  end)

  it("alone lists the bundled exporters", function()
    local text = plan("lunex").text
    shows(text, " cloud Devices of a cloud. ",
      " meter Charge measured by a meter. ", "lunex check FILE|FOLDER|NAME...")
    assert.equal(text, plan("lunex help").text)
    assert.equal(text, plan("lunex --help").text)
    assert.equal(text, plan("lunex check --help").text)
    assert.equal(text, plan("lunex once -h").text)
    files = {}
    shows(plan("lunex").text, "Bundled exporters:\n   none\n\nCommon")
  end)

  it("tells the version", function()
    assert.equal("lunex 1.2.3\n", plan("lunex --version").text)
    assert.equal("lunex 1.2.3\n", plan("lunex version").text)
    assert.equal("lunex 1.2.3\n", plan("lunex meter -version").text)
  end)
end)

describe("a command", function()
  it("once collects with the same flags", function()
    local result = plan "lunex once meter --device-ip x"
    assert.equal("once", result.command)
    assert.equal("x", result.config.device_ip)
    assert.equal("debug", plan("lunex once --log.level=debug meter").log_level)
    refused(2, "once needs a script or a name; see lunex help", "lunex once")
    refused(2, "unknown flag --xyz; see lunex once meter --help",
      "lunex once meter --xyz")
  end)

  it("once alone says what the page looks like", function()
    files["s/a.lua"] = "return {}"
    local result = plan "lunex once meter --format=protobuf --escaping dots"
    assert.equal("protobuf", result.format)
    assert.equal("dots", result.escaping)
    assert.equal("openmetrics",
      plan("lunex once --format openmetrics meter").format)
    assert.equal("openmetrics2",
      plan("lunex once --scripts s --format=openmetrics2").format)
    assert.is_nil(plan("lunex once meter").format)
    refused(2, "--format: expected one of text, openmetrics, openmetrics2, "
      .. "protobuf, got 'json'", "lunex once meter --format json")
    refused(2, "--escaping: expected one of underscores, dots, values, "
      .. "allow-utf-8, got ''", "lunex once --scripts s --escaping=")
    for _, line in ipairs { "lunex meter --format=text",
      "lunex --format=text meter", "lunex --scripts s --format text" } do
      assert.is_nil((main(line)))
    end
  end)

  it("once leaves a script its own flag", function()
    files["s/own.lua"] = [[return { config = { format = "x" } }]]
    local result = plan "lunex once s/own.lua --format pretty --escaping dots"
    assert.equal("pretty", result.config.format)
    assert.equal("dots", result.escaping)
    assert.is_nil(result.format)
    assert.equal("json", plan("lunex once --format=json s/own.lua").config.format)
  end)

  it("check prints advice, and ok where there is none", function()
    local result = plan "lunex check meter"
    assert.equal("/data/exporters/meter.lua:3: advice\n", result.text)
    assert.equal(0, result.status)
    local declared = outside.declaration
    outside.declaration = function(path) return declared(path), {} end
    result = plan "lunex check meter cloud"
    outside.declaration = declared
    assert.equal("/data/exporters/meter.lua: ok\n"
      .. "/data/exporters/cloud.lua: ok\n", result.text)
  end)

  it("check goes on after an error and fails", function()
    files["bad.lua"] = "x ="
    local result = plan "lunex check bad.lua meter"
    assert.equal(1, result.status)
    assert.equal(1, #result.errors)
    assert.matches("^bad.lua:1: ", result.errors[1])
    shows(result.text, "meter.lua:3: advice")
    assert.equal(2, plan("lunex check gone.lua").status)
    refused(2, "check needs a file; see lunex help", "lunex check")
  end)

  it("test wants specs that can be read", function()
    files["a_spec.lua"], files["b_spec.lua"] = "", ""
    local result = plan "lunex test a_spec.lua --log.level warn b_spec.lua"
    assert.equal("test", result.command)
    assert.same({ "a_spec.lua", "b_spec.lua" }, result.files)
    assert.equal("warn", result.log_level)
    refused(2, "cannot read gone.lua: No such file or directory",
      "lunex test gone.lua")
    refused(2, "test needs a file; see lunex help", "lunex test")
  end)
end)
