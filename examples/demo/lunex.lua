-- SPDX-License-Identifier: Apache-2.0
--
-- Four exporters in one process, on one page: a configuration file to copy.
-- What is secret comes from files (or, with env "NAME", from the environment).
return {
  listen = ":8000",
  exporters = {
    { "powerexporter", config = { device_ip = "127.0.0.1" } },
    { "particle", config = {
      api_url = "http://127.0.0.1:8001",
      token = file "secrets/particle_token",
    } },
    { "mirth", config = {
      endpoint = "http://127.0.0.1:8001",
      user = file "secrets/mirth_user",
      password = file "secrets/mirth_password",
    }, profiles = {
      spare = { -- for /probe?exporter=mirth&profile=spare&target=http://...
        user = file "secrets/mirth_user",
        password = file "secrets/mirth_password",
      },
    } },
    { "ping", config = { -- the last one is an address that nobody has
      targets = { "127.0.0.1", "::1", "198.51.100.1" }, wait = 1,
    } },
  },
}
