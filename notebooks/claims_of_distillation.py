"""Claims about students that learn from other students, at the settings of the command line.

Where theory is that of the ODE, SGD is taken at two dimensions, each beside the ODE from its own start: of what is left
between them, that which falls as 1/N is extrapolated away.
"""

from claim_rows import SMALL, Claim, extrapolated, shifted

from tsode import distillation

# what is measured in SGD: system -> its rows, and how they are called in the table
SHOWN = {
    "lesson": {
        "loss of generation 2 over F": "Born-again chain: loss of generation 2 over the first's (1/n to first order)",
        "loss of generation 4 over F": "... of generation 4",
    },
    "soft_labels": {
        "soft labels, α = 5.01": "Soft labels: risk of a linear student at α = 5",
        "hard labels, α = 5.01": "... hard labels",
    },
    "features": {
        "loss at α = 20, labels alone": "Features take the plateau away: loss at α = 20, labels alone",
        "loss at α = 20, features": "... with features",
        "loss at α = 20, with a projector": "... with features through a trained projector",
    },
    "exits": {
        "loss of exit 1, labels": "Exits: loss of the first of widths (2, 4), both from labels",
        "loss of exit 1, mimicry": "... mimicking the last",
    },
    "moving_teacher": {
        "their ratio": "Moving teacher: floor of the student over the teacher's, ηS/(ηS + ηT) to first order"
    },
}


def distilled(base=0):
    """Systems whose SGD has an ODE."""
    N, runs = (400, 16) if SMALL else (2000, 64)
    for name, rows in SHOWN.items():
        if SMALL and name not in ("soft_labels", "exits"):
            continue
        found = []
        for dimension in (N, N // 4):
            example = distillation.example(name, dimension, runs, shifted(dimension, base))
            found.append({what: numbers for what, *numbers in example.rows})
        for what, claim in rows.items():
            theory, *_ = found[0][what]
            off, error = extrapolated(*((mean - ode, error) for ode, mean, error in (each[what] for each in found)))
            yield Claim(claim, theory, theory + off, error, "runs", "09")


def closed(base=0):
    """Systems with a formula of their own."""
    example = distillation.example("fixed_sample", runs=24 if SMALL else 400, seed=shifted(1, base))
    (_, theory, *found) = example.rows[1]
    yield Claim("Soft labels of a fixed sample, n/d = 1/2, d = 100: mean risk", theory, *found, "runs", "09")
    (_, theory, *found) = distillation.example("logits", seed=shifted(1, base)).rows[0]
    yield Claim("Distillation at temperature T beside matched logits: exponent in T", theory, *found, "fit", "09")
    example = distillation.example("spectral", *((100, 8) if SMALL else (400, 24)), shifted(2, base))
    for what, theory, mean, error in example.rows[:2]:
        name = f"Teacher of 2 units, students of 4, with decay: mean number of {what}"
        yield Claim(name, theory, mean, error, "runs" if error else "count", "09")
