# SPDX-License-Identifier: Apache-2.0
"""What the compiler does not check about the sources of lunex."""

import re
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BELOW = {
    "core": {"core"},
    "net": {"core", "net"},
    "web": {"core", "net", "web"},
    "vm": {"core", "net", "vm"},
    "bind": {"core", "net", "vm", "bind"},
    "run": {"core", "net", "web", "vm", "bind", "run"},
}
COMMENT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def sources(*layers):
    """The C files of these layers of host/, of all of it without any."""
    folders = [TOP / "host" / layer for layer in layers] or [TOP / "host"]
    return sorted(p for f in folders for p in f.rglob("*.[ch]"))


def code(path):
    """The text without comments and strings."""
    return COMMENT.sub(" ", path.read_text())


def includes(path):
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]',
                      path.read_text(), re.M)


def name(path):
    return str(path.relative_to(TOP))


class Layers(unittest.TestCase):
    maxDiff = None

    def none(self, found, rule):
        self.assertEqual([], sorted(found), rule)

    def test_an_include_points_only_down(self):
        self.none([f"{name(p)}: {i}"
                   for layer, below in BELOW.items()
                   for p in sources(layer) for i in includes(p)
                   if "/" in i and i.split("/")[0] in BELOW
                   and i.split("/")[0] not in below],
                  "a layer sees itself and what is below it")

    def test_core_net_and_web_do_not_know_lua(self):
        self.none([f"{name(p)}: {i}"
                   for p in sources("core", "net", "web") for i in includes(p)
                   if Path(i).name in ("lua.h", "lauxlib.h", "lualib.h")],
                  "no Lua headers below vm")

    def test_core_has_no_descriptors_and_no_threads(self):
        self.none([f"{name(p)}: {i}"
                   for p in sources("core") for i in includes(p)
                   if re.match(r"uv\.h|pthread\.h|threads\.h|sys/socket\.h|"
                               r"netinet/|microhttpd\.h|sys/epoll\.h", i)],
                  "core is values")

    def test_binding_files_do_not_include_each_other(self):
        shared = {"bind/bind.h", "bind/icmp_call.h", "bind/icmp_series.h",
                  "bind/icmp_sweep.h", "bind/modules.h",
                  "bind/metric_arguments.h", "bind/metric_child.h",
                  "bind/metric_declare.h", "bind/metric_family.h",
                  "bind/metric_form.h", "bind/metric_mirror.h",
                  "bind/metric_options.h", "bind/metric_registry.h",
                  "bind/metric_registry_options.h",
                  "bind/metric_room.h", "bind/metric_set.h",
                  "bind/metric_verb.h",
                  "bind/protobuf_codec.h", "bind/resolver.h",
                  "bind/scope.h"}
        self.none([f"{name(p)}: {i}"
                   for p in sources("bind") for i in includes(p)
                   if i.startswith("bind/")
                   and i not in shared | {f"bind/{p.stem}.h"}],
                  "a binding includes bind/bind.h and its own header")

    def test_lua_states_are_made_entered_and_closed_in_vm_alone(self):
        entry = re.compile(r"\b(lua_newstate|luaL_newstate|lua_close|"
                           r"lua_closethread|lua_resetthread|lua_resume|"
                           r"lua_pcallk?|luaL_do\w+)\b")
        self.none([f"{name(p)}: {m}" for p in sources()
                   if p.parent.name != "vm" for m in entry.findall(code(p))],
                  "vm/state.h and vm/task.h are the way in")

    def test_nothing_follows_a_wait(self):
        wait = re.compile(r"(\w+|\S)\s*\btask_await\s*\(")
        self.none([f"{name(p)}: {before} task_await"
                   for p in sources() if p.stem != "task"
                   for before in wait.findall(code(p)) if before != "return"],
                  "return task_await(...), always")

    def test_every_source_and_spec_is_in_the_build(self):
        listed = "".join(p.read_text() for p in
                         [TOP / "CMakeLists.txt", *TOP.glob("cmake/*.cmake")])
        registered = set(re.findall(r"lunex_c_spec\((\w+) (\w+)", listed))
        missing = [name(p) for p in TOP.glob("host/**/*.c*")
                   if name(p) not in listed]
        missing += [name(p) for p in TOP.glob("lua/**/*.lua")
                    if "meta" not in p.parts and name(p) not in listed]
        missing += [name(p) for pattern in ("*_spec.lua", "*_spec.py",
                                            "*_test.py")
                    for p in TOP.glob(f"spec/**/{pattern}")
                    if name(p) not in listed]
        missing += [name(p) for p in TOP.glob("spec/*/*_spec.c")
                    if (p.parent.name, p.stem[:-5]) not in registered]
        missing += [name(p) for p in TOP.glob("spec/fuzz/*_fuzz.c")
                    if not re.search(rf"lunex_fuzz\({p.stem[:-5]}\b", listed)]
        self.none(missing, "sources are listed by hand")

    def test_every_file_begins_with_its_licence(self):
        files = [p for folder in ("host", "lua", "exporters", "spec", "cmake")
                 for pattern in ("*.[ch]", "*.cc", "*.lua", "*.py", "*.cmake")
                 for p in (TOP / folder).rglob(pattern)
                 if "fixtures" not in p.parts]
        self.none([name(p) for p in files
                   if "SPDX-License-Identifier: Apache-2.0" not in
                   "".join(p.read_text().splitlines(True)[:2])],
                  "SPDX line first")

    def test_nothing_is_left_for_later(self):
        words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
        self.none([f"{name(p)}: {word}"
                   for folder in ("host", "lua", "exporters", "examples")
                   for p in (TOP / folder).rglob("*.*") if p.is_file()
                   for word in words.findall(p.read_text(errors="replace"))],
                  "do it now or write an issue")


if __name__ == "__main__":
    unittest.main()
