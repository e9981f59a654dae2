r"""The spectra of the Hessian of the quadratic network at its special points.

With :math:`B = U^T V U - U^{*T} V^* U^*`, :math:`U = W / \sqrt N` and :math:`t = \mathrm{tr} B` the loss is
:math:`L = t^2 / 2 + \mathrm{tr} B^2`, and what :mod:`tsode.hessian` computes from the averages of pairs is

.. math::
    H_{ki,lj} = 4 v_k v_l (u_{ki} u_{lj} + u_{li} u_{kj} + Q_{kl} \delta_{ij})
              + 2 v_k \delta_{kl} (t\, \delta_{ij} + 2 B_{ij}) .

For equal readouts v and v* and P = 1 the spectra are (eigenvalue, multiplicity)

- plateau, q = v* p* / (v (p+2)): -4 v v*, p p*; 0, p (N-p-p*) + p(p-1)/2; 8 v^2 q, p(p+1)/2 - 1;
  4 v^2 q (p+2), 1. A saddle; all its zero modes are rotations of inputs and hidden units.
- solutions, p >= p*: 0, (p-p*) N + p*(p*-1)/2; 4 v v*, p* (N-p*); 8 v v*, p*(p*+1)/2 - 1; 4 v v* (p*+2), 1.
  Marginal minima; p p* - p*(p*+1)/2 of the zero modes are tangent to the manifold, the other
  (p-p*)(N-p*) raise the loss in fourth order.
- on the product of spheres, Q_kk = 1: plateau -4 v v*, p p*; 0, p (N-p-p*) + p(p-1)/2; 8 v^2, p(p-1)/2.
  Solutions, p = p*: 0, p(p-1)/2; 4 v v*, p (N-p); 8 v v*, p(p-1)/2. Solutions, p > p*: 0,
  (p-p*)(N-p*) + p p* - p*(p*+1)/2 - (p-1), unless the rows of W split into orthogonal groups (Dykema & Strawn,
  Int. J. Pure Appl. Math. 28, 217 (2006)); 4 v v*, p* (N-p*); p*(p*+1)/2 - 1 more positive ones, which differ
  from solution to solution. For p > p* there is no closed form of a solution on the spheres.

The most negative eigenvalue of the plateau is minus the rate at which gradient flow escapes from it, per unit of
learning rate times alpha: 4 v v*.

On the solution manifold W lies in the span of W*. A change Z orthogonal to that span with :math:`U^T V Z = 0` changes
:math:`B` by :math:`Z^T V Z` alone, which no other change can cancel: the order of the surplus directions is 4.
"""
