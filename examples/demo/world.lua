-- SPDX-License-Identifier: Apache-2.0
--
-- What the demo measures: a power meter, the Particle cloud and a Mirth server
-- that do not exist. Three scripts in one process, on loopback only.
return {
  listen = "127.0.0.1:8001",
  exporters = {
    { "meter.lua" }, -- answers on UDP port 5000
    { "particle_cloud.lua",
      config = { devices = 5, token = file "secrets/particle_token" } },
    { "mirth_server.lua" },
  },
}
