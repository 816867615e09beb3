"""A whole class: every submission once, on the cores of this machine, a Dask cluster, or one share of a job array.

A record is one line of JSON in results.jsonl, written when its submission is done. A run that was ended at any moment
goes on where it stopped: what has a line is not done again.
"""

import hashlib
import itertools
import json
import math
import os
import re
import secrets
import shutil
import sys
import threading
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path

from coursekit.files import replace_file
from coursekit.grading.box import NoBox
from coursekit.grading.collect import collect
from coursekit.grading.mark import Assignment, Boxes, mark, no_marks

DAY = 24 * 3600
ASKED_FOR = re.compile(rb"coursekit\.check\(\\*[\"'](\d\d)\.")


def grade_class(submissions, out, lecture=None, seed=None, policy=None, box=None, workers=None, dask=None, shard=None,
                roster=None, deadline=None, late_percent=0.0):
    """Grade all submissions of a folder or zip and write the records into the folder `out`; returns the Assignment.

    lecture: such as "05"; None takes the one whose checks most notebooks call. seed: of the hidden inputs; None chooses
    one. policy, box: as in Assignment, "strict" and "bubblewrap" by default. Where `out` has an earlier run, it goes on
    under the same rules but for those that are given. workers: how many boxes work at once, one per core by
    default. dask: the address of a scheduler to work there instead. shard: (i, n), the i-th of n shares, counted from
    1, with a file of its own. deadline: a datetime, after which every begun day takes late_percent of the points.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    assignment = settled(out, submissions, roster, lecture, seed, policy, box)
    if roster and Path(roster).resolve() != (out / "roster.csv").resolve():
        shutil.copyfile(roster, out / "roster.csv")  # the reports need it
    for exercise in assignment.exercises:  # in this thread, once: workers find them made
        if exercise.kind != "predictor":
            exercise.questions(assignment.seed)
    path = out / ("results.jsonl" if shard is None else f"results-{shard[0]}-of-{shard[1]}.jsonl")
    mend(path)
    done = {(record["learner"], record["file"]): record for record in records(path)}
    with path.open("a", encoding="utf-8") as file, Pool(dask, workers, assignment) as submit:
        def write(line):
            file.write(json.dumps(line) + "\n")
            file.flush()

        for earlier in done.values():  # the rules for lateness may have changed since
            if (now := earlier | lateness(earlier, deadline, late_percent)) != earlier:
                write(now)
        done = {place: earlier["key"] for place, earlier in done.items()}
        collected = collect(submissions, roster)
        with progress_bar(len(collected)) as bar:
            work = todo(collected, assignment, done, shard, bar)
            for submission, key, marks in finished(work, submit, assignment):
                write(record(submission, key, assignment, marks, deadline, late_percent))
                bar.update()
    return assignment


def settled(out, submissions, roster, lecture, seed, policy, box):
    """The Assignment, the same in every run on one folder unless another is asked for."""
    path = out / "assignment.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    lecture = lecture or earlier.get("lecture") or lecture_of(submissions, roster)
    seed = earlier.get("seed", secrets.randbelow(2**32)) if seed is None else seed
    policy, box = policy or earlier.get("policy", "strict"), box or earlier.get("box", "bubblewrap")
    assignment = Assignment(lecture, seed, policy, box)
    replace_file(path, json.dumps({"lecture": lecture, "seed": seed, "policy": policy, "box": box,
                                   "coursekit": version("coursekit")}, indent=1) + "\n")
    return assignment


def lecture_of(submissions, roster):
    """The lecture whose checks most of the first notebooks call."""
    calls = Counter()
    for submission in itertools.islice(collect(submissions, roster), 50):
        calls.update(set(ASKED_FOR.findall(submission.content or b"")))
    if not calls:
        raise ValueError("no notebook calls coursekit.check, which would tell the lecture: name it (--lecture)")
    return calls.most_common(1)[0][0].decode()


def records(path):
    """The records of a file; a line that is damaged is passed over."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def mend(path):
    """End the last line, which a kill may have cut short, so that the next record has a line of its own."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")


def todo(submissions, assignment, done, shard, bar):
    """(submission, its key) of those without a record, and of this share alone. The others do not count as work."""
    for submission in submissions:
        text = submission.content if submission.content is not None else submission.file.encode(errors="replace")
        key = assignment.key(submission.status.encode() + b"\0" + text)
        if (shard is None or share_of(submission.learner, shard[1]) == shard[0]) and done.get((submission.learner, submission.file)) != key:
            yield submission, key
        else:
            bar.total -= 1
            bar.refresh()


def share_of(learner, shares):
    """Which share a learner is in, from 1: the same on every machine, whatever else was handed in."""
    return int(hashlib.sha256(learner.encode(errors="replace")).hexdigest(), 16) % shares + 1


def finished(work, submit, assignment):
    """(submission, key, marks), each as soon as it is ready. No more submissions are held than the workers need."""
    waiting = {}
    while True:
        for submission, key in itertools.islice(work, submit.most - len(waiting)):
            known = no_marks(submission.status, submission.problem, assignment) if submission.status else None
            waiting[ready(known) if known else submit(submission.content)] = submission, key
        if not waiting:
            return
        for future in submit.wait(waiting):
            submission, key = waiting.pop(future)
            yield submission, key, future.result()


def ready(result):
    future = Future()
    future.set_result(result)
    return future


def record(submission, key, assignment, marks, deadline, late_percent):
    """The line of one submission."""
    content = hashlib.sha256(submission.content).hexdigest() if submission.content is not None else ""
    line = {"key": key, "learner": submission.learner, "name": submission.name, "file": submission.file,
            "content": content, "when": submission.when, "late": submission.late, "lecture": assignment.lecture,
            "seed": assignment.seed, "policy": assignment.policy, "box": assignment.box,
            "coursekit": version("coursekit"), **marks}
    return line | lateness(line, deadline, late_percent)


def lateness(line, deadline, late_percent):
    """Begun days after the deadline and the points that they take; nothing where no time is known."""
    if deadline is None or line["when"] is None:
        return {"days_late": 0, "deducted": 0.0}
    late = max(0, math.ceil((line["when"] - deadline.timestamp()) / DAY))
    return {"days_late": late, "deducted": round(min(1, late * late_percent / 100) * (line["points"] or 0), 2)}


def progress_bar(total):
    from tqdm import tqdm

    return tqdm(total=total, unit=" submissions", smoothing=0.05, disable=None, file=sys.stderr)


# Where the work is done.

class Worker:
    """What this process needs to mark: boxes for each thread and mode, for a cluster's worker outlives a class. A box that
    fails is replaced once; what fails twice is recorded as such."""

    lock = threading.Lock()
    boxes = {}

    @classmethod
    def mark(cls, content, assignment):
        with cls.lock:
            boxes = cls.boxes.setdefault((threading.get_ident(), assignment.box), Boxes(assignment.box))
        for attempt in (1, 2):
            try:
                return mark(content, assignment, boxes)
            except NoBox:
                raise
            except Exception as error:  # also what no test has seen: the others of the class are graded
                boxes.close()
                why = f"grading it failed twice: {type(error).__name__}"
        return no_marks("crashed", why, assignment)

    @classmethod
    def close(cls):
        with cls.lock:
            while cls.boxes:
                cls.boxes.popitem()[1].close()


class Pool:
    """A context in which `submit(content)` gives a future of its marks; most: how many are worth holding."""

    def __init__(self, dask, workers, assignment):
        self.dask, self.assignment = dask, assignment
        self.workers = workers or os.cpu_count()

    def __enter__(self):
        if self.dask:
            from distributed import Client

            self.client = Client(self.dask)
            self.workers = sum(self.client.nthreads().values())
        else:
            self.executor = ThreadPoolExecutor(self.workers)
        self.most = 2 * self.workers
        return self

    def __call__(self, content):
        if self.dask:
            return self.client.submit(Worker.mark, content, self.assignment, pure=False)
        return self.executor.submit(Worker.mark, content, self.assignment)

    def wait(self, futures):
        here = [future for future in futures if isinstance(future, Future)]
        if here or not self.dask:
            return wait(here, return_when=FIRST_COMPLETED).done
        from distributed import wait as wait_there

        return wait_there(list(futures), return_when="FIRST_COMPLETED").done

    def __exit__(self, *raised):
        if self.dask:
            self.client.run(Worker.close)
            self.client.close()
        else:
            self.executor.shutdown(cancel_futures=True)
            Worker.close()
