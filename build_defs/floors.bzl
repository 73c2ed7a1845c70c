"""Who may import whom: the floors of the design, and the BUILD file of one package.

The tables are plain literals: tests/house/ reads them too, so that Bazel's
visibility and the check of the import statements cannot disagree.
"""

# A package may import every package on a floor below its own.
FLOORS = [
    ["core"],
    ["environments", "metrics", "networks", "quantization", "replay", "runtime"],
    ["agents", "collector", "converter", "evaluator", "learner", "publication"],
    ["experiments", "export", "program"],
]

# On its own floor it may import only what stands here. No cycle, and nothing
# on floor 2: stations meet in program/ alone.
SIDEWAYS = {
    "experiments": ["export", "program"],
    "networks": ["quantization"],
    "runtime": ["quantization"],
}

# The fakes, for tests only: they may import these floors.
TESTING_FLOORS = [0, 1]

# tools/ are thin: they may import these alone.
TOOLS_MAY_IMPORT = ["core", "experiments", "export", "program"]

def _floor_of(package):
    for number, packages in enumerate(FLOORS):
        if package in packages:
            return number
    fail("tfquarl/%s stands on no floor: name it in build_defs/floors.bzl" % package)

def package_label(package):
    """The py_library of tfquarl/<package>."""
    return "//tfquarl/{0}:{0}".format(package)

def packages_of(floors):
    """The packages on these floors, by number."""
    return [package for floor in floors for package in FLOORS[floor]]

def every_package():
    """All packages of tfquarl/, the fakes too."""
    return packages_of(range(len(FLOORS))) + ["testing"]

def _may_import(package):
    if package == "testing":
        return packages_of(TESTING_FLOORS)
    return packages_of(range(_floor_of(package))) + SIDEWAYS.get(package, [])

def _visibility(package):
    if package == "testing":
        return ["//tests:__subpackages__"]
    floor = _floor_of(package)
    seen_by = ["//tfquarl:floor_%d" % above for above in range(floor + 1, len(FLOORS))]
    if floor in TESTING_FLOORS:
        seen_by.append("//tfquarl:testing")
    if package in TOOLS_MAY_IMPORT:
        seen_by.append("//tools:__subpackages__")
    beside = [other for other in SIDEWAYS if package in SIDEWAYS[other]]
    return seen_by + ["//tests:__subpackages__"] + ["//tfquarl/%s:__subpackages__" % other for other in beside]

def floor_groups():
    """One package_group for each floor, and one for the fakes: tfquarl/BUILD calls it."""
    for number, packages in enumerate(FLOORS):
        native.package_group(
            name = "floor_%d" % number,
            packages = ["//tfquarl/%s/..." % package for package in packages],
        )
    native.package_group(
        name = "testing",
        packages = ["//tfquarl/testing/..."],
    )

def tfquarl_package():
    """The BUILD file of tfquarl/<package>: its library and its sources, by the tables above.

    A new module or subdirectory needs no edit. A new package needs a BUILD file that calls this, and its name in FLOORS.
    """
    package = native.package_name().split("/")[-1]
    native.py_library(
        name = package,
        srcs = native.glob(["**/*.py"], allow_empty = True),
        data = native.glob(
            ["**"],
            allow_empty = True,
            exclude = ["**/*.py", "**/*.pyc", "BUILD"],
        ),
        visibility = _visibility(package),
        deps = ["//tfquarl:root"] + [package_label(other) for other in _may_import(package)],
    )
    sources()

def sources():
    """What the tests in tests/house/ read of a package: its Python and its BUILD file."""
    native.filegroup(
        name = "sources",
        srcs = native.glob(["**/*.py", "**/*.md", "**/*.gin", "*.bzl", "BUILD"], allow_empty = True),
        visibility = ["//:__pkg__"],
    )

def no_stray_python(what):
    """Fails where a subdirectory holds Python but no BUILD file: nothing would build or test it."""
    stray = native.glob(["*/**/*.py"], allow_empty = True)
    if stray:
        fail("%s/%s belongs to no package: its directory needs a BUILD file that calls %s" % (
            native.package_name(),
            stray[0],
            what,
        ))
