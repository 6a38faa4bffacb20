"""The emulator on a port, spoken to by a real HTTP client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from sandbox_calls import START, instant

from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.sandbox.server import running

KEY = {"Authorization": "Bearer key-a"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(clock=VirtualClock(), latency=0, render=instant)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    with running(emulator) as url, httpx.Client(base_url=url, headers=KEY, trust_env=False) as client:
        yield client


def finished(client: httpx.Client, fault: str = "") -> str:
    """The path of a finished file whose downloads have that fault."""
    headers = {"x-multivideo-fault": fault} if fault else {}
    made = client.post("/openai/v1/videos", json={"prompt": "a fox"}, headers=headers).json()
    path = f"/openai/v1/videos/{made['id']}"
    while client.get(path).json()["status"] != "completed":
        pass
    return f"{path}/content"


def test_a_job_is_made_and_downloaded_whole_and_in_part(client: httpx.Client) -> None:
    path = finished(client)
    whole = client.get(path)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    part = client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    head = client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole.content)))
    assert client.delete(path.removesuffix("/content")).json()["deleted"] is True


def test_bodies_may_come_as_forms_and_in_chunks(client: httpx.Client) -> None:
    form = client.post("/openai/v1/videos", data={"prompt": "füchse"}, files={"input_reference": ("a.png", b"no")})
    assert form.json()["error"]["param"] == "input_reference"
    chunks = iter([b'{"prompt":', b' "in chunks"}'])
    made = client.post("/openai/v1/videos", content=chunks, headers={"Content-Type": "application/json"})
    assert made.json()["prompt"] == "in chunks"


def test_colon_verbs_and_encoded_paths_arrive(client: httpx.Client) -> None:
    body = {"instances": [{"prompt": "a fox"}], "parameters": {"storageUri": "gs://out/a b"}}
    name = client.post(START, json=body).json()["name"]
    poll = START.replace("predictLongRunning", "fetchPredictOperation")
    done: dict[str, dict[str, list[dict[str, str]]]] = {}
    while "done" not in done:
        done = client.post(poll, json={"operationName": name}).json()
    bucket, _, key = done["response"]["videos"][0]["gcsUri"].removeprefix("gs://").partition("/")
    encoded = key.replace("/", "%2F").replace(" ", "%20")
    assert client.get(f"/vertex/storage/v1/b/{bucket}/o/{encoded}?alt=media").status_code == 200


def test_links_lead_back_to_the_port(client: httpx.Client) -> None:
    made = client.post("/kling/text-to-video/kling-3.0", json={"prompt": "a fox"}).json()["data"]["id"]
    outputs: list[dict[str, str]] = []
    while not outputs:
        outputs = client.get("/kling/tasks", params={"task_ids": made}).json()["data"][0]["outputs"]
    assert outputs[0]["url"].startswith(str(client.base_url))
    assert httpx.get(outputs[0]["url"], trust_env=False).status_code == 200


@pytest.mark.parametrize("fault", ["submit_drop", "made_drop"])
def test_a_lost_connection_is_a_closed_socket(client: httpx.Client, emulator: Emulator, fault: str) -> None:
    before = emulator.count()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post("/openai/v1/videos", json={"prompt": "a fox"}, headers={"x-multivideo-fault": fault})
    assert emulator.count() - before == (fault == "made_drop")


def test_a_cut_download_ends_in_the_middle(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        client.get(finished(client, "download_cut"))


def test_an_html_page_comes_with_status_200(client: httpx.Client) -> None:
    page = client.get(finished(client, "download_html"))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_client_that_hangs_up_early_harms_nobody(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as line:
        line.sendall(b"POST /openai/v1/videos HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert client.get("/_emu/counts").status_code == 200


def test_two_emulators_run_side_by_side(emulator: Emulator) -> None:
    with running(emulator) as one, running(emulator) as two:
        assert one != two
        assert [httpx.get(f"{url}/_emu/counts", trust_env=False).status_code for url in (one, two)] == [200, 200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(one, trust_env=False)


def test_the_command_tells_its_url_and_stops_cleanly_on_ctrl_c() -> None:
    code = "import sys; from multivideo.sandbox.server import run; sys.exit(run(0, 0.5, 'self', True))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert told["openai"] == told["url"] + "/openai/v1"
    assert httpx.get(told["openai"] + "/videos", headers=KEY, trust_env=False).json()["data"] == []
    form = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
    assert (
        httpx.post(told["openai"] + "/videos", headers=form, content=b"junk--b--", trust_env=False).status_code == 400
    )
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_a_port_in_use_is_told_and_not_a_traceback(client: httpx.Client) -> None:
    taken = client.base_url.port
    code = f"import sys; from multivideo.sandbox.server import run; sys.exit(run({taken}, None, 'self', False))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot serve on port {taken}")
