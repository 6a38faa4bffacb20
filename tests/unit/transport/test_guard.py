from __future__ import annotations

import pytest

from multivideo.transport.guard import BadAddress, checked, is_loopback, origin


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
