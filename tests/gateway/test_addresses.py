"""Whose address a request comes from: what a caller writes itself counts for nothing."""

import pytest

from gateway.addresses import FORWARDED, Addresses, networks, parsed

PROXIES = networks("10.0.0.0/8, 2001:db8:ff::/48")


def scope(peer: str | None, *lines: tuple[str, str]) -> dict[str, object]:
    client = None if peer is None else (peer, 50_000)
    return {"client": client, "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines]}


def forwarded(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("x-forwarded-for", value) for value in values)


class TestWithoutProxies:
    @pytest.mark.parametrize("spoofed", ["9.9.9.9", "127.0.0.1", "10.0.0.1"])
    def test_the_peer_is_the_caller_whatever_headers_say(self, spoofed: str) -> None:
        lines = [*forwarded(spoofed), ("forwarded", f"for={spoofed}"), ("x-real-ip", spoofed)]
        assert Addresses().of(scope("192.0.2.1", *lines)) == "@192.0.2.1"

    def test_neighbours_in_a_64_are_one_caller(self) -> None:
        addresses = Addresses()
        assert addresses.of(scope("2001:db8:1:2::1")) == addresses.of(scope("2001:db8:1:2:ffff::9"))
        assert addresses.of(scope("2001:db8:1:2::1")) != addresses.of(scope("2001:db8:1:3::1"))

    def test_ipv4_within_ipv6_is_ipv4(self) -> None:
        assert Addresses().of(scope("::ffff:192.0.2.1")) == "@192.0.2.1"

    @pytest.mark.parametrize("peer", [None, "", "a socket's name"])
    def test_who_has_no_address_is_one_caller(self, peer: str | None) -> None:
        assert Addresses(PROXIES).of(scope(peer, *forwarded("192.0.2.1"))) == "@"


class TestBehindProxies:
    @pytest.mark.parametrize(
        ("lines", "found"),
        [
            ((), "@10.0.0.1"),
            (("192.0.2.7",), "@192.0.2.7"),
            (("9.9.9.9, 192.0.2.7",), "@192.0.2.7"),
            (("10.0.0.9, 192.0.2.7",), "@192.0.2.7"),
            (("192.0.2.7, 10.1.1.1, 10.2.2.2",), "@192.0.2.7"),
            (("9.9.9.9", "192.0.2.7"), "@192.0.2.7"),
            (("9.9.9.9, 192.0.2.7", "10.1.1.1"), "@192.0.2.7"),
            (("192.0.2.7:4711",), "@192.0.2.7"),
            (("[2001:db8::1]:4711",), "@2001:db8::/64"),
            (("2001:db8::1",), "@2001:db8::/64"),
            (("2001:db8::1, 2001:db8:ff::2",), "@2001:db8::/64"),
            (("10.1.1.1, 10.2.2.2",), "@10.1.1.1"),
            (("9.9.9.9, nonsense",), "@10.0.0.1"),
            (("9.9.9.9, unknown, 10.1.1.1",), "@10.1.1.1"),
            (("9.9.9.9,",), "@10.0.0.1"),
            ((",,,,",), "@10.0.0.1"),
        ],
    )
    def test_the_rightmost_who_is_not_trusted_is_the_caller(self, lines: tuple[str, ...], found: str) -> None:
        assert Addresses(PROXIES).of(scope("10.0.0.1", *forwarded(*lines))) == found

    def test_who_is_no_proxy_says_nothing_of_others(self) -> None:
        assert Addresses(PROXIES).of(scope("192.0.2.1", *forwarded("198.51.100.1"))) == "@192.0.2.1"

    def test_only_the_header_that_the_proxies_write_is_read(self) -> None:
        lines = (("forwarded", "for=9.9.9.9"), ("x-real-ip", "8.8.8.8"), *forwarded("192.0.2.7"))
        assert Addresses(PROXIES).of(scope("10.0.0.1", *lines)) == "@192.0.2.7"
        assert Addresses(PROXIES, FORWARDED).of(scope("10.0.0.1", *lines)) == "@9.9.9.9"

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            ("for=192.0.2.7", "@192.0.2.7"),
            ('For="192.0.2.7:80";proto=https;by=10.0.0.1', "@192.0.2.7"),
            ('proto=https; for="[2001:db8::1]:4711"', "@2001:db8::/64"),
            ('for=9.9.9.9;by="a, for=192.0.2.7', "@192.0.2.7"),
            ("for=_hidden", "@10.0.0.1"),
            ("for=unknown", "@10.0.0.1"),
            ("proto=https", "@10.0.0.1"),
            ("for=9.9.9.9, for=192.0.2.7, for=10.3.3.3", "@192.0.2.7"),
        ],
    )
    def test_forwarded_is_read_as_its_standard_has_it(self, line: str, found: str) -> None:
        assert Addresses(PROXIES, FORWARDED).of(scope("10.0.0.1", ("forwarded", line))) == found

    def test_a_long_header_is_read_no_further_than_it_is_trusted(self) -> None:
        assert Addresses(PROXIES).of(scope("10.0.0.1", *forwarded("1.1.1.1," * 5_000 + "192.0.2.7"))) == "@192.0.2.7"


class TestReading:
    @pytest.mark.parametrize("text", ["", "a", "1.2.3", "1.2.3.4.5", "::g", "[", "[]", "\x00", "１.2.3.4"])
    def test_what_is_no_address_is_none(self, text: str) -> None:
        assert parsed(text) is None

    @pytest.mark.parametrize("text", ["10.0.0.1/8", "all", "10.0.0.0/99"])
    def test_what_is_no_network_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"10\.0\.0|all"):
            networks(text)
