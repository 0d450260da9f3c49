"""Install what a lock file names into .venv, if that has not been done; say what is missing on this machine.

    python3 requirements/install.py run|dev|outside

`outside` has an environment of its own, .venv-outside: it is a platform of somebody else's make that the tests try Berth against.

Runs under whatever `python3` is, so it uses nothing newer than Python 3.6 until it has found a 3.11. All it prints goes
to standard error: the standard output belongs to the command that follows.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUTSIDE = "outside"
FOLDER = ".venv-outside" if sys.argv[1:] == [OUTSIDE] else ".venv"
VENV = os.path.join(ROOT, FOLDER)
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".installed")


def main(name):
    use_new_enough_python()
    lock = os.path.join(ROOT, "requirements", name + ".lock")
    with open(lock, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    installed = read_stamp()
    if installed.get(name) == wanted:
        return
    make_environment()
    install(lock)
    with open(STAMP + ".new", "w") as file:
        json.dump(dict(installed, **{name: wanted}), file)
    os.replace(STAMP + ".new", STAMP)


def use_new_enough_python():
    if sys.version_info >= OLDEST:
        return
    for minor in (13, 12, 11):
        found = shutil.which("python3.{}".format(minor))
        if found:
            os.execv(found, [found] + sys.argv)
    stop(
        "Berth needs Python 3.11 or newer; python3 here is {}.{}.".format(*sys.version_info[:2]),
        "sudo apt-get install python3.11 python3.11-venv    (Debian 12 and newer, Ubuntu 24.04 and newer have it)",
    )


def read_stamp():
    try:
        with open(STAMP) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def make_environment():
    works = (
        os.path.exists(PYTHON)
        and subprocess.call([PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    )
    if works:
        return
    say("Making a Python environment in " + FOLDER)
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        made = subprocess.call([sys.executable, "-m", "venv", "--clear", VENV], stdout=sys.stderr)
    elif shutil.which("uv"):
        made = subprocess.call(
            ["uv", "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, VENV]
        )
    else:
        version = "{}.{}".format(*sys.version_info[:2])
        stop(
            "Python's venv module is incomplete here.",
            "sudo apt-get install python3-venv    (or python{}-venv)".format(version),
        )
    if made != 0:
        stop("Making {} failed, see above.".format(FOLDER), "rm -rf {}, then try again".format(FOLDER))


def install(lock):
    """Let pip install the lock file, showing one line that counts instead of pip's many."""
    with open(lock) as file:
        total = sum(1 for line in file if "==" in line and not line.startswith((" ", "#")))
    say("Installing {} packages into {}".format(total, FOLDER))
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--require-hashes"]
    pip = subprocess.Popen(
        [PYTHON, "-m", "pip", "install"] + options + ["-r", lock],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    log = show_progress(pip.stdout, total)
    if pip.wait() != 0:
        sys.stderr.write("".join(log[-25:]))
        stop("Installing failed, see above.", "look at the network connection, then try again")


def show_progress(lines, total):
    """Count the packages pip names; all of its lines, for whoever must know why it failed."""
    log = []
    seen = 0
    for line in lines:
        log.append(line)
        words = line.split()
        if line.startswith(("Collecting ", "Requirement already satisfied:", "Ignoring ")):
            seen += 1
            text = "  {}/{} {}".format(min(seen, total), total, words[1] if words[0] == "Collecting" else "")
            show(text, last=seen % 20 == 0)
        elif line.startswith("Installing collected packages"):
            show("  unpacking", last=True)
    return log


def show(text, last=False):
    """One line that is written over on a terminal; elsewhere now and then a line of its own."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text + ("\n" if last else ""))
        sys.stderr.flush()
    elif last:
        say(text)


def say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def stop(problem, remedy):
    say("{}\nThis mends it:  {}".format(problem, remedy))
    sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["dev"], [OUTSIDE]):
        sys.exit("usage: install.py run|dev|outside")
    main(sys.argv[1])
