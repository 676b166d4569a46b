# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages: what is in them, and how they do on a machine that systemd has booted (see
guest/test_guest.py; its cases are counted as tests of their own)."""
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
RESULTS = pathlib.Path(os.environ.get("TAG_RESULTS", "/tmp"))


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    """Folder with freshly built packages."""
    out = tmp_path_factory.mktemp("debs")
    done = subprocess.run([HERE / "deb.sh", out], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return out


def contents(debs, name):
    """Path -> mode and owner, of the files of a package."""
    (deb,) = debs.glob(f"{name}_*.deb")
    lines = subprocess.run(["dpkg", "-c", deb], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[5][1:]: line.split()[:2] for line in lines if not line.startswith("d")}


@pytest.mark.parametrize("name, files", [
    ("tagd", ["/usr/sbin/tagd", "/usr/bin/tagctl", "/etc/tag/tagd.conf", "/lib/systemd/system/tagd.service",
              "/usr/share/man/man8/tagd.8.gz", "/usr/share/man/man5/tagd.conf.5.gz", "/usr/share/man/man1/tagctl.1.gz",
              "/usr/share/doc/tagd/operations.md"]),
    ("taghostd", ["/usr/sbin/taghostd", "/usr/bin/tagrun", "/etc/tag/taghostd.conf",
                  "/lib/systemd/system/taghostd.service", "/usr/share/man/man8/taghostd.8.gz"]),
    ("softhca", ["/usr/bin/softhca-run", "/usr/bin/softhca-fault", "/usr/lib/sysusers.d/tag.conf"]),
])
def test_contents(debs, name, files):
    """Programs, units and pages are where Debian expects them; nobody but root owns them."""
    have = contents(debs, name)
    assert set(files) <= set(have)
    assert all(owner == "root/root" for mode, owner in have.values())
    assert all("w" not in mode[4:] for mode, owner in have.values() if mode[0] != "l")


def test_programs_find_the_software_hca(debs, tmp_path):
    """The daemons link libsofthca ahead of libibverbs, from a path the loader searches by itself."""
    for name in ("tagd", "taghostd"):
        (deb,) = debs.glob(f"{name}_*.deb")
        subprocess.run(["dpkg", "-x", deb, tmp_path], check=True)
        elf = subprocess.run(["readelf", "-d", tmp_path / "usr/sbin" / name], capture_output=True, text=True,
                             check=True).stdout
        assert "RUNPATH" not in elf and "RPATH" not in elf
        assert elf.index("libsofthca.so.0") < elf.index("libibverbs.so.1")


def test_booted_machine(debs, tmp_path):
    """Installs, starts, hurts, upgrades and removes the packages under a systemd of their own."""
    done = subprocess.run([HERE / "boot.sh", debs, tmp_path], capture_output=True, text=True, timeout=600)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    shutil.copy(tmp_path / "guest.xml", RESULTS / "service-guest.xml")
    assert done.returncode == 0, (tmp_path / "guest.log").read_text()
