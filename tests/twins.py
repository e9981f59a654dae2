"""The Python twin of a compiled kernel."""


def python_twin(kernel):
    """Return the Python function of a kernel, which with the compiler off is the kernel itself."""
    return getattr(kernel, "py_func", kernel)
