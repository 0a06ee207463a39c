-- SPDX-License-Identifier: Apache-2.0
local clock = require "clock"
local host = require "host"
local process = require "process"
local task = require "task"
local timely = dofile "spec/bind/timely.lua"

-- The state of a process in /proc ("R", "S", "Z" ...), nil when there is none.
local function state_of(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then
    return nil
  end
  local _ <close> = file
  local line = file:read "a"
  return line and line:match "%) (%a)"
end

local function until_dead(pid)
  local ends = clock.monotonic() + 20
  while (state_of(pid) or "Z") ~= "Z" do
    assert.is_true(clock.monotonic() < ends)
    task.sleep(0.005)
  end
end

-- A name of a file that is not there yet, and its text when it is.
local function until_written(path)
  local ends = clock.monotonic() + 20
  while true do
    local file = io.open(path)
    local text = file and file:read "a"
    if file then
      file:close()
    end
    if text and text:find "\n" then
      os.remove(path)
      return text
    end
    assert.is_true(clock.monotonic() < ends)
    task.sleep(0.005)
  end
end

local function count(folder)
  local result = assert(process.run { "ls", folder })
  return select(2, result.stdout:gsub("\n", "\n"))
end

-- ls may come before its descriptors are closed here.
local function least(folder)
  local n = math.huge
  for _ = 1, 10 do
    n = math.min(n, count(folder))
  end
  return n
end

local function until_no_more_than(n, folder)
  local ends = clock.monotonic() + 20
  while count(folder) > n do
    assert.is_true(clock.monotonic() < ends)
  end
end

local function own_pid()
  local file <close> = assert(io.open "/proc/self/stat")
  return file:read "n"
end

describe("process.run", function()
  it("runs a command to its end", function()
    local result = assert(process.run {
      "sh", "-c", "echo out; echo err >&2; exit 3" })
    assert.equal(3, result.status)
    assert.equal("out\n", result.stdout)
    assert.equal("err\n", result.stderr)
    assert.is_nil(result.signal)
    assert.is_true(result.seconds > 0 and result.seconds < 10)
  end)

  it("takes the command and its arguments by name", function()
    local result = assert(process.run {
      cmd = "printf", args = { "<%s>", "a b", 7 }, timeout = 5 })
    assert.equal("<a b><7>", result.stdout)
    assert.equal(0, process.run({ cmd = "true" }).status)
  end)

  it("tells the signal that ended it", function()
    local result = assert(process.run { "sh", "-c", "kill -USR1 $$" })
    assert.equal("SIGUSR1", result.signal)
    assert.is_nil(result.status)
    result = assert(process.run { "sh", "-c", "kill -40 $$" })
    assert.equal("SIG40", result.signal)
  end)

  it("carries every byte", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local data = table.concat(bytes):rep(2000)
    local result = assert(process.run { "cat", stdin = data })
    assert.is_true(data == result.stdout)
  end)

  it("suspends the task and nothing else", function()
    local ticks, during = 0, 0
    task.all(
      function()
        assert(process.run { "sleep", "0.2" })
        during = ticks
      end,
      function()
        for _ = 1, 5 do
          task.sleep(0.01)
          ticks = ticks + 1
        end
      end)
    assert.is_true(during > 0)
  end)

  it("runs many side by side", function()
    local results = task.each({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
      return assert(process.run { "sh", "-c", "sleep 0.1; echo " .. i })
    end)
    for i, result in ipairs(results) do
      assert.equal(i .. "\n", result.stdout)
    end
  end)

  it("has nothing to read without stdin", function()
    assert.equal("", assert(process.run { "cat" }).stdout)
    assert.equal("", assert(process.run { "cat", stdin = "" }).stdout)
  end)

  it("changes the environment", function()
    local function env(options)
      options[1] = "env"
      return assert(process.run(options)).stdout
    end
    local all = "\n" .. env { env = { A = "x y=z", B = 7 } }
    assert.matches("\nA=x y=z\n", all)
    assert.matches("\nB=7\n", all)
    assert.matches("\nPATH=" .. os.getenv "PATH":gsub("%p", "%%%0") .. "\n",
      all)
    all = "\n" .. env { env = { HOME = "/none", LUNEX = false } }
    assert.matches("\nHOME=/none\n", all)
    assert.equal(1, select(2, all:gsub("\nHOME=", "")))
    assert.is_nil(all:find("\nLUNEX=", 1, true))
    assert.equal("A=1\n", env { env = { A = 1 }, inherit = false })
    assert.equal("", env { inherit = false })
  end)

  it("is not disturbed when the script changes its tables", function()
    local command = { "printf", "%s%s", "a", "b", env = { A = "1" } }
    task.all(
      function() assert.equal("ab", assert(process.run(command)).stdout) end,
      function()
        for i = 1, 4 do
          command[i] = nil
        end
        collectgarbage()
      end)
  end)
end)

describe("what cannot be run", function()
  local function fails(command, message, reason)
    local result, text, why = process.run(command)
    assert.is_nil(result)
    assert.equal(message, text)
    assert.equal(reason, why)
  end

  it("is not found", function()
    fails({ "no-such-command", "--password=x" },
      "no-such-command: no such file or directory", "not found")
    fails({ "/none/df -k" }, "/none/df: no such file or directory",
      "not found")
  end)

  it("may not be executed", function()
    fails({ "/etc/passwd" }, "/etc/passwd: permission denied", "denied")
  end)

  it("has no folder to run in", function()
    fails({ "pwd", dir = "/none" },
      "pwd: the folder to run it in: no such file or directory", "failed")
  end)

  it("takes too long", function()
    fails({ "sleep", 100, timeout = 0.05 },
      "sleep: still running after 0.05 s, killed", "timeout")
  end)

  it("takes longer than its collection may", timely(function()
    local text, message = host.run([[
      local result, message, reason = require "process".run { "sleep", 100 }
      return message .. " / " .. reason
    ]], { deadline = 3 })
    assert.is_nil(message)
    assert.matches("^sleep: still running after 2.9%d* s, killed / timeout$",
      text)
  end))

  it("says too much", function()
    fails({ "yes", max = 1000 },
      "yes: wrote more than 1000 bytes to stdout, killed", "output")
    fails({ "yes" },
      "yes: wrote more than 1048576 bytes to stdout, killed", "output")
  end)

  it("is given too much", function()
    local command = { "true" }
    for i = 2, 1001 do
      command[i] = "x"
    end
    fails(command, "true: has 1000 arguments, at most 999 are passed",
      "failed")
    fails({ "true", stdin = ("x"):rep((16 << 20) + 1) },
      "true: its input has 16777217 bytes, at most 16777216 are passed",
      "failed")
    fails({ "true", ("x"):rep(1 << 20) }, "true: argument list too long",
      "failed")
  end)

  it("waits for a place, within its deadline", function()
    local message
    local tasks = {}
    for i = 1, 16 do
      tasks[i] = function() process.run { "sleep", 100, timeout = 100 } end
    end
    tasks[17] = function()
      message = select(2, process.run { "true", timeout = 0.05 })
      error "enough"
    end
    pcall(task.all, table.unpack(tasks))
    assert.equal(
      "true: not begun within 0.05 s, as 16 others are running", message)
    assert.equal(0, process.run({ "true" }).status)
  end)

  it("tells nothing of its memory when the result is too large", function()
    local text, message, code = host.run([[
      return require "process".run { "head", "-c", 8 << 20, "/dev/zero",
        max = 16 << 20 }
    ]], { memory = 4 << 20 })
    assert.is_nil(text)
    assert.equal("limit", code)
    assert.matches("memory", message)
  end)
end)

describe("mistakes of process.run", function()
  local function raises(command, message)
    assert.has_error(function() process.run(command) end, message)
  end

  it("name the option that was meant", function()
    raises({ "df", timout = 3 },
      "unknown option 'timout'; did you mean 'timeout'?")
    raises({ "df", [true] = 3 }, "options have names")
    raises({ "df", timeout = "x" }, "option 'timeout': expected seconds")
    raises({ "df", max = -1 }, "option 'max': expected an integer")
    raises({ "df", max = (16 << 20) + 1 }, "option 'max'")
    raises({ "df", stdin = {} }, "option 'stdin': expected a string")
    raises({ "df", dir = "a\0b" }, "option 'dir' contains a NUL")
    raises({ "df", inherit = 1 }, "option 'inherit': expected a boolean")
  end)

  it("say that no shell takes a line apart", function()
    raises({ "df -h --password=x" }, "the command 'df ...' has spaces")
    raises({ cmd = "df\t-h" }, '{ "df", "..." }')
    local _, message = pcall(process.run, { "df --password=x" })
    assert.is_nil(message:find("password", 1, true))
  end)

  it("say what a command is", function()
    raises({}, "expected a command")
    raises({ timeout = 3 }, "expected a command")
    raises({ "df", cmd = "df" }, "expected a command")
    raises({ "df", args = { "-k" } }, "the arguments follow the command")
    raises({ cmd = "df", args = "-k" }, "option 'args': expected a list")
    raises({ 7 }, "the command is not a string")
    raises({ "" }, "the command is empty")
    raises({ "d\0f" }, "command 1 contains a NUL")
    raises({ "df", {} }, "argument 1: expected a string, got table")
    raises({ "df", 1.5 }, "argument 1: expected a string, got number")
    raises({ "df", "a\0b" }, "argument 1 contains a NUL")
    raises({ "df", nil, "-k" }, "the list of arguments has a gap")
    raises({ "df", [5] = "-k" }, "the list of arguments has a gap")
    raises({ cmd = "df", args = { [2] = "-k" } }, "has a gap")
    assert.has_error(function() process.run "df" end, "table expected")
  end)

  it("say what an environment is", function()
    raises({ "df", env = 7 }, "option 'env': expected a table")
    raises({ "df", env = { "A=b" } }, "expected names and values")
    raises({ "df", env = { ["A=B"] = "c" } }, "expected names and values")
    raises({ "df", env = { [""] = "c" } }, "expected names and values")
    raises({ "df", env = { A = true } }, "option 'env': A: expected a string")
    raises({ "df", env = { A = "b\0c" } }, "option 'env': A: expected")
  end)

  it("say that it cannot wait here", function()
    assert.has_error(function()
      table.sort({ 1, 2 }, function() process.run { "true" } end)
    end, "I/O is not possible here")
  end)
end)

describe("a cancelled run", function()
  it("is killed at once, with its whole group", function()
    local path = os.tmpname()
    os.remove(path)
    local first, second
    pcall(task.all,
      function()
        process.run { "sh", "-c", "sleep 100 & echo $$ $! >" .. path ..
          "; wait" }
      end,
      function()
        first, second = until_written(path):match "(%d+) (%d+)"
        error "enough"
      end)
    assert.is_not_nil(first)
    until_dead(first)
    until_dead(second)
  end)

  it("is killed when its state ends", timely(function()
    local path = os.tmpname()
    os.remove(path)
    local pid
    task.all(
      function()
        local text = host.run(([[
          require "process".run { "sh", "-c", "echo $$ >%s; exec sleep 100" }
        ]]):format(path), { stop = 0.3, deadline = 1 })
        assert.is_nil(text)
      end,
      function() pid = until_written(path):match "%d+" end)
    until_dead(pid)
  end))
end)

describe("many runs", function()
  it("leave no descriptor, thread or zombie", function()
    local own = "/proc/" .. own_pid()
    local descriptors = least(own .. "/fd")
    local threads = least(own .. "/task")
    for i = 1, 200 do
      if i % 4 == 0 then
        task.timeout(0, process.run, { "sleep", 100 })
      else
        assert(process.run { "true" })
      end
    end
    until_no_more_than(descriptors, own .. "/fd")
    until_no_more_than(threads, own .. "/task")
    -- The one child is ps itself.
    local children = assert(process.run {
      "ps", "-o", "comm=", "--ppid", own:match "%d+" })
    assert.equal("ps\n", children.stdout)
  end)
end)
