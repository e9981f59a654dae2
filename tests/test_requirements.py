"""The versions of `make test-oldest` are the lower bounds of setup.cfg."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def bounds(text, sign):
    """Return {package: version} of requirement lines; the extra of a package does not count."""
    pattern = rf"^\s*([A-Za-z0-9-]+)(?:\[\w+\])?\s*{sign}\s*([\d.]+)"
    return dict(re.findall(pattern, text, flags=re.MULTILINE))


def test_oldest_versions_are_the_lower_bounds():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    required = config["options"]["install_requires"] + "\n" + config["options.extras_require"]["test"]
    wanted = bounds(required, ">=")
    assert len(wanted) > 15
    pinned = bounds((ROOT / "tests" / "oldest.txt").read_text(), "==")
    pinned["dask"] = pinned.pop("distributed")
    assert {name: pinned[name] for name in wanted} == wanted


def test_bounds_of_extras_agree():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    seen = {}
    for text in config["options.extras_require"].values():
        for name, version in bounds(text, ">=").items():
            assert seen.setdefault(name, version) == version
