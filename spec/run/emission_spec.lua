-- SPDX-License-Identifier: Apache-2.0
-- What would make a page that nobody may read is told to the author with file
-- and line, at the latest when it would be shown.

local exporter = require "exporter"

-- The declaration is on line 5, the call on line 8.
local function script(declared, call, more)
  return ([[
local metric = require "metric"
return {
  name = "spec",
  metrics = {
    %s,
  },
  collect = function(m)
    %s
  end,
  %s
}
]]):format(declared, call or "", more or "")
end

local function refused(message, declared, more)
  local e, err = exporter.load(script(declared, nil, more))
  assert.is_nil(e)
  assert.matches(":5: " .. message, err)
end

-- Nothing of what the collection said before is shown, either.
local function fails(message, declared, call)
  local e <close> = assert(exporter.load(script(declared, call)))
  local ok, err = e:collect()
  assert.is_false(ok)
  assert.matches(":8: " .. message, err)
  assert.is_nil(e:page():find("\nspec_a"))
  assert.matches("\nspec_up 0\n", e:page())
end

local function shows(line, declared, call)
  local e <close> = assert(exporter.load(script(declared, call)))
  assert(e:collect())
  assert.matches("\n" .. line .. "\n", e:page())
end

describe("a declaration", function()
  it("has a name in UTF-8 that is not empty", function()
    refused("metric name '.*' is not UTF%-8",
      "['spec\\xff'] = metric.gauge 'x'")
    refused("the name of a metric is empty", "[''] = metric.gauge 'x'")
  end)

  it("has labels that are named, not reserved, and each once", function()
    refused("spec_a: label name '__x' is reserved",
      "spec_a = metric.gauge { 'x', labels = { '__x' } }")
    refused("spec_a: label name 'x' is given twice",
      "spec_a = metric.gauge { 'x', labels = { 'x', 'x' } }")
    refused("spec_a: .*label",
      "spec_a = metric.gauge { 'x', labels = { '' } }")
    refused("spec_a: label name 'x' is given twice, once as constant label",
      "spec_a = metric.gauge { 'x', labels = { 'x' } }",
      "labels = { x = 'a' },")
  end)

  it("leaves the labels of its type alone", function()
    refused("spec_a: a histogram has the label 'le' already",
      "spec_a = metric.histogram { 'x', labels = { 'le' } }")
    refused("spec_a: a summary has the label 'quantile' already",
      "spec_a = metric.summary { 'x', labels = { 'quantile' } }")
    refused("spec_a: a stateset has the label 'spec_a' already",
      "spec_a = metric.stateset { 'x', states = { 'y' }, "
      .. "labels = { 'spec_a' } }")
    refused("spec_a: a histogram has the label 'le' already",
      "spec_a = metric.histogram { 'x' }", "labels = { le = '1' },")
  end)

  -- Which of the two is told of depends on the order of the table.
  it("leaves the names of another's samples alone", function()
    for _, suffix in ipairs { "bucket", "sum", "count" } do
      refused("spec_a.* .*'spec_a",
        ("spec_a = metric.histogram 'x', spec_a_%s = metric.gauge 'x'")
        :format(suffix))
    end
    refused("spec_a.* .*'spec_a",
      "spec_a = metric.summary 'x', spec_a_count = metric.counter 'x'")
  end)

  it("meets no other where readers do not know UTF-8", function()
    refused("spec.a: is 'spec_a' to readers that know no UTF%-8 names",
      "['spec.a'] = metric.gauge 'x', ['spec_a'] = metric.gauge 'x'")
    refused("spec_a: .*'a.b'",
      "spec_a = metric.gauge { 'x', labels = { 'a.b', 'a_b' } }")
    refused("spec_a: .*'x.y'",
      "spec_a = metric.gauge { 'x', labels = { 'x.y' } }",
      "labels = { x_y = 'a' },")
  end)

  it("has buckets that rise, and are numbers", function()
    refused("spec_a: buckets must rise, but bucket 2 does not",
      "spec_a = metric.histogram { 'x', buckets = { 2, 1 } }")
    refused("spec_a: buckets must rise, but bucket 2 does not",
      "spec_a = metric.histogram { 'x', buckets = { 1, 1 } }")
    refused("spec_a: bucket 1 is not a finite number",
      "spec_a = metric.histogram { 'x', buckets = { 0/0 } }")
  end)

  it("has states, and each once", function()
    refused("spec_a: a stateset has 1 to 256 states, got 0",
      "spec_a = metric.stateset { 'x' }")
    refused("spec_a: state 'y' is given twice",
      "spec_a = metric.stateset { 'x', states = { 'y', 'y' } }")
  end)
end)

describe("a value", function()
  local COUNTER <const> = "spec_a_total = metric.counter 'x'"

  it("of a counter does not go down by inc", function()
    fails("spec_a_total: a counter cannot go down", COUNTER,
      "m.spec_a_total:inc(-1)")
    fails("spec_a_total: a counter cannot become NaN", COUNTER,
      "m.spec_a_total:inc(0/0)")
    fails("spec_a_total: a counter cannot go down", COUNTER,
      "m.spec_a_total:with():inc(-1)")
  end)

  it("of a counter is a number from 0 on", function()
    for _, value in ipairs { "-1", "0/0", "-math.huge" } do
      local cannot = "spec_a_total: a counter counts from 0 on, and cannot be "
      fails(cannot, COUNTER, ("m.spec_a_total:set(%s)"):format(value))
      fails(cannot, COUNTER, ("m.spec_a_total:with():set(%s)"):format(value))
    end
    shows("spec_a_total %+Inf", COUNTER, "m.spec_a_total:set(math.huge)")
  end)

  it("that is observed is a number", function()
    for _, declared in ipairs {
      "spec_a = metric.histogram 'x'", "spec_a = metric.gaugehistogram 'x'",
      "spec_a = metric.histogram { 'x', native = true }",
      "spec_a = metric.summary { 'x', quantiles = { 0.5 } }" } do
      fails("spec_a: cannot observe NaN", declared, "m.spec_a:observe(0/0)")
      fails("spec_a: cannot observe NaN", declared,
        "m.spec_a:with():observe(0/0)")
      shows("spec_a_g?sum %+Inf", declared, "m.spec_a:observe(math.huge)")
    end
  end)

  it("of an info is 1", function()
    local info = "spec_a_info = metric.info 'x'"
    fails("spec_a_info: the value of an info is always 1", info,
      "m.spec_a_info:set(2)")
    fails("spec_a_info: the value of an info is always 1", info,
      "m.spec_a_info:set(0/0)")
  end)

  it("of a gauge may be anything", function()
    local gauge = "spec_a = metric.gauge 'x'"
    shows("spec_a NaN", gauge, "m.spec_a:set(0/0)")
    shows("spec_a %-Inf", gauge, "m.spec_a:set(-math.huge)")
    shows("spec_a %-1", gauge, "m.spec_a:set(-1)")
  end)

  it("is given with as many labels as there are", function()
    local gauge = "spec_a = metric.gauge { 'x', labels = { 'b' } }"
    fails("spec_a: expected labels %(b%), got 0 values", gauge,
      "m.spec_a:set(1)")
    fails("spec_a: expected labels %(b%), got 2 values", gauge,
      "m.spec_a:set(1, 'x', 'y')")
    fails("spec_a: label 'b' expected a string, got nil", gauge,
      "m.spec_a:set(1, nil)")
  end)

  it("shows once, the last one", function()
    shows('spec_a{b="x"} 2', "spec_a = metric.gauge { 'x', labels = { 'b' } }",
      "m.spec_a:set(1, 'x') m.spec_a:set(2, 'x')")
  end)
end)
