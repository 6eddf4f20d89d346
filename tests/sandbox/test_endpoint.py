"""Which engine is meant, by DOCKER_HOST or a Docker context, and which way leads there."""

from __future__ import annotations

import http.server
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.context.config import get_context_id

from agent.base.errors import UserError
from bench.sandbox.elsewhere import certificate
from sandbox import endpoint as endpoint_module
from sandbox.endpoint import DEFAULT_HOST, endpoint
from sandbox.engine import engine_status
from sandbox.tunnel import command


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variables, and Docker's own configuration in an empty home."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    return tmp_path


def context(home: Path, name: str, host: str) -> None:
    folder = home / ".docker/contexts/meta" / get_context_id(name)
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))


def test_without_a_word_it_is_the_engine_of_this_machine() -> None:
    assert (endpoint().host, endpoint().may_share) == (DEFAULT_HOST, True)


def test_the_current_docker_context_names_the_engine(home: Path) -> None:
    context(home, "colima", f"unix://{home}/.colima/default/docker.sock")
    found = endpoint()
    assert found.host == f"unix://{home}/.colima/default/docker.sock"
    assert "colima" in found.source


def test_docker_host_wins_over_the_context(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context(home, "colima", "unix:///c.sock")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert endpoint().host == "tcp://10.0.0.1:2375"


def test_a_damaged_context_is_the_users_to_fix(home: Path) -> None:
    context(home, "colima", "unix:///c.sock")
    (home / ".docker/contexts/meta" / get_context_id("colima") / "meta.json").write_text("{")
    with pytest.raises(UserError, match="Docker context"):
        endpoint()


@pytest.mark.parametrize("host", ["npipe:////./pipe/docker_engine", "fd://3", "here", "tcp://", "unix://"])
def test_an_address_that_cannot_be_used_is_the_users_to_fix(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(UserError, match="DOCKER_HOST"):
        endpoint()
    assert not engine_status().ok
    assert "DOCKER_HOST" in engine_status().line


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2375", "ssh://me@there"])
def test_an_engine_on_another_machine_is_not_taken_to_share_folders(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert not endpoint().may_share
    assert endpoint().plain == host.startswith("tcp")


def test_only_a_linux_shares_sockets_with_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module.sys, "platform", "darwin")
    assert not endpoint().may_share


@pytest.mark.parametrize(
    ("host", "port"), [("tcp://there", 2375), ("tcp://there:1", 1), ("tcp://[::1]:99", 99)], ids=["none", "one", "six"]
)
def test_the_port_of_an_engine_has_a_default(host: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert endpoint().address()[1] == port


def test_ssh_is_called_as_the_address_says() -> None:
    line = command("ssh://me@there:2222/run/user/1/docker.sock", Path("/tmp/s"))
    assert line[line.index("-p") + 1] == "2222"
    assert line[line.index("-l") + 1] == "me"
    assert line[line.index("-L") + 1] == "/tmp/s:/run/user/1/docker.sock"
    assert line[-3:] == ["--", "there", "cat"]
    plain = command("ssh://there", Path("/tmp/s"))
    assert plain[plain.index("-L") + 1] == "/tmp/s:/var/run/docker.sock"
    assert not {"-p", "-l"} & set(plain)
    assert command("ssh://-oProxyCommand=evil", Path("/tmp/s"))[-3] == "--"


# ------------------------------------------------------------------ TLS


class _Engine(http.server.BaseHTTPRequestHandler):
    """As much of an engine as a version takes."""

    def do_GET(self) -> None:
        body = json.dumps({"Version": "1", "ApiVersion": "1.41"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def certificates(home: Path) -> Path:
    """A self-signed certificate that is authority, server and client at once."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    certificate(home)
    return home


@pytest.fixture
def engine_port(certificates: Path) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def test_an_engine_behind_tls_is_proven_and_is_shown_our_certificate(
    certificates: Path, engine_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://localhost:{engine_port}")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert not engine_status().ok
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    assert engine_status().ok, engine_status().line
    assert not endpoint().plain
    context = endpoint().ssl()
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine_port}")
    assert not engine_status().ok  # the certificate is for another name


def test_certificates_that_are_missing_are_the_users_to_fix(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://localhost:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(home / "none"))
    with pytest.raises(UserError, match="DOCKER_CERT_PATH"):
        endpoint()
