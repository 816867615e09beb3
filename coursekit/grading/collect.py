"""Submissions as a learning platform exports them, a folder or a zip, one Submission for each learner.

What is known of the exports:
- Canvas (its lib/content_zipper.rb): flat files `leeanna_123_456_05.ipynb`, `leeanna_LATE_123_456_05-1.ipynb`: the
  sortable name squeezed, the user's id, the attachment's id, the learner's own file name, which Canvas numbers when it
  was handed in before; anonymous ones `anon_x1Y2z_456_05.ipynb`. Entries are dated when the zip is downloaded, so no
  time is known.
- Moodle (its mod/assign/classes/downloader.php): folders `Anna Lee_123_assignsubmission_file`, before 3.9 with a last
  underscore, or flat files `Anna Lee_123_assignsubmission_file_05.ipynb`; 123 is the worksheet's "Participant 123".
  Dated when downloaded, too.
- Gradescope: folders `submission_123` beside a `submission_metadata.yml`, which says whose they are and when they came.
- Google Classroom has no export. Its Drive folder, downloaded as a zip, is taken to hold `Anna Lee - 05.ipynb`, second
  copies as `Anna Lee - 05 (1).ipynb`, in one folder. A file that Classroom did not rename counts as a plain one.
- Plain: `anna.ipynb`, `anna/anything.ipynb`.
The form that fits most notebooks is taken for all; what does not fit it counts as plain.

Names are never more than text here: nothing is unpacked. Symbolic links are not followed, only regular files are
opened, and no more than SIZE bytes of one are read.
"""

import itertools
import json
import os
import re
import stat
import struct
import time
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path

from coursekit.grading.roster import Roster
from coursekit.grading.roster import read as read_roster

SIZE = 16 * 2**20  # bytes of one notebook
ENTRIES = 200_000  # files and folders of one export
DEPTH = 32  # folders within folders
METADATA = "submission_metadata.yml"


@dataclass(frozen=True)
class Submission:
    """One learner's hand-in, or the place where there should be one.

    learner: the key of the person: the roster's id, else the export's, else the name. name: for display. file: where
    it lay, as text for people. content: the notebook's bytes, None where there is none. when: seconds since the epoch
    at which it was handed in, where the export knows. late: the export says so. status: "" for what is to be graded,
    "missing", "unreadable" or "duplicate", and then problem says why.
    """

    learner: str
    name: str
    file: str
    content: bytes | None
    when: float | None
    late: bool
    problem: str = ""
    status: str = ""


@dataclass(frozen=True)
class Entry:
    """A file of the export before it is opened: raw name, place in the listing, time, and what forbids reading."""

    raw: str
    index: int
    when: float | None
    problem: str = ""
    handle: object = None

    @property
    def parts(self):
        return tuple(part for part in re.split(r"[/\\]", self.raw) if part not in ("", ".", ".."))

    @property
    def is_notebook(self):
        return self.raw.casefold().endswith(".ipynb")


@dataclass(frozen=True)
class Claim:
    """What the place of an entry says about whose it is. id: the platform's, "" where it gives none."""

    id: str
    name: str
    rest: str  # the learner's own file name
    order: int = 0  # the attachment's id, which grows with every upload
    late: bool = False
    when: float | None = None
    dated: bool = True  # the entry's time is when it was handed in


def collect(path, roster=None):
    """Iterate over the Submissions in a folder or zip, sorted by learner, then those of the roster that are missing.

    roster: a Roster, the path of one (see coursekit.grading.roster), or None. The names are read at once, the contents
    one at a time. Raises ValueError for what is no export: no folder and no zip, damaged, empty, or above ENTRIES.
    """
    if roster is not None and not isinstance(roster, Roster):
        roster = read_roster(roster)
    source = open_source(Path(path))
    try:
        entries = [entry for entry in without_wrapper(source.entries()) if not ignored(entry)]
        if not entries:
            raise ValueError(f"{path} holds no submissions")
        people = by_learner(entries, roster, source)
    except BaseException:
        source.close()
        raise
    return Submissions(people, roster, source)


class Submissions:
    """What `collect` gives: an iterator with a length. people: (learner, name, claims) of all who handed something in."""

    def __init__(self, people, roster, source):
        there = {learner for learner, _, _ in people}
        missing = [person for person in (roster.people if roster else ()) if person.id not in there]
        notebooks = [sum(entry.is_notebook for _, entry in claims) for _, _, claims in people]
        self.length = sum(max(1, count) for count in notebooks) + len(missing)
        self.items = self.all(people, missing, source)

    def __len__(self):
        return self.length

    def __iter__(self):
        return self.items

    def all(self, people, missing, source):
        with source:
            for learner, name, claims in people:
                yield from of_one(learner, name, claims, source)
            for person in missing:
                name = shown(person.name)
                yield Submission(person.id, name, "", None, None, False, "nothing was handed in", "missing")


def of_one(learner, name, claims, source):
    """The submission that counts, then its duplicates. claims: (Claim, Entry) pairs of one learner."""
    notebooks = [pair for pair in claims if pair[1].is_notebook]
    if not notebooks:
        late, file = any(claim.late for claim, _ in claims), shown(claims[-1][1].raw)
        yield Submission(learner, name, file, None, None, late, without_notebook(claims), "unreadable")
        return
    attempts = attempts_of([claim.rest for claim, _ in notebooks])
    keys = [(attempt, claim.order, when_of(claim, entry) or 0) for attempt, (claim, entry) in zip(attempts, notebooks)]
    ranked = sorted(zip(keys, notebooks), key=lambda item: (item[0], shown(item[1][1].raw), item[1][1].index))
    last_key, (claim, entry) = ranked[-1]
    content, problem = (None, entry.problem) if entry.problem else source.read(entry)
    problem = problem or what_is_wrong(content)
    yield Submission(learner, name, shown(entry.raw), content, when_of(claim, entry), claim.late, problem,
                     "unreadable" if problem else "")
    for key, (other, duplicate) in reversed(ranked[:-1]):
        why = "which is the last by name; nothing tells which came later" if key == last_key else "which came later"
        yield Submission(learner, name, shown(duplicate.raw), None, when_of(other, duplicate), other.late,
                         f"not graded: {shown(entry.raw)} counts, {why}", "duplicate")


def without_notebook(claims):
    files = sorted(shown(entry.raw) + (f" ({entry.problem})" if entry.problem else "") for _, entry in claims)
    return f"no notebook (.ipynb), only {', '.join(files[:5])}{', ...' if files[5:] else ''}"


def attempts_of(names):
    """The attempt that each of one learner's file names stands for: `05-2.ipynb` is the second after `05.ipynb`, and
    `05 (2).ipynb` likewise, but `lecture-5.ipynb` alone is no fifth attempt."""
    numbered = [re.fullmatch(r"(.*?)(?:-([1-9]\d{0,5})| \(([1-9]\d{0,5})\))", Path(name).stem) for name in names]
    stems = Counter(Path(name).stem for name in names) + Counter(match[1] for match in numbered if match)
    return [int(match[2] or match[3]) if match and stems[match[1]] > 1 else 0 for match in numbered]


def when_of(claim, entry):
    return claim.when or (entry.when if claim.dated else None)


def what_is_wrong(content):
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError, MemoryError) as error:
        return f"not JSON: {shown(str(error))}" if content else "an empty file"
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return "JSON, but not a notebook: it has no list of cells"
    return ""


# Whose an entry is.

CANVAS = re.compile(r"(?P<name>.+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<order>\d+)_(?P<rest>.+)", re.DOTALL)
CANVAS_ANONYMOUS = re.compile(r"(?P<late>LATE_)?anon_(?P<id>[^\W_]+)_(?P<order>\d+)_(?P<rest>.+)", re.DOTALL)
CANVAS_TEXT = re.compile(r"(?P<name>.+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<rest>text\.html|link\.html)", re.DOTALL)
MOODLE = re.compile(r"(?P<name>[^_]*)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<rest>.*)", re.DOTALL)
GRADESCOPE = re.compile(r"submission_(?P<id>\d+)")
CLASSROOM = re.compile(r"(?P<name>.+?) - (?P<rest>.+)", re.DOTALL)


def canvas(entry, _):
    for pattern in (CANVAS_ANONYMOUS, CANVAS, CANVAS_TEXT):
        if len(entry.parts) == 1 and (match := pattern.fullmatch(entry.parts[0])):
            found = match.groupdict()
            name = found.get("name") or f"anonymous {found['id']}"
            order = int(found.get("order") or 0)
            return [Claim(found["id"], name, found["rest"], order, bool(found["late"]), dated=False)]
    return []


def moodle(entry, _):
    match = MOODLE.fullmatch(entry.parts[0])
    if not match or len(entry.parts) == 1 and not match["rest"]:
        return []
    rest = entry.parts[-1] if entry.parts[1:] else match["rest"]
    return [Claim(match["id"], match["name"] or f"participant {match['id']}", rest, dated=False)]


def gradescope(entry, metadata):
    """One claim for every member of a group."""
    match = GRADESCOPE.fullmatch(entry.parts[0])
    if not match or len(entry.parts) == 1:
        return []
    submitters, when = metadata.get(match[0], ([], None))
    return [Claim(id, name, entry.parts[-1], when=when, dated=not metadata) for id, name in submitters] or [
        Claim(match["id"], match[0].replace("_", " "), entry.parts[-1], when=when, dated=not metadata)]


def classroom(entry, _):
    match = CLASSROOM.fullmatch(entry.parts[0])
    return [Claim("", match["name"], match["rest"])] if match and len(entry.parts) == 1 else []


def plain(entry, _):
    name = entry.parts[0] if len(entry.parts) > 1 or entry.handle is None else os.path.splitext(entry.parts[0])[0]
    return [Claim("", name, entry.parts[-1])]


FORMS = canvas, moodle, gradescope, classroom


def by_learner(entries, roster, source):
    """(learner, name, [(Claim, Entry)]) of everybody, sorted by learner."""
    metadata = {}
    for entry in entries:
        if entry.parts == (METADATA,):
            metadata = submitters_of(entry, source)
    entries = [entry for entry in entries if entry.parts != (METADATA,)]
    form = form_of(entries, metadata)
    groups = defaultdict(list)
    for entry in entries:
        for claim in form(entry, metadata) or plain(entry, metadata):
            groups[claim.id, "" if claim.id else unicodedata.normalize("NFC", claim.name)].append((claim, entry))

    persons = match(groups, roster) if roster else {}
    of_person, others = defaultdict(list), {}
    for key, pairs in groups.items():
        if key in persons:
            of_person[persons[key]].extend(pairs)
        else:
            others[key] = pairs
    people = [(person.id, shown(person.name), pairs) for person, pairs in of_person.items()]
    taken = {person.id for person in roster.people} if roster else set()
    for (id, name), pairs in sorted(others.items()):
        learner = unused(shown(id or name), taken)
        taken.add(learner)
        people.append((learner, shown(pairs[-1][0].name), pairs))
    return sorted(people, key=lambda item: item[0])


def form_of(entries, metadata):
    """The platform whose names fit more than half of the files and folders on top, or `plain`."""
    tops = {entry.parts[0]: entry for entry in entries}.values()
    fits = {form: sum(bool(form(entry, metadata)) for entry in tops) for form in FORMS}
    best = max(FORMS, key=fits.get)
    return best if 2 * fits[best] > len(tops) else plain


def unused(name, taken):
    """The name, with a number where another learner's key would read the same."""
    names = itertools.chain([name], (f"{name} ({i})" for i in itertools.count(2)))
    return next(key for key in names if key not in taken)


def match(groups, roster):
    """{group: Person}: by id, else by name or login, unless a line is claimed by an id or by several people.

    Where id and name point to two different lines, neither is believed: such a submission is not on the roster.
    """
    by_id = {key: roster.by_id[key[0]] for key in groups if key[0] in roster.by_id}
    by_name = {}
    for key, pairs in groups.items():
        person = roster.by_id.get(key[1]) or roster.named(key[0]) or roster.named(pairs[-1][0].name)
        if person:
            by_name[key] = person
    found = {key: person for key, person in by_id.items() if by_name.get(key, person) == person}
    claimed = {person.id for person in by_id.values()}
    left = {key: person for key, person in by_name.items() if key not in by_id and person.id not in claimed}
    several = Counter(person.id for key, person in left.items() if key[0])
    return found | {key: person for key, person in left.items() if several[person.id] < 2}


def submitters_of(entry, source):
    """Gradescope's metadata: {folder: ([(id, name)], seconds)}."""
    import yaml

    content, problem = source.read(entry)
    try:
        stored = yaml.load(content or b"", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = str(error)
    if problem or not isinstance(stored, dict):
        raise ValueError(f"{METADATA} does not say whose the submissions are: {shown(problem) or 'no mapping'}")
    found = {}
    for folder, record in stored.items():
        if isinstance(record, dict):
            people = [person for person in record.get(":submitters") or () if isinstance(person, dict)]
            texts = [[str(person.get(key) or "") for key in (":sid", ":email", ":name")] for person in people]
            found[str(folder)] = [(sid or email or name, name) for sid, email, name in texts if sid or email or name], \
                seconds_of(record.get(":created_at"))
    return found


def seconds_of(moment):
    """Seconds since the epoch of a YAML date; one without a zone is UTC, as YAML says."""
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return datetime(moment.year, moment.month, moment.day, tzinfo=timezone.utc).timestamp() \
        if isinstance(moment, date) else None


def ignored(entry):
    return not entry.parts or any(part == "__MACOSX" or part.startswith(".") for part in entry.parts)


def without_wrapper(entries):
    """The entries without the one folder that lies around all of them, unless that folder is a learner's.

    A single folder with a single file in it, or one called as a platform calls a learner's, is a learner's.
    """
    entries = list(entries)
    seen = [entry for entry in entries if not ignored(entry)]
    tops = {entry.parts[0] for entry in seen}
    within = {entry.parts[1:2] for entry in seen}
    a_learners = any(MOODLE.fullmatch(top) or GRADESCOPE.fullmatch(top) for top in tops)
    if len(tops) != 1 or a_learners or () in within or len(within) < 2:
        return entries
    return [Wrapped(**vars(entry)) for entry in entries]


@dataclass(frozen=True)
class Wrapped(Entry):
    @property
    def parts(self):
        return super().parts[1:]


def shown(text, longest=200):
    """A name as people may read it: nothing in it that breaks a line, turns its direction, or is no character."""
    text = text if len(text) <= longest else f"{text[:longest // 2]}…{text[-(longest // 2):]}"
    if text.isprintable():
        return text
    bad = {letter for letter in text if letter in TURNING or unicodedata.category(letter) in UNSEEN}
    return text.translate(dict.fromkeys(map(ord, bad), "\ufffd"))


UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators
TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# Where entries come from.

def open_source(path):
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: no such folder or zip ({error})") from error
    if stat.S_ISDIR(mode):
        return Folder(path)
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is neither a folder nor a zip")
    return Archive(path)


class Source:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Folder(Source):
    """A folder of submissions. No symbolic link in it is followed, and nothing but a regular file is opened."""

    def __init__(self, path):
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self):
        os.close(self.root)

    def entries(self):
        found, waiting = 0, [()]
        while waiting:
            parts = waiting.pop()
            try:
                with self.folder(parts) as handle, os.scandir(handle) as listing:
                    inside = sorted(listing, key=lambda item: item.name)
                    details = [item.stat(follow_symlinks=False) for item in inside]
            except OSError as error:
                yield Entry("/".join(parts), found, None, f"cannot be read: {os.strerror(error.errno)}")
                continue
            for item, detail in zip(inside, details):
                found += 1
                if found > ENTRIES:
                    raise ValueError(f"more than {ENTRIES} files and folders, which is no class's submissions")
                path = (*parts, item.name)
                if stat.S_ISDIR(detail.st_mode) and len(path) < DEPTH:
                    if item.name != "__MACOSX" and not item.name.startswith("."):
                        waiting.append(path)
                    continue
                yield Entry("/".join(path), found, detail.st_mtime, problem_of(detail), path)

    def read(self, entry):
        """(bytes or None, what is wrong)."""
        try:
            with self.folder(entry.handle[:-1]) as handle:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with os.fdopen(os.open(entry.handle[-1], flags, dir_fd=handle), "rb") as file:
                    if problem := problem_of(os.fstat(file.fileno())):
                        return None, problem
                    return within_size(file.read(SIZE + 1))
        except OSError as error:
            return None, f"cannot be read: {os.strerror(error.errno)}"

    @contextmanager
    def folder(self, parts):
        """A descriptor of a folder below the root, reached step by step so that no step is a link."""
        handle = os.dup(self.root)
        try:
            for part in parts:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)


def problem_of(detail):
    if stat.S_ISLNK(detail.st_mode):
        return "a symbolic link, which is not followed"
    if stat.S_ISDIR(detail.st_mode):
        return f"more than {DEPTH} folders deep"
    if not stat.S_ISREG(detail.st_mode):
        return "not a regular file"
    return too_large(detail.st_size) if detail.st_size > SIZE else ""


def too_large(size):
    return f"too large: {size / 2**20:.1f} MB, and the limit is {SIZE // 2**20} MB"


def within_size(content):
    return (content, "") if len(content) <= SIZE else (None, f"too large: more than {SIZE // 2**20} MB")


class Archive(Source):
    """A zip of submissions, of which nothing is unpacked."""

    def __init__(self, path):
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ValueError(f"{path} is neither a folder nor a zip that can be read: {error}") from error
        self.path = path

    def close(self):
        self.zip.close()

    def entries(self):
        infos = self.zip.infolist()
        if len(infos) > ENTRIES:
            raise ValueError(f"{self.path} has {len(infos)} entries, more than {ENTRIES}: no class's submissions")
        for index, info in enumerate(infos):
            if not info.is_dir():
                yield Entry(name_of(info), index, time_of(info), problem_of_info(info), info)

    def read(self, entry):
        try:
            with self.zip.open(entry.handle) as file:
                return within_size(file.read(SIZE + 1))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
            return None, f"damaged in the zip: {shown(str(error))}"


def name_of(info):
    """The entry's name; older tools write UTF-8 without saying so."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename


def time_of(info):
    """Seconds since the epoch: the extended timestamp, which is UTC, else the entry's local time; None for neither."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + length:]
    if info.date_time <= (1980, 1, 1, 0, 0, 0):
        return None  # how a zip writes "no time"
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return None


def problem_of_info(info):
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a symbolic link, which is not followed" if stat.S_ISLNK(mode) else "not a regular file"
    if info.flag_bits & 0x1:
        return "encrypted in the zip"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed in a way that exports do not use"
    return too_large(info.file_size) if info.file_size > SIZE else ""
