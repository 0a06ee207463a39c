-- SPDX-License-Identifier: Apache-2.0
--
-- Everything that an exposition may have to show, for spec/e2e/golden_test.py,
-- where what it means is written down a second time.
local metric = require "metric"

local HOSTILE <const> = {
  "", " ", "\\", "\"", "\n", "\\n", "\\\"", "\"\\\n", "a\"b\\c\nd", "\\\\n",
  "}", "{", "},{", ",", "=", "a=\"b\"", "# EOF", "\n# EOF\n", "\"} 1\nx{a=\"",
  " # {a=\"b\"} 1", "\t", "\r", "\r\n", "\0", "\x7f", "\u{85}", "\u{2028}",
  "\u{feff}", "é", "日本語", "\u{1F600}", "\u{1F469}\u{200D}\u{1F52C}",
  "\u{10FFFF}", "e\u{301}", "\u{202E}abc", "NaN", "0", "total", ("x"):rep(5000),
}

local VALUES <const> = {
  nan = 0 / 0, inf = math.huge, minus_inf = -math.huge, zero = 0.0,
  minus_zero = -0.0, smallest = 0x1p-1074, subnormal = 0x0.fffffffffffffp-1022,
  normal = 0x1p-1022, largest = 0x1.fffffffffffffp+1023,
  minus_largest = -0x1.fffffffffffffp+1023, below = 9007199254740991.0,
  at = 9007199254740992.0, above = 9007199254740994.0,
  minus_below = -9007199254740991.0, minus_above = -9007199254740994.0,
  integer_below = 9007199254740991, integer_at = 9007199254740992,
  integer_above = 9007199254740993, integer_least = math.mininteger,
  tenth = 0.1, third = 1 / 3, million = 1e6, long = 123456789012.0,
  e21 = 1e21, e22 = 1e22, e23 = 1e23, small = 1e-5, smaller = 1.5e-7,
  two63 = 0x1p63, two64 = 0x1p64, epsilon = 0x1.0000000000001p0,
}

local wide, wide_values = {}, {}
for n = 1, 999 do
  wide[n], wide_values[n] = "label_" .. n, "value \"" .. n .. "\""
end

local counted = false

-- What is counted here is counted once, however many look.
local function count(m)
  m.golden_counted_total:inc(2, "GET")
  m.golden_counted_total:inc(0.5, "GET",
    { trace_id = "4bf9", ["span.id"] = "é" })
  m.golden_counted_total:with("PUT"):inc(3, { trace_id = "\"\\\n" })
  m.golden_counted_total:inc(7, "DELETE")
  m.golden_bare:inc(5)
  m["golden.size"]:observe(0.25, "in")
  for _, size in ipairs { 1, 2, 2.5, 1000, 0 } do
    m.golden_size_bytes:observe(size, "in")
  end
  m.golden_size_bytes:observe(1.5, "in", { trace_id = "a" })
  m.golden_size_bytes:observe(1e9, "in", { trace_id = "b", n = "2" })
  m.golden_size_bytes:observe(3, "out", {})
  for _, v in ipairs { 1, 2, 3, 0.5, 0.5, -4, 0, 1e-200, 1e6, 1e6 } do
    m.golden_native_seconds:observe(v)
  end
  for _, v in ipairs { 0.7, 1, 1.5, 100 } do
    m.golden_both_seconds:observe(v, "x")
  end
  m.golden_both_seconds:observe(5, "x", { trace_id = "c" })
  for v = 1, 100 do
    m.golden_latency_seconds:observe(v, "r")
    m.golden_plain_seconds:observe(v / 4)
  end
end

local function mirror(m)
  m.golden_mirrored_total:set(42, { created = 1700000000.25 })
  m.golden_mirrored_seconds:set({ sum = 3.5, count = 17,
    buckets = { [0.1] = 8, [1] = 12 } }, "a", { created = 1600000000.5 })
  m.golden_mirrored_seconds:set({ sum = 0.5, count = 9007199254740991,
    buckets = { [0.1] = 0, [1] = 9007199254740991 } }, "b")
  m.golden_wait_seconds:set({ sum = 9.25, count = 4,
    quantiles = { [0.5] = 1, [1] = 0 / 0 } })
  m.golden_age_seconds:set({ sum = 12, count = 3,
    buckets = { [-1] = 0, [0] = 0, [10] = 2 } }, "mirrored")
  for _, v in ipairs { -2, 0, 5, 5, 11 } do
    m.golden_age_seconds:observe(v, "observed")
  end
  m.golden_timed:set(1, "a", { timestamp = 1700000000.125 })
  m.golden_timed:set(2, "b", { timestamp = 0.001 })
  m.golden_timed:set(3, "c")
end

local function rest(m)
  for n, text in ipairs(HOSTILE) do
    m.golden_hostile:set(n, text)
    m.golden_version_info:set(1, text, "x")
  end
  for name, value in pairs(VALUES) do
    m.golden_values:set(value, name)
  end
  m.golden_wide:set(1, table.unpack(wide_values))
  for n = 1, 1000 do
    m.golden_many:set(n, n)
  end
  m.golden_mode:set "o\"d\\d\n"
  m.golden_state:set("on", "lamp")
  m.golden_state:set("an-\u{1F600}", "la\nmp")
  m.golden_unknown:set(-0.0)
  m.golden_clash:set(1)
  m.golden_clash_total:inc(0)
  m["golden.http.requests_total"]:set(6, "GET", "/\"")
  m["golden \"name\"\\\n{x=\"y\"} \u{1F600}"]:set(7, "v")
  m["2golden.é"]:set("b", "w")
end

return {
  name = "golden",
  labels = { site = "no\"r\\t\nh" },
  metrics = {
    golden_hostile = metric.gauge {
      "Back\\slash, \"quotes\",\nline feed, \\n, €, \u{1F600}.",
      labels = { "text" } },
    golden_values = metric.gauge { "Numbers.", labels = { "n" } },
    golden_wide = metric.gauge { "Many labels.", labels = wide },
    golden_many = metric.gauge { "Many series.", labels = { "n" } },
    golden_empty = metric.gauge { "Nobody sets it.", labels = { "n" } },
    golden_counted_total = metric.counter {
      "Counted here.", labels = { "method" } },
    golden_bare = metric.counter "A counter without _total.",
    golden_mirrored_total = metric.counter "Counted elsewhere.",
    golden_size_bytes = metric.histogram { "Classic.", unit = "bytes",
      labels = { "way" }, buckets = { 0.5, 1, 2, 1e6 } },
    golden_mirrored_seconds = metric.histogram { "Kept elsewhere.",
      unit = "seconds", labels = { "l" }, buckets = { 0.1, 1 } },
    golden_native_seconds = metric.histogram { "Native.", native = true },
    golden_both_seconds = metric.histogram { "Both.", labels = { "l" },
      buckets = { 1, 10 }, native = { factor = 2, max_buckets = 50 } },
    golden_age_seconds = metric.gaugehistogram { "Ages.", labels = { "l" },
      buckets = { -1, 0, 10 } },
    golden_latency_seconds = metric.summary { "A window.",
      labels = { "l" }, quantiles = { 0, 0.5, 0.99, 1 }, window = "10m" },
    golden_plain_seconds = metric.summary "No quantiles.",
    golden_wait_seconds = metric.summary { "Mirrored.",
      quantiles = { 0.5, 1 } },
    golden_version_info = metric.info { "Texts.", labels = { "text", "v" } },
    golden_mode = metric.stateset { "No labels.",
      states = { "on", "off", "o\"d\\d\n" } },
    golden_state = metric.stateset { "One label.", labels = { "device" },
      states = { "on", "", "an-\u{1F600}" } },
    golden_unknown = metric.unknown "What is it?",
    golden_timed = metric.gauge { "With times.", timestamps = true,
      labels = { "l" } },
    golden_clash = metric.gauge "Beside the next.",
    golden_clash_total = metric.counter "Beside the one before.",
    ["golden.http.requests_total"] = metric.counter { "Dots.",
      labels = { "http.method", "http_path" } },
    ["golden \"name\"\\\n{x=\"y\"} \u{1F600}"] = metric.gauge { "Hostile.",
      labels = { "l\"a\\b\n,=} é" } },
    ["2golden.é"] = metric.stateset { "A digit first.", labels = { "1st" },
      states = { "a", "b" } },
    ["golden.size"] = metric.histogram { "Dots.", labels = { "a:b" },
      buckets = { 1 } },
  },
  collect = function(m)
    if not counted then
      counted = true
      count(m)
    end
    mirror(m)
    rest(m)
  end,
}
