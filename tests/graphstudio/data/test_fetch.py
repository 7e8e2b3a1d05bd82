"""Fetching against a real HTTP server on the loopback address."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphstudio.data import DataError
from graphstudio.data.fetch import MANIFESTS, Manifest, RemoteFile, fetch

CONTENT = {
    "one.gz": bytes(range(256)) * 1024,
    "two.gz": b"labels" * 100,
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, ranges included; the server's attributes spoil it on purpose."""

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))  # type: ignore[attr-defined]
        body = CONTENT.get(self.path.strip("/"))
        if body is None:
            self.send_error(404)
            return
        if self.server.corrupt:  # type: ignore[attr-defined]
            body = body[:-1] + b"!"
        start, total = 0, len(body)
        asked = self.headers.get("Range")
        if asked and self.server.ranges:  # type: ignore[attr-defined]
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        limit = self.server.cut_after  # type: ignore[attr-defined]
        self.wfile.write(body[start:] if limit is None else body[start : start + limit])

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.corrupt, server.ranges, server.cut_after = [], False, True, None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def manifest(*servers: http.server.HTTPServer) -> Manifest:
    return Manifest(
        tuple(f"http://127.0.0.1:{s.server_address[1]}/" for s in servers),
        tuple(
            RemoteFile(name, len(body), hashlib.sha256(body).hexdigest())
            for name, body in CONTENT.items()
        ),
    )


def test_every_file_arrives_whole_and_progress_reaches_the_end(server, tmp_path: Path) -> None:
    seen: dict[str, list[int]] = {}
    paths = fetch(
        "x",
        tmp_path / "new" / "folder",
        lambda name, done, total: seen.setdefault(name, []).append(done),
        manifest=manifest(server),
    )
    assert {p.name: p.read_bytes() for p in paths} == CONTENT
    for name, steps in seen.items():
        assert steps == sorted(steps)
        assert steps[-1] == len(CONTENT[name])
    assert not list(tmp_path.rglob("*.part"))


def test_whole_files_are_not_fetched_again(server, tmp_path: Path) -> None:
    fetch("x", tmp_path, manifest=manifest(server))
    server.requests.clear()
    fetch("x", tmp_path, manifest=manifest(server))
    assert server.requests == []


def test_a_damaged_file_is_fetched_again(server, tmp_path: Path) -> None:
    (tmp_path / "one.gz").write_bytes(bytes(len(CONTENT["one.gz"])))
    fetch("x", tmp_path, manifest=manifest(server))
    assert (tmp_path / "one.gz").read_bytes() == CONTENT["one.gz"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on_from_what_has_arrived(server, tmp_path: Path, ranges) -> None:
    server.cut_after = 100_000
    with pytest.raises(DataError, match=r"one\.gz.*could not be fetched"):
        fetch("x", tmp_path, manifest=manifest(server))
    assert (tmp_path / "one.gz.part").stat().st_size == 100_000
    assert not (tmp_path / "one.gz").exists()
    server.cut_after, server.ranges = None, ranges
    server.requests.clear()
    fetch("x", tmp_path, manifest=manifest(server))
    assert server.requests[0] == ("/one.gz", "bytes=100000-")
    assert (tmp_path / "one.gz").read_bytes() == CONTENT["one.gz"]


def test_a_file_with_another_hash_never_gets_its_name(server, tmp_path: Path) -> None:
    server.corrupt = True
    with pytest.raises(DataError, match="SHA-256 differs") as caught:
        fetch("x", tmp_path, manifest=manifest(server))
    assert caught.value.hint is not None
    assert list(tmp_path.iterdir()) == []


def test_the_second_mirror_serves_when_the_first_does_not(server, tmp_path: Path) -> None:
    dead = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    dead.server_close()
    fetch("x", tmp_path, manifest=manifest(dead, server))
    assert (tmp_path / "two.gz").read_bytes() == CONTENT["two.gz"]


def test_an_unknown_data_set_and_an_unwritable_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to fetch for 'nope'"):
        fetch("nope", tmp_path)
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch("mnist", blocker / "sub")


def test_mnist_is_pinned_by_four_full_hashes() -> None:
    files = MANIFESTS["mnist"].files
    assert [f.size for f in files] == [9_912_422, 28_881, 1_648_877, 4_542]
    assert all(len(bytes.fromhex(f.sha256)) == 32 for f in files)
    assert all(url.startswith("https://") for url in MANIFESTS["mnist"].mirrors)
