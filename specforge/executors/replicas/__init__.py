"""Groups of replicas on this machine: processes that supervisor keeps up, looked at, and ended in good order.

`programs` keeps single programs up (a gateway is one), `ensure` makes a group be as a step wants it, `look` says what
runs. Nothing here is loaded by a plan that has no service; the package supervisor runs in a process of its own only.
"""
