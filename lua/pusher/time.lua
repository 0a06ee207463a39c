-- SPDX-License-Identifier: Apache-2.0
-- The times of samples: those of the clock, but rising, since a receiver may
-- refuse what is older than what it has. A clock that was set back a little is
-- waited for; one that was far ahead would be waited for as long, so its times
-- are given up.

local M = {}

local WAITED_FOR <const> = 10 * 60 * 1000 -- milliseconds

-- The time behind LAST when the clock says NOW, both in milliseconds; and true
-- when that is before LAST.
function M.after(last, now)
  if last - now > WAITED_FOR then
    return now, true
  end
  return math.max(now, last + 1), false
end

return M
