"""The shell that joins the parts: observes, applies, the only writer."""
