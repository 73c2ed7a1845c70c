"""Tests under pytest: one target for each file, or for a whole directory."""

load("//build_defs:floors.bzl", "every_package", "package_label", "sources")

# The directories of tests/: one for each package of tfquarl/, and these.
TESTED = every_package() + ["house", "integration", "tools"]

def pytest_test(name, srcs, args = [], **kwargs):
    """A py_test that collects and runs srcs with pytest.

    Args:
      name: the target's name.
      srcs: the test files.
      args: more arguments for pytest.
      **kwargs: the rest goes to py_test (deps, data, size, tags, shard_count, ...).
    """
    native.py_test(
        name = name,
        srcs = srcs + ["//build_defs:pytest_main.py"],
        main = "//build_defs:pytest_main.py",
        args = ["$(rootpath %s)" % src for src in srcs] + args,
        python_version = "PY3",
        **kwargs
    )

def every_library():
    """The libraries of all packages of tfquarl/."""
    return [package_label(package) for package in every_package()]

def pytest_package(deps = None, data = [], tags = [], sizes = {}, shards = {}, tags_of = {}):
    """The BUILD file of a directory of tests: a target for every *_test.py, so that a new one needs no edit.

    All other Python files of the directory (conftest.py, __init__.py, fakes) go to each of them.

    Args:
      deps: what the tests import; by default tfquarl/<this directory's name> and the fakes.
      data: files that the tests read.
      tags: tags of all the tests; ["cpu:2"] where they start processes.
      sizes: target name to test size, where it is not medium (300 seconds).
      shards: target name to shard_count.
      tags_of: target name to more tags.
    """
    package = native.package_name().split("/")[-1]
    if package not in TESTED:
        fail("//%s is not in TESTED: name it in build_defs/pytest.bzl, or nothing lints it" % native.package_name())
    if deps == None:
        deps = [package_label(name) for name in depset([package, "testing"]).to_list()]
    tests = native.glob(["**/*_test.py"], allow_empty = True)
    native.py_library(
        name = "support",
        testonly = True,
        srcs = native.glob(["**/*.py"], allow_empty = True, exclude = ["**/*_test.py"]),
        deps = deps + ["//tests:root"],
    )
    names = [test[:-len(".py")] for test in tests]
    for table in [sizes, shards, tags_of]:
        for name in table:
            if name not in names:
                fail("//%s has no test named %s" % (native.package_name(), name))
    for name in names:
        pytest_test(
            name = name,
            size = sizes.get(name, "medium"),
            srcs = [name + ".py"],
            data = data,
            shard_count = shards.get(name),
            tags = tags + tags_of.get(name, []),
            deps = [":support"],
        )
    sources()
