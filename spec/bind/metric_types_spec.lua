-- SPDX-License-Identifier: Apache-2.0
-- What belongs to some types of metrics: native buckets, quantiles, mirrored
-- distributions, exemplars, times.

local clock = require "clock"
local exporter = require "exporter"
local metric = require "metric"
local timely = dofile "spec/bind/timely.lua"

-- Its lines about metrics whose name begins with `x_`. Count and sum of a gauge
-- histogram are left out: in the text format they are metrics of their own.
local function texts(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    if line:match("^x_") and not line:match("^x_up") and
      not line:match("^x_[a-z]+_g[cs]") then
      found[#found + 1] = line
    end
  end
  return found
end

local function lines(e)
  return texts(e:page())
end

-- Runs a script whose metrics and collect are given as text.
local function load(metrics, collect)
  return assert(exporter.load(string.format([[
local metric = require "metric"
local n = 0
return {
  name = "spec",
  metrics = { %s },
  collect = function(m)
    n = n + 1
    %s
  end,
}
]], metrics, collect)))
end

-- The sentence of an error, without its place.
local function mistake(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (message:gsub("^[^ ]+:%d+: ", ""))
end

describe("an option", function()
  it("is refused where the type has no use for it", function()
    local function says(message, declare, options)
      options[1] = "Help."
      assert.equal(message, mistake(declare, options))
    end
    says("option 'native': a histogram has it, a gauge does not",
      metric.gauge, { native = true })
    says("option 'native': a histogram has it, a gaugehistogram does not",
      metric.gaugehistogram, { native = true })
    says("option 'buckets': a histogram has it, a summary does not",
      metric.summary, { buckets = { 1 } })
    says("option 'quantiles': a summary has it, a histogram does not",
      metric.histogram, { quantiles = { 0.5 } })
    says("option 'window': a summary has it, a counter does not",
      metric.counter, { window = 60 })
    says("option 'states': a stateset has it, an info does not",
      metric.info, { states = { "a" } })
  end)

  it("of native buckets is checked", function()
    local function says(message, native)
      assert.equal("option 'native': " .. message,
        mistake(metric.histogram, { "H.", native = native }))
    end
    says("expected true or a table, got string", "yes")
    says("unknown option 'faktor'; did you mean 'factor'?", { faktor = 2 })
    says("unknown option '[1]'", { 2 })
    says("factor is a string, not a number", { factor = "2" })
    says("the factor from one bucket to the next is greater than 1, got 1",
      { factor = 1 })
    says("the factor from one bucket to the next is greater than 1, got NaN",
      { factor = math.abs(0 / 0) })
    for _, max in ipairs { 0, 4097, 1.5, math.huge } do
      assert.matches("max_buckets is a whole number from 1 to 4096, got",
        mistake(metric.histogram, { "H.", native = { max_buckets = max } }))
    end
    says("zero_threshold is a finite number from 0 on, got -1",
      { zero_threshold = -1 })
    metric.histogram { "H.", native = false }
    metric.histogram { "H.", native = {} }
  end)

  it("window is a time, and wants quantiles", function()
    for _, window in ipairs { 0, -1, math.huge, "soon", "0s", true, {} } do
      assert.equal(
        "option 'window': expected seconds, or a string such as \"10m\"",
        mistake(metric.summary,
          { "S.", quantiles = { 0.5 }, window = window }))
    end
    assert.equal("option 'window': it is for 'quantiles', and there are none",
      mistake(metric.summary, { "S.", window = "10m" }))
    metric.summary { "S.", quantiles = { 0.5 }, window = "1m30s" }
  end)

  it("timestamps is true or false", function()
    assert.equal("option 'timestamps': expected a boolean, got number",
      mistake(metric.gauge, { "G.", timestamps = 1 }))
  end)

  it("quantiles are 0 to 1 and rise", function()
    local function refused(quantiles, message)
      local ok, err = pcall(metric.registry,
        { x_s = metric.summary { "S.", quantiles = quantiles } })
      assert.is_false(ok)
      assert.matches(message, err)
    end
    refused({ 0.5, 1.5 }, "x_s: quantile 2 is not from 0 to 1")
    refused({ 0.5, 0.5 }, "x_s: quantiles must rise, but quantile 2 does not")
    local many = {}
    for i = 1, 33 do many[i] = i / 33 end
    refused(many, "x_s: more than 32 quantiles$")
    for i = 34, 257 do many[i] = i / 33 end
    for message, declare in pairs {
      ["x_s: more than 256 buckets$"] = function()
        return metric.histogram { "S.", buckets = many }
      end,
      ["x_s: more than 256 states$"] = function()
        local states = {}
        for i = 1, 257 do states[i] = "s" .. i end
        return metric.stateset { "S.", states = states }
      end,
    } do
      assert.matches(message, mistake(metric.registry, { x_s = declare() }))
    end
  end)

  it("is looked at again when a script has changed it", function()
    for change, message in pairs {
      ["d.native = 5"] = "option 'native': expected true or a table",
      ["d.native = { factor = 0 }"] = "option 'native': the factor",
      ["d.window = 5"] = "option 'window': it is for 'quantiles'",
      ["d.quantiles = { {} }"] = "option 'quantiles': element 1 is a table",
      ["d.timestamps = 5"] = "option 'timestamps': expected a boolean",
    } do
      local e, err = exporter.load(string.format([[
local metric = require "metric"
local d = metric.histogram "A."
%s
return { name = "spec", metrics = { x_a = d }, collect = function() end }
]], change))
      assert.is_nil(e)
      assert.matches(message, err)
    end
  end)
end)

describe("a native histogram", function()
  it("shows count and sum to readers of text", function()
    local e <close> = load([[
      x_h = metric.histogram { "H.", native = true },
      x_both = metric.histogram { "B.", native = { factor = 2 },
        buckets = { 1 } }]],
      [[m.x_h:observe(0.25) m.x_h:observe(2) m.x_both:observe(2)]])
    assert.is_true(e:collect())
    assert.same({
      'x_both_bucket{le="1"} 0', 'x_both_bucket{le="+Inf"} 1',
      "x_both_sum 2", "x_both_count 1",
      'x_h_bucket{le="+Inf"} 2', "x_h_sum 2.25", "x_h_count 2",
    }, lines(e))
  end)
end)

describe("a gauge histogram", function()
  it("is what a collection found", function()
    local e <close> = load([[
      x_age = metric.gaugehistogram { "A.", labels = { "q" },
        buckets = { 1, 10 } }]], [[
      if n == 1 then
        m.x_age:observe(0.5, "a")
        m.x_age:observe(5, "a")
        m.x_age:observe(50, "b")
      elseif n == 2 then
        m.x_age:observe(7, "a")
      end]])
    assert.is_true(e:collect())
    assert.same({
      'x_age_bucket{q="a",le="1"} 1', 'x_age_bucket{q="a",le="10"} 2',
      'x_age_bucket{q="a",le="+Inf"} 2', 'x_age_bucket{q="b",le="1"} 0',
      'x_age_bucket{q="b",le="10"} 0', 'x_age_bucket{q="b",le="+Inf"} 1',
    }, lines(e))
    assert.is_true(e:collect())
    assert.matches('x_age_bucket{q="a",le="1"} 0\n', e:page())
    assert.matches('x_age_bucket{q="a",le="%+Inf"} 1\n', e:page())
    assert.is_nil(e:page():find('q="b"', 1, true))
    assert.is_true(e:collect())
    assert.same({}, lines(e))
  end)

  it("of a collection that fails is not shown", function()
    local e <close> = load([[x_age = metric.gaugehistogram "A."]],
      [[m.x_age:observe(1) if n == 2 then error("no") end]])
    assert.is_true(e:collect())
    assert.is_true(#lines(e) > 0)
    assert.is_false(e:collect())
    assert.same({}, lines(e))
  end)
end)

describe("a summary with quantiles", function()
  it("knows them within half a percent", function()
    local e <close> = load([[
      x_s = metric.summary { "S.", quantiles = { 0, 0.5, 0.99, 1 } }]], [[
      for i = 1, 1000 do m.x_s:observe(i) end]])
    assert.is_true(e:collect())
    local found = {}
    for q, value in e:page():gmatch('x_s{quantile="([%d.]+)"} ([%d.]+)') do
      found[q] = tonumber(value)
    end
    assert.near(1, found["0"], 0.0055)
    assert.near(500, found["0.5"], 500 * 0.0055)
    assert.near(990, found["0.99"], 990 * 0.0055)
    assert.near(1000, found["1"], 1000 * 0.0055)
    assert.matches("x_s_sum 500500\nx_s_count 1000\n", e:page())
  end)

  it("forgets what is older than its window", timely(function()
    local registry = metric.registry {
      x_s = metric.summary { "S.", quantiles = { 1 }, window = 0.25 },
    }
    registry.x_s:observe(5)
    assert.matches('x_s{quantile="1"} 4%.9', registry:render())
    local late = clock.monotonic() + 10
    repeat
      local gone = registry:render():find('x_s{quantile="1"} NaN', 1, true)
    until gone or clock.monotonic() > late
    assert.same({ 'x_s{quantile="1"} NaN', "x_s_sum 5", "x_s_count 1" },
      texts(registry:render()))
  end))
end)

describe("set of a distribution", function()
  it("mirrors one that is kept elsewhere", function()
    local e <close> = load([[
      x_h = metric.histogram { "H.", labels = { "l" }, buckets = { 0.1, 1 } },
      x_g = metric.gaugehistogram { "G.", buckets = { 1 } },
      x_s = metric.summary { "S.", quantiles = { 0.5, 0.9 } },
      x_t = metric.summary "T."]], [[
      m.x_h:set({ sum = 3.5, count = 17, buckets = { [0.1] = 8, [1] = 12 } },
        "a")
      m.x_h:set({ sum = "3.5", count = "7",
        buckets = { ["0.10"] = "1", ["1e0"] = 1, ["+Inf"] = 7 } }, "b")
      m.x_h:with("c"):set({ sum = 0, count = 0, buckets = { [1] = 0,
        [0.1] = 0, [math.huge] = 0 } })
      m.x_g:set { sum = -2, count = 3, buckets = { [1] = 3 } }
      m.x_s:set { sum = 1, count = 2, quantiles = { [0.5] = 7,
        ["0.9"] = 0/0 } }
      m.x_t:set { sum = 1, count = 2 }]])
    assert.is_true(e:collect())
    assert.same({
      'x_g_bucket{le="1"} 3', 'x_g_bucket{le="+Inf"} 3',
      'x_h_bucket{l="a",le="0.1"} 8', 'x_h_bucket{l="a",le="1"} 12',
      'x_h_bucket{l="a",le="+Inf"} 17', 'x_h_sum{l="a"} 3.5',
      'x_h_count{l="a"} 17',
      'x_h_bucket{l="b",le="0.1"} 1', 'x_h_bucket{l="b",le="1"} 1',
      'x_h_bucket{l="b",le="+Inf"} 7', 'x_h_sum{l="b"} 3.5',
      'x_h_count{l="b"} 7',
      'x_h_bucket{l="c",le="0.1"} 0', 'x_h_bucket{l="c",le="1"} 0',
      'x_h_bucket{l="c",le="+Inf"} 0', 'x_h_sum{l="c"} 0',
      'x_h_count{l="c"} 0',
      'x_s{quantile="0.5"} 7', 'x_s{quantile="0.9"} NaN', "x_s_sum 1",
      "x_s_count 2", "x_t_sum 1", "x_t_count 2",
    }, lines(e))
  end)

  it("is gone when it was not set again", function()
    local e <close> = load([[x_t = metric.summary "T."]],
      [[if n == 1 then m.x_t:set { sum = 1, count = 2 } end]])
    assert.is_true(e:collect())
    assert.same({ "x_t_sum 1", "x_t_count 2" }, lines(e))
    assert.is_true(e:collect())
    assert.same({}, lines(e))
  end)

  local registry = metric.registry {
    x_h = metric.histogram { "H.", buckets = { 0.1, 1 } },
    x_n = metric.histogram { "N.", native = true },
    x_s = metric.summary { "S.", quantiles = { 0.5 } },
  }

  local function says(message, value)
    assert.equal("x_h: " .. message,
      mistake(registry.x_h.set, registry.x_h, value))
    assert.equal("", registry:render())
  end

  -- A good one, changed.
  local function with(field, value, buckets)
    local all = { sum = 3.5, count = 17,
      buckets = buckets or { [0.1] = 8, [1] = 12 } }
    if field then all[field] = value end
    return all
  end

  it("says what is wrong with its fields", function()
    says("a histogram is set to a table such as { sum = 3.5, count = 17 }, " ..
      "got number", 5)
    says("a histogram is set to sum, count and buckets, not 'bukets'; did " ..
      "you mean 'buckets'?", with("bukets", {}))
    says("a histogram is set to sum, count and buckets, not '[1]'",
      with(1, {}))
    says("sum: expected a number, got nil", { count = 1 })
    says("sum: expected a number, got string", with("sum", "much"))
    says("count: expected a number, got table", with("count", {}))
    says("count is a whole number from 0 to 2^53, and cannot be -1",
      with("count", -1))
    says("count is a whole number from 0 to 2^53, and cannot be 1.5",
      with("count", 1.5))
    says("count is a whole number from 0 to 2^53, and cannot be NaN",
      with("count", math.abs(0 / 0)))
    says("count is a whole number from 0 to 2^53, and cannot be +Inf",
      with("count", math.huge))
    says("buckets: expected a table, got number", with("buckets", 5))
    says("buckets: expected a table, got nil", { sum = 3.5, count = 17 })
    assert.matches("x_n: a histogram that is set has classic buckets alone",
      mistake(registry.x_n.set, registry.x_n, { sum = 1, count = 1 }))
  end)

  it("says what is wrong with its buckets", function()
    says("bucket 0.3 is not declared",
      with(nil, nil, { [0.1] = 8, [0.3] = 9, [1] = 12 }))
    says("bucket NaN is not declared",
      with(nil, nil, { [0.1] = 8, ["nan"] = 9, [1] = 12 }))
    says("bucket -Inf is not declared",
      with(nil, nil, { [0.1] = 8, [-math.huge] = 9, [1] = 12 }))
    says("bucket 1 is missing", with(nil, nil, { [0.1] = 8 }))
    says("bucket 1 is given twice",
      with(nil, nil, { [0.1] = 8, [1] = 9, ["1.0"] = 9 }))
    says("bucket is given by a string that is no number",
      with(nil, nil, { [0.1] = 8, one = 9 }))
    says("bucket is given by a boolean that is no number",
      with(nil, nil, { [true] = 8 }))
    says("bucket 1 is a whole number from 0 to 2^53, and cannot be -1",
      with(nil, nil, { [0.1] = 0, [1] = -1 }))
    says("bucket 1: expected a number, got table",
      with(nil, nil, { [0.1] = 0, [1] = {} }))
    says("counts of buckets are cumulative, but bucket 1 is 7, less than " ..
      "the 8 before it", with(nil, nil, { [0.1] = 8, [1] = 7 }))
    says("count is 17, less than the 18 of the last bucket",
      with(nil, nil, { [0.1] = 8, [1] = 18 }))
    says("bucket +Inf is 16, and count is 17",
      with(nil, nil, { [0.1] = 8, [1] = 12, [math.huge] = 16 }))
  end)

  it("says what is wrong with its quantiles", function()
    local function wrong(message, value)
      assert.equal("x_s: " .. message,
        mistake(registry.x_s.set, registry.x_s, value))
    end
    wrong("a summary is set to sum, count and quantiles, not 'quantile'; " ..
      "did you mean 'quantiles'?", { sum = 1, count = 1, quantile = {} })
    wrong("quantile 0.5 is missing", { sum = 1, count = 1, quantiles = {} })
    wrong("quantile 0.9 is not declared",
      { sum = 1, count = 1, quantiles = { [0.5] = 1, [0.9] = 1 } })
    wrong("quantile +Inf is not declared",
      { sum = 1, count = 1, quantiles = { [0.5] = 1, [math.huge] = 1 } })
    wrong("quantiles: expected a table, got nil", { sum = 1, count = 1 })
  end)
end)

describe("times", function()
  local registry = metric.registry {
    x_g = metric.gauge { "G.", labels = { "l" }, timestamps = true },
    x_plain = metric.gauge "P.",
    x_total = metric.counter "C.",
    x_s = metric.summary { "S.", timestamps = true },
  }

  it("stand behind the labels of set", function()
    registry.x_g:set(5, "a", { timestamp = 1520430000.5 })
    registry.x_g:set(6, "b", { timestamp = 0 })
    registry.x_g:with("c"):set(7, { timestamp = 1.25 })
    registry.x_total:set(9, { created = 1520430000 })
    registry.x_s:set({ sum = 1, count = 1 }, { created = 1, timestamp = 2 })
    assert.same({
      'x_g{l="a"} 5 1520430000500', 'x_g{l="b"} 6', 'x_g{l="c"} 7 1250',
      "x_s_sum 1 2000", "x_s_count 1 2000", "x_total 9",
    }, texts(registry:render()))
    registry.x_g:set(5, "a")
    assert.matches('x_g{l="a"} 5\n', registry:render())
  end)

  it("are refused where they have no place", function()
    local function says(message, family, ...)
      assert.equal(message, mistake(family.set, family, ...))
    end
    says("x_plain: timestamp is for metrics that are declared with " ..
      "timestamps = true", registry.x_plain, 1, { timestamp = 1 })
    says("x_plain: a gauge has no 'created'", registry.x_plain, 1,
      { created = 1 })
    says("x_g: behind the labels of set stand timestamp and created, not " ..
      "'timestmap'; did you mean 'timestamp'?", registry.x_g, 1, "a",
      { timestmap = 1 })
    says("x_g: behind the labels of set stand timestamp and created, not " ..
      "'[1]'", registry.x_g, 1, "a", { 5 })
    says("x_g: timestamp is a string, not seconds since the epoch",
      registry.x_g, 1, "a", { timestamp = "now" })
    says("x_g: timestamp is seconds since the epoch, and cannot be -1",
      registry.x_g, 1, "a", { timestamp = -1 })
    says("x_g: timestamp is seconds since the epoch, and cannot be " ..
      "1764738103218", registry.x_g, 1, "a", { timestamp = 1764738103218 })
    says("x_g: label 'l' expected a string, got table", registry.x_g, 1,
      { timestamp = 1 })
    says("x_g: expected labels (l), got 3 values", registry.x_g, 1, "a", {},
      "b")
    local child = registry.x_g:with("z")
    assert.equal("x_g: a kept series has its labels, got 2 values behind " ..
      "its value", mistake(child.set, child, 1, {}, {}))
    assert.equal("x_g: expected a table such as { created = 0 } behind the " ..
      "labels, got string", mistake(child.set, child, 1, "z"))
  end)
end)

describe("created", function()
  it("is when counting began, or what set says, or not known", function()
    local e <close> = load([[
      x_own_total = metric.counter "O.", x_total = metric.counter "S.",
      x_none_total = metric.counter "N.", x_h = metric.histogram "H.",
      x_s = metric.summary "S."]], [[
      m.x_own_total:inc() m.x_h:observe(1) m.x_s:observe(1)
      m.x_total:set(5, { created = 1520430000.25 }) m.x_none_total:set(5)]])
    local before = clock.now()
    assert.is_true(e:collect())
    local after = clock.now()
    local function created()
      local found = {}
      for name, time in e:page "openmetrics":gmatch(
        "\nx_([a-z]+)_created ([%d.]+)") do
        found[name] = tonumber(time)
      end
      return found
    end
    local first = created()
    assert.matches("\nx_created 1520430000%.25\n", e:page "openmetrics")
    assert.is_nil(first.none)
    for _, name in ipairs { "own", "h", "s" } do
      assert.is_true(first[name] >= before - 1e-3)
      assert.is_true(first[name] <= after + 1e-3)
    end
    assert.is_true(e:collect())
    assert.same(first, created())
  end)
end)

describe("native buckets", function()
  it("are in OpenMetrics 2", function()
    local registry = metric.registry {
      x_n = metric.histogram { "N.",
        native = { factor = 2, zero_threshold = 0.1, max_buckets = 8 } },
    }
    for i = -2, 17 do
      registry.x_n:observe(i)
    end
    assert.matches("\nx_n {count:20,sum:150,schema:0,zero_threshold:0%.1," ..
      "zero_count:1,negative_spans:%[0:2%],negative_buckets:%[1,1%]," ..
      "positive_spans:%[0:6%],positive_buckets:%[1,1,2,4,8,1%]}",
      registry:render "openmetrics2")
  end)
end)

describe("a name beyond the legacy ones", function()
  it("is that of a metric or label like any other", function()
    local e <close> = load([=[
      ["x.größe"] = metric.gauge { "G.", labels = { "http.method", "ü" } }]=],
      [=[m["x.größe"]:set(1, "GET", "a") m["x.größe"]:inc(2, "GET", "a")]=])
    assert.is_true(e:collect())
    assert.same({ 'x_gr__e{http_method="GET",_="a"} 3' }, lines(e))
    assert.matches('\n{"x.größe","http.method"="GET","ü"="a"} 3\n',
      e:page("text", "allow-utf-8"))
  end)
end)

describe("a counter", function()
  it("is not set to what no counter shows", function()
    local registry = metric.registry { x_total = metric.counter "C." }
    for value, shown in pairs { [-1] = "-1", ["-0.5"] = "-0.5",
      ["nan"] = "NaN" } do
      assert.equal("x_total: a counter counts from 0 on, and cannot be set " ..
        "to " .. shown, mistake(registry.x_total.set, registry.x_total, value))
    end
    assert.equal("x_total: a counter cannot become NaN by inc()",
      mistake(registry.x_total.inc, registry.x_total, 0 / 0))
    assert.equal("x_total: a counter cannot go down by inc()",
      mistake(registry.x_total.inc, registry.x_total, -1))
    assert.equal("", registry:render())
  end)
end)

describe("an exemplar", function()
  local registry = metric.registry {
    x_total = metric.counter { "C.", labels = { "l" } },
    x_none_total = metric.counter "N.",
    x_h = metric.histogram { "H.", labels = { "l" }, buckets = { 1 } },
    x_g = metric.gauge { "G.", labels = { "l" } },
    x_s = metric.summary "S.",
    x_gh = metric.gaugehistogram "G.",
  }

  it("stands behind the labels of inc and observe", function()
    registry.x_total:inc("a", { trace_id = "1" })
    registry.x_total:inc(2, "a", { trace_id = "2" })
    registry.x_total:inc("7", "a", { trace_id = "3" })
    registry.x_total:inc("5", { trace_id = "4" })
    registry.x_total:with("k"):inc({ trace_id = "5" })
    registry.x_total:with("k"):inc(3, { trace_id = "6", n = 5, ok = true })
    registry.x_none_total:inc({ trace_id = "7" })
    registry.x_none_total:inc(4, {})
    registry.x_h:observe(0.5, "a", { trace_id = "8" })
    registry.x_h:with("a"):observe(5, { trace_id = "9" })
    assert.same({
      'x_h_bucket{l="a",le="1"} 1', 'x_h_bucket{l="a",le="+Inf"} 2',
      'x_h_sum{l="a"} 5.5', 'x_h_count{l="a"} 2', "x_none_total 5",
      'x_total{l="5"} 1', 'x_total{l="a"} 10', 'x_total{l="k"} 4',
    }, texts(registry:render()))
  end)

  local function says(message, ...)
    local before = registry:render()
    assert.equal(message, mistake(...))
    assert.equal(before, registry:render())
  end

  it("is shown, with its time, behind what it explains", function()
    local one = metric.registry {
      x_total = metric.counter { "C.", labels = { "l" } },
      x_h = metric.histogram { "H.", buckets = { 0.5, 1 } },
      x_n = metric.histogram { "N.", native = true },
    }
    local before = clock.now()
    one.x_total:inc(3, "a", { trace_id = "1", b = 0.5, a = "\"\n\\" })
    one.x_total:inc(2, "a") -- explains nothing, and what does stays
    one.x_total:with("b"):inc({ ["span.id"] = 7 })
    one.x_h:observe(0.25, { trace_id = "2" })
    one.x_h:observe(0.75, { trace_id = "3" })
    one.x_h:observe(0.125, { trace_id = "4" })
    one.x_n:observe(9, { trace_id = "5" })
    local after = clock.now()
    local found = {}
    for line in one:render("openmetrics", "allow-utf-8"):gmatch("[^\n]+") do
      local sample, exemplar, time = line:match("^(x_.*) # (.*) ([%d.]+)$")
      if sample then
        found[#found + 1] = sample .. " # " .. exemplar
        assert.is_true(tonumber(time) >= before - 1e-3)
        assert.is_true(tonumber(time) <= after + 1e-3)
      end
    end
    assert.same({
      'x_h_bucket{le="0.5"} 2 # {trace_id="4"} 0.125',
      'x_h_bucket{le="1.0"} 3 # {trace_id="3"} 0.75',
      'x_n_bucket{le="+Inf"} 1 # {trace_id="5"} 9',
      [[x_total{l="a"} 5 # {a="\"\n\\",b="0.5",trace_id="1"} 3]],
      'x_total{l="b"} 1 # {"span.id"="7"} 1',
    }, found)
  end)

  it("of what is set is gone", function()
    local one = metric.registry { x_total = metric.counter "C." }
    one.x_total:inc(3, { trace_id = "1" })
    assert.is_true(one:render "openmetrics":find("trace_id", 1, true) ~= nil)
    one.x_total:set(3)
    assert.is_nil(one:render "openmetrics":find("trace_id", 1, true))
  end)

  it("may be nil where there is none this time", function()
    local one = metric.registry {
      x_total = metric.counter { "C.", labels = { "l" } },
      x_none_total = metric.counter "N.",
      x_h = metric.histogram { "H.", buckets = { 1 } },
    }
    one.x_total:inc(2, "a", nil)
    one.x_total:with("a"):inc(2, nil)
    one.x_total:set(9, "b", nil)
    one.x_h:observe(1, nil)
    assert.equal("x_none_total: expected a number, got nil",
      mistake(one.x_none_total.inc, one.x_none_total, nil))
    assert.equal("x_total: expected a number, got the string 'a'",
      mistake(one.x_total.inc, one.x_total, "a", nil))
    local child = one.x_total:with("a")
    assert.equal("x_total: expected a number, got nil",
      mistake(child.inc, child, nil))
    assert.same({
      'x_h_bucket{le="1"} 1', 'x_h_bucket{le="+Inf"} 1', "x_h_sum 1",
      "x_h_count 1", 'x_total{l="a"} 4', 'x_total{l="b"} 9',
    }, texts(one:render()))
  end)

  it("is refused where there is none", function()
    says("x_g: a gauge has no exemplars, counters and histograms have",
      registry.x_g.inc, registry.x_g, 1, "a", { trace_id = "1" })
    says("x_s: a summary has no exemplars, counters and histograms have",
      registry.x_s.observe, registry.x_s, 1, { trace_id = "1" })
    says("x_gh: a gaugehistogram has no exemplars, counters and histograms " ..
      "have", registry.x_gh.observe, registry.x_gh, 1, { trace_id = "1" })
  end)

  it("says what is wrong with it", function()
    local t = registry.x_total
    says("x_total: label 'a' of the exemplar expected a string, got table",
      t.inc, t, 1, "a", { a = {} })
    says("x_total: the labels of an exemplar have names, got a number as key",
      t.inc, t, 1, "a", { "a" })
    says("x_total: the name of a label of the exemplar has a zero byte",
      t.inc, t, 1, "a", { ["a\0"] = "b" })
    says("x_total: the labels of an exemplar have at most 128 characters, " ..
      "names and values together, got 129",
      t.inc, t, 1, "a", { a = ("x"):rep(128) })
    t:inc(1, "a", { a = ("ä"):rep(127) })
    t:inc(1, "a", { a = "b\0c" }) -- as in a label
    assert.is_not_nil(registry:render("openmetrics"):find(
      ' # {a="b\0c"} 1 ', 1, true))
    local many = {}
    for i = 1, 17 do many["l" .. i] = "" end
    says("x_total: an exemplar has at most 16 labels", t.inc, t, 1, "a", many)
    says("x_total: expected labels (l), got 2 values", t.inc, t, 1, "a", "b",
      { a = "b" })
    local child = t:with("a")
    says("x_total: a kept series has its labels, got 2 values behind its " ..
      "value", child.inc, child, 1, {}, {})
    says("x_total: expected a table such as { trace_id = id } behind the " ..
      "labels, got string", child.inc, child, 1, "a")
  end)
end)

-- Conversions allocate, the collector runs finalizers, and those may do what
-- they like: here they publish, so that rows change their numbers, and take
-- away what was given.
describe("a finalizer in the middle", function()
  it("changes nothing of what is set and counted", function()
    local registry = metric.registry {
      x_total = metric.counter { "C.", labels = { "l" } },
      x_h = metric.histogram { "H.", labels = { "l" }, buckets = { 1 } },
    }
    local exemplar, numbers
    local armed = true
    local function arm()
      setmetatable({}, { __gc = function()
        if not armed then return end
        if exemplar then exemplar.trace_id = nil end
        if numbers then numbers.buckets[1] = nil end
        registry.x_total:remove(17)
        registry:render()
        arm()
      end })
    end
    collectgarbage("generational")
    arm()
    for i = 1, 20000 do
      exemplar = { trace_id = "t" .. i }
      numbers = { sum = i, count = i, buckets = { [1] = i } }
      registry.x_total:inc(1, i % 100 + 0.5, exemplar)
      pcall(registry.x_h.set, registry.x_h, numbers, i % 100 + 0.5)
    end
    armed = false
    collectgarbage("incremental")
    local total = 0
    for value in registry:render():gmatch("x_total{[^\n]*} (%d+)") do
      total = total + tonumber(value)
    end
    assert.equal(20000, total)
  end)
end)
