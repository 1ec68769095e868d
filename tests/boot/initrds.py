"""Initrds: files that come with the product, whole ones and bad ones, and what becomes of their memory."""

import random
import stat

import initrd
import machine
import media
from frame import expect, expect_in

BIG = random.Random("initrd").randbytes(3_000_001)


def make_folder(folder):
    """A folder with what an initrd may hold."""
    (folder / "etc").mkdir()
    (folder / "bin").mkdir()
    (folder / "etc" / "motd").write_text("hello\n")
    (folder / "etc" / "link").symlink_to("../bin/big")
    (folder / "bin" / "big").write_bytes(BIG)
    (folder / "bin" / "big").chmod(0o755)


def listed(talk, path):
    """What `files` shows of a path: name -> entry."""
    return {entry["name"]: entry for entry in talk.json(f"files -j {path}")["files"]}


def check_files(talk):
    """All of the folder's files are there, and nothing else takes memory for it."""
    top = listed(talk, "/")
    expect(sorted(top) == [".", "..", "bin", "dev", "etc", "proc"], f"the root directory holds {sorted(top)}", talk)
    big = listed(talk, "/bin")["big"]
    expect((big["mode"], big["bytes"], big["frames"]) == ("-rwxr-xr-x", len(BIG), -(-len(BIG) // 4096)), f"{big}", talk)
    link = listed(talk, "/etc")["link"]
    expect((link["mode"], link["target"]) == ("lrwxrwxrwx", "../bin/big"), f"{link}", talk)
    null = listed(talk, "/dev")["null"]
    expect((null["mode"], null["device"]) == ("crw-rw-rw-", 1 << 8 | 3), f"{null}", talk)
    expect_in("-rw-r--r--", talk.command("files /etc/motd"))
    expect_in("no such file", talk.command("files /etc/missing"))
    owners = {owner["name"]: owner["bytes"] for owner in talk.json("mem -j")["owners"]}
    expect(owners["files"] == (-(-len(BIG) // 4096) + 1) * 4096, f"files have {owners['files']} bytes", talk)
    expect(owners["initrd"] == 0, f"the initrd still has {owners['initrd']} bytes", talk)


def boot_with(setting, data, described=None, efi=None):
    """A boot with an initrd of these bytes."""
    contents = media.contents_of(efi or setting.product, None, data)
    return setting.boot(described or machine.Machine(), contents=contents)


def whole(setting, folder):
    """Plain and packed ones give the same files."""
    source = folder / "root"
    source.mkdir()
    make_folder(source)
    plain = initrd.of_folder(source)
    expect(plain == initrd.of_folder(source), "the same folder gives two initrds")
    for data in (plain, initrd.packed(plain)):
        with boot_with(setting, data) as talk:
            before = talk.wait_for_prompt()
            expect_in("initrd: ", before)
            check_files(talk)


def bad(setting):
    """What is no initrd is one warning, and the machine starts without files."""
    archive = initrd.Archive()
    archive.add("etc/motd", stat.S_IFREG | 0o644, b"hello\n")
    plain = archive.bytes()
    packed = bytearray(initrd.packed(plain))
    packed[len(packed) // 2] ^= 0x55
    cases = {
        "does not begin as an entry": b"this is no archive" * 20,
        "the archive has no end": plain[:plain.index(initrd.TRAILER.encode()) - 110],
        "the gzip file is damaged": bytes(packed),
        "has contents that the archive does not hold": plain.replace(b"00000006", b"7fffff00", 1),
        "is empty": b"",
    }
    for complaint, data in cases.items():
        with boot_with(setting, data) as talk:
            before = talk.wait_for_prompt()
            expect(before.count("warning") >= 1 and complaint in before, f"no warning with {complaint!r}: {before}", talk)
            expect(sorted(listed(talk, "/")) == [".", "..", "proc"], "there are files", talk)
            owners = {owner["name"]: owner["bytes"] for owner in talk.json("mem -j")["owners"]}
            expect(owners["files"] == 0 and owners["initrd"] == 0, f"memory is lost: {owners}", talk)


def too_large(setting):
    """One that does not fit into memory is one warning of the loader's."""
    with boot_with(setting, bytes(80 << 20), machine.Machine(memory="64M")) as talk:
        before = talk.wait_for_prompt()
        expect_in(r"no memory for \EFI\BOOT\initrd.cpio", before)
        expect(sorted(listed(talk, "/")) == [".", "..", "proc"], "there are files", talk)


def secure(setting, folder):
    """Under Secure Boot the one that the signed program names is taken, and no other."""
    archive = initrd.Archive()
    archive.add("etc/motd", stat.S_IFREG | 0o644, b"hello\n")
    allowed = archive.bytes()
    archive.add("etc/other", stat.S_IFREG | 0o644)
    signed = folder / "BOOTX64.EFI"
    machine.sign(initrd.allow(setting.product, allowed, folder / "allowing.efi"), signed)
    for data, names in ((allowed, [".", "..", "etc", "proc"]), (archive.bytes(), [".", "..", "proc"])):
        with boot_with(setting, data, machine.Machine(secure_boot=True), signed) as talk:
            before = talk.wait_for_prompt()
            expect(("is not the one whose hash was signed" in before) == (data != allowed), before, talk)
            expect(sorted(listed(talk, "/")) == names, "other files than were allowed", talk)


CASES = {"initrd.whole": whole, "initrd.bad": bad, "initrd.too-large": too_large, "initrd.secure": secure}
