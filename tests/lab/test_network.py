"""Addresses are derived from names, so that they are the same at every run."""

import pytest
from kubelab import network


def test_the_default_lab_has_the_first_network():
    assert network.subnet("lab") == "10.88.0.0/24"


def test_a_name_gives_the_same_network_each_time_and_never_the_default_one():
    found = {network.subnet(f"lab-{number}") for number in range(500)}
    assert network.subnet("other") == network.subnet("other")
    assert "10.88.0.0/24" not in found
    assert len(found) > 200


def test_a_taken_network_is_stepped_over():
    wanted = network.subnet("other")
    after = network.subnet("other", {wanted})
    assert after not in (wanted, "")
    assert network.subnet("other", {wanted, after}) not in (wanted, after)


def test_labs_run_out_with_a_sentence():
    with pytest.raises(ValueError, match="256 labs"):
        network.subnet("x", {f"10.88.{number}.0/24" for number in range(256)})


@pytest.mark.parametrize(
    ("machine", "address"), [("n1", ".11"), ("n3", ".13"), ("w1", ".51"), ("m1", ".100"), ("n77", ".100")]
)
def test_a_machines_address_follows_its_name(machine, address):
    assert network.address(machine, "10.88.7.0/24") == "10.88.7" + address


def test_a_taken_address_is_stepped_over():
    assert network.address("b", "10.88.7.0/24", {"10.88.7.100"}) == "10.88.7.101"


def test_the_port_of_a_machine_fits_a_links_name():
    assert network.port_name("10.88.7.250") == "port250"
