"""Figures."""

import numpy as np

from bad_inputs.things import MODEL, START, comparison, figure, fluctuations, law, ode, samples, sgd, table
from bad_inputs.things import path as hessian_path
from tsode import plot

CASES = {
    "losses of nothing": (lambda: plot.loss_curve(), ValueError, "`ode` or `sgd` must be a Trajectory, but both are N"),
    "band of a trajectory": (lambda: plot.loss_band(ode()), TypeError, "`fluctuations` must be what tsode.fluctuation"),
    "band at no N": (lambda: plot.loss_band(fluctuations()), ValueError, "`N` or `sgd` must be given, but both are N"),
    "band over the ODE": (
        lambda: plot.loss_band(fluctuations(), ode()), ValueError, "`sgd` must be what `simulate` returns, but is of th"
    ),
    "rates of a trajectory": (lambda: plot.learning_rates(ode()), TypeError, "`found` must be an OptimalSchedule, but"),
    "losses of text": (lambda: plot.loss_curve("a"), TypeError, "`ode` must be a Trajectory, but is str"),
    "losses swapped": (
        lambda: plot.loss_curve(sgd=ode()), ValueError, "`sgd` must be what `simulate` returns, but is of the engine 'o"
    ),
    "losses on a plateau of text": (lambda: plot.loss_curve(ode(), None, "0.5"), TypeError, "`plateau_loss` must be a"),
    "losses on a plateau without end": (
        lambda: plot.loss_curve(ode(), plateau_loss=np.inf), ValueError, "`plateau_loss` must be finite, but is inf"
    ),
    "losses on no axes": (lambda: plot.loss_curve(ode(), ax=3), TypeError, "`ax` must be matplotlib Axes or None, but"),
    "losses on a figure": (lambda: plot.loss_curve(ode(), ax=figure()), TypeError, "`ax` must be matplotlib Axes or N"),
    "overlaps of nothing": (lambda: plot.overlap_curves(), ValueError, "`ode` or `sgd` must be a Trajectory, but both"),
    "overlaps of R": (lambda: plot.overlap_curves(ode(), which="R"), ValueError, "`which` must be one of 'M', 'Q', "),
    "overlaps of 3": (lambda: plot.overlap_curves(ode(), which=3), TypeError, "`which` must be one of 'M', 'Q', "),
    "invariants of nothing": (lambda: plot.overlap_invariants(), ValueError, "`ode` or `sgd` must be a Trajectory"),
    "invariants of R": (lambda: plot.overlap_invariants(ode(), which="R"), ValueError, "`which` must be one of 'M'"),
    "no width": (lambda: plot.paper(0.0), ValueError, "`width` must be larger than 0"),
    "matrix of a trajectory": (lambda: plot.overlap_matrix(ode()), TypeError, "`overlaps` must be an Overlaps, but is"),
    "matrix of a title of numbers": (lambda: plot.overlap_matrix(START, 3), TypeError, "`title` must be a str or None"),
    "histogram of nothing": (lambda: plot.escape_histogram([]), ValueError, "`times` must hold at least one finite es"),
    "histogram of nan": (lambda: plot.escape_histogram([np.nan]), ValueError, "`times` must hold at least one finite "),
    "histogram of text": (lambda: plot.escape_histogram("now"), TypeError, "`times` must be an array of real numbers,"),
    "histogram of complex times": (lambda: plot.escape_histogram([1j]), TypeError, "`times` must be an array of real "),
    "histogram under no law": (
        lambda: plot.escape_histogram([1.0], 3), TypeError, "`law` must be a frozen distribution of scipy.stats, but is"
    ),
    "histogram of no bins": (lambda: plot.escape_histogram([1.0], bins=0), ValueError, "`bins` must be at least 1, bu"),
    "histogram of unknown bins": (lambda: plot.escape_histogram([1.0], bins="few"), ValueError, "`bins` must be one o"),
    "histogram of bins backwards": (
        lambda: plot.escape_histogram([1.0], bins=[2, 1]), ValueError, "`bins` must be at least two strictly increasing"
    ),
    "histogram of bins elsewhere": (
        lambda: plot.escape_histogram([1.0], bins=[2, 3]), ValueError, "`bins` must hold some of the times, but go from"
    ),
    "histogram of too many bins": (
        lambda: plot.escape_histogram([1.0], bins=10**12), ValueError, "`bins` must be at most 100000, but is 100000000"
    ),
    "histogram of too large times": (
        lambda: plot.escape_histogram([1e20]), ValueError, "`times` must differ by more than rounding for a histogram"
    ),
    "means of nothing": (lambda: plot.escape_means([1]), ValueError, "`times` or `laws` must be given"),
    "means at no value": (lambda: plot.escape_means([], []), ValueError, "`values` must hold at least one number, but"),
    "means at text": (lambda: plot.escape_means(["a"], [[1]]), TypeError, "`values` must be an array of real numbers,"),
    "means of too few": (lambda: plot.escape_means([1, 2], [[1]]), ValueError, "`times` must have one entry for each "),
    "means of a number": (lambda: plot.escape_means([1], 3), TypeError, "`times` must be a list, a tuple or an array,"),
    "means of times of text": (lambda: plot.escape_means([1], ["a"]), TypeError, "`times` must be an array of real nu"),
    "means of no law": (
        lambda: plot.escape_means([1], laws=[law]), TypeError, "`laws` must be a frozen distribution of scipy.stats, bu"
    ),
    "means of a label of 3": (lambda: plot.escape_means([1], [[1]], label=3), TypeError, "`label` must be a str or No"),
    "spectra of nothing": (lambda: plot.hessian_spectra(None), TypeError, "`comparison` must be a Comparison, but is "),
    "spectra of three": (
        lambda: plot.hessian_spectra(comparison(), (1, 2, 3)), ValueError, "`empirical` must be a pair, but has 3 parts"
    ),
    "spectra of numbers": (
        lambda: plot.hessian_spectra(comparison(), (1, 2)), TypeError, "`empirical` must be a pair of Spectrum or Spect"
    ),
    "convergence of a comparison": (
        lambda: plot.hessian_convergence(comparison()), TypeError, "`result` must be a Convergence, but is Comparison"
    ),
    "convergence elsewhere": (
        lambda: plot.hessian_convergence(samples(), "sea"), ValueError, "`which` must be one of 'plateau', 'manifold', "
    ),
    "separation of a convergence": (
        lambda: plot.hessian_separation(samples()), TypeError, "`result` must be a Separation, but is Convergence"
    ),
    "path of a trajectory": (lambda: plot.hessian_path(ode()), TypeError, "`path` must be a HessianPath, but is Traje"),
    "path on no axes": (lambda: plot.hessian_path(hessian_path(), "ax"), TypeError, "`ax` must be matplotlib Axes or "),
    "panels of nothing": (lambda: plot.hessian_panels(MODEL), TypeError, "`comparison` must be a Comparison, but is T"),
    "panels of two": (
        lambda: plot.hessian_panels(comparison(), comparison()), TypeError, "`samples` must be a Convergence, but is Co"
    ),
    "study of a threshold of text": (
        lambda: plot.study_panels(ode(), sgd(), threshold="x"), TypeError, "`threshold` must be a "
    ),
    "study of text": (lambda: plot.study_panels("ode", sgd()), TypeError, "`ode` must be a Trajectory, but is str"),
    "study without SGD": (lambda: plot.study_panels(ode(), None), TypeError, "`sgd` must be a Trajectory, but is None"),
    "study of escapes of text": (
        lambda: plot.study_panels(ode(), sgd(), escapes=["a"]), TypeError, "`escapes` must be an array of real numbers,"
    ),
    "study under no law": (
        lambda: plot.study_panels(ode(), sgd(), law=3), TypeError, "`law` must be a frozen distribution of scipy.stats,"
    ),
    "save no figure": (lambda: plot.save(None, "f.png"), TypeError, "`figure` must be a matplotlib Figure or Axes"),
    "save to no path": (lambda: plot.save(figure(), 3), TypeError, "`path` must be a path, but is int"),
    "save as JPEG": (
        lambda: plot.save(figure(), "f.jpg"), ValueError,
        "`path` must end in .png, .pdf, .svg, or have no suffix, but ends in '.jpg'",
    ),
    "save over here": (lambda: plot.save(figure(), "."), ValueError, "`path` must be the path of a file, but is '.'"),
    "save to a missing folder": (lambda: plot.save(figure(), "none/f.png"), FileNotFoundError, "directory: 'none/f.pn"),
    "save over a folder": (lambda: plot.save(figure(), "../given/folder.png"), IsADirectoryError, "'../given/folder.p"),
    "escape of another scan": (
        lambda: plot.escape_curves(table("stability")), ValueError, "`dataset` must be what tsode.scans.escape returns,"
    ),
    "escape of a dict": (lambda: plot.escape_curves({}), TypeError, "`dataset` must be an xarray.Dataset, but is dict"),
    "escape along another name": (
        lambda: plot.escape_curves(table("escape"), "width"), ValueError, "`x` must be a parameter of the scan with num"
    ),
    "escape along a number": (lambda: plot.escape_curves(table("escape"), 3), TypeError, "`x` must be a str or None, "),
    "deviation of another scan": (
        lambda: plot.deviation_curves(table("stability")), ValueError, "`dataset` must be what tsode.scans.deviation re"
    ),
    "deviation on no axes": (
        lambda: plot.deviation_curves(table("deviation"), "ax"), TypeError, "`ax` must be matplotlib Axes or None, but "
    ),
    "stability of another scan": (
        lambda: plot.stability_map(table("escape")), ValueError, "`dataset` must be what tsode.scans.stability returns,"
    ),
    "stability at another name": (
        lambda: plot.stability_map(table("stability"), width=3), ValueError, "`selection` must name some of p, p_star, "
    ),
    "stability at another value": (
        lambda: plot.stability_map(table("stability"), p=7), ValueError, "`p` must be one of [1, 2], but is 7"
    ),
}  # fmt: skip
