"""Run all benchmarks, each in a process of its own, and write one table: results.md and results.json.

python benchmarks/run.py [NAME ...]
"""

import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
NOT_SCRIPTS = {"run", "report", "diffrax_peer"}


def machine():
    """Return processor, cores, and the versions of what computes."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        processor = f"{names[0]}, {len(names)} cores" if names else processor
    found = {"processor": processor, "system": platform.system(), "python": platform.python_version()}
    for package in ("tsode", "numpy", "scipy", "numba", "torch", "jax", "diffrax"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def markdown(about, reports):
    """Return the table as text."""
    lines = ["# Benchmarks", "", "Medians of several calls after a first one, which compiles and is shown apart.", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    for report in reports:
        lines += ["", f"## {report['question']}", "", "| case | first call | value | unit | error | what it means |",
                  "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for row in report["rows"]:
            first = "" if row["first"] is None else f"{row['first']:.3g} s"
            cells = (row["case"], first, f"{row['value']:.4g}", row["unit"], row["error"], row["note"])
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(names):
    scripts = sorted(path for path in HERE.glob("*.py") if path.stem not in NOT_SCRIPTS)
    scripts = [path for path in scripts if not names or path.stem in names]
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        for script in scripts:
            out = Path(folder) / f"{script.stem}.json"
            subprocess.run([sys.executable, str(script), "--json", str(out)], check=True)
            reports.append(json.loads(out.read_text()))
    about = machine()
    (HERE / "results.json").write_text(json.dumps({"machine": about, "reports": reports}, indent=1) + "\n")
    (HERE / "results.md").write_text(markdown(about, reports))
    print(f"written: {HERE / 'results.md'}, {HERE / 'results.json'}")


if __name__ == "__main__":
    main(sys.argv[1:])
