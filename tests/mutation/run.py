r"""Mutation testing: change one operator or number at a time, and see whether a test notices.

    python tests/mutation/run.py cover     # once: which test runs which line, and for how long
    python tests/mutation/run.py break     # all mutants; what is known already in the output folder is kept
    python tests/mutation/run.py report    # score by module, and the survivors

for the physics, with `--group studies` for what stands above it, with `--modules studies scans`, say, for a part.

The mutants are those of cosmic-ray, one replacement for each operator (`OPERATORS` of mutants.py) and both neighbours
of every number. In the physics the compiler is off, so that the kernels count and their lines can be told; the studies
have no kernels, and run on compiled ones. A mutant meets the tests that run its line, those of its room and the
quickest first, until one fails or the next would exceed the budget. It is compiled in a child of a process that has
imported the libraries, and no file is changed. What fails to import or to end is killed, too. Before, some of
them are tried with nothing changed: if one of those is killed, a test fails by itself, and the run ends.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
from mutants import ROOT, attempt, identity, mutants_of

ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
OUT = ROOT / "out" / "mutation"
PHYSICS = (
    "model", "overlaps", "activations", "rules", "closed_forms", "ode", "sgd", "plateaus", "_passage_law", "manifold",
    "hessian",
)  # fmt: skip
STUDIES = ("studies", "scans", "cli")
STUDIES_TESTS = (
    "test_study.py", "test_study_table.py", "test_scans.py", "test_scans_errors.py", "test_scans_keys.py",
    "test_scans_ready.py", "test_scans_command.py", "test_faults_loading.py", "test_determinism.py",
    "test_bad_inputs.py", "test_bad_commands.py", "test_defaults.py", "test_reprs.py", "test_memory_limits.py",
)  # fmt: skip
GROUPS = {"physics": PHYSICS, "studies": STUDIES}
# Left out: notebooks and claims (minutes each), and what runs in processes of its own, where no mutant is.
LEFT_OUT = ("tests/test_notebooks.py", "tests/test_claims.py", "tests/test_scans_crash.py", "tsode/__main__.py")
IN_PROCESSES = (
    "another_process", "in_processes", "of_joblib", "kernel_of_a_notebook", "module_form", "ctrl_c",
    "import_leaves", "cannot_travel", "depends_on_the_point_alone", "names_the_point[2]", "lists_the_points[2]",
)  # fmt: skip
OWN = 0.2  # a test of the mutant's own room comes before others that take this fraction of its time
CONTROLS = 60  # at most; one in ten of a sample
SECONDS_A_TEST = {"0": 60, "1": 6}  # of processor time, by NUMBA_DISABLE_JIT: what takes longer takes no part
PATHS = (str(ROOT), str(ROOT / "tests" / "mutation"))


def main():
    parser = argparse.ArgumentParser(description="Mutation testing of the physics, or of the studies and scans.")
    parser.add_argument("command", choices=["cover", "break", "report"])
    parser.add_argument("--group", choices=GROUPS, default="physics", help="all modules of one of the two groups")
    parser.add_argument("--modules", nargs="+", help="or only these modules or packages below tsode, of one group")
    parser.add_argument("--budget", type=float, default=15.0, help="seconds of tests that a mutant meets")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tests", nargs="+", default=[], help="cover: only these tests, beside what is known already")
    parser.add_argument("--sample", type=int, help="break: only so many, drawn at random, each module by its size")
    parser.add_argument("--again", action="store_true", help="only what survived so far, against the tests as they are")
    options = parser.parse_args()
    names = options.modules or GROUPS[options.group]
    studies = set(names) <= set(STUDIES)
    if not studies and not set(names) <= set(PHYSICS):
        parser.error(f"--modules must be some of {', '.join(PHYSICS)}; or some of {', '.join(STUDIES)}")
    set_up(studies)
    if options.command == "cover":
        mine = [f"tests/{name}" for name in STUDIES_TESTS] + [f for name in STUDIES for f in module_files(name)]
        return cover(options.processes, options.tests or (mine if studies else []))
    modules = [path for name in names for path in module_files(name)]
    if options.command == "break":
        return break_all(modules, options)
    return report(modules)


def set_up(studies):
    """Set folder and compiler: the two groups know other tests, and other times of them."""
    global OUT
    OUT = OUT / "studies" if studies else OUT
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ.update(ENVIRONMENT, NUMBA_DISABLE_JIT=str(int(not studies)))
    os.chdir(ROOT)


def module_files(name):
    """Return the files of a module, or of a package and those in it."""
    path = ROOT / "tsode" / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"]


# Which test runs which line ------------------------------------------------------------------------------------------


def cover(processes, tests):
    """Run all quick tests, or some; note lines and processor seconds of every test that passes."""
    ignored = " ".join(f"--ignore={path}" for path in LEFT_OUT)
    longest = SECONDS_A_TEST[os.environ["NUMBA_DISABLE_JIT"]]
    report = OUT / f"tests-{len(list(OUT.glob('tests-*.xml')))}.xml"
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}
    environment |= {"PYTHONPATH": os.pathsep.join(PATHS), "SECONDS_A_TEST": str(longest)}
    subprocess.run(
        [
            sys.executable, "-m", "pytest", *tests, "-q", "-n", str(processes),
            "-p", "processor_time", "-p", "no:cacheprovider",
            "--cov=tsode", "--cov-context=test", "--cov-report=term", "--cov-append",
            f"--junitxml={report}", "-o", "junit_family=xunit1",
            "-o", f"addopts=--doctest-modules -m 'not slow' {ignored}",
        ],
        env={**environment, "COVERAGE_FILE": str(OUT / "coverage")},
    )  # fmt: skip


def seconds_of_tests():
    """Return {name of test as in the coverage data: seconds} of those that passed, read from pytest's report."""
    from xml.etree import ElementTree

    longest = SECONDS_A_TEST[os.environ["NUMBA_DISABLE_JIT"]]
    seconds = {}
    for file in OUT.glob("tests-*.xml"):
        for case in ElementTree.parse(file).iter("testcase"):
            elsewhere = any(word in case.get("name") for word in IN_PROCESSES)
            if len(case) == 0 and not elsewhere:  # neither failed nor skipped
                seconds[case.get("file"), case.get("name")] = float(case.get("time"))
    return {test: time for test, time in seconds.items() if time <= longest}


class Tests:
    """Which tests run a statement."""

    def __init__(self):
        import coverage

        self.data = coverage.CoverageData(str(OUT / "coverage"))
        self.data.read()
        self.seconds = seconds_of_tests()

    def of(self, path, first_line, budget):
        """Return the tests that run the statement at a line within a budget of seconds, quick and own ones first.

        What runs at import only (a constant, a default) is left to the tests that run anything of the module.
        """
        contexts = self.data.contexts_by_lineno(path)
        names = {c.split("|")[0] for c in contexts.get(first_line, []) if c}
        names = names or {c.split("|")[0] for line in contexts.values() for c in line if c}
        # A fixture may be made in the set-up of one test and judged by the others of its file; refusals judge none.
        files = {c.split("::")[0] for c in contexts.get(first_line, []) if c.endswith("|setup")}
        files.discard("tests/test_bad_inputs.py")
        names |= {f"{file}::{test}" for file, test in self.seconds if file in files}
        parts = pathlib.Path(path).with_suffix("").parts[1:]
        room = [part.strip("_").removesuffix("s").removesuffix("ie") for part in parts]  # tests of studies: test_study
        timed = [
            (max(self.seconds[key], 0.03), any(part in key[0] for part in room), name)
            for name in names
            if (key := key_of(name)) in self.seconds
        ]
        timed.sort(key=lambda test: test[0] * (OWN if test[1] else 1.0))
        chosen, spent = [], 0.0
        for seconds, _, name in timed:
            if chosen and spent + seconds > budget:
                break
            chosen.append(name)
            spent += seconds
        return chosen, spent


def key_of(name):
    """Return (file, test) of a test's name."""
    file, test = name.split("::", 1)
    return file, test


# Breaking ------------------------------------------------------------------------------------------------------------


def break_all(modules, options):
    """Try every mutant that is not known yet and append what came of it to the file of results."""
    import tqdm

    known = read_results()
    tests = Tests()
    tasks = []
    for path in modules:
        for mutant in mutants_of(path):
            outcome = known.get(identity(mutant), {}).get("outcome")
            if outcome == ("survived" if options.again else None):
                tasks.append((mutant, *tests.of(path, mutant["statement"], options.budget)))
    random.Random(0).shuffle(tasks)  # so that the score so far is that of a random sample
    if options.sample is not None:
        tasks = stratified(tasks, options.sample)
    compile_tests()
    preload()
    with (
        multiprocessing.get_context("fork").Pool(options.processes) as pool,
        open(OUT / "mutants.jsonl", "a", encoding="utf-8") as file,
    ):
        controls = [({**mutant, "operator": None}, *more) for mutant, *more in tasks[: min(CONTROLS, len(tasks) // 10)]]
        for record in pool.imap_unordered(attempt, controls):
            if record["outcome"].startswith("killed"):
                pool.terminate()
                sys.exit(f"{record['by'] or record['outcome']}, with nothing broken: fix the test, or leave it out")
        for record in tqdm.tqdm(pool.imap_unordered(attempt, tasks), total=len(tasks), unit="mutant"):
            file.write(json.dumps(record) + "\n")
            file.flush()
    report(modules)


def stratified(tasks, size):
    """Return a part of shuffled tasks, of each file as large a part as of all."""
    places = collections.Counter()
    ranks = []
    files = collections.Counter(mutant["path"] for mutant, *_ in tasks)
    for i, (mutant, *_) in enumerate(tasks):
        places[mutant["path"]] += 1
        ranks.append(((places[mutant["path"]] - 0.5) / files[mutant["path"]], i))
    return [tasks[i] for _, i in sorted(ranks)[:size]]


def compile_tests():
    """Let pytest write what it compiles the tests to, which would else be done for every mutant."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def preload():
    """Import once what all mutants share."""
    import hypothesis
    import joblib
    import matplotlib.pyplot
    import numba
    import pytest
    import scipy.integrate
    import scipy.optimize
    import scipy.stats
    import threadpoolctl
    import xarray

    return hypothesis, joblib, matplotlib.pyplot, numba, pytest, scipy, threadpoolctl, xarray


# The report ----------------------------------------------------------------------------------------------------------


def read_results():
    """Return {identity: record}; the last word counts."""
    results = {}
    if (OUT / "mutants.jsonl").exists():
        for line in (OUT / "mutants.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            results[identity(record)] = record
    return results


def report(modules):
    """Print the score of every module and all survivors."""
    results = read_results()
    everything, total, killed = 0, 0, 0
    survivors = []
    print(f"{'module':40} {'mutants':>8} {'killed':>8} {'score':>7}")
    for path in modules:
        mutants = list(mutants_of(path))
        records = [results[key] for m in mutants if (key := identity(m)) in results]
        everything += len(mutants) - sum(record["outcome"] == "no program" for record in records)
        records = [record for record in records if record["outcome"] != "no program"]
        dead = sum(record["outcome"].startswith("killed") for record in records)
        survivors += [record for record in records if not record["outcome"].startswith("killed")]
        total, killed = total + len(records), killed + dead
        if records:
            print(f"{path:40} {len(records):8} {dead:8} {dead / len(records):7.1%}")
    if total:
        score = killed / total
        error = np.sqrt(score * (1 - score) / total)
        remark = "" if total == everything else f" ± {error:.1%}, a sample of {everything}"
        print(f"{'all':40} {total:8} {killed:8} {score:7.1%}{remark}\n")
    for r in sorted(survivors, key=lambda r: (r["path"], r["line"])):
        print(f"{r['path']}:{r['line']} {r['definition']} [{r['operator']}, {r['tests']} tests, {r['outcome']}]")
        print(f"    {r['before']}\n    {r['after']}")


if __name__ == "__main__":
    main()
