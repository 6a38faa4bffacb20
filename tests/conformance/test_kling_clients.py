"""Two clients of Kling's legacy protocol that nobody here wrote: `kling-api` of npm and `klingai-api` of PyPI.

Needs Node.js 20 or newer with npm, and `pip install trustme pyjwt requests-toolbelt "multivideo[sandbox]" pytest`, and
`pip install --no-deps --ignore-requires-python klingai-api==0.1.0`; run by `nox -s conformance-kling`.
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import trustme
from api import Image2VideoModel, KlingAiAPI, Mode, Text2VideoModel  # type: ignore[import-untyped]
from exceptions import BadCredentials  # type: ignore[import-untyped]
from node.clients import Scripts, measure

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running

pytest_plugins = ("node.installed",)
pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key is")  # `sk-test` is short, and is no secret

PICTURE = placeholder(640, 360)
LENGTH = 121 / 24  # 5 s: Kling's files are one frame longer than ordered
KEYS = {"accessKey": "ak-test", "secretKey": "sk-test"}
Generate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def port(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Kling's host as both clients want it: over TLS, known by a name or an address, the API at its root."""
    authority, here = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("kling.example", "127.0.0.1").configure_cert(here)
    trusted = str(tmp_path_factory.mktemp("tls") / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    with running(emulator) as url, pytest.MonkeyPatch.context() as patch:
        for name in ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, trusted)
        patch.setenv("NO_PROXY", "127.0.0.1,kling.example")
        front = ThreadingHTTPServer(("127.0.0.1", 0), forward_to(url))
        front.socket = here.wrap_socket(front.socket, server_side=True)
        thread = threading.Thread(target=front.serve_forever)
        thread.start()
        yield front.server_port
        front.shutdown()
        thread.join()
        front.server_close()


def forward_to(url: str) -> type[BaseHTTPRequestHandler]:
    """What passes requests on to the emulator; its own links have the prefix of the door already."""

    class Forward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path if self.path.startswith("/kling/") else f"/kling{self.path}"
            headers = {**self.headers, "x-forwarded-proto": "https"}
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            reply = httpx.request(self.command, url + path, headers=headers, content=body, trust_env=False)
            self.send_response(reply.status_code)
            self.send_header("content-type", reply.headers["content-type"])
            self.send_header("content-length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing to tell."""

    return Forward


@pytest.fixture
def generate(scripts: Scripts, port: int, tmp_path: Path) -> Generate:
    """One method of npm's client, up to the file that it saves."""

    def generate(family: str, keys: dict[str, str] = KEYS, **call: object) -> dict[str, Any]:
        question = {"url": f"https://kling.example:{port}", **keys, "family": family, "call": call}
        return scripts.ask("kling.mjs", {**question, "out": str(tmp_path)})

    return generate


def test_npm_text_to_video_saves_a_real_file(generate: Generate, emulator: Emulator) -> None:
    order = {"model_name": "kling-v2-6", "mode": "pro", "sound": "on", "aspect_ratio": "9:16", "duration": "5"}
    made = generate("textToVideo", prompt="a tram", negative_prompt="text", external_task_id="mine-1", **order)
    assert made["created"]["data"]["task_status"] == "submitted"
    task = made["result"]["data"]
    assert (task["task_status"], task["task_info"]) == ("succeed", {"external_task_id": "mine-1"})
    assert task["task_result"]["videos"][0]["duration"] == "5.041"
    assert measure(Path(made["files"][0])) == (1080, 1920, LENGTH, 24.0, True)
    assert emulator.jobs()[-1].credential == "ak-test"


def test_npm_image_to_video_takes_the_shape_of_its_picture(
    generate: Generate, emulator: Emulator, tmp_path: Path
) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(PICTURE)
    made = generate("imageToVideo", prompt="go", image=str(picture), model_name="kling-v2-5-turbo", aspect_ratio="1:1")
    assert measure(Path(made["files"][0])) == (1280, 720, LENGTH, 24.0, False)
    assert emulator.jobs()[-1].draft.clips[0].first_frame == PICTURE


def test_npm_omni_video_is_in_the_better_mode_unless_told(generate: Generate) -> None:
    made = generate("omniVideo", prompt="a walk", aspect_ratio="1:1", duration="5")
    assert measure(Path(made["files"][0]))[:2] == (1440, 1440)


def test_npm_refusals_become_its_errors(generate: Generate) -> None:
    def refusal(keys: dict[str, str] = KEYS, **call: object) -> tuple[int, int, str]:
        error = generate("textToVideo", keys, **call)["error"]
        assert error["name"] == "KlingAPIError"
        return error["status"], error["code"], error["message"]

    model = "kling-v2-6"
    assert refusal(prompt="content_policy", model_name=model)[:2] == (400, 1301)
    assert refusal(prompt="x") == (400, 1201, "model_name value 'kling-v1' is invalid")  # its default was retired
    assert refusal({**KEYS, "secretKey": "other"}, prompt="x", model_name=model)[:2] == (401, 1002)
    assert refusal({**KEYS, "accessKey": "other"}, prompt="x", model_name=model)[:2] == (401, 1002)


def test_npm_a_task_that_fails_is_an_error(generate: Generate) -> None:
    failed = generate("textToVideo", prompt="risk_control", model_name="kling-v2-6")["error"]
    assert (failed["name"], failed["message"]) == ("KlingAPIError", "Failure to pass the risk control system")


def test_npm_sees_what_is_left_on_the_account(generate: Generate) -> None:
    now = int(time.time() * 1000)
    (pack,) = generate("account", start=now - 3_600_000, end=now)["data"]["resource_pack_subscribe_infos"]
    assert pack["status"] == "online"


@pytest.fixture
def client(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """PyPI's client, which looks at the account first."""
    monkeypatch.setattr(KlingAiAPI, "base", f"https://127.0.0.1:{port}")
    for name in ("ACCESS_TOKEN", "SECRET_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with KlingAiAPI("ak-test", "sk-test") as connected:
        yield connected


def finish(look: Callable[[str], dict[str, Any]], created: dict[str, Any]) -> dict[str, Any]:
    assert created["data"]["task_status"] == "submitted"
    task: dict[str, Any] = created["data"]
    while task["task_status"] not in ("succeed", "failed"):
        time.sleep(0.05)  # real time at a real port: this client leaves the waiting to its caller
        task = look(task["task_id"])["data"]
    return task


def test_pypi_text_to_video_is_found_by_both_ids_and_in_the_list(client: Any, tmp_path: Path) -> None:
    order = {"model_name": Text2VideoModel.kling_v2_6, "mode": Mode.std, "external_task_id": "mine-2"}
    task = finish(client.get_text2video, client.text2video("a ferry", **order))
    assert client.get_text2video("mine-2")["data"]["task_id"] == task["task_id"]
    newest = client.list_text2video(page_num=1, page_size=1)["data"]
    assert [listed["task_id"] for listed in newest] == [task["task_id"]]
    assert client.list_text2video(page_num=1000)["data"] == []
    file = tmp_path / "made.mp4"
    file.write_bytes(requests.get(task["task_result"]["videos"][0]["url"], timeout=30).content)
    assert measure(file) == (1280, 720, LENGTH, 24.0, False)


def test_pypi_image_to_video_has_a_list_of_its_own(client: Any, emulator: Emulator) -> None:
    picture = base64.b64encode(PICTURE).decode()
    order = {"model_name": Image2VideoModel.kling_v2_5_turbo, "mode": Mode.pro, "image_tail": picture}
    task = finish(client.get_image2video, client.image2video(picture, **order))
    assert task["task_status"] == "succeed"
    assert client.list_image2video(page_size=1)["data"][0]["task_id"] == task["task_id"]
    assert emulator.jobs()[-1].draft.clips[0].first_frame == PICTURE


def test_pypi_refusals_keep_their_status_and_failures_their_reason(client: Any) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        client.text2video("content_policy", model_name=Text2VideoModel.kling_v2_6)
    with pytest.raises(requests.HTTPError, match="400"):
        client.text2video("its default was retired")
    with pytest.raises(requests.HTTPError, match="404"):
        client.get_text2video("900000000000000000")
    task = finish(client.get_text2video, client.text2video("risk_control", model_name=Text2VideoModel.kling_v2_6))
    assert task["task_status_msg"] == "Failure to pass the risk control system"


def test_pypi_a_wrong_secret_is_seen_before_anything_is_made(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KlingAiAPI, "base", f"https://127.0.0.1:{port}")
    with pytest.raises(BadCredentials), KlingAiAPI("ak-test", "other"):
        pass
