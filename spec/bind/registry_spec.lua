-- SPDX-License-Identifier: Apache-2.0
-- metric.registry: families that a script keeps to itself.

local exporter = require "exporter"
local metric = require "metric"

-- Raises what RAISED says, at a line of this file.
local function refuses(fn, raised)
  local message = assert.has_error(fn, raised)
  assert.matches("registry_spec%.lua:%d+: ", message)
end

describe("a registry", function()
  it("shows what was set, at once, with namespace and labels", function()
    local registry = metric.registry {
      namespace = "foo", labels = { site = "a", area = 'q"' },
      b = metric.gauge "Ping to device (ms)",
      a_total = metric.counter { "Counted.", labels = { "code" } },
    }
    assert.equal("", registry:render())
    registry.b:set(0.031)
    registry.a_total:inc(2, "x")
    registry.a_total:with("y"):inc()
    assert.equal([[
# HELP foo_a_total Counted.
# TYPE foo_a_total counter
foo_a_total{code="x",area="q\"",site="a"} 2
foo_a_total{code="y",area="q\"",site="a"} 1
# HELP foo_b Ping to device (ms)
# TYPE foo_b gauge
foo_b{area="q\"",site="a"} 0.031
]], registry:render())
    registry.b:set "3000.0"
    assert.matches('foo_b{area="q\\"",site="a"} 3000\n', registry:render())
    assert.equal("foo_b (gauge)", tostring(registry.b))
  end)

  it("writes every type as the text format 0.0.4 knows it", function()
    local registry = metric.registry {
      a = metric.info { "A.", labels = { "v" } },
      b = metric.stateset { "B.", states = { "up", 'do"wn' } },
      c = metric.unknown "C.",
      d = metric.histogram { "D.", buckets = { 1 } },
      e = metric.summary "E.",
    }
    registry.a:set(1, "x")
    registry.b:set "up"
    registry.c:set(math.huge)
    registry.d:observe(0.5)
    registry.e:observe(2)
    assert.equal([[
# HELP a A.
# TYPE a gauge
a{v="x"} 1
# HELP b B.
# TYPE b gauge
b{b="up"} 1
b{b="do\"wn"} 0
# HELP c C.
# TYPE c untyped
c +Inf
# HELP d D.
# TYPE d histogram
d_bucket{le="1"} 1
d_bucket{le="+Inf"} 1
d_sum 0.5
d_count 1
# HELP e E.
# TYPE e summary
e_sum 2
e_count 1
]], registry:render())
  end)

  it("renders in any format and tells the content type", function()
    local registry = metric.registry {
      a_total = metric.counter { "A.", labels = { "l" } },
    }
    registry.a_total:inc(2, "x")
    local text, content_type = registry:render()
    assert.equal('# HELP a_total A.\n# TYPE a_total counter\n' ..
      'a_total{l="x"} 2\n', text)
    assert.equal("text/plain; version=0.0.4; charset=utf-8; " ..
      "escaping=underscores", content_type)
    assert.equal(text, (registry:render("text", "underscores")))
    text, content_type = registry:render "openmetrics"
    assert.matches('^# TYPE a counter\n# HELP a A%.\na_total{l="x"} 2\n' ..
      'a_created{l="x"} [%d.]+\n# EOF\n$', text)
    assert.matches("^application/openmetrics%-text; version=1%.0%.0;",
      content_type)
    text, content_type = registry:render("openmetrics2", "dots")
    assert.matches('^# TYPE a_total counter\n# HELP a_total A%.\n' ..
      'a_total{l="x"} 2 st@[%d.]+\n# EOF\n$', text)
    assert.matches("^application/openmetrics%-text; version=2%.0%.0;" ..
      ".*escaping=dots$", content_type)
    text, content_type = registry:render "protobuf"
    assert.equal("\10\7a_total\18\2A.\24\0", text:sub(2, 16))
    assert.equal(#text - 1, text:byte())
    assert.matches("^application/vnd%.google%.protobuf; ", content_type)
  end)

  it("renders names beyond the old ones as it is told", function()
    local registry = metric.registry { ["a.b"] = metric.gauge "A." }
    registry["a.b"]:set(1)
    local function line(...)
      return registry:render(...):match "gauge\n(.*)\n$"
    end
    assert.equal("a_b 1", line())
    assert.equal("a_b 1", line "text")
    assert.equal("a_dot_b 1", line("text", "dots"))
    assert.equal("U__a_2e_b 1", line(nil, "values"))
    local text, content_type = registry:render("text", "allow-utf-8")
    assert.matches('\n{"a.b"} 1\n$', text)
    assert.equal("text/plain; version=1.0.0; charset=utf-8; " ..
      "escaping=allow-utf-8", content_type)
  end)

  it("refuses a format or an escaping that is not there", function()
    local registry = metric.registry { a = metric.gauge "A." }
    refuses(function() registry:render "openmetric" end,
      "bad argument #1 to 'render' (no format 'openmetric'; there are text, " ..
      "openmetrics, openmetrics2, protobuf; did you mean 'openmetrics'?)")
    refuses(function() registry:render("text", "x") end,
      "bad argument #2 to 'render' (no escaping 'x'; there are underscores, " ..
      "dots, values, allow-utf-8)")
    refuses(function() registry:render {} end,
      "bad argument #1 to 'render' (string expected, got table)")
  end)

  it("renders more than one block", function()
    local registry = metric.registry {
      a = metric.gauge { "A.", labels = { "n" } },
    }
    for i = 1, 20000 do
      registry.a:set(i, i)
    end
    local text = registry:render()
    assert.is_true(#text > 256 * 1024)
    local lines, sum = 0, 0
    for n, value in text:gmatch '\na{n="(%d+)"} (%d+)' do
      assert.equal(n, value)
      lines, sum = lines + 1, sum + tonumber(value)
    end
    assert.equal(20000, lines)
    assert.equal(20000 * 20001 // 2, sum)
  end)

  it("keeps to itself what it has", function()
    local one = metric.registry { a = metric.gauge "A." }
    local two = metric.registry { a = metric.gauge "A." }
    one.a:set(1)
    two.a:set(2)
    assert.matches("\na 1\n", one:render())
    assert.matches("\na 2\n", two:render())
  end)

  it("lets go of a value whose ttl is over", function()
    local task = require "task"
    local registry = metric.registry {
      a = metric.gauge { "A.", ttl = 0.02 },
    }
    registry.a:set(1)
    assert.matches("\na 1\n", registry:render())
    for _ = 1, 1000 do
      if registry:render() == "" then
        return
      end
      task.sleep(0.01)
    end
    error "the value stays"
  end)

  it("names what it does not have, and what may be meant", function()
    local registry = metric.registry { dev_ping = metric.gauge "A." }
    refuses(function() return registry.dev_pin end,
      "this registry has no metric 'dev_pin'; did you mean 'dev_ping'?")
    refuses(function() return registry:rendr() end,
      "this registry has no metric 'rendr'; did you mean 'render'?")
    refuses(function() return registry[1] end,
      "this registry has no metric '1'")
    refuses(function() registry.dev_ping = 5 end,
      "registry.dev_ping = ...: a metric is changed with " ..
      "registry.name:set(value)")
    refuses(function() registry.render() end,
      "expected a registry as the first argument")
    refuses(function() registry.push(registry.dev_ping) end,
      "expected a registry as the first argument")
  end)

  it("refuses what is no declaration", function()
    local a = metric.gauge "A."
    refuses(function() metric.registry() end, "table expected")
    refuses(function() metric.registry { a } end,
      "the metrics of a registry have names, got a number as key")
    refuses(function() metric.registry { ["a\0b"] = a } end,
      "the name of a metric contains a NUL")
    refuses(function() metric.registry { a = 5 } end,
      "'a': expected a declaration such as metric.gauge")
    refuses(function() metric.registry { a = {} } end, "got table")
    refuses(function() metric.registry { push = a } end,
      "'push' is a method of a registry, and cannot be a metric")
    refuses(function() metric.registry { labels = a } end,
      "'labels' is an option of a registry, and cannot be a metric")
    refuses(function() metric.registry { namespace = 5 } end,
      "option 'namespace': expected a string, got number")
    refuses(function() metric.registry { namespace = "a\xFF" } end,
      "option 'namespace': 'a\xFF' cannot begin the name of a metric")
    refuses(function() metric.registry { ["a\xFF"] = a } end,
      "metric name 'a\u{FFFD}' is not UTF-8")
    refuses(function() metric.registry { labels = "x" } end,
      "option 'labels': expected a table of strings, got string")
    refuses(function() metric.registry { labels = { a = 5 } } end,
      "option 'labels': expected a table of strings")
    refuses(function() metric.registry { labels = { __a = "x" } } end,
      "option 'labels': label name '__a' is reserved")
    refuses(function() metric.registry { labels = { a = "x\0y" } } end,
      "option 'labels': a text contains a NUL")
    refuses(function() metric.registry { labels = { a = "\xff" } } end,
      "option 'labels': ")
    refuses(function()
      metric.registry { labels = { l = "x" },
        a = metric.gauge { "A.", labels = { "l" } } }
    end, "a: label name 'l' is given twice")
    local many = {}
    for i = 1, 1025 do
      many["l" .. i] = "x"
    end
    refuses(function() metric.registry { labels = many } end,
      "option 'labels': more than 1024")
  end)

  it("refuses names that meet", function()
    refuses(function()
      metric.registry { a = metric.histogram "A.",
        a_sum = metric.gauge "B." }
    end, "a_sum")
    local one = metric.registry { a = metric.summary "A.",
      b_count = metric.gauge "B." }
    local two = metric.registry { a = metric.summary "A." }
    refuses(function()
      metric.registry { one = one.a, a = metric.gauge "A." }
    end, "a: declared twice")
    refuses(function() metric.registry { one = one.a, two = two.a } end,
      "a: declared twice")
    refuses(function()
      metric.registry { one = one.a, a_count = metric.gauge "A." }
    end, "a_count: belongs to the summary 'a'")
    refuses(function()
      metric.registry { one = one.b_count, b = metric.histogram "A." }
    end, "b_count: belongs to the histogram 'b'")
  end)
end)

describe("a family of two registries", function()
  it("has the same values in both, under its own name", function()
    local one = metric.registry { namespace = "one", labels = { l = "1" },
      a = metric.gauge "A.", b = metric.gauge "B." }
    local two = metric.registry { namespace = "two", labels = { l = "2" },
      theirs = one.a, c = metric.gauge "C." }
    one.a:set(1)
    one.b:set(1)
    two.c:set(2)
    assert.equal("# HELP one_a A.\n# TYPE one_a gauge\none_a{l=\"1\"} 1\n" ..
      "# HELP two_c C.\n# TYPE two_c gauge\ntwo_c{l=\"2\"} 2\n", two:render())
    two.theirs:set(5)
    assert.matches('one_a{l="1"} 5\n', one:render())
    assert.matches('one_a{l="1"} 5\n', two:render())
    local three = metric.registry { x = two.theirs, y = one.b }
    assert.matches('one_a{l="1"} 5\n.*one_b{l="1"} 1\n$', three:render())
  end)

  it("stays when the other registry is gone", function()
    local one = metric.registry { a = metric.gauge "A." }
    local two = metric.registry { a = one.a }
    local kept, child = one.a, one.a:with()
    one = nil
    collectgarbage()
    collectgarbage()
    kept:set(1)
    assert.matches("\na 1\n", two:render())
    child:set(2)
    assert.matches("\na 2\n", two:render())
    two = nil
    collectgarbage()
    kept:set(3)
    child:inc()
    assert.matches("\na 4\n", metric.registry { a = kept }:render())
    assert.is_nil(one or two)
  end)
end)

describe("a finalizer", function()
  it("may render while a series is being set", function()
    local registry, rendered = nil, 0
    local function litter()
      setmetatable({}, { __gc = function()
        rendered = rendered + #registry:render()
        litter()
      end })
    end
    local declared = metric.stateset { "A.", labels = { "l" },
      states = { "1", "2", "3" } }
    registry = metric.registry { a = declared }
    litter()
    collectgarbage("incremental", 1, 1000, 2) -- at work all the time
    for round = 1, 30 do
      registry = metric.registry { a = declared }
      for i = 99, 10, -1 do -- each goes before all others
        registry.a:set(round + i / 128, i) -- a new text, and no such state
      end
      local text = registry:render()
      for i = 10, 99 do
        assert.is_not_nil(text:find('\na{l="' .. i .. '",a="1"} 0\n', 1, true))
      end
    end
    collectgarbage("incremental", 200, 100, 13)
    litter = function() end
    assert.is_true(rendered > 0)
  end)

  it("may render while the same is rendered", function()
    local registry = metric.registry { a = metric.gauge { "A.",
      labels = { "l" } }, b = metric.gauge { "B.", labels = { "l" } } }
    for _, letter in ipairs { "x", "y", "z" } do -- text of several blocks
      registry.a:set(1, letter:rep(60000))
      registry.b:set(1, letter:rep(60000))
    end
    local expected, rendered = registry:render(), 0
    local function litter()
      setmetatable({}, { __gc = function()
        assert(registry:render() == expected)
        rendered = rendered + 1
        litter()
      end })
    end
    litter()
    collectgarbage("incremental", 1, 1000, 2)
    for _ = 1, 50 do
      assert.equal(expected, registry:render())
    end
    collectgarbage("incremental", 200, 100, 13)
    litter = function() end
    assert.is_true(rendered > 0)
  end)

  it("may come too late", function()
    local said = {}
    do
      local late = {}
      setmetatable(late, { __gc = function()
        for _, method in ipairs { "render", "push" } do
          said[#said + 1] = select(2, pcall(late.registry[method],
            late.registry, "http://127.0.0.1:1", { job = "j" }))
        end
        said[#said + 1] = select(2, pcall(late.family.set, late.family, 1))
      end })
      late.registry = metric.registry { a = metric.gauge "A." }
      late.family = late.registry.a
    end
    collectgarbage()
    collectgarbage()
    assert.equal(3, #said)
    assert.equal("the registry was collected already", said[1])
    assert.equal("the registry was collected already", said[2])
    assert.matches("this metric belongs to", said[3])
  end)
end)

-- ---- in an exporter ---------------------------------------------------------

-- A script that has a registry in `registry`.
local function load(rest, config)
  return assert(exporter.load([[
local metric = require "metric"
local registry = metric.registry {
  mine = metric.gauge { "Mine.", labels = { "l" } },
}
registry.mine:set(1, "load")
]] .. rest, config, { serve = true }))
end

local http = require "http"

local function get(e, path)
  return assert(http.get(e:url() .. path)).body
end

describe("a registry in an exporter", function()
  it("is made at the top, and shows at once what collect sets", function()
    local e <close> = load [[
return {
  name = "spec",
  metrics = { x_own = metric.gauge "Own.", x_text = metric.info {
    "Text.", labels = { "text" } } },
  collect = function(m)
    m.x_own:set(1)
    registry.mine:set(2, "collect")
    m.x_text:set(1, (registry:render()))
    error "not today"
  end,
  routes = { ["GET /text"] = function() return registry:render() end },
}
]]
    assert.is_false(e:collect())
    assert.is_nil(e:page():find("x_own 1", 1, true))
    assert.is_nil(e:page():find("mine", 1, true))
    assert.equal('# HELP mine Mine.\n# TYPE mine gauge\n' ..
      'mine{l="collect"} 2\nmine{l="load"} 1\n', get(e, "/text"))
  end)

  it("may be used where m may not", function()
    local e <close> = load [[
local kept
return {
  name = "spec",
  metrics = { x_own = metric.gauge "Own." },
  collect = function(m)
    kept = m
  end,
  routes = {
    ["GET /text"] = function() return registry:render() end,
  },
  probe = function(m, target)
    registry.mine:set(3, target)
    kept.x_own:set(1)
  end,
}
]]
    assert.is_true(e:collect())
    assert.matches("probe_success 0\n", get(e, "/probe?target=t"))
    assert.matches('mine{l="t"} 3\n', get(e, "/text"))
  end)

  it("shows of m what a page would show", function()
    local e <close> = load [[
local shared
local n = 0
return {
  name = "spec",
  labels = { site = "north" },
  metrics = { x_own = metric.gauge "Own.", x_count = metric.counter "Count." },
  collect = function(m)
    n = n + 1
    shared = shared or metric.registry { own = m.x_own, count = m.x_count }
    m.x_own:set(n)
    m.x_count:inc()
    registry.mine:set(1, (shared:render()))
  end,
  routes = {
    ["GET /text"] = function() return shared:render() end,
    ["GET /set"] = function(_, m) m.x_own:set(50) return "" end,
  },
}
]]
    local function shown(count, own)
      local text = "# HELP x_count Count.\n# TYPE x_count counter\n" ..
        'x_count{site="north"} ' .. count .. "\n"
      return own and text .. "# HELP x_own Own.\n# TYPE x_own gauge\n" ..
        'x_own{site="north"} ' .. own .. "\n" or text
    end
    assert.is_true(e:collect())
    assert.equal(shown(1, 1), get(e, "/text"))
    assert.is_true(e:collect())
    assert.equal(shown(2, 2), get(e, "/text"))
    assert.matches('\nx_own{site="north"} 2\n', e:page())
    get(e, "/set")
    assert.equal(shown(2, 50), get(e, "/text"))
    assert.is_true(e:collect())
    assert.matches('\nx_own{site="north"} 3\n', e:page())
  end)

  it("does not show a metric of m before its part returns", function()
    local e <close> = load [[
local shared, during
return {
  name = "spec",
  metrics = { x_own = metric.gauge "Own." },
  collect = function(m)
    shared = shared or metric.registry { own = m.x_own }
    m.x_own:set((during or 0) + 1)
    during = shared:render():match "x_own (%d+)\n"
    m.x_own:set((during or 0) + 1)
  end,
  routes = { ["GET /during"] = function() return during or "none" end },
}
]]
    e:collect()
    assert.equal("none", get(e, "/during"))
    e:collect()
    assert.equal("1", get(e, "/during"))
    e:collect()
    assert.equal("2", get(e, "/during"))
    assert.matches("\nx_own 3\n", e:page())
  end)

  it("raises for what was kept of a probe", function()
    local e <close> = load [[
local kept
return {
  name = "spec",
  metrics = { x_own = metric.gauge "Own." },
  probe = function(m)
    if kept then
      error(select(2, pcall(kept.render, kept)), 0)
    end
    kept = metric.registry { own = m.x_own }
    m.x_own:set(1)
    assert(kept:render() == "")
  end,
}
]]
    assert.matches("probe_success 1\n", get(e, "/probe?target=t"))
    local text = get(e, "/probe?target=t&debug=true")
    assert.matches("this metric belongs to a probe that is over", text)
  end)

  it("has as many series as the limits of the script say", function()
    local e <close> = load [[
local second
return {
  name = "spec",
  limits = { series = 5 },
  metrics = { x_own = metric.gauge { "Own.", labels = { "l" } } },
  collect = function(m)
    for i = 1, 5 do
      m.x_own:set(1, i) -- the registry does not count here
    end
    registry.mine:set(1, "a") -- the third: a family and "load" are there
    second = metric.registry { a = metric.gauge "A." } -- the fourth
    second.a:set(1) -- the fifth
    local ok, message = pcall(registry.mine.set, registry.mine, 1, "b")
    assert(not ok and message:find("the limit of 5 series is reached", 1, true))
    ok, message = pcall(registry.mine.with, registry.mine, "b")
    assert(not ok and message:find("the limit of 5 series is reached", 1, true))
    ok, message = pcall(metric.registry, { b = metric.gauge "B." })
    assert(not ok and message:find("b: the limit of 5 series", 1, true))
    registry.mine:set(2, "a")
    second = nil
    registry.mine:set(1, "b") -- what nobody has any more makes room
    registry.mine:with("c"):set(1)
    assert(not pcall(registry.mine.set, registry.mine, 1, "d"))
  end,
}
]]
    local ok, message = e:collect()
    assert.equal(nil, message)
    assert.is_true(ok)
  end)

  it("makes room where nothing would be shown, without a page", function()
    local e <close> = load [[
local task = require "task"
local r = metric.registry {
  c = metric.counter { "C.", labels = { "l" } },
  t = metric.gauge { "T.", labels = { "l" }, ttl = 0.01 },
}
return {
  name = "spec",
  limits = { series = 100 },
  metrics = {},
  collect = function()
    for i = 1, 200 do -- each makes a series that gets no value
      assert(not pcall(r.c.inc, r.c, i, { ["not-valid"] = ("x"):rep(200) }))
    end
    local kept = r.c:with "kept"
    for i = 1, 90 do
      r.t:set(1, i)
    end
    task.sleep(0.02) -- longer than these last
    for i = 1, 90 do
      r.c:inc(i)
    end
    kept:inc()
    assert(r.c:remove "kept")
    r.t:set(1, "last")
    local text = r:render()
    assert(text:find('t{l="last"} 1\n', 1, true))
    assert(not text:find "kept")
  end,
}
]]
    assert.same({ true }, { e:collect() })
  end)

  it("counts windows when something is observed", function()
    local e <close> = load [[
local r = metric.registry {
  s = metric.summary { "S.", quantiles = { 0.5 }, labels = { "l" } },
}
return {
  name = "spec",
  limits = { series = 500 },
  metrics = {},
  collect = function()
    for i = 1, 400 do
      r.s:set({ count = 1, sum = 1, quantiles = { [0.5] = 1 } }, i)
    end
    r.s:observe(1, "a") -- 193 of the 100 that are left
    local ok, message = pcall(r.s.observe, r.s, 1, "b")
    assert(not ok and message:find("s: the limit of 500 series is reached "
      .. "(one with quantiles counts as 193)", 1, true), message)
    assert(r.s:remove("a"))
    r.s:observe(1, "b")
    r.s:observe(1, "c")
  end,
}
]]
    local ok, message = e:collect()
    assert.is_false(ok)
    assert.matches(":23: s: the limit of 500 series is reached", message)
  end)

  it("is not kept by a script that makes one each time", function()
    local e <close> = load [[
return {
  name = "spec",
  limits = { series = 1000, cpu = 20 },
  metrics = {},
  collect = function()
    for i = 1, 5000 do
      local one = metric.registry { a = metric.gauge "A." }
      one.a:set(i)
      assert(one:render():find("\na " .. i .. "\n", 1, true))
    end
  end,
}
]]
    assert.is_true(e:collect())
  end)
end)
