---@meta log
-- SPDX-License-Identifier: Apache-2.0

---Lines of the host's log, with the exporter's name. `print` is `log.info`
---without fields. There may be 1000 of them at once, and 10 a second in the long
---run; what is more is left out.
---@class loglib
local log = {}

---Shown with --log.level=debug only.
---
---    log.debug("asked", { url = url })
---@param message string
---@param fields? table<string, any> at most 12
function log.debug(message, fields) end

---Something an operator may want to know.
---
---    log.info("device rebooted", { device = name })
---@param message string
---@param fields? table<string, any> at most 12
function log.info(message, fields) end

---Something is wrong and the exporter goes on.
---
---    log.warn("no reading", { err = message })
---@param message string
---@param fields? table<string, any> at most 12
function log.warn(message, fields) end

---Something is wrong that somebody has to mend.
---
---    log.error("token refused", { url = url })
---@param message string
---@param fields? table<string, any> at most 12
function log.error(message, fields) end

return log
