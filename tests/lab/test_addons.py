"""The add-ons that the lab can build: what the table says is what their modules pin."""

import re

import pytest

from kubelab import addons


@pytest.mark.parametrize("name", addons.ADDONS)
def test_the_pinned_version_is_the_table_s(name):
    row = addons.ADDONS[name]
    pins = (addons.components.module_folder("addons", name) / "go.mod").read_text()
    assert re.search(rf"^\s*(?:require )?{re.escape(row.module)} {re.escape(row.version)}\b", pins, flags=re.M)
    assert (addons.components.module_folder("addons", name) / "go.sum").stat().st_size > 0


@pytest.mark.parametrize("name", addons.ADDONS)
def test_what_is_left_out_is_taken_from_where_it_is_laid_out(name):
    row = addons.ADDONS[name]
    pins = (addons.components.module_folder("addons", name) / "go.mod").read_text()
    for one in row.without:
        assert f"replace {one.module} => ./{one.folder}\n" in pins
    for module, instead in row.replaced.items():
        assert f"replace {module} => {instead}\n" in pins
