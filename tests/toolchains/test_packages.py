"""What uv is told of pip's configuration."""

from __future__ import annotations

from pathlib import Path

from specforge.executors.packages import configuration_files, pip_settings, run_uv, uv_variables


def test_later_files_and_variables_win(tmp_path):
    """Files are read in pip's order, the section of `install` counts, and PIP_* variables win."""
    machine, user = tmp_path / "machine.conf", tmp_path / "user.conf"
    machine.write_text("[global]\nindex-url = https://one.example/simple\ntimeout = 5\n[freeze]\ntimeout = 9\n")
    user.write_text("[global]\nindex_url = https://two.example/simple\n[install]\nfind-links =\n    /a\n    /b\n")
    found = pip_settings({"PIP_TIMEOUT": "60", "PIP_CERT": "", "OTHER": "x"}, [machine, tmp_path / "none", user])
    assert found == {"index-url": "https://two.example/simple", "timeout": "60", "find-links": "\n/a\n/b"}


def test_a_broken_file_is_left_to_pip(tmp_path):
    """A configuration file that cannot be read is no reason not to go on."""
    broken = tmp_path / "pip.conf"
    broken.write_text("no section = 1\n")
    assert pip_settings({}, [broken]) == {}


def test_uv_is_told_in_its_own_words():
    """Every setting of pip that matters has uv's name and form."""
    settings = {
        "index-url": "https://one.example/simple",
        "extra-index-url": "https://two.example/simple\nfile:///three",
        "find-links": "/a /b",
        "cert": "/certs.pem",
        "default-timeout": "7",
        "timeout": "7",
    }
    found = uv_variables({"PATH": "/bin", "PYTHONPATH": "/x", "VIRTUAL_ENV": "/v"}, settings)
    assert found == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_EXTRA_INDEX_URL": "https://two.example/simple file:///three",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "/certs.pem",
        "UV_HTTP_TIMEOUT": "7",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_what_uv_was_told_itself_wins():
    """A user who configured uv is not overruled."""
    told = {"UV_INDEX_URL": "https://mine.example/simple", "UV_FIND_LINKS": "/mine", "UV_INDEX_STRATEGY": "first-index"}
    found = uv_variables(told, {"index-url": "https://pip.example/simple", "find-links": "/pip"})
    assert found == {**told, "UV_PYTHON_DOWNLOADS": "never"}


def test_the_files_that_pip_reads():
    """Machine, user and environment, in this order; a file named by variable is the last; /dev/null means none."""
    found = configuration_files({"HOME": "/home/a", "PIP_CONFIG_FILE": "/named.conf"})
    assert found[0] == Path("/etc/xdg/pip/pip.conf")
    assert found.index(Path("/home/a/.pip/pip.conf")) < found.index(Path("/home/a/.config/pip/pip.conf"))
    assert found[-1] == Path("/named.conf")
    assert configuration_files({"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_uv_is_found_and_runs():
    """The uv that came with specforge is the one that is run."""
    done = run_uv(["--version"])
    assert done.code == 0
    assert done.output.startswith("uv ")
