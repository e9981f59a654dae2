r"""Mutation testing: change one operator or number at a time, and see whether a test notices.

    python tests/mutation/run.py break --group studies --sample 120 --seed 1   # so many mutants, drawn at random
    python tests/mutation/run.py break             # all mutants of the physics; goes on where it was stopped
    python tests/mutation/run.py again             # those that survived, against the tests as they are now
    python tests/mutation/run.py report            # score by module, and the survivors

`again` and `report` take the group and the seed of what they look at, all of them `--modules scans ode/rates.py`, say,
for a part. A group is a list of rooms; the physics is all that no other list names.

The mutants are those of cosmic-ray, one replacement for each operator (`OPERATORS` of mutants.py) and both neighbours
of every number. First the tests are run as they are, and a table is kept of what each runs (covering.py, marks.py);
later calls run only files of tests that have changed, or whose sources have. Then a mutant meets the tests that run its
line, those of its room and the quickest first, until one fails or the next would exceed the budget (breaking.py).
Kernels that a mutant may be part of are compiled for it alone. No file is changed. What fails to import or to end is
killed, too. At the end the tests that killed are run with nothing broken: what they killed does not count if they fail
by themselves.
"""

import argparse
import collections
import gc
import json
import multiprocessing
import os
import random
import sys
import threading
import time

from mutants import ROOT, identity, mutants_of

OUT = ROOT / "out" / "mutation"
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "NUMBA_CACHE_DIR": str(OUT / "kernels"),  # with marks
}  # fmt: skip
ROOMS = {
    "studies": ("studies", "scans", "cli"),
    "figures": ("plot", "explorer.py"),
    # left out of the physics: what only the compiler sees, how it is called and where it keeps its kernels; versions
    "compiler": (
        "_lanes.py", "_vectors.py", "_compiled.py", "_callback.py", "_kernel_cache.py", "_types.py", "_versions.py",
        "__main__.py",
    ),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description="Mutation testing: which changes of an operator go unnoticed?")
    parser.add_argument("command", choices=["break", "again", "report"])
    parser.add_argument("--group", choices=["physics", *ROOMS], default="physics", help="all modules of some rooms")
    parser.add_argument("--modules", nargs="+", default=[""], help="only these modules or packages below tsode")
    parser.add_argument("--sample", type=int, help="only so many, drawn at random, each module by its size")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds of tests that a mutant meets")
    parser.add_argument("--search", type=float, default=1500.0, help="seconds of tests to see which run which lines")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    modules = [
        path for path in modules_of(options.group) if path.startswith(tuple(f"tsode/{m}" for m in options.modules))
    ]
    results = OUT / f"{options.group}-{options.seed}.jsonl"
    if options.command != "report":
        break_all(modules, results, options)
    report(modules, results)


def modules_of(group):
    """Return the files of a group."""
    files = [str(f.relative_to(ROOT)) for f in sorted((ROOT / "tsode").rglob("*.py")) if f.name != "__init__.py"]
    named = {group: [f for f in files if f.split("/")[1] in rooms] for group, rooms in ROOMS.items()}
    return named.get(group, [f for f in files if not any(f in others for others in named.values())])


# Breaking ------------------------------------------------------------------------------------------------------------


def break_all(modules, results, options):
    """Try the mutants that are not known yet, or those that survived, and append what came of them to the results."""
    OUT.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    known = read(results)
    if options.command == "again":
        mutants = [record for record in known.values() if not record["outcome"].startswith("killed")]
    else:
        mutants = [m for m in drawn(modules, options) if identity(m) not in known]
    mutants = [m for m in mutants if m["path"] in modules]
    if mutants:  # in a process whose environment is set before Numba reads it
        process = multiprocessing.get_context("spawn").Process(target=break_some, args=(mutants, results, options))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)


def drawn(modules, options):
    """Return the mutants of the modules, shuffled; of a sample each file has as large a part as it has of all."""
    mutants = [mutant for path in modules for mutant in mutants_of(path)]
    random.Random(options.seed).shuffle(mutants)  # so that the score so far is that of a random sample
    if options.sample is None:
        return mutants
    places = collections.Counter()
    ranks = []
    files = collections.Counter(mutant["path"] for mutant in mutants)
    for i, mutant in enumerate(mutants):
        places[mutant["path"]] += 1
        ranks.append(((places[mutant["path"]] - random.Random(i).random()) / files[mutant["path"]], i))
    return [mutants[i] for _, i in sorted(ranks)[: options.sample]]


def break_some(mutants, results, options):
    """Find the tests of some mutants, and break them."""
    os.environ.update(ENVIRONMENT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import tqdm
    from breaking import attempt, failing_by_themselves, graph
    from covering import Table, run, watch

    tqdm.tqdm.monitor_interval = 0  # its thread would not survive a fork
    table = Table(OUT / "table.jsonl")
    watch(table, sorted({m["path"] for m in mutants}), options.search)
    tasks = [(m, *table.tests_of(m["path"], m["statement"], options.budget)) for m in mutants]
    run({test for _, tests, _ in tasks for test in tests})
    started = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    print(f"{time.process_time():.0f} s of tests; threads that no fork has: {started}", flush=True)
    graph()
    gc.collect()
    gc.freeze()
    with (
        multiprocessing.get_context("fork").Pool(options.processes) as pool,
        open(results, "a", encoding="utf-8") as file,
    ):
        records = []
        for record in tqdm.tqdm(pool.imap_unordered(attempt, tasks), total=len(tasks), unit="mutant"):
            file.write(json.dumps(record) + "\n")
            file.flush()
            records.append(record)
        by = {record["by"] for record in records if "::" in record["by"]}
        failing = failing_by_themselves(by, {m["path"] for m in mutants}, options.budget * len(by))
        for record in records:
            if record["by"] in failing:
                file.write(json.dumps({**record, "outcome": f"not known: {record['by']} fails by itself"}) + "\n")


# The report ----------------------------------------------------------------------------------------------------------


def read(results):
    """Return {identity: record}; the last word counts."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {identity(record): record for record in map(json.loads, lines)}


def report(modules, results):
    """Print the score of every module and all survivors."""
    records = [r for r in read(results).values() if r["path"] in modules and r["outcome"] != "no program"]
    print(f"{'module':40} {'mutants':>8} {'killed':>8} {'score':>7}")
    for path in [*modules, ""]:
        mine = [record for record in records if record["path"].startswith(path)]
        dead = sum(record["outcome"].startswith("killed") for record in mine)
        if mine:
            print(f"{path or 'all':40} {len(mine):8} {dead:8} {dead / len(mine):7.1%}")
    if records:
        error = (dead / len(records) * (1 - dead / len(records)) / len(records)) ** 0.5
        endless = sum(record["outcome"] == "killed, without end" for record in records)
        print(f"± {error:.1%} if this is a sample; {endless} killed as they did not end\n")
    for r in sorted(records, key=lambda r: (r["path"], r["line"])):
        if not r["outcome"].startswith("killed"):
            print(f"{r['path']}:{r['line']} {r['definition']} [{r['operator']}, {r['tests']} tests, {r['outcome']}]")
            print(f"    {r['before']}\n    {r['after']}")


if __name__ == "__main__":
    main()
