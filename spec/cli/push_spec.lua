-- SPDX-License-Identifier: Apache-2.0
-- `push` in the configuration file, without its outside.

local configuration = require "cli.configuration"

local files, environment

local outside = {
  data = "/data",
  getenv = function(name) return environment[name] end,
  exists = function(path) return files[path] ~= nil end,
  absolute = function(path) return (path:gsub("^%./", "")) end,
  list = function() return { "queue.lua" } end,
  nearest = function(name, names)
    for _, known in ipairs(names) do
      if known:sub(1, 3) == name:sub(1, 3) then
        return known
      end
    end
  end,
  read = function(path)
    if files[path] then
      return files[path]
    end
    return nil, "cannot read " .. path
  end,
  declaration = function(path)
    local chunk, message = load(files[path], "@" .. path, "t")
    return chunk and chunk(), chunk and {} or message
  end,
}

local function read(text)
  files["etc/lunex.lua"] = text
  return configuration.read("etc/lunex.lua", false, outside)
end

local function plan(text)
  local result, mistakes = read(text)
  if not result then
    error(mistakes[1], 2)
  end
  return result
end

local function mistakes_of(text)
  local result, mistakes = read(text)
  assert.is_nil(result)
  return mistakes
end

local function with(push)
  return "return { exporters = { { 'queue',\n push = " .. push .. " } } }"
end

-- The targets of the only exporter.
local function targets(push)
  return plan(with(push)).exporters[1].push
end

before_each(function()
  environment = {}
  files = {
    ["/data/exporters/queue.lua"] = "return { name = 'queue' }",
    ["etc/secret"] = "s3cret-in-a-file",
  }
end)

describe("push", function()
  it("becomes flat targets, with what they leave out", function()
    assert.same({ {
      type = "pushgateway", url = "http://gateway:9091", job = "queue",
      grouping = {}, method = "PUT", format = "text", on_shutdown = "leave", headers = {},
    } }, targets("{ url = 'http://gateway:9091' }"))
    assert.same({ {
      type = "remote_write", url = "http://p:9090/api/v1/write?tenant=a",
      labels = { "job", "queue" }, on_shutdown = "leave", headers = {},
    } }, targets("{ type = 'remote_write', "
      .. "url = 'http://p:9090/api/v1/write?tenant=a' }"))
  end)

  it("may have any port and a login in its URL", function()
    for _, url in ipairs { "http://g:1", "https://u:9999999@g:65535/x",
      "http://[fe80::99999]", "http://[::1]:9091/" } do
      assert.equal(url, targets("{ url = '" .. url .. "' }")[1].url)
    end
  end)

  it("keeps all that it says", function()
    environment.TOKEN = "t0ken"
    assert.same({ {
      type = "pushgateway", url = "https://g/base", job = "j",
      grouping = { "instance", "a", "zone", "" }, method = "POST",
      format = "protobuf",
      interval = 90.0, on_shutdown = "delete", username = "u",
      password = "s3cret-in-a-file", timeout = 10.0, ca_file = "etc/ca.pem",
      insecure = true, headers = { "X-Scope-OrgID", "a" },
      proxy = "http://p:1", server_name = "g", cert_file = "/c", key_file = "/k",
    }, {
      type = "remote_write", url = "http://p/w", bearer = "t0ken",
      labels = { "instance", "i", "job", "x" }, queue = "/var/lib/q",
      queue_bytes = 1 << 20, on_shutdown = "leave", headers = {},
      send_exemplars = true, send_native_histograms = false,
    } }, targets [[{
      { url = "https://g/base", job = "j", method = "POST", interval = "1m30s",
        format = "protobuf",
        grouping = { zone = "", instance = "a" }, on_shutdown = "delete",
        username = "u", password = file "secret", timeout = 10,
        ca_file = "ca.pem", insecure = true, headers = { ["X-Scope-OrgID"] =
        "a" }, proxy = "http://p:1", server_name = "g", cert_file = "/c",
        key_file = "/k" },
      { type = "remote_write", url = "http://p/w", bearer = env "TOKEN",
        labels = { job = "x", instance = "i" }, queue = "/var/lib/q",
        queue_bytes = 2^20, send_exemplars = true,
        send_native_histograms = false },
    }]])
  end)

  it("at the top is for every exporter without one of its own", function()
    local all = plan [[
      return {
        push = { { url = "http://g" },
                 { type = "remote_write", url = "http://p", queue = "q" } },
        exporters = {
          { "queue", name = "a" },
          { "queue", name = "b", push = { url = "http://h", job = "own" } },
          { "queue", name = "c", push = false },
          { "queue", name = "d" },
        },
      }
    ]].exporters
    assert.same({ "a", "http://g", "etc/q/a" },
      { all[1].push[1].job, all[1].push[1].url, all[1].push[2].queue })
    assert.same({ 1, "own", "http://h" },
      { #all[2].push, all[2].push[1].job, all[2].push[1].url })
    assert.same({}, all[3].push)
    assert.same({ "d", "etc/q/d" },
      { all[4].push[1].job, all[4].push[2].queue })
    assert.same({ "job", "d" }, all[4].push[2].labels)
  end)

  it("false at the top is none", function()
    assert.same({}, plan(
      "return { push = false, exporters = { { 'queue' } } }")
      .exporters[1].push)
  end)

  it("is refused with one sentence for each mistake", function()
    for push, sentence in pairs {
      ["1"] = "push: expected a table such as { url = "
        .. '"http://gateway:9091" }, a list of them, or false, got a number',
      ["true"] = "push: expected a table such as { url = "
        .. '"http://gateway:9091" }, a list of them, or false, got a boolean',
      ["{}"] = "push.url is missing",
      ["{ { url = 'http://g' }, {} }"] = "push.url is missing",
      ["{ 'http://g' }"] = "push: expected a list of tables",
      ["{ { url = 'http://g' }, interval = 1 }"] =
        "push: expected a list of tables",
      ["{ url = 'http://g', intervall = 1 }"] =
        "unknown key 'intervall' of push; did you mean 'interval'?",
      ["{ url = 'http://g', queue = 'q' }"] = "unknown key 'queue' of push",
      ["{ type = 'remote_write', url = 'http://g', jobs = 'q' }"] =
        "unknown key 'jobs' of push of type remote_write",
      ["{ type = 'graphite', url = 'http://g' }"] = "push.type: expected "
        .. "pushgateway or remote_write, got 'graphite'",
      ["{ url = 9091 }"] = "push.url: expected a string, got a number",
      ["{ url = 'gateway:9091' }"] = "push.url: expected http:// or https://, "
        .. "a host and at most a path",
      ["{ url = 'http://g/?a=b' }"] = "push.url: expected http:// or "
        .. "https://, a host and at most a path",
      ["{ url = 'http://g/metrics/job/x' }"] = "push.url: expected it without "
        .. "/metrics/job/...: that is push.job and push.grouping",
      ["{ url = 'http://g:65536/x' }"] = "push.url: expected a port, 1 to "
        .. "65535",
      ["{ url = 'http://[::1]:0' }"] = "push.url: expected a port, 1 to 65535",
      ["{ url = 'http://g', job = '\\xff' }"] =
        "push.job: the string is not UTF-8",
      ["{ url = 'http://g', grouping = { a = '\\xff' } }"] =
        "push.grouping.a: the string is not UTF-8",
      ["{ type = 'remote_write', url = 'http://g', labels = { a = '\\xff' } }"] =
        "push.labels.a: the string is not UTF-8",
      ["{ type = 'remote_write', url = 'ftp://g' }"] = "push.url: expected "
        .. "http:// or https://, a host and at most a path and a query",
      ["{ url = 'http://g', job = '' }"] = "push.job: the string is empty",
      ["{ url = 'http://g', job = 'a\\0' }"] =
        "push.job: the string holds a zero byte",
      ["{ url = 'http://g', grouping = 'a' }"] = "push.grouping: expected a "
        .. 'table such as { site = "a" }, got a string',
      ["{ url = 'http://g', grouping = { __a = 'a' } }"] =
        "push.grouping: '__a' is not the name of a label",
      ["{ url = 'http://g', grouping = { a = 1 } }"] =
        "push.grouping.a: expected a string, got a number",
      ["{ url = 'http://g', grouping = { job = 'a' } }"] =
        "push.grouping.job: it is push.job",
      ["{ url = 'http://g', method = 'DELETE' }"] =
        "push.method: expected PUT or POST, got 'DELETE'",
      ["{ url = 'http://g', interval = 0 }"] =
        "push.interval: expected seconds, at least 0.1, got 0",
      ["{ url = 'http://g', interval = 'soon' }"] =
        "push.interval: expected seconds, at least 0.1, got soon",
      ["{ url = 'http://g', interval = {} }"] = "push.interval: expected "
        .. 'seconds, or a string such as "15s", got a table',
      ["{ url = 'http://g', timeout = 1 / 0 }"] =
        "push.timeout: expected seconds, at least 0.1, got inf",
      ["{ url = 'http://g', on_shutdown = 'drop' }"] =
        "push.on_shutdown: expected leave or delete, got 'drop'",
      ["{ url = 'http://g', insecure = 1 }"] =
        "push.insecure: expected true or false, got a number",
      ["{ url = 'http://g', password = 'x' }"] =
        "push.password: there is no push.username",
      ["{ url = 'http://g', username = 'x', bearer = 'y' }"] =
        "push: either username and password, or bearer",
      ["{ url = 'http://g', headers = { 'a' } }"] =
        "push.headers: expected names of headers as keys",
      ["{ url = 'http://g', headers = { a = 'b\\nc' } }"] =
        "push.headers.a: expected a string of one line",
      ["{ url = 'http://g', headers = { ['content-type'] = 'b' } }"] =
        "push.headers.content-type: this header is the host's",
      ["{ url = 'http://g', format = 'openmetrics' }"] =
        "push.format: expected text or protobuf, got 'openmetrics'",
      ["{ type = 'remote_write', url = 'http://g', send_exemplars = 1 }"] =
        "push.send_exemplars: expected true or false, got a number",
      ["{ type = 'remote_write', url = 'http://g', queue_bytes = 1 }"] =
        "push.queue_bytes: expected bytes, 1048576 to 1099511627776, got 1",
      ["{ type = 'remote_write', url = 'http://g', labels = 1 }"] =
        'push.labels: expected a table such as { site = "a" }, got a number',
    } do
      assert.same({ "etc/lunex.lua:2: " .. sentence }, mistakes_of(with(push)))
    end
  end)

  it("tells a mistake at the top once, with its line", function()
    assert.same({ "etc/lunex.lua:2: push.url is missing" }, mistakes_of [[
      return {
        push = { job = "a" },
        exporters = { { "queue" }, { "queue", name = "b" } } }]])
  end)

  it("refuses two that would replace each other's group", function()
    local form = [[
      return { exporters = {
        { "queue", name = "a", push = { url = "http://g/", job = "j" } },
        { "queue", name = "b", push = { url = "http://g", job = "j"%s } } } }]]
    assert.same({ "etc/lunex.lua:3: push: the exporter 'a' pushes the same "
      .. "group to this gateway: give one of them another job or grouping" },
      mistakes_of(form:format ""))
    plan(form:format ", grouping = { instance = 'b' }")
    assert.same({ "etc/lunex.lua:3: push: the exporter 'a' pushes the same "
      .. "group to this gateway: give one of them another job or grouping" },
      mistakes_of(form:format ", method = 'POST'"))
    assert.same({ "etc/lunex.lua:2: push: the exporter 'queue' pushes the "
      .. "same group to this gateway: give one of them another job or "
      .. "grouping" }, mistakes_of(
        with "{ { url = 'http://g' }, { url = 'http://g' } }"))
  end)

  it("of all exporters with one job is one mistake", function()
    assert.same({ "etc/lunex.lua:1: push: the exporter 'a' pushes the same "
      .. "group to this gateway: give one of them another job or grouping" },
      mistakes_of [[return { push = { url = "http://g", job = "j" },
        exporters = { { "queue", name = "a" }, { "queue", name = "b" },
                      { "queue", name = "c" } } }]])
  end)

  it("refuses a queue that two would have", function()
    assert.same({ "etc/lunex.lua:4: push.queue: the exporter 'a' has this "
      .. "folder, too: give each its own" }, mistakes_of [[
      return { exporters = {
        { "queue", name = "a", push = { type = "remote_write", queue = "q",
          url = "http://g" } }, { "queue", name = "b",
          push = { type = "remote_write", url = "http://g", queue = "q" } } } }
      ]])
  end)

  it("has a ceiling", function()
    local mistakes = mistakes_of [[
      local list = {}
      for i = 1, 501 do
        list[i] = { "queue", name = "q" .. i, push = {
          { url = "http://g" }, { url = "http://h" } } }
      end
      return { exporters = list }]]
    assert.same({
      "etc/lunex.lua:4: push: more than 1000 targets of all exporters",
    }, mistakes)
  end)
end)

describe("a secret of push", function()
  it("is in no sentence", function()
    for push, sentence in pairs {
      ["{ url = 'u:hunter2@g' }"] = "push.url: expected http:// or https://, "
        .. "a host and at most a path",
      ["{ url = file 'secret' }"] = "push.url: the text of a file would be "
        .. "shown to everybody",
      ["{ url = 'http://g', job = file 'secret' }"] = "push.job: the text of "
        .. "a file would be shown to everybody",
      ["{ url = 'http://g', grouping = { a = file 'secret' } }"] =
        "push.grouping.a: the text of a file would be shown to everybody",
      ["{ url = 'http://g', interval = file 'secret' }"] =
        "push.interval: expected seconds, got the text of a file",
      ["{ url = 'http://g', [file 'secret'] = 1 }"] =
        "unknown key the text of a file of push",
      ["{ url = 'http://g', username = 'a', password = {} }"] =
        "push.password: expected a string, got a table",
    } do
      assert.same({ "etc/lunex.lua:2: " .. sentence }, mistakes_of(with(push)))
    end
  end)

  it("that stands in the file is advised against", function()
    local function advice(text)
      return select(2, read(with(text)))
    end
    assert.same({ "etc/lunex.lua:2: the secret push.password stands in the "
      .. "file: use env or file" },
      advice "{ url = 'http://g', username = 'u', password = 'hunter2' }")
    assert.same({}, advice
      "{ url = 'http://g', username = 'u', password = file 'secret' }")
    environment.P = "hunter2"
    assert.same({}, advice "{ url = 'http://g', bearer = env 'P' }")
  end)
end)
