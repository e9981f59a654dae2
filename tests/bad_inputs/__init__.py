"""Tables of what the package refuses: name -> (call, type of the exception, part of its message)."""
