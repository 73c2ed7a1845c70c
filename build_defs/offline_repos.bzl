"""Stand-ins for the archives that a Bazel without a version would download.

Every Bazel up to 7 names rules_cc, rules_java and its coverage tools in the
workspace suffix built into it, and loads them even where only py_* rules are
used. Debian's bazel-bootstrap ships none of them, so a machine that cannot
reach their download host cannot build. It also carries no version, which is
how it is told apart here: a released Bazel keeps its own archives.
"""

_SYMBOLS = {
    "cc": [
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
        "objc_library",
    ],
    "java": [
        "java_binary",
        "java_import",
        "java_library",
        "java_runtime",
        "java_test",
        "java_toolchain",
    ],
}

def _native_rules_impl(ctx):
    language = ctx.attr.language
    ctx.file("BUILD", "")
    ctx.file(language + "/BUILD", "")
    ctx.file(language + "/defs.bzl", "".join([
        "def {0}(**kwargs):\n    native.{0}(**kwargs)\n\n".format(symbol)
        for symbol in _SYMBOLS[language]
    ]))

_native_rules = repository_rule(
    implementation = _native_rules_impl,
    attrs = {"language": attr.string(mandatory = True)},
)

def _no_coverage_impl(ctx):
    ctx.file("absent.sh", "#!/bin/sh\necho 'coverage needs a released Bazel' >&2\nexit 1\n")
    ctx.file("BUILD", "".join([
        'filegroup(name = "%s", srcs = ["absent.sh"], visibility = ["//visibility:public"])\n' % name
        for name in ["coverage_report_generator", "coverage_output_generator", "lcov_merger"]
    ]))

_no_coverage = repository_rule(implementation = _no_coverage_impl)

def offline_repos():
    """Defines the stand-ins, where this Bazel is one without a version."""
    if not native.bazel_version:
        _native_rules(name = "rules_cc", language = "cc")
        _native_rules(name = "rules_java", language = "java")
        _no_coverage(name = "remote_coverage_tools")
