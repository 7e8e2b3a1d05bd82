import errno
import os
import stat

import pytest

from graphstudio.document.format import dumps, load, save
from graphstudio.document.model import Document, Node
from graphstudio.document.storage import Files, replace_file

CALLS = ("open_new", "write", "set_mode", "sync", "close", "read", "replace", "sync_folder")


class FailingFiles(Files):
    """The real system calls, one of which fails."""

    def __init__(self, call: str, code: int) -> None:
        self.call, self.code = call, code

    def __getattribute__(self, name):
        if name in CALLS and name == object.__getattribute__(self, "call"):
            code = object.__getattribute__(self, "code")

            def fail(*args):
                if name == "close":
                    os.close(args[0])
                raise OSError(code, os.strerror(code))

            return fail
        return object.__getattribute__(self, name)


class ShortWrites(Files):
    """Writes a few bytes at a time, and none any more after so many."""

    def __init__(self, capacity: int) -> None:
        self.left = capacity

    def write(self, descriptor, data):
        if self.left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(descriptor, data[: min(7, self.left)])
        self.left -= written
        return written


class WrongBytes(Files):
    """A disk that gives back something else than was written."""

    def read(self, path):
        return super().read(path)[:-1] + b"?"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_call_fails_one_whole_file_remains(tmp_path, call, code):
    path = tmp_path / "model.gsproj"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match=os.strerror(code)):
        replace_file(path, b"new", files=FailingFiles(call, code))
    assert path.read_bytes() == (b"new" if call == "sync_folder" else b"old")
    assert [p.name for p in tmp_path.iterdir()] == ["model.gsproj"]


def test_a_disk_that_fills_up_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.gsproj"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new" * 50, files=ShortWrites(100))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_short_writes_are_continued(tmp_path):
    path = tmp_path / "model.gsproj"
    replace_file(path, b"new" * 50, files=ShortWrites(1000))
    assert path.read_bytes() == b"new" * 50


def test_what_reads_back_otherwise_does_not_replace_the_old_file(tmp_path):
    path = tmp_path / "model.gsproj"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="reads back otherwise"):
        replace_file(path, b"new", files=WrongBytes())
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_permissions_are_kept(tmp_path):
    path = tmp_path / "model.gsproj"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_file(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


class Modes(Files):
    """Notes how open the new file was, and reads as one who is not root: if its mode says so."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def write(self, descriptor, data):
        self.seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return super().write(descriptor, data)

    def read(self, path):
        if not os.stat(path).st_mode & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return super().read(path)


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
@pytest.mark.parametrize("there", [True, False])
def test_a_private_file_is_private_from_its_first_byte(tmp_path, there):
    path, files = tmp_path / "model.gsproj", Modes()
    if there:
        path.write_bytes(b"old")
        path.chmod(0o600)
    replace_file(path, b"new", mode=None if there else 0o600, files=files)
    assert files.seen == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_a_file_that_may_only_be_written_is_replaced(tmp_path):
    path = tmp_path / "model.gsproj"
    path.write_bytes(b"old")
    path.chmod(0o200)
    replace_file(path, b"new", files=Modes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o200


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    path, other = tmp_path / "model.gsproj", tmp_path / "other"
    replace_file(path, b"new")
    other.write_bytes(b"")
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "real.gsproj"
    target.write_bytes(b"old")
    link = tmp_path / "link.gsproj"
    link.symlink_to(target)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_saving_and_loading_a_document(tmp_path):
    path = tmp_path / "model.gsproj"
    document = Document(view={"zoom": 1.5})
    document.main.nodes["a"] = Node(id="a", type="act.relu", label="ReLU 卷积")
    assert save(document, path) == path.read_bytes()
    loaded = load(path)
    assert loaded.document == document
    assert loaded.warnings == []
    assert path.read_text(encoding="utf-8") == dumps(document)
    assert "zoom" not in path.read_text(encoding="utf-8")


def test_a_broken_view_state_is_no_reason_not_to_open(tmp_path):
    path = tmp_path / "model.gsproj"
    save(Document(view={"zoom": 1.5}), path)
    (tmp_path / "model.runs" / "view.json").write_text("{", encoding="utf-8")
    assert load(path).document.view == {}


def test_saving_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(Document(), tmp_path / "gone" / "model.gsproj")
