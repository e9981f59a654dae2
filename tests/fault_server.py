"""Calls in forked children in which something goes wrong at a chosen moment: python fault_server.py.

One process imports the package and is forked for each call, which would else take seconds to start. It reads requests
from its standard input and answers on its standard output, one JSON a line. A request has

- `arguments` of the command line, or `save`: [file to load, file to save it as];
- `folder`, whose files are watched;
- `fault`: nothing, or ["event", n, signal]: the signal arrives at the n-th opening, making, renaming or removing of
  something in the folder; or ["time", seconds, signal]; or ["size", bytes]: no file may grow larger, as on a full disk;
  or ["kill at size", bytes]: the process is killed inside the write that would make one larger.
"""

import json
import os
import resource
import signal
import sys
import traceback
import warnings

WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def inject(fault, folder):
    """Arrange for the fault; return the list that counts the events."""
    seen = []
    kind, value, *rest = fault or ["event", 0, 0]
    if kind == "event":
        hurry = str(folder)

        def watch(event, arguments):
            if event in WATCHED and str(arguments[0]).startswith(hurry):
                seen.append(event)
                if len(seen) == value:
                    os.kill(os.getpid(), rest[0])

        sys.addaudithook(watch)
    elif kind == "time":
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), rest[0]))
        signal.setitimer(signal.ITIMER_REAL, value)
    else:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kind == "kill at size" else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (value, value))
    return seen


def call(request):
    """Do what is asked for; return the exit status."""
    import tsode
    from tsode import cli

    if "save" in request:
        source, target = request["save"]
        trajectory = tsode.Trajectory.load(source)
        seen = inject(request["fault"], request["folder"])
        trajectory.save(target)
        return 0, seen
    seen = inject(request["fault"], request["folder"])
    return cli.main(request["arguments"]), seen


def child(request, out, err, events):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ResourceWarning)  # an interrupt may leave a file to the garbage collector
    try:
        status, seen = call(request)
        os.write(events, json.dumps(len(seen)).encode())
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def answer(request):
    """Fork, wait, and return what the child said and how it ended."""
    pipes = [os.pipe() for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        child(request, *(write for _, write in pipes))
    texts = []
    for _, write in pipes:
        os.close(write)
    for read, _ in pipes:  # the texts are shorter than a pipe is deep
        with os.fdopen(read) as stream:
            texts.append(stream.read())
    _, status = os.waitpid(pid, 0)
    out, err, events = texts
    return {"status": os.waitstatus_to_exitcode(status), "out": out, "err": err, "events": int(events or 0)}


def warm_up():
    """Import and compile all that the children need, so that they do not wait for it; pictures are noise."""
    import matplotlib.figure
    import matplotlib.image
    import numpy as np

    noise = np.random.default_rng(0).random((100, 100))
    matplotlib.figure.Figure.savefig = lambda figure, file, format, dpi: matplotlib.image.imsave(
        file, noise, format=format
    )
    import h5netcdf
    import joblib
    import xarray

    import tsode
    from tsode import plot

    model = tsode.TeacherStudent(2, 1, 0.2)
    tsode.study(model, 30, runs=2, alpha_max=1.0).plot()
    tsode.scans.stability({"p": [1, 2], "p_star": 1}, n_jobs=1)
    return h5netcdf, joblib, xarray, plot


if __name__ == "__main__":
    modules = warm_up()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
