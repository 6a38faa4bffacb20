from __future__ import annotations

import pytest

from multivideo.transport.carrier import Reach
from multivideo.transport.guard import BadAddress, checked, is_loopback, origin, pass_host, pass_ip


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1/videos",
        "https://api.openai.com:8443/v1/videos?after=a%20b",
        "https://xn--bcher-kva.example/a",
        "https://8.8.8.8/clip.mp4",
        "https://[2606:4700::1111]/clip.mp4",
        "https://files.example/\u00e4.mp4",
        "HTTPS://API.OPENAI.COM/",
    ],
)
def test_an_ordinary_https_address_may_be_asked(url: str) -> None:
    assert checked(url, loopback=False) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:8000/v1",
        "https://[::1]:8000/v1",
        "http://emulator.localhost/v1",
        "http://[::ffff:127.0.0.1]/v1",
    ],
)
def test_this_machine_may_be_asked_only_by_a_provider_that_lives_on_it(url: str) -> None:
    assert checked(url, loopback=True) == url
    with pytest.raises(BadAddress, match="this machine"):
        checked(url, loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "http://10.0.0.1/v1",
        "ftp://files.example/clip.mp4",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//api.openai.com/v1",
        "api.openai.com/v1",
        "",
        "https://",
        "https:///path",
        "https://:443/",
        "https://api.openai.com@evil.example/",
        "https://user:word@api.openai.com/",
        "https://@api.openai.com/",
        "https://api.openai.com\\@evil.example/",
        "https://api.openai.com/a b",
        "https://api.openai.com/a\r\nhost: evil.example",
        "https://api.openai.com/\x00",
        "https://api.openai.com/\x7f",
        "https://api.openai.com\t.evil.example/",
        " https://api.openai.com/",
        "https://api.openai.com:0/",
        "https://api.openai.com:99999/",
        "https://api.openai.com:80x/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://api.openai\u3002com/",
        "https://\u212aling.example/",
        "https://api.openai.com%2eevil.example/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://010.0.0.1/",
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_a_hostile_or_odd_address_is_never_asked(url: str, loopback: bool) -> None:
    with pytest.raises(BadAddress) as caught:
        checked(url, loopback=loopback)
    assert "evil" not in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "127.0.0.1.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0.0.0.0]",
        "[0:0:0:0:0:0:0:1]",
    ],
)
def test_every_way_to_write_this_machine_is_known(host: str) -> None:
    assert is_loopback(f"https://{host}/")
    with pytest.raises(BadAddress):
        checked(f"https://{host}/", loopback=False)


@pytest.mark.parametrize("host", ["localhost.example", "notlocalhost", "128.0.0.1", "[::2]", "127.0.0.1.example"])
def test_other_hosts_are_not_this_machine(host: str) -> None:
    assert not is_loopback(f"https://{host}/")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.openai.com/v1", "https://API.openai.com:443/v2", True),
        ("https://api.openai.com", "http://api.openai.com", False),
        ("https://api.openai.com", "https://api.openai.com:444", False),
        ("https://api.openai.com", "https://api.openai.com.", False),
        ("https://api.openai.com", "https://openai.com", False),
        ("http://localhost", "http://localhost:80/a", True),
        ("https://[::1]:443", "https://[::1]", True),
        ("https://[::1]:443", "https://[::1:443]", False),
    ],
)
def test_a_key_belongs_to_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same


def passes(address: str, reach: Reach) -> bool:
    try:
        pass_ip(address, reach)
    except BadAddress:
        return False
    return True


PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 34.117.59.81 99.255.255.255 100.63.255.255 100.128.0.1 104.18.7.192
126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 191.255.255.255 192.0.1.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 203.0.112.255 223.255.255.255
2600:1f18::1 2606:4700::1111 2a00:1450:4001:81b::200e 2001:200::1 2001:4860:4860::8888 3ffe:ffff::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 ::8.8.8.8
"""

LOOPBACK = """
127.0.0.1 127.8.9.1 127.255.255.255 0.0.0.0 ::1 :: ::ffff:127.0.0.1 ::ffff:0.0.0.0 ::127.0.0.1
64:ff9b::7f00:1 64:ff9b::127.255.0.1 2002:7f00:1:: 2002:7f00:1::1
"""

PRIVATE = """
10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
0.0.0.1 0.255.255.255 192.0.0.1 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1
198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
fc00::1 fd00::1 fdff:ffff::1 fec0::1 feff::1 ff02::1 ff0e::1 100::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 ::2:0:0:1
2001:0:a00:1::1 2001:0:4136:e378:8000:63bf:f5ff:fffe 2001:0:4136:e378:8000:63bf:f7f7:f7f7
::ffff:10.0.0.1 ::ffff:192.168.1.1 ::ffff:100.64.0.1 ::ffff:224.0.0.1 ::10.0.0.1 ::224.0.0.1
64:ff9b::a00:1 64:ff9b::192.168.0.1 64:ff9b::e000:1 64:ff9b:1::808:808 64:ff9b:1:ffff::1 2002:a00:1::1 2002:c0a8:101::
2002:e000:1:: 2002:6440:1::
"""

METADATA = """
169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.1 fe80::1 fe80::1%eth0 fe80::a9fe:a9fe febf::1
fd00:ec2::254 fd00:ec2::23 fd20:ce::254 100.100.100.200 192.0.0.192 168.63.129.16
::ffff:169.254.169.254 ::169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: 2002:a83f:8110::1 ::ffff:100.100.100.200
"""


@pytest.mark.parametrize("address", PUBLIC.split())
@pytest.mark.parametrize("reach", Reach)
def test_an_address_on_the_public_internet_is_open_to_all(address: str, reach: Reach) -> None:
    assert passes(address, reach)


@pytest.mark.parametrize("address", LOOPBACK.split())
def test_this_machine_is_closed_to_whoever_does_not_live_on_it(address: str) -> None:
    assert {reach: passes(address, reach) for reach in Reach} == {
        Reach.PUBLIC: False, Reach.HOME: True, Reach.ANYWHERE: True,
    }  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE.split())
def test_a_network_of_ones_own_is_open_to_the_users_own_host_only(address: str) -> None:
    assert {reach: passes(address, reach) for reach in Reach} == {
        Reach.PUBLIC: False, Reach.HOME: False, Reach.ANYWHERE: True,
    }  # fmt: skip


@pytest.mark.parametrize("address", METADATA.split())
@pytest.mark.parametrize("reach", Reach)
def test_what_a_cloud_keeps_for_its_machines_is_never_asked(address: str, reach: Reach) -> None:
    assert not passes(address, reach)


@pytest.mark.parametrize("host", ["metadata.google.internal", "Metadata.Google.Internal.", "metadata", "metadata.goog"])
@pytest.mark.parametrize("reach", Reach)
def test_the_names_of_that_are_refused_before_anybody_looks_them_up(host: str, reach: Reach) -> None:
    with pytest.raises(BadAddress, match="metadata"):
        pass_host(host, reach)


def test_other_names_pass_and_addresses_that_stand_for_a_host_are_checked() -> None:
    pass_host("files.example", Reach.PUBLIC)
    pass_host("metadata.example", Reach.PUBLIC)
    pass_host("8.8.8.8", Reach.PUBLIC)
    with pytest.raises(BadAddress, match="not on the public internet"):
        pass_host("10.0.0.1", Reach.PUBLIC)
    with pytest.raises(BadAddress, match="this machine"):
        pass_host("::1", Reach.PUBLIC)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "metadata.google.internal"])
def test_a_refusal_does_not_repeat_the_address(host: str) -> None:
    with pytest.raises(BadAddress) as caught:
        pass_host(host, Reach.PUBLIC)
    assert host not in str(caught.value)
