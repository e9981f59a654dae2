"""Measure the claims of arXiv:2604.03068, print them as a Markdown table, and write it to a file.

Run it with ``make claims``. Every number is measured when the script runs, none is stored. What is random has a fixed
seed and a standard error; what is deterministic has the error of its integration or fit; a count has none. Theory is
that of infinite N, small thresholds or late times: what finite ones change is fitted or extrapolated, and the error is
that of the result. ``--seed`` measures all at another base seed. A claim holds if measured and theory differ by at most
`SIGMAS` errors; if one does not, the exit status is 1.
"""

import argparse
from pathlib import Path

from claim_rows import table
from claims_of_distillation import closed, distilled
from claims_of_dynamics import (
    escape_dimension,
    escape_prefactor,
    escape_rate,
    information_exponents,
    plateau_loss,
    sgd_meets_ode,
)
from claims_of_inputs import noise_in_place_of_data, scaling_laws
from claims_of_solutions import (
    closest_solution,
    conserved_quantity,
    hessians,
    late_times,
    learning_rates,
    noise_moves_the_choice,
    other_inputs,
)

MEASUREMENTS = (
    sgd_meets_ode,
    plateau_loss,
    escape_rate,
    escape_prefactor,
    escape_dimension,
    information_exponents,
    closest_solution,
    noise_moves_the_choice,
    conserved_quantity,
    late_times,
    hessians,
    learning_rates,
    other_inputs,
    noise_in_place_of_data,
    scaling_laws,
    distilled,
    closed,
)


def main(arguments=None):
    """Measure all claims; return 1 if one does not hold, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for claims.md")
    parser.add_argument("--seed", type=int, default=0, help="base seed of all that is random")
    options = parser.parse_args(arguments)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    claims = [claim for measure in MEASUREMENTS for claim in measure(options.seed)]
    text = table(claims)
    print(text, end="")
    (out / "claims.md").write_text(text, encoding="utf-8")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    raise SystemExit(main())
