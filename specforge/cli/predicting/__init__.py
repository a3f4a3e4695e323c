"""`spec predict`: what is asked of a service, and how it is asked."""
