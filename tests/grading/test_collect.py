"""Exports of every platform become one submission for each learner; hostile ones become text and a status."""

import json
import os
import socket
import stat
import struct
import tracemalloc
import zipfile

import pytest

from coursekit.grading import collect as collecting
from coursekit.grading.collect import collect
from coursekit.grading.roster import read as read_roster


def notebook(text=""):
    return json.dumps({"cells": [{"cell_type": "markdown", "source": text}], "nbformat": 4}).encode()


def content_of(value):
    return notebook(value) if isinstance(value, str) else value


@pytest.fixture(params=["zip", "folder"])
def export(request, tmp_path):
    """A function from {name: content} to an export, once as a zip and once as a folder."""
    def make(files):
        return (zip_of if request.param == "zip" else folder_of)(files, tmp_path / f"export.{request.param}")
    return make


def zip_of(files, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2026, 3, 1, 12, 0, 0))
            archive.writestr(info, content_of(content))
    return path


def folder_of(files, path):
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(content))
        os.utime(file, (1_772_366_400, 1_772_366_400))
    return path


def csv_of(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def found(path, roster=None):
    return {item.learner: item for item in collect(path, roster) if item.status != "duplicate"}


def text_in(item):
    return json.loads(item.content)["cells"][0]["source"]


# What the platforms call things.

def test_canvas(export):
    items = found(export({
        "leeanna_12345_67890_05.ipynb": "anna",
        "benz_LATE_77_801_my_1_2_work.ipynb": "ben",
        "zoë_9_802_05.ipynb": "zoe",
        "anon_x1Y2z_803_05.ipynb": "nobody",
        "dora_10_text.html": b"<p>typed</p>",
    }))
    assert {key: (item.name, item.late, item.status) for key, item in items.items()} == {
        "12345": ("leeanna", False, ""), "77": ("benz", True, ""), "9": ("zoë", False, ""),
        "x1Y2z": ("anonymous x1Y2z", False, ""), "10": ("dora", False, "unreadable")}
    assert text_in(items["77"]) == "ben"
    assert "dora_10_text.html" in items["10"].problem
    assert all(item.when is None for item in items.values())  # a Canvas zip is dated when it is downloaded


def test_the_last_attempt_counts(export):
    items = list(collect(export({
        "leeanna_1_30_05-2.ipynb": "third",
        "leeanna_1_20_05-1.ipynb": "second",
        "leeanna_1_10_05.ipynb": "first",
    })))
    assert [(item.status, item.file) for item in items] == [
        ("", "leeanna_1_30_05-2.ipynb"), ("duplicate", "leeanna_1_20_05-1.ipynb"),
        ("duplicate", "leeanna_1_10_05.ipynb")]
    assert text_in(items[0]) == "third"
    assert all("leeanna_1_30_05-2.ipynb counts" in item.problem and item.content is None for item in items[1:])


@pytest.mark.parametrize("names, attempts", [
    (["05-2.ipynb", "05.ipynb"], [2, 0]),
    (["05-10.ipynb", "05-9.ipynb"], [10, 9]),
    (["05 (1).ipynb", "05.ipynb"], [1, 0]),
    (["lecture-5.ipynb", "lecture-5-1.ipynb"], [0, 1]),
    (["lecture-5.ipynb", "notes.ipynb"], [0, 0]),
    (["lecture-05.ipynb", "lecture.ipynb"], [0, 0]),
])
def test_a_number_is_an_attempt_only_beside_what_it_repeats(names, attempts):
    assert collecting.attempts_of(names) == attempts


@pytest.mark.parametrize("folder", ["Anna Lee_123_assignsubmission_file", "Anna Lee_123_assignsubmission_file_"])
def test_moodle_folders(export, folder):
    items = found(export({f"{folder}/deep/05.ipynb": "anna", "Ben-O'Z_124_assignsubmission_file/x_1.ipynb": "ben",
                          "Cy_125_assignsubmission_onlinetext/onlinetext.html": b"<p>"}))
    assert {key: (item.name, item.status) for key, item in items.items()} == {
        "123": ("Anna Lee", ""), "124": ("Ben-O'Z", ""), "125": ("Cy", "unreadable")}
    assert text_in(items["123"]) == "anna"


def test_moodle_files_and_a_class_of_one(export):
    items = found(export({"Anna Lee_123_assignsubmission_file_05.ipynb": "anna"}))
    assert [(key, item.name, text_in(item)) for key, item in items.items()] == [("123", "Anna Lee", "anna")]


def test_classroom_in_its_drive_folder(export):
    items = list(collect(export({"Lecture 05/Anna Lee - 05.ipynb": "old", "Lecture 05/Anna Lee - 05 (1).ipynb": "new",
                                 "Lecture 05/Ben - a - b.ipynb": "ben"})))
    assert [(item.learner, item.status) for item in items] == [("Anna Lee", ""), ("Anna Lee", "duplicate"), ("Ben", "")]
    assert text_in(items[0]) == "new"


METADATA = b"""---
submission_11:
  :submitters:
  - :name: Anna Lee
    :sid: '0012'
    :email: anna@example.org
  :created_at: 2026-03-01 10:00:00.000000000 Z
submission_12:
  :submitters:
  - :name: Ben
    :sid: ''
    :email: ben@example.org
  - :name: Cy
    :sid: '14'
  :created_at: 2026-03-01 11:00:00 +01:00
"""


def test_gradescope(export):
    items = found(export({"assignment_9_export/submission_11/05.ipynb": "anna",
                          "assignment_9_export/submission_12/05.ipynb": "b",
                          "assignment_9_export/submission_metadata.yml": METADATA}))
    assert {key: (item.name, item.when) for key, item in items.items()} == {
        "0012": ("Anna Lee", 1772359200.0), "ben@example.org": ("Ben", 1772359200.0), "14": ("Cy", 1772359200.0)}
    assert items["14"].content == items["ben@example.org"].content == notebook("b")


def test_gradescope_without_metadata(export):
    items = found(export({"submission_11/05.ipynb": "anna", "submission_12/05.ipynb": "ben"}))
    assert {key: item.name for key, item in items.items()} == {"11": "submission 11", "12": "submission 12"}


def test_damaged_metadata_is_an_error(export):
    with pytest.raises(ValueError, match="does not say whose"):
        collect(export({"submission_11/05.ipynb": "", "submission_metadata.yml": b"a: [b"}))


def test_plain_files_and_folders(export):
    items = found(export({"anna.ipynb": "anna", "ben/anything.ipynb": "ben", "ben/data.csv": b"1", "cy/x.py": b"",
                          "cy/y.zip": b"", "Do_Ra.IPYNB": "dora"}))
    assert {key: item.status for key, item in items.items()} == {"anna": "", "ben": "", "cy": "unreadable", "Do_Ra": ""}
    assert "cy/x.py, cy/y.zip" in items["cy"].problem
    assert items["anna"].when == pytest.approx(1_772_366_400, abs=86_400)


@pytest.mark.parametrize("names, learners", [
    (["anna/x.ipynb"], {"anna"}),
    (["class/anna/x.ipynb", "class/ben/x.ipynb"], {"anna", "ben"}),
    (["class/anna.ipynb", "class/ben.ipynb"], {"anna", "ben"}),
    (["A_12_assignsubmission_file/x.ipynb", "A_12_assignsubmission_file/y.ipynb"], {"12"}),
])
def test_a_folder_around_everything_is_no_learner(export, names, learners):
    assert set(found(export(dict.fromkeys(names, "")))) == learners


@pytest.mark.parametrize("names, learners", [
    (["anna.ipynb", "ben.ipynb", "eve_12_34_x.ipynb"], {"anna", "ben", "eve_12_34_x"}),
    (["leeanna_1_2_x.ipynb", "b_3_4_x.ipynb", "mailed.ipynb"], {"1", "3", "mailed"}),
])
def test_one_strange_file_does_not_change_how_the_others_are_read(export, names, learners):
    assert set(found(export(dict.fromkeys(names, "")))) == learners


def test_later_is_told_by_time_and_what_cannot_be_told_is_said(tmp_path):
    folder = folder_of({"anna/a.ipynb": "later", "anna/b.ipynb": "earlier", "ben/a.ipynb": "a", "ben/b.ipynb": "b"},
                       tmp_path / "x")
    os.utime(folder / "anna" / "a.ipynb", (1_772_366_500, 1_772_366_500))
    items = list(collect(folder))
    assert [text_in(item) for item in items if not item.status] == ["later", "b"]
    assert [item.problem for item in items if item.status] == [
        "not graded: anna/a.ipynb counts, which came later",
        "not graded: ben/b.ipynb counts, which is the last by name; nothing tells which came later"]


def test_what_systems_leave_behind_is_ignored(export):
    items = found(export({"anna.ipynb": "", "__MACOSX/._anna.ipynb": "", ".DS_Store": b"",
                          "ben/.ipynb_checkpoints/b.ipynb": "", "ben/b.ipynb": "real"}))
    assert set(items) == {"anna", "ben"}
    assert text_in(items["ben"]) == "real"


# Rosters.

def test_a_roster_names_people_by_id_login_or_name(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", "id,name,login,email,section", "1,Anna Maria Lee,al,al@x.org,A",
                    "2,Ben Z,bz,,A", '3,"D, Cy",cd,cy.d@x.org,B', "4,Dora,do,,B")
    items = found(export({"leeannamaria_901_1_x.ipynb": "", "bz_902_2_x.ipynb": "", "cy.d_903_3_x.ipynb": "",
                          "stranger_904_4_x.ipynb": ""}), roster)
    assert {key: (item.name, item.status) for key, item in items.items()} == {
        "1": ("Anna Maria Lee", ""), "2": ("Ben Z", ""), "3": ("D, Cy", ""), "904": ("stranger", ""),
        "4": ("Dora", "missing")}


CANVAS_EXPORT = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lecture 05 (991),Current Score",
    ",,,,,Manual Posting,",
    "    Points Possible,,,,,13.00,(read only)",
    '"Lee, Anna",12345,S1,anna@x.org,A,,',
    '"Z, Ben",77,S2,ben@x.org,A,,',
)


def test_canvas_gradebook(export, tmp_path):
    roster = read_roster(csv_of(tmp_path / "r.csv", *CANVAS_EXPORT))
    assert [(person.id, person.name, person.logins) for person in roster.people] == [
        ("12345", "Lee, Anna", ("S1", "anna@x.org")), ("77", "Z, Ben", ("S2", "ben@x.org"))]
    items = found(export({"leeanna_12345_1_x.ipynb": ""}), roster)
    assert [(key, item.name, item.status) for key, item in items.items()] == [
        ("12345", "Lee, Anna", ""), ("77", "Z, Ben", "missing")]


def test_moodle_worksheet(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum Grade",
                    "Participant 123,Anna Lee,anna@x.org,Submitted,,13", "Teilnehmer/in 124,Ben,ben@x.org,,,13")
    items = found(export({"Anna Lee_123_assignsubmission_file/x.ipynb": ""}), roster)
    assert [(key, item.name, item.status) for key, item in items.items()] == [
        ("123", "Anna Lee", ""), ("124", "Ben", "missing")]


def test_two_people_of_one_name_are_not_guessed(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", "id,name", "1,Anna Lee", "2,Anna Lee")
    assert {key: item.status for key, item in found(export({"Anna Lee/x.ipynb": ""}), roster).items()} == {
        "Anna Lee": "", "1": "missing", "2": "missing"}


def test_two_accounts_of_one_name_are_not_guessed(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", "id,name", "s-1,Anna Lee")
    assert set(found(export({"leeanna_7_1_x.ipynb": "", "leeanna_8_2_x.ipynb": ""}), roster)) == {"7", "8", "s-1"}


def test_taking_anothers_name_does_not_take_their_place(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", *CANVAS_EXPORT)
    items = found(export({"leeanna_12345_1_x.ipynb": "anna", "leeanna_77_99_x-9.ipynb": "ben, renamed",
                          "leeanna_500_98_x-8.ipynb": "a stranger, renamed"}), roster)
    assert text_in(items["12345"]) == "anna"
    assert set(items) == {"12345", "77 (2)", "500", "77"}  # what says two things belongs to nobody on the roster
    assert items["77"].status == "missing" and items["77 (2)"].status == ""


def test_case_and_normal_form_find_the_line_of_the_roster(export, tmp_path):
    roster = csv_of(tmp_path / "r.csv", "id;name", "1;ZOË", "2;Ben")
    items = list(collect(export({"zoe\u0308.ipynb": "", "ZOË.ipynb": "", "ben/x.ipynb": ""}), roster))
    assert [(item.learner, item.status) for item in items] == [("1", ""), ("1", "duplicate"), ("2", "")]


def test_names_that_differ_in_case_are_two_learners_without_a_roster(export):
    assert set(found(export({"anna.ipynb": "", "Anna.ipynb": ""}))) == {"anna", "Anna"}


@pytest.mark.parametrize("lines, complaint", [
    (["nr,who", "1,Anna"], "nr, who"),
    (["id,name"], "names nobody"),
    (["id,name", "1,Anna", "1,Ben"], "'1' stands in two lines"),
    (["id,name", ",Anna"], "Anna has no id"),
    ([""], "has the columns"),
])
def test_what_is_wrong_with_a_roster_is_said(tmp_path, lines, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_roster(csv_of(tmp_path / "r.csv", *lines))


def test_a_roster_that_is_not_utf8(tmp_path):
    (tmp_path / "r.csv").write_bytes("id,name\n1,Zoë\n".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        read_roster(tmp_path / "r.csv")


# Hostile exports.

@pytest.mark.parametrize("content, complaint", [
    (b"", "an empty file"), (b"import os", "not JSON"), (b"\xff\xfe\x00", "not JSON"), (b"[" * 100_000, "not JSON"),
    (b"[1]", "not a notebook"), (b'{"cells": 3}', "not a notebook"), (b"{}", "not a notebook"),
])
def test_what_is_no_notebook_is_unreadable(export, content, complaint):
    item = found(export({"anna.ipynb": content, "ben.ipynb": ""}))["anna"]
    assert item.status == "unreadable" and complaint in item.problem


def test_above_the_limit_is_unreadable(export, monkeypatch):
    monkeypatch.setattr(collecting, "SIZE", 200)
    items = found(export({"anna.ipynb": "a" * 300, "ben.ipynb": ""}))
    assert (items["anna"].status, items["anna"].content) == ("unreadable", None)
    assert "too large" in items["anna"].problem and items["ben"].status == ""


def test_too_many_files_are_an_error(export, monkeypatch):
    monkeypatch.setattr(collecting, "ENTRIES", 3)
    with pytest.raises(ValueError, match="more than 3"):
        collect(export({f"{i}.ipynb": "" for i in range(4)}))


NAMES = {
    "../../etc/evil.ipynb": "etc", "/abs.ipynb": "abs", "..\\up.ipynb": "up", "a\nb\r.ipynb": "a\ufffdb\ufffd",
    "\u202egnp.ipynb": "\ufffdgnp", "=cmd|'/c calc'!A1.ipynb": "=cmd|'",
    "x" * 300 + ".ipynb": "x" * 100 + "…" + "x" * 100,
    "<script>alert(1)<.ipynb": "<script>alert(1)<", "tab\tbed.ipynb": "tab\ufffdbed",
}


def test_names_in_a_zip_are_only_text(tmp_path):
    items = found(zip_of({name: name for name in NAMES}, tmp_path / "z.zip"))
    assert set(items) == set(NAMES.values())
    assert {text_in(item) for item in items.values()} == set(NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["z.zip"]  # nothing was unpacked
    assert not any(bad in item.file for item in items.values() for bad in "\n\r\t\u202e")


def test_a_folder_with_names_that_are_no_text(tmp_path):
    folder = folder_of({"anna.ipynb": "", "x" * 240 + ".ipynb": ""}, tmp_path / "f")
    (folder / os.fsdecode(b"\xff\xfe.ipynb")).write_bytes(notebook("bytes"))
    items = found(folder)
    assert text_in(items["\ufffd\ufffd"]) == "bytes"
    for item in items.values():
        (item.learner + item.name + item.file).encode("utf-8")


def test_two_learners_whose_names_read_the_same_stay_two(tmp_path):
    items = found(zip_of({"a\u202eb.ipynb": "1", "a\u202db.ipynb": "2", "c.ipynb": ""}, tmp_path / "z.zip"))
    assert set(items) == {"a\ufffdb", "a\ufffdb (2)", "c"}


def test_links_and_devices_are_never_opened(tmp_path):
    secret = tmp_path / "secret"
    folder_of({"answers.ipynb": "secret"}, secret)
    folder = folder_of({"anna.ipynb": "", "dora/real.ipynb": ""}, tmp_path / "f")
    (folder / "ben.ipynb").symlink_to(secret / "answers.ipynb")
    (folder / "cy").symlink_to(secret)
    (folder / "dora" / "later.ipynb").symlink_to(secret / "answers.ipynb")
    os.mkfifo(folder / "eve.ipynb")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path must be short
        listening.bind("fay.ipynb")
        os.chdir(here)
    items = found(folder)
    assert {key: item.status for key, item in items.items()} == {
        "anna": "", "ben": "unreadable", "cy": "unreadable", "dora": "unreadable", "eve": "unreadable",
        "fay": "unreadable"}
    assert all("symbolic link" in items[key].problem for key in ("ben", "cy", "dora"))
    assert "not a regular file" in items["eve"].problem
    assert not any(b"secret" in (item.content or b"") for item in items.values())


@pytest.mark.parametrize("swap", ["file", "folder"])
def test_a_link_put_in_place_after_the_listing_is_not_followed(tmp_path, swap):
    secret = folder_of({"x.ipynb": "secret"}, tmp_path / "secret")
    folder = folder_of({"anna/x.ipynb": "", "ben/x.ipynb": ""}, tmp_path / "f")
    items = collect(folder)
    (folder / "ben" / "x.ipynb").unlink()
    if swap == "file":
        (folder / "ben" / "x.ipynb").symlink_to(secret / "x.ipynb")
    else:
        (folder / "ben").rmdir()
        (folder / "ben").symlink_to(secret)
    status = {item.learner: (item.status, item.content) for item in items}
    assert status["ben"] == ("unreadable", None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_unreadable(tmp_path):
    folder = folder_of({"anna.ipynb": "", "ben/x.ipynb": ""}, tmp_path / "f")
    (folder / "anna.ipynb").chmod(0)
    (folder / "ben").chmod(0)
    assert {item.status for item in collect(folder)} == {"unreadable"}
    (folder / "ben").chmod(0o700)


def test_folders_within_folders_have_an_end(tmp_path):
    folder = folder_of({"anna.ipynb": "", "ben/" + "d/" * 60 + "x.ipynb": ""}, tmp_path / "f")
    item = found(folder)["ben"]
    assert item.status == "unreadable" and "folders deep" in item.problem


def test_a_link_in_a_zip_is_not_a_notebook(tmp_path):
    link = zipfile.ZipInfo("ben.ipynb")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    items = found(zip_of([("anna.ipynb", ""), (link, b"/etc/passwd")], tmp_path / "z.zip"))
    assert items["ben"].status == "unreadable" and "symbolic link" in items["ben"].problem


def changed(path, name, offset, form, value):
    """Overwrite one field of an entry in the zip's directory; `offset` counts from the record's start."""
    data = bytearray(path.read_bytes())
    record = data.rfind(b"PK\x01\x02", 0, data.rfind(name.encode()))
    struct.pack_into(form, data, record + offset, value)
    path.write_bytes(data)
    return path


def test_an_encrypted_entry(tmp_path):
    path = changed(zip_of({"anna.ipynb": "", "ben.ipynb": ""}, tmp_path / "z.zip"), "ben.ipynb", 8, "<H", 1)
    assert "encrypted" in found(path)["ben"].problem


def test_a_bomb_is_read_up_to_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "SIZE", 2**20)
    path = zip_of({"anna.ipynb": "", "ben.ipynb": b"0" * (64 * 2**20)}, tmp_path / "z.zip")
    assert "too large" in found(path)["ben"].problem
    changed(path, "ben.ipynb", 24, "<I", 1000)  # it says that it is small
    tracemalloc.start()
    item = found(path)["ben"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert item.status == "unreadable" and item.content is None
    assert peak < 8 * 2**20


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packing_that_can_blow_up_is_refused(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("anna.ipynb", notebook(), compress_type=kind)
    assert "packed in a way" in found(tmp_path / "z.zip")["anna"].problem


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice(tmp_path):
    entries = [("anna.ipynb", "first"), ("anna.ipynb", "second"), ("b.ipynb", "")]
    items = list(collect(zip_of(entries, tmp_path / "z.zip")))
    assert [(item.learner, item.status) for item in items] == [("anna", ""), ("anna", "duplicate"), ("b", "")]
    assert text_in(items[0]) == "second"


def test_a_damaged_entry_is_unreadable_and_the_others_are_read(tmp_path):
    path = zip_of({"anna.ipynb": "", "ben.ipynb": ""}, tmp_path / "z.zip")
    changed(path, "ben.ipynb", 16, "<I", 0x12345678)  # the checksum
    items = found(path)
    assert items["anna"].status == "" and "damaged" in items["ben"].problem


def test_old_zips_do_not_say_that_their_names_are_utf8(tmp_path):
    path = zip_of({"Zoë_12_assignsubmission_file/x.ipynb": ""}, tmp_path / "z.zip")
    data = path.read_bytes().replace(struct.pack("<HH", 20, 0x800), struct.pack("<HH", 20, 0))
    path.write_bytes(data)
    assert found(path)["12"].name == "Zoë"


def test_the_extended_timestamp_is_utc(tmp_path):
    info = zipfile.ZipInfo("anna.ipynb", (2026, 3, 1, 12, 0, 0))
    info.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_772_000_000)
    assert found(zip_of([(info, "")], tmp_path / "z.zip"))["anna"].when == 1_772_000_000


@pytest.mark.parametrize("make", [
    lambda path: path / "missing", lambda path: (path / "empty").mkdir() or path / "empty",
    lambda path: (path / "x.zip").write_bytes(b"PK no zip") and path / "x.zip",
    lambda path: folder_of({".hidden/x.ipynb": ""}, path / "hidden"),
    lambda path: os.mkfifo(path / "pipe") or path / "pipe",
])
def test_what_is_no_export_is_an_error(tmp_path, make):
    with pytest.raises(ValueError):
        collect(make(tmp_path))


def test_a_large_class_in_flat_memory(tmp_path):
    content = b'{"cells": []}' + b" " * 50_000
    path = zip_of({f"name{i}_{i}_{i}_05.ipynb": content for i in range(2000)}, tmp_path / "z.zip")
    tracemalloc.start()
    count = sum(not item.status for item in collect(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2000
    assert peak < 20 * 2**20  # the contents have 100 MB
