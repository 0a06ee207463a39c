-- SPDX-License-Identifier: Apache-2.0
-- metric.*, and what a page shows of it: each script runs in a real exporter.

local exporter = require "exporter"
local metric = require "metric"

-- The lines of the page about metrics whose name begins with `x_`, comments
-- left out.
local function lines(e)
  local found = {}
  for line in e:page():gmatch("[^\n]+") do
    if line:match("^x_") and not line:match("^x_up") then
      found[#found + 1] = line
    end
  end
  return found
end

-- Runs a script whose metrics and collect are given as text.
local function load(metrics, collect, rest)
  local text = string.format([[
local metric = require "metric"
local n = 0
return {
  name = "spec",
  metrics = { %s },
  collect = function(m)
    n = n + 1
    %s
  end,
  %s
}
]], metrics, collect, rest or "")
  return assert(exporter.load(text))
end

describe("a declaration", function()
  it("names an unknown option and the nearest one", function()
    assert.has_error(function()
      metric.gauge { "Help.", lables = { "a" } }
    end, "unknown option 'lables'; did you mean 'labels'?")
  end)

  it("tells where it was made", function()
    local err = assert.has_error(function()
      metric.gauge { "Help.", labels = "a" }
    end, "option 'labels': expected a list of strings, got string")
    assert.has_error(function()
      metric.gauge { "X.", labels = { site = "north" } }
    end, "option 'labels': expected a list, got a table with keys")
    assert.matches("metric_spec%.lua:%d+: ", err)
  end)

  it("refuses lists of the wrong kind", function()
    assert.has_error(function()
      metric.histogram { "Help.", buckets = { 1, "x" } }
    end, "option 'buckets': element 2 is a string, not a number")
  end)

  it("refuses a help that is no text", function()
    assert.has_error(function()
      metric.gauge { 7 }
    end, "the help text is a number, not a string")
  end)

  it("leaves the table of the script alone", function()
    local options = { "Help.", labels = { "a" } }
    local a, b = metric.gauge(options), metric.counter(options)
    assert.is_true(a ~= b)
    assert.is_nil(options.type)
    assert.is_nil(options.help)
  end)

  it("may be just the help text", function()
    local e <close> = load([[x_a = metric.gauge "Help."]], "m.x_a:set(1)")
    assert.is_true(e:collect())
    assert.matches("# HELP x_a Help%.\n# TYPE x_a gauge\nx_a 1\n", e:page())
  end)

  local function refused(metrics, message)
    local e, err = exporter.load(string.format([[
local metric = require "metric"
return { name = "spec", metrics = { %s }, collect = function() end }
]], metrics))
    assert.is_nil(e)
    assert.matches(message, err)
    assert.matches(":2: ", err)
  end

  it("is refused with its line when a name is not valid", function()
    refused([=[["x\xFF"] = metric.gauge "A."]=],
      "metric name 'x\u{FFFD}' is not UTF%-8")
    refused([=[["x\0"] = metric.gauge "A."]=],
      "the name of a metric has a zero byte")
    refused([=[x_a = metric.gauge "A\0."]=], "option 'help' has a zero byte")
    refused([=[["x:a"] = metric.stateset { "A.", states = { "b" } }]=],
      "x:a: the name of a stateset is that of its label, too, and has no colon")
    refused([=[x_a = metric.gauge { "A.", labels = { "b", "c\0" } }]=],
      "option 'labels': element 2 has a zero byte")
    refused([=[x_a = metric.gauge { "A.", labels = { "b.c", "b c" } }]=],
      "x_a: label names 'b.c' and 'b c' are both 'b_c' to readers that know " ..
      "no UTF%-8 names")
    refused([=[["x.a"] = metric.gauge "A.", x_a = metric.gauge "A."]=],
      "is 'x_a' to readers that know no UTF%-8 names, as is")
    refused([=[["x.a"] = metric.histogram "A.", x_a_sum = metric.gauge "A."]=],
      "x_a_sum: belongs to the histogram 'x.a'")
    refused([=[["x.a"] = metric.stateset { "A.", states = { "s" }, labels = { "x_a" }}]=],
      "x.a: a stateset has the label 'x.a' already, which 'x_a' is, too, " ..
      "to readers that know no UTF%-8 names")
    refused([=[x_a = metric.gauge()]=],
      'expected the help text, or a table such as { "help", labels = ' ..
      '{ "a" } }, got no value')
    refused([=[x_a = metric.gauge { "A.", help = "B." }]=],
      "the help text is given twice")
    refused([=[x_a = metric.gauge { {} }]=],
      "the help text is a table, not a string")
    refused([[x_a = metric.gauge { "A.", labels = { "__b" } }]],
      "x_a: label name '__b' is reserved")
    refused([[x_a = metric.gauge { "A.", labels = { "" } }]],
      "x_a: the name of a label is empty")
    refused([[x_a = metric.gauge { "A.", labels = { "b", "b" } }]],
      "x_a: label name 'b' is given twice")
    refused([[x_a = metric.histogram { "A.", labels = { "le" } }]],
      "x_a: a histogram has the label 'le' already")
    refused([[x_a = metric.stateset { "A." }]],
      "x_a: a stateset has 1 to 256 states, got 0")
    refused([[x_a = metric.histogram { "A.", buckets = { 2, 1 } }]],
      "x_a: buckets must rise, but bucket 2 does not")
  end)

  it("is checked again when a script has changed it", function()
    for change, message in pairs {
      ["d.labels[1] = true"] = "option 'labels': element 1 is a boolean",
      ["d.labels = 5"] = "option 'labels': expected a list of strings",
      ["d.help = {}"] = "option 'help': expected a string, got table",
      ["d.type = 99"] = "the declaration of a metric was changed",
      ["d.type = nil"] = "the declaration of a metric was changed",
      ["setmetatable(d, nil)"] = "cannot change a protected metatable",
    } do
      local e, err = exporter.load(string.format([[
local metric = require "metric"
local d = metric.gauge { "A.", labels = { "l" } }
%s
return { name = "spec", metrics = { x_a = d }, collect = function() end }
]], change))
      assert.is_nil(e)
      assert.matches(message, err)
    end
  end)

  it("must be one", function()
    local e, err = exporter.load([[
return { name = "spec", metrics = { x_a = 5 }, collect = function() end }
]])
    assert.is_nil(e)
    assert.matches(":1: 'metrics%.x_a': expected a declaration .*got number", err)
  end)
end)

describe("set", function()
  it("takes numbers, also as strings, and labels of several types", function()
    local e <close> = load(
      [[x_a = metric.gauge { "A.", labels = { "l" } }]], [[
    m.x_a:set(1, "s")
    m.x_a:set("2.50", 5)
    m.x_a:set(" 3 ", 5.5)
    m.x_a:set("NaN", true)
    m.x_a:set(-0.0, 6.0)]])
    assert.is_true(e:collect())
    assert.same({
      'x_a{l="5"} 2.5', 'x_a{l="5.5"} 3', 'x_a{l="6"} -0', 'x_a{l="s"} 1',
      'x_a{l="true"} NaN',
    }, lines(e))
  end)

  it("escapes hostile labels and keeps different ones apart", function()
    local e <close> = load(
      [[x_a = metric.gauge { "A.", labels = { "l", "k" } }]], [[
    m.x_a:set(1, 'a",k="b', "")
    m.x_a:set(2, "a", "b")
    m.x_a:set(3, "back\\slash", "line\nfeed")
    m.x_a:set(4, "\xff", "latin")
    m.x_a:set(5, "\xfe", "latin")]])
    assert.is_true(e:collect())
    assert.same({
      'x_a{l="a",k="b"} 2',
      [[x_a{l="a\",k=\"b",k=""} 1]],
      [[x_a{l="back\\slash",k="line\nfeed"} 3]],
      'x_a{l="\u{FFFD}",k="latin"} 5',
    }, lines(e))
  end)

  it("is gone when it was not set again", function()
    local e <close> = load(
      [[x_a = metric.gauge { "A.", labels = { "l" } }]],
      [[m.x_a:set(n, "always") if n == 1 then m.x_a:set(1, "once") end]])
    assert.is_true(e:collect())
    assert.same({ 'x_a{l="always"} 1', 'x_a{l="once"} 1' }, lines(e))
    assert.is_true(e:collect())
    assert.same({ 'x_a{l="always"} 2' }, lines(e))
  end)

  it("on a counter passes a drop on", function()
    local e <close> = load([[x_total = metric.counter "A."]],
      [[m.x_total:set(n == 1 and 100 or 3)]])
    e:collect()
    assert.same({ "x_total 100" }, lines(e))
    e:collect()
    assert.same({ "x_total 3" }, lines(e))
  end)

  local function fails(metrics, collect)
    local e <close> = load(metrics .. [[, y_done = metric.gauge "D."]],
      "m.y_done:set(1) " .. collect)
    assert.is_false(e:collect())
    assert.matches("spec_up 0\n", e:page())
    assert.is_nil(e:page():find("y_done 1", 1, true))
  end

  it("fails the part for what is no number", function()
    fails([[x_a = metric.gauge "A."]], [[m.x_a:set(nil)]])
    fails([[x_a = metric.gauge "A."]], [[m.x_a:set("12 apples")]])
    fails([[x_a = metric.gauge "A."]], [[m.x_a:set({})]])
  end)

  it("fails the part for wrong labels", function()
    fails([[x_a = metric.gauge { "A.", labels = { "l" } }]], [[m.x_a:set(1)]])
    fails([[x_a = metric.gauge "A."]], [[m.x_a:set(1, "l")]])
    fails([[x_a = metric.gauge { "A.", labels = { "l" } }]],
      [[m.x_a:set(1, nil)]])
  end)

  it("fails the part for a metric that is not declared", function()
    fails([[x_a = metric.gauge "A."]], [[m.x_b:set(1)]])
    fails([[x_a = metric.gauge "A."]], [[m.x_a = 5]])
  end)

  it("says what is wrong", function()
    local e <close> = load([[x_a = metric.gauge { "A.", labels = { "l" } },
      x_message = metric.info { "M.", labels = { "text" } }]], [[
    local function message(fn, ...)
      local _, err = pcall(fn, ...)
      m.x_message:set(1, (err:gsub("^[^ ]+:%d+: ", "")))
    end
    message(m.x_a.set, m.x_a, 1)
    message(m.x_a.set, m.x_a, 1, "a", "b")
    message(m.x_a.set, m.x_a, nil, "a")
    message(m.x_a.observe, m.x_a, 1, "a")
    message(m.x_a.set, 1)
    message(function() return m.x_aa end)]])
    assert.is_true(e:collect())
    local texts = {}
    for _, line in ipairs(lines(e)) do
      texts[#texts + 1] = line:match('text="(.*)"} 1')
    end
    assert.same({
      "expected a metric as the first argument (m.name:set(...) with a colon)",
      "no metric 'x_aa' is declared; did you mean 'x_a'?",
      "x_a: a gauge has no 'observe'",
      "x_a: expected a number, got nil",
      "x_a: expected labels (l), got 0 values",
      "x_a: expected labels (l), got 2 values",
    }, texts)
  end)
end)

describe("inc and observe", function()
  it("say which labels are missing", function()
    local e <close> = load(
      [[x_total = metric.counter { "T.", labels = { "l" } }]],
      [[m.x_total:inc()]])
    local ok, err = e:collect()
    assert.is_false(ok)
    assert.matches("x_total: expected labels %(l%), got 0 values", err)
  end)

  it("persist, also when the part fails", function()
    local e <close> = load([[
      x_runs_total = metric.counter "R.",
      x_by_total = metric.counter { "B.", labels = { "l" } },
      x_lat = metric.histogram { "L.", buckets = { 0.5, 1 } },
      x_sum = metric.summary "S."]], [[
    m.x_runs_total:inc()
    m.x_by_total:inc(2.5, "a")
    m.x_by_total:inc("b")
    m.x_lat:observe(0.25)
    m.x_lat:observe(7)
    m.x_sum:observe(3)
    if n == 2 then error("no") end]])
    assert.is_true(e:collect())
    assert.is_false(e:collect())
    assert.same({
      'x_by_total{l="a"} 5', 'x_by_total{l="b"} 2',
      'x_lat_bucket{le="0.5"} 2', 'x_lat_bucket{le="1"} 2',
      'x_lat_bucket{le="+Inf"} 4', "x_lat_sum 14.5", "x_lat_count 4",
      "x_runs_total 2", "x_sum_sum 6", "x_sum_count 2",
    }, lines(e))
  end)

  it("of a counter cannot go down", function()
    local e <close> = load([[x_total = metric.counter "R."]],
      [[m.x_total:inc(-1)]])
    assert.is_false(e:collect())
  end)

  it("of a gauge can", function()
    local e <close> = load([[x_a = metric.gauge "R."]],
      [[m.x_a:inc(3) m.x_a:inc(-1)]])
    e:collect()
    e:collect()
    assert.same({ "x_a 4" }, lines(e))
  end)
end)

describe("remove", function()
  it("ends a series that was counted, and tells whether there was one",
    function()
      local e <close> = load([[
x_total = metric.counter { "Things.", labels = { "a" } },
x_h = metric.histogram { "Times.", labels = { "a" }, buckets = { 1 } }]], [[
      if n == 1 then
        m.x_total:inc("old")
        m.x_total:inc("new")
        m.x_h:observe(1, "old")
      elseif n == 2 then
        assert(m.x_total:remove("old") == true)
        assert(m.x_total:remove("old") == false)
        assert(m.x_h:remove("old"))
      else
        m.x_total:inc("old")
      end]])
      assert(e:collect())
      assert.equal(6, #lines(e))
      assert(e:collect())
      assert.same({ 'x_total{a="new"} 1' }, lines(e))
      assert(e:collect())
      assert.same({ 'x_total{a="new"} 1', 'x_total{a="old"} 1' }, lines(e))
    end)

  it("wants all labels, and a collection", function()
    local e <close> = load([[x_a = metric.gauge { "A.", labels = { "b" } }]],
      "m.x_a:remove()")
    local ok, message = e:collect()
    assert.is_false(ok)
    assert.matches("x_a: expected labels %(b%), got 0 values", message)
  end)
end)

describe("a kept series", function()
  it("comes back after it was gone", function()
    local e <close> = load(
      [[x_a = metric.gauge { "A.", labels = { "l" } }]], [[
    kept = kept or {}
    local c = kept.c or m.x_a:with("kept")
    kept.c = c
    m.x_a:set(n, "a" .. n)
    if n ~= 2 then c:set(n) end]], [[start = nil,]])
    -- `kept` would be a global: the strict state must refuse it
    assert.is_false(e:collect())
    local f <close> = assert(exporter.load([[
local metric = require "metric"
local n, c = 0, nil
return {
  name = "spec",
  metrics = { x_a = metric.gauge { "A.", labels = { "l" } } },
  collect = function(m)
    n = n + 1
    c = c or m.x_a:with("kept")
    m.x_a:set(n, "z" .. n)
    m.x_a:set(n, "a" .. n)
    if n ~= 2 then c:set(n) end
  end,
}
]]))
    assert.is_true(f:collect())
    assert.same({ 'x_a{l="a1"} 1', 'x_a{l="kept"} 1', 'x_a{l="z1"} 1' },
      lines(f))
    assert.is_true(f:collect())
    assert.same({ 'x_a{l="a2"} 2', 'x_a{l="z2"} 2' }, lines(f))
    assert.is_true(f:collect())
    assert.same({ 'x_a{l="a3"} 3', 'x_a{l="kept"} 3', 'x_a{l="z3"} 3' },
      lines(f))
  end)

  it("has set, inc and observe like its family", function()
    local e <close> = load([[
      x_g = metric.gauge { "G.", labels = { "l" } },
      x_total = metric.counter { "C.", labels = { "l" } },
      x_h = metric.histogram { "H.", labels = { "l" }, buckets = { 1 } },
      x_s = metric.stateset { "S.", labels = { "l" }, states = { "on", "off" } }]], [[
    m.x_g:with("a"):set(1)
    m.x_total:with("a"):inc()
    m.x_total:with("a"):inc(4)
    m.x_h:with("a"):observe(1)
    m.x_s:with("a"):set("off")]])
    assert.is_true(e:collect())
    assert.same({
      'x_g{l="a"} 1',
      'x_h_bucket{l="a",le="1"} 1', 'x_h_bucket{l="a",le="+Inf"} 1',
      'x_h_sum{l="a"} 1', 'x_h_count{l="a"} 1',
      'x_s{l="a",x_s="on"} 0', 'x_s{l="a",x_s="off"} 1',
      'x_total{l="a"} 5',
    }, lines(e))
  end)
end)

describe("other types", function()
  it("info is always 1", function()
    local e <close> = load([[x_info = metric.info { "I.", labels = { "v" } }]],
      [[m.x_info:set(n, "1.2")]])
    assert.is_true(e:collect())
    assert.same({ 'x_info{v="1.2"} 1' }, lines(e))
    assert.is_false(e:collect())
  end)

  it("info is not NaN either", function()
    local e <close> = load([[x_info = metric.info { "I.", labels = { "v" } }]],
      [[m.x_info:set(0/0, "1.2")]])
    local ok, err = e:collect()
    assert.is_false(ok)
    assert.matches("x_info: the value of an info is always 1", err)
  end)

  it("a state has a name", function()
    local e <close> = load(
      [[x_s = metric.stateset { "S.", states = { "on", "off" } }]],
      [[m.x_s:set(true)]])
    local ok, err = e:collect()
    assert.is_false(ok)
    assert.matches("x_s: expected the name of a state, got boolean", err)
  end)

  it("a state that was not declared shows as none", function()
    local e <close> = load(
      [[x_s = metric.stateset { "S.", states = { "on", "off" } }]],
      [[assert(m.x_s:set("on")) assert(not m.x_s:set("new"))]])
    assert.is_true(e:collect())
    assert.same({ 'x_s{x_s="on"} 0', 'x_s{x_s="off"} 0' }, lines(e))
  end)
end)

describe("keep and ttl", function()
  it("keep leaves the values of a failed part", function()
    local e <close> = load([[
      x_kept = metric.gauge { "K.", keep = true },
      x_gone = metric.gauge "G."]],
      [[m.x_kept:set(n) m.x_gone:set(n) if n == 2 then error("no") end]])
    assert.is_true(e:collect())
    assert.same({ "x_gone 1", "x_kept 1" }, lines(e))
    assert.is_false(e:collect())
    assert.same({ "x_kept 1" }, lines(e))
  end)

  it("ttl leaves a value that was not set again", function()
    local e <close> = load([[
      x_long = metric.gauge { "K.", ttl = 3600 },
      x_short = metric.gauge { "K.", ttl = 0.000001 },
      x_none = metric.gauge "G."]],
      [[if n == 1 then m.x_long:set(1) m.x_short:set(1) m.x_none:set(1) end]])
    e:collect()
    e:collect()
    assert.same({ "x_long 1" }, lines(e))
  end)
end)

describe("metrics outside of collections", function()
  it("cannot be changed while the script loads", function()
    local e, err = exporter.load([[
local metric = require "metric"
return {
  name = "spec",
  metrics = function() return { x_a = metric.gauge "A." } end,
  collect = function(m) m.x_a:set(1) end,
}
]])
    assert(e, err)
    assert.is_true(e:collect())
    assert.same({ "x_a 1" }, lines(e))
    e:close()
  end)

  it("are set at once, and stay, in start", function()
    local e <close> = assert(exporter.load([[
local metric = require "metric"
local task = require "task"
return {
  name = "spec",
  metrics = { x_live = metric.gauge "L.", x_a = metric.gauge "A." },
  start = function(m)
    m.x_live:set(7)
    task.sleep(3600)
  end,
  collect = function(m) m.x_a:set(1) end,
}
]]))
    assert.is_true(e:collect())
    assert.is_true(e:collect())
    assert.same({ "x_a 1", "x_live 7" }, lines(e))
  end)
end)

describe("the series limit", function()
  it("fails the part and names the family", function()
    local e <close> = load(
      [[x_a = metric.gauge { "A.", labels = { "l" } }]],
      [[for i = 1, n == 1 and 60 or 5 do m.x_a:set(i, i) end]],
      [[limits = { series = 50 },]])
    assert.is_false(e:collect())
    assert.same({}, lines(e))
    assert.is_true(e:collect())
    assert.equal(5, #lines(e))
  end)
end)
