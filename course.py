"""Set the course up in .venv, then hand over to the real tool.

    python course.py lab        open the first lecture in JupyterLab
    python course.py test       run all the tests, every notebook included
    python course.py doctor     report what is there and what is missing
    python course.py install    install once more, to mend what is missing

coursekit's own commands work as well (autograder, build, exercise, grade, handout, mutation, notebooks, rehearse,
tables), and what follows a command is passed on: python course.py lab --no-browser
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.txt"  # written last: an interrupted installation leaves none
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
COMMANDS = (  # coursekit's own
    "autograder", "build", "doctor", "exercise", "grade", "handout", "mutation", "notebooks", "rehearse", "tables")
TOOLS = {
    "lab": ["jupyterlab", "--LabApp.default_url=/lab/tree/notebooks/01_seq2seq_reversal.ipynb"],
    "test": ["pytest", "-n", "2", "--dist", "loadscope"],
}


def check_python(version):
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        oldest, newest, this = (".".join(map(str, v[:2])) for v in (OLDEST, NEWEST, version))
        sys.exit(
            f"The course needs Python {oldest} to {newest}; this is Python {this} ({sys.executable}).\n"
            f"Run the same command with another one, for example: python{newest} course.py lab"
        )


def wanted():
    """What an installation depends on. The first two lines are what .venv itself was made with."""
    listed = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    return [f"Python {platform.python_version()}", str(ROOT), hashlib.sha256(listed).hexdigest()]


def installed():
    return STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() and PYTHON.exists() else []


def has_nvidia_gpu():
    return bool(shutil.which("nvidia-smi")) and subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0


def pip_sources():
    """Where pip was told to look for packages, by its configuration files or PIP_ variables."""
    settings = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    return [line for line in settings.splitlines() if "find-links" in line or "index" in line]


def cpu_torch_sources(system, nvidia, configured):
    """Where to look for a CPU build of torch. On Linux the default build brings several GB of CUDA packages."""
    if system != "Linux" or nvidia:
        return []
    local = [["--no-index"]] if any("find-links" in line for line in configured) else []
    return [*local, ["--index-url", CPU_INDEX]]


def install_cpu_torch(pip, sources):
    for source in sources:
        print(f"Looking for a CPU build of torch ({' '.join(source)}); if there is none, an error says so.", flush=True)
        if subprocess.run([*pip, "--no-deps", *source, "torch"]).returncode == 0:
            return
    if sources:
        print("No CPU build of torch was found; the default one follows, with several GB of CUDA packages.", flush=True)


def install():
    configured = pip_sources()
    uv = None if configured else shutil.which("uv")  # uv does not read pip's configuration
    print(f"Installing into {VENV} with {'uv' if uv else 'pip'}: a few minutes, once.", flush=True)
    if installed()[:2] == wanted()[:2]:
        STAMP.unlink()
    else:
        shutil.rmtree(VENV, ignore_errors=True)
        make = [uv, "venv", "--seed", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        subprocess.run([*make, VENV], check=True)
    pip = [uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install"]
    pip += ["--constraint", ROOT / "constraints.txt"]
    install_cpu_torch(pip, cpu_torch_sources(platform.system(), has_nvidia_gpu(), configured))
    subprocess.run([*pip, "--editable", f"{ROOT}[all]"], check=True)
    STAMP.write_text("\n".join(wanted()), encoding="utf-8")


def hand_over(command, rest):
    if command in TOOLS:
        os.chdir(ROOT)
        call = [str(PYTHON), "-m", *TOOLS[command], *rest]
    else:
        call = [str(PYTHON), "-m", "coursekit.cli", command, *rest]
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # without it, two busy processes slow each other down 20 times
    if os.name == "nt":  # where exec would return to the shell before the tool has ended
        sys.exit(subprocess.run(call).returncode)
    os.execv(call[0], call)


def main(arguments):
    check_python(sys.version_info)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return
    command, *rest = arguments
    known = ["install", *TOOLS, *COMMANDS]
    if command not in known:
        sys.exit(f"There is no command {command!r}, only {', '.join(known)}.")
    try:
        if command == "install" or installed() != wanted():
            install()
    except (subprocess.CalledProcessError, KeyboardInterrupt):
        sys.exit("The installation did not finish; what stopped it stands above. The same command starts it afresh.")
    if command != "install":
        hand_over(command, rest)


if __name__ == "__main__":
    main(sys.argv[1:])
