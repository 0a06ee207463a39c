---@meta files
-- SPDX-License-Identifier: Apache-2.0

---Files of the machine that lunex runs on: configurations, secrets, what /proc
---and /sys say. A path that is not absolute is seen from where lunex was
---started. Reading does not let other tasks run.
---@class fileslib
local files = {}

---A whole file.
---
---    local load = assert(files.read "/proc/loadavg"):match "%S+"
---@param path string
---@param max? integer bytes; a larger file is a failure; default: 16 MiB
---@return string? text
---@return string? message "cannot read x.json: No such file or directory"
function files.read(path, max) end

---The names of the files in a folder, sorted. Folders in it and names that
---begin with a dot are left out; a link counts as what it leads to.
---
---    for _, name in ipairs(assert(files.list(config.folder))) do
---      local text = assert(files.read(config.folder .. "/" .. name))
---@param folder string
---@return string[]? names
---@return string? message
function files.list(folder) end

return files
