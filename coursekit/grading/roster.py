"""The class list: a CSV with the columns id and name, Canvas's gradebook export, or Moodle's grading worksheet."""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ANOTHER_ID = (
    "sis user id", "sis login id", "integration id", "login", "username", "email", "email address", "id number",
)
LIMIT = 64 * 2**20  # bytes of a class list


@dataclass(frozen=True)
class Person:
    """One line of a roster. logins: everything else that names this person, such as an e-mail address."""

    id: str
    name: str
    logins: tuple
    row: dict = field(compare=False, repr=False)  # the whole line, by column


@dataclass(frozen=True)
class Roster:
    """kind: "canvas", "moodle" or "plain", the form that it came in. header: its columns, in their order."""

    kind: str
    header: tuple
    people: tuple

    @cached_property
    def by_id(self):
        return {person.id: person for person in self.people}

    @cached_property
    def _by_name(self):
        found = defaultdict(set)
        for person in self.people:
            names = {turned for text in (person.name, *person.logins) for turned in turnings(text)}
            names |= {squeezed(login.partition("@")[0]) for login in person.logins}
            for name in names - {""}:
                found[name].add(person.id)
        return found

    def named(self, text):
        """The one person whose name (in any order of its parts) or login this is, or None."""
        ids = self._by_name.get(squeezed(text), ())
        return self.by_id[next(iter(ids))] if len(ids) == 1 else None


def squeezed(text):
    """Letters, digits and underscores only, case and form of Unicode folded, as Canvas writes names into files."""
    return re.sub(r"\W", "", unicodedata.normalize("NFKC", text).casefold())


def turnings(name):
    """'Anna Maria Lee' squeezed, and also as 'Lee, Anna Maria' and 'Maria Lee, Anna' would be."""
    words = name.replace(",", " ").split()
    return {squeezed("".join(words[turn:] + words[:turn])) for turn in range(max(len(words), 1))}


def read(path):
    """The Roster in a CSV file, UTF-8, with commas or semicolons. Raises ValueError that says what is wrong with it."""
    header, rows = table(path)
    columns = {title.strip().casefold(): title for title in reversed(header)}
    if "student" in columns and "id" in columns or {"lastname", "firstname", "id"} <= set(columns):
        kind, id, name = "canvas", "id", ("student",) if "student" in columns else ("lastname", "firstname")
    elif "identifier" in columns:
        kind, id, name = "moodle", "identifier", ("full name",)
    elif "id" in columns and "name" in columns:
        kind, id, name = "plain", "id", ("name",)
    else:
        raise ValueError(f"{path} has the columns {', '.join(header)}; a roster has id and name, or is Canvas's "
                         "gradebook export (Student, ID, ...) or Moodle's grading worksheet (Identifier, ...)")
    people = {}
    for row in rows:
        key = row[columns[id]].strip()
        if kind == "moodle":  # "Participant 123", in the site's language
            key = (re.findall(r"\d+$", key) or [""])[0]
        if not key and kind != "plain":
            continue  # Canvas's lines for "Points Possible" and "Manual Posting"
        names = [row[columns[part]].strip() for part in name if part in columns]
        if not key:
            raise ValueError(f"{path}: the line of {', '.join(names) or 'nobody'} has no id")
        if key in people:
            raise ValueError(f"{path}: id {key!r} stands in two lines")
        logins = tuple(filter(None, (row[columns[title]].strip() for title in ANOTHER_ID if title in columns)))
        people[key] = Person(key, ", ".join(names) or row[columns[id]].strip(), logins, row)
    if not people:
        raise ValueError(f"{path} names nobody: there is no line below the columns")
    return Roster(kind, tuple(header), tuple(people.values()))


def table(path):
    """The header of a CSV file and its lines as dicts; short lines are filled up, empty ones left out."""
    with Path(path).open("rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise ValueError(f"{path} has more than {LIMIT // 2**20} MB; a class list is smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); store it as CSV UTF-8") from error
    first = text.partition("\n")[0]
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count)))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file: {error}") from error
    header = lines[0] if lines else []
    if len(set(header)) < len(header):
        header = [title if header.index(title) == i else f"{title} ({i + 1})" for i, title in enumerate(header)]
    lines = [line for line in lines[1:] if any(map(str.strip, line))]
    return header, [dict(zip(header, [*line, *[""] * len(header)])) for line in lines]
