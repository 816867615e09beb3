"""The `coursekit` command."""

import argparse
import sys
from datetime import datetime


def main(arguments=None):
    """Run one command and return its exit status: 0 if all is well, 1 if not, 2 if it was called wrongly."""
    args = _parser().parse_args(arguments)
    try:
        return args.run(args)
    except ValueError as error:
        print(f"coursekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("coursekit: interrupted; what was stored before is as it was", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="coursekit", description="The course's own command.")
    commands = parser.add_subparsers(required=True, metavar="command")

    doctor = commands.add_parser("doctor", help="report what the course needs and what is missing")
    doctor.add_argument("extras", nargs="*", default=["all"], help="the extras that count as needed (default: all)")
    doctor.add_argument("--network", action="store_true", help="try the network as well, which is never needed")
    doctor.set_defaults(run=_doctor)

    notebooks = commands.add_parser("notebooks", help="keep notebooks/*.ipynb and notebooks/source/*.py in step")
    actions = notebooks.add_subparsers(required=True, metavar="action")
    build = actions.add_parser("build", help="execute sources and store the notebooks")
    build.add_argument("names", nargs="*", help="such as 01 02 (default: all)")
    build.set_defaults(run=_build)
    actions.add_parser("check", help="say where sources and notebooks disagree").set_defaults(run=_check)
    actions.add_parser("stamp", help="write the project's address into every source").set_defaults(run=_stamp)

    tables = commands.add_parser("tables", help="make the README's tables anew from data/results")
    tables.set_defaults(run=_tables)

    exercise = commands.add_parser("exercise", help="try an exercise against its own misconceptions")
    exercise.add_argument("id", help="such as 02.context_vector")
    exercise.add_argument("--cells", action="store_true", help="print its notebook cells instead (py:percent)")
    exercise.set_defaults(run=_exercise)

    mutation = commands.add_parser("mutation", help="damage every reference, and print whether the checks notice")
    mutation.add_argument("lectures", nargs="*", help="such as 01 02 (default: all)")
    mutation.set_defaults(run=_mutation)

    build = commands.add_parser("build", help="make a wheel for learners")
    build.add_argument("--without-solutions", action="store_true", required=True,
                       help="compiled cases in place of references and solutions (pip wheel makes the ordinary one)")
    build.add_argument("--out", default="dist", help="the folder for the wheel (default: dist)")
    build.set_defaults(run=_wheel)

    handout = commands.add_parser("handout", help="make one notebook of a lecture, for Colab or any Jupyter")
    handout.add_argument("lecture", help="such as 05")
    handout.add_argument("--out", default="dist", help="the folder for the notebook (default: dist)")
    handout.add_argument("--from", dest="source", default="embedded", metavar="SOURCE",
                         help="what pip installs as coursekit: a URL or a requirement (default: the package itself, "
                              "without solutions, packed into the notebook)")
    handout.add_argument("--index", default="", help="the URL of a package index to install coursekit from")
    handout.add_argument("--course", default="", help="the course's name, for the line under the title")
    handout.add_argument("--deadline", default="", help="a text for the same line")
    handout.add_argument("--badge", default="", help="where the notebook will lie, for a badge that opens it in Colab")
    handout.add_argument("--solution", action="store_true", help="make the key, with the worked solutions")
    handout.set_defaults(run=_handout)

    grade = commands.add_parser("grade", help="grade a class: a folder or zip of notebooks, as platforms export them")
    grade.add_argument("submissions", help="the folder or zip")
    grade.add_argument("--out", required=True, help="the folder for records and reports; started again, it goes on")
    grade.add_argument("--lecture", help="such as 05 (default: the one whose checks the notebooks call)")
    grade.add_argument("--seed", type=int, help="of the hidden inputs, to grade again with the same (default: chosen)")
    grade.add_argument("--policy", choices=("strict", "proportional"),
                       help="an exercise's points for all its cases or none, or by cases passed (default: strict)")
    grade.add_argument("--roster", help="a CSV of the class: ids and names, or a gradebook of Canvas or Moodle")
    grade.add_argument("--deadline", type=datetime.fromisoformat, help="such as 2027-01-31T23:59+01:00")
    grade.add_argument("--late-percent", type=float, default=0, help="of the points, for every begun day after it")
    grade.add_argument("--workers", type=int, help="boxes that work at once (default: one per core)")
    grade.add_argument("--dask", metavar="ADDRESS", help="work on a Dask cluster, such as tcp://10.0.0.1:8786")
    grade.add_argument("--shard", type=_shard, metavar="I/N", help="the I-th of N shares, for job arrays")
    grade.add_argument("--box", choices=("bubblewrap", "uid", "none"),
                       help="how submissions are confined, see SECURITY.md (default: bubblewrap)")
    grade.add_argument("--trust-submissions", action="store_true", help="with --box none, which confines nothing")
    grade.set_defaults(run=_grade)

    autograder = commands.add_parser("autograder", help="make the zip that grades a lecture on Gradescope")
    autograder.add_argument("lecture", help="such as 05")
    autograder.add_argument("--out", default="dist", help="the folder for the zip, which holds the solutions")
    autograder.add_argument("--seed", type=int, help="of the hidden inputs (default: chosen)")
    autograder.add_argument("--policy", choices=("strict", "proportional"), default="strict", help="as in grade")
    autograder.set_defaults(run=_autograder)

    rehearse = commands.add_parser("rehearse", help="make a class of which every mark is known, to try grading with")
    rehearse.add_argument("lecture", help="such as 05")
    rehearse.add_argument("--out", required=True, help="the folder for submissions/, roster.csv and truth.json")
    rehearse.add_argument("--students", type=int, default=300, help="how many (default: 300)")
    rehearse.add_argument("--seed", type=int, default=0, help="another seed makes another class (default: 0)")
    rehearse.add_argument("--compare", metavar="REPORT", help="make nothing: compare a grading of this class with what "
                          "is known of it")
    rehearse.set_defaults(run=_rehearse)
    return parser


def _shard(text):
    share, _, of = text.partition("/")
    if not (share.isdigit() and of.isdigit() and 1 <= int(share) <= int(of)):
        raise ValueError
    return int(share), int(of)


def _doctor(args):
    from coursekit import doctor

    return 0 if doctor.report(args.extras, args.network) else 1


def _build(args):
    from coursekit import notebooks

    for path in notebooks.build(args.names):
        print(path)
    return 0


def _check(args):
    from coursekit import notebooks

    disagreements = notebooks.check()
    for line in disagreements or ["Every notebook agrees with its source."]:
        print(line)
    return 1 if disagreements else 0


def _stamp(args):
    from coursekit import notebooks

    for path in notebooks.stamp():
        print(path)
    return 0


def _tables(args):
    from coursekit import results

    print("README.md has changed." if results.fill_readme() else "README.md is as stored.")
    return 0


def _exercise(args):
    from coursekit.exercises import try_out

    if args.cells:
        print(try_out.cells(args.id))
        return 0
    return 0 if try_out.try_out(args.id) else 1


def _mutation(args):
    from coursekit.exercises.mutate import mutation_table

    return 1 if any(row.gaps for row in mutation_table(args.lectures or None)) else 0


def _wheel(args):
    from coursekit.exercises.build import build_wheel

    print(build_wheel(args.out))
    return 0


def _handout(args):
    from coursekit.grading.handout import handout

    print(handout(args.lecture, args.out, source=args.source, index=args.index, course=args.course,
                  deadline=args.deadline, badge=args.badge, solution=args.solution))
    return 0


def _autograder(args):
    from coursekit.grading.export import autograder

    print(autograder(args.lecture, args.out, seed=args.seed, policy=args.policy))
    return 0


def _grade(args):
    from coursekit.grading import report
    from coursekit.grading.batch import grade_class

    if args.box == "none" and not args.trust_submissions:
        raise ValueError("--box none runs the submissions as you: say --trust-submissions if you trust all of them")
    grade_class(args.submissions, args.out, args.lecture, args.seed, args.policy, args.box, args.workers, args.dask,
                args.shard, args.roster, args.deadline, args.late_percent)
    report.write(args.out)
    print(f"{args.out}/index.html")
    return 0


def _rehearse(args):
    try:
        from coursekit.grading import rehearsal
    except ImportError:
        raise ValueError("this copy of the course comes without solutions, which a rehearsal needs") from None

    if args.compare:
        disagreements = rehearsal.compare(args.out, args.compare)
        for line in disagreements or ["Every mark is what it should be."]:
            print(line)
        return 1 if disagreements else 0
    truth = rehearsal.rehearse(args.lecture, args.out, args.students, args.seed)
    print(f"coursekit grade {args.out}/submissions --lecture {args.lecture} --roster {args.out}/roster.csv "
          f"--deadline {truth['deadline']} --late-percent 10 --out REPORT")
    return 0


if __name__ == "__main__":
    sys.exit(main())
